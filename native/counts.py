"""What followed which context: three experts' hints for every position of a stream; see native/ngram.h.

    counts = Counts(["token:15", "within:0", "word:3"], tables, table_bytes=1 << 26, block_tokens=1024)
    hints = counts.look(block_T)      # for T + 1 positions; changes nothing
    counts.accept(block_T)            # history now; costs almost nothing after `look` at the same block

Compiled where native._ngram was built, else in plain Python (reference.py), with the same answers to the
last bit.

Shapes: X the three experts, in the order of EXPERTS; C contexts, T positions. Does not mix anything into a
distribution: see submission/mixer.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from native.words import TokenTables

compiled: ModuleType | None
"""The compiled state's module, None where it was not built or does not load."""
why_not = ""
"""Why `compiled` is None."""
try:
    from native import _ngram

    compiled = _ngram
except ImportError as problem:
    compiled, why_not = None, str(problem)

LENGTHS = {"token": (1, 31), "within": (0, 4), "word": (1, 4)}
"""Shortest and longest context of each expert."""
EXPERTS = tuple(LENGTHS)
MOST_CONTEXTS = 8
"""Of one expert."""
BUCKET_BYTES = 64
"""What a table has in the least."""
_SHARES = {"token": (0, 1, 1, 3, 6), "within": (1, 3), "word": (0, 1, 2)}
_LONGER = {"token": 8, "within": 6, "word": 4}


def share(context: str) -> int:
    """Return how the bytes of a context's table compare with another's: by how many contexts text has.

    A token context of five tokens or more has eight shares: nearly every position of a text is a new one.
    Raises ValueError for what is no context.
    """
    expert, length = parse_context(context)
    return _SHARES[expert][length] if length < len(_SHARES[expert]) else _LONGER[expert]


class Hints(NamedTuple):
    """What the experts say of each position; views, good until the next call of the state."""

    token_XT: npt.NDArray[np.int32]
    """Each expert's hint, or -1."""
    rate_XT: npt.NDArray[np.float32]
    """How often hints with such evidence came true, above 0 and below 1; 0 without a hint."""
    counts_CT: npt.NDArray[np.uint64]
    """Of each context; packed, see the properties."""
    open_T: npt.NDArray[np.uint8]
    """1 where a word is open before the position."""

    @property
    def top_CT(self) -> npt.NDArray[np.int64]:
        """Each context's most frequent next token, or -1 where it was not met."""
        return np.where(self.counts_CT == 0, -1, (self.counts_CT & 0xFFFF).astype(np.int64))

    @property
    def met_CT(self) -> npt.NDArray[np.int64]:
        """How often each context was met; halved now and then, see native/ngram.h."""
        return (self.counts_CT >> 32 & 0xFFFF).astype(np.int64)

    @property
    def top_count_CT(self) -> npt.NDArray[np.int64]:
        """How often the most frequent token came, 1..254; 0 where the context was not met."""
        return (self.counts_CT >> 48 & 0xFF).astype(np.int64)


def parse_context(text: str) -> tuple[str, int]:
    """Return the expert and the length that "expert:length" names.

    Raises ValueError for another text.
    """
    expert, colon, length = text.partition(":")
    if expert not in EXPERTS or not colon or not (length.isascii() and length.isdecimal()):
        raise ValueError(f'context {text!r}; write "token:15", "within:0" or "word:3"')
    return expert, int(length)


def check_contexts(contexts: Sequence[str]) -> None:
    """Raise ValueError, with one sentence, where these are no contexts of one state."""
    named = [parse_context(context) for context in contexts]
    if not named:
        raise ValueError("no contexts; give at least one, as in token:15")
    for expert, (shortest, longest) in LENGTHS.items():
        lengths = [length for one, length in named if one == expert]
        if any(not shortest <= length <= longest for length in lengths):
            raise ValueError(f"{expert} contexts of {lengths}; lengths are {shortest} to {longest}")
        if lengths != sorted(set(lengths), reverse=True):
            raise ValueError(f"{expert} contexts of {lengths}; name them from the longest down")
        if len(lengths) > MOST_CONTEXTS:
            raise ValueError(f"{len(lengths)} {expert} contexts; at most {MOST_CONTEXTS}")


