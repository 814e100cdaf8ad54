"""Counts of what followed which context, for experts of three kinds: the state that native/ngram.h describes.

    counts = Counts([Expert("token", 15), Expert("within", 0), Expert("word", 3)], tables,
                    table_bytes=1 << 26, block_tokens=1024)
    hints = counts.look(block_T)      # for T + 1 positions; changes nothing
    counts.accept(block_T)            # history now; costs almost nothing after `look` at the same block

Compiled where native._ngram was built, else in plain Python (reference.py), with the same answers to the last bit.

Shapes: E experts, T positions. Does not mix anything into a distribution: see submission/mixer.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from native import reference
from native.words import TokenTables

try:
    from native import _ngram as compiled
except ImportError:  # not built here
    compiled = None  # type: ignore[assignment]

KINDS = ("token", "within", "word")
SHARES = {"token": 4, "within": 1, "word": 2}
"""How an expert's part of the table's bytes compares with another's: by how many contexts text has."""
BYTES_PER_CONTEXT = 64 / 5
"""Of a full table."""


class Expert(NamedTuple):
    """One context to predict from.

    "token": the last `length` tokens, 1..31. "within": the open word's tokens and `length` words before it,
    0..4. "word": the last `length` words, 1..4, the open one taken as finished.
    """

    kind: str
    length: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.length}"


class Hints(NamedTuple):
    """What each expert says of each position; views, good until the next call of the state."""

    counts_ET: npt.NDArray[np.uint64]
    """Packed: see the properties."""
    rate_ET: npt.NDArray[np.float32]
    """How often hints with such counts came true, 0..1 exclusive; 0 without a hint."""
    open_T: npt.NDArray[np.uint8]
    """1 where a word is open before the position."""

    @property
    def token_ET(self) -> npt.NDArray[np.int64]:
        """The hints: each context's most frequent next token, or -1."""
        return np.where(self.counts_ET == 0, -1, (self.counts_ET & 0xFFFF).astype(np.int64))

    @property
    def total_ET(self) -> npt.NDArray[np.int64]:
        """How often each context was met; 0 without a hint. Halved now and then, see native/ngram.h."""
        return (self.counts_ET >> 32 & 0xFFFF).astype(np.int64)

    @property
    def top_ET(self) -> npt.NDArray[np.int64]:
        """How often the hint came in its context, 1..254; 0 without a hint."""
        return (self.counts_ET >> 48 & 0xFF).astype(np.int64)


def parse_expert(text: str) -> Expert:
    """Return the expert that "kind:length" names.

    Raises ValueError for another text.
    """
    kind, colon, length = text.partition(":")
    if kind not in KINDS or not colon or not length.isdecimal():
        raise ValueError(f'expert {text!r}; write "token:15", "within:0" or "word:3"')
    return Expert(kind, int(length))


class Counts:
    """A history of accepted tokens, and at most one question laid over it.

    `table_bytes` bounds the memory of the counts for good; a full table gives up what was met least often.
    `block_tokens` is the longest question. `use_compiled` None takes what there is. Raises ValueError where an
    argument is out of range or memory is short, RuntimeError for `use_compiled=True` where nothing was built.
    """

    def __init__(
        self,
        experts: Sequence[Expert],
        tables: TokenTables,
        *,
        table_bytes: int,
        block_tokens: int,
        use_compiled: bool | None = None,
    ) -> None:
        if use_compiled and compiled is None:
            raise RuntimeError("native._ngram was not built; install again with a C compiler")
        self.compiled = compiled is not None if use_compiled is None else use_compiled
        self.experts = tuple(experts)
        shares = [SHARES[expert.kind] for expert in experts]
        sizes = [table_bytes * share // max(1, sum(shares)) for share in shares]
        self._counts_ET = np.zeros((len(experts), block_tokens + 1), np.uint64)
        self._rate_ET = np.zeros((len(experts), block_tokens + 1), np.float32)
        self._open_T = np.zeros(block_tokens + 1, np.uint8)
        core = compiled if self.compiled else reference
        self._state = core.Ngram(
            [(KINDS.index(kind), n, size) for (kind, n), size in zip(experts, sizes, strict=True)],
            *(np.ascontiguousarray(table) for table in tables),
            block_tokens,
            self._counts_ET,
            self._rate_ET,
            self._open_T,
        )

    def look(self, token_T: npt.NDArray[np.integer], first: int = 0) -> Hints:
        """Return hints for the positions first .. len(token_T) of a question; the history stays as it was.

        Those for position t depend on the history and token_T[:t] alone. Costs time in proportion to what differs from
        the last question. Raises ValueError for too many tokens or one that is not in the vocabulary.
        """
        self._state.look(_tokens(token_T))
        asked = slice(first, len(token_T) + 1)
        return Hints(self._counts_ET[:, asked], self._rate_ET[:, asked], self._open_T[asked])

    def accept(self, token_T: npt.NDArray[np.integer]) -> None:
        """Make these tokens part of the history; raises like `look`."""
        self._state.accept(_tokens(token_T))

    def save(self) -> bytes:
        """Return the history as bytes; compiled and plain states write the same."""
        return self._state.save()

    def load(self, saved: bytes) -> None:
        """Replace the history by a saved one.

        Raises ValueError, and leaves no history, where the bytes are damaged or of a state with other experts,
        another vocabulary or another table size.
        """
        self._state.load(saved)

    @property
    def accepted(self) -> int:
        """Tokens of the history."""
        return self._state.accepted

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables, as they were allocated."""
        return self._state.table_bytes

    @property
    def contexts(self) -> list[int]:
        """Contexts in each expert's table, those of the question included."""
        return self._state.contexts

    @property
    def given_up(self) -> list[int]:
        """Contexts of each expert that made room for others, those of the question included."""
        return self._state.given_up


def _tokens(token_T: npt.NDArray[np.integer]) -> npt.NDArray[np.uint16]:
    if token_T.dtype == np.uint16:
        return np.ascontiguousarray(token_T)
    if len(token_T) and not 0 <= int(token_T.min()) <= int(token_T.max()) <= 65_535:
        raise ValueError(f"tokens from {token_T.min()} to {token_T.max()}; expected 0 to 65,535")
    return token_T.astype(np.uint16)