class Counts:
    """A history of accepted tokens, and at most one question laid over it.

    `contexts` are named as "token:15" (the last 15 tokens, 1..31), "within:1" (the open word's tokens and
    the word before it, 0..4) or "word:3" (the last 3 words, 1..4, the open one taken as finished), an
    expert's from the longest down. `table_bytes` bounds the memory of the counts for good; a full table
    gives up what was met least often. `block_tokens` is the longest question. `use_compiled` None takes
    what there is. Raises ValueError where an argument is out of range or memory is short, RuntimeError for
    `use_compiled=True` where nothing was built.
    """

    def __init__(
        self,
        contexts: Sequence[str],
        tables: TokenTables,
        *,
        table_bytes: int,
        block_tokens: int,
        use_compiled: bool | None = None,
    ) -> None:
        if use_compiled and compiled is None:
            raise RuntimeError("native._ngram was not built; install again with a C compiler")
        self.compiled = compiled is not None if use_compiled is None else use_compiled
        self.contexts = tuple(contexts)
        check_contexts(contexts)
        wanted = [(*parse_context(context), share(context)) for context in contexts]
        shares = sum(part for _, _, part in wanted)
        if not 1 <= block_tokens <= 1 << 24:
            raise ValueError(f"blocks of {block_tokens} tokens; expected 1 to {1 << 24}")
        positions = block_tokens + 1
        self._hints = Hints(
            np.full((len(EXPERTS), positions), -1, np.int32),
            np.zeros((len(EXPERTS), positions), np.float32),
            np.zeros((len(contexts), positions), np.uint64),
            np.zeros(positions, np.uint8),
        )
        self._state = _core(self.compiled).Ngram(
            [
                (EXPERTS.index(expert), length, table_bytes * part // shares)
                for expert, length, part in wanted
            ],
            *(np.require(table, requirements=["C", "ALIGNED"]) for table in tables),
            block_tokens,
            *self._hints,
        )

    def look(self, token_T: npt.NDArray[np.integer], first: int = 0) -> Hints:
        """Return hints for the positions first .. len(token_T) of a question; the history stays as it was.

        Those for position t depend on the history and token_T[:t] alone. Costs time in proportion to what
        differs from the last question, and a little for each token that does not. Raises ValueError for too
        many tokens, one that is not in the vocabulary, or what is not a row of integers.
        """
        self._state.look(_tokens(token_T))
        asked = slice(first, len(token_T) + 1)
        token_XT, rate_XT, counts_CT, open_T = self._hints
        return Hints(token_XT[:, asked], rate_XT[:, asked], counts_CT[:, asked], open_T[asked])

    def accept(self, token_T: npt.NDArray[np.integer]) -> None:
        """Make these tokens part of the history; raises like `look`."""
        self._state.accept(_tokens(token_T))

    def save(self) -> bytes:
        """Return the history as bytes; compiled and plain states write the same."""
        return bytes(self._state.save())

    def load(self, saved: bytes) -> None:
        """Replace the history by a saved one.

        Raises ValueError, and leaves no history, where the bytes are damaged or of a state with other
        contexts, another vocabulary or another table size.
        """
        self._state.load(saved)

    @property
    def accepted(self) -> int:
        """Tokens of the history."""
        return int(self._state.accepted)

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables, as they were allocated."""
        return int(self._state.table_bytes)

    @property
    def met(self) -> list[int]:
        """Contexts in each length's table, those of the question included."""
        return list(self._state.contexts)

    @property
    def given_up(self) -> list[int]:
        """Contexts of each length that made room for others, those of the question included."""
        return list(self._state.given_up)


def which() -> str:
    """Return one line that says whether the counts are compiled here, and if not, why."""
    if compiled is None:
        return f"counts: plain Python, not compiled ({why_not}); install again with a C compiler"
    return "counts: compiled"


def _core(use_compiled: bool) -> Any:
    if use_compiled:
        return compiled
    from native import reference  # where it was compiled it is not needed, and need not be there

    return reference


def _tokens(token_T: npt.NDArray[np.integer]) -> npt.NDArray[np.uint16]:
    if token_T.ndim != 1 or token_T.dtype.kind not in "iu":
        raise ValueError(f"tokens as {token_T.dtype} {token_T.shape}; expected one row of integers")
    if token_T.dtype == np.uint16:
        return np.require(token_T, requirements=["C", "ALIGNED"])
    if len(token_T) and not 0 <= int(token_T.min()) <= int(token_T.max()) <= 65_535:
        raise ValueError(f"tokens from {token_T.min()} to {token_T.max()}; expected 0 to 65,535")
    return token_T.astype(np.uint16)
