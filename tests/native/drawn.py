"""What the tests of the counts draw, and their slow oracle: strings and dictionaries, no hash, no table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from native import counts
from native.counts import Counts, Expert
from native.words import TokenTables, token_tables

NEEDS_COMPILED = pytest.mark.skipif(
    counts.compiled is None, reason="native._ngram was not built: no C compiler"
)
BUILDS = pytest.mark.parametrize(
    "use_compiled",
    [pytest.param(True, id="compiled", marks=NEEDS_COMPILED), pytest.param(False, id="twin")],
)
STRIPPED = " .,:;!?()[]{}<>\"'`"
SLOTS = 5
BLOCK = 200
"""The longest question of the drawn states: more than three of the stretches that ngram.c works in."""


class Vocabulary(NamedTuple):
    """Per token its text, whether it starts a word wherever it stands, whether it belongs to none."""

    texts: tuple[bytes, ...]
    starts: tuple[bool, ...]
    boundary: tuple[bool, ...]

    def tables(self) -> TokenTables:
        return token_tables(*self)


def spoken(text: str) -> Vocabulary:
    """Return the vocabulary of pieces written with "_" where they start a word; "|" is a boundary."""
    pieces = text.split()
    return Vocabulary(
        tuple(b"" if piece == "|" else piece.removeprefix("_").encode() for piece in pieces),
        tuple(piece.startswith("_") for piece in pieces),
        tuple(piece == "|" for piece in pieces),
    )


# Letters that are one another's lower case, stripped characters alone, in front, behind and inside, a space
# inside, characters of two bytes and their parts, a capital beside a part of one, and lower cases that are
# longer than their capital or depend on what stands beside them.
TEXTS = [
    *(
        b"a",
        b"b",
        b"A",
        b"aB",
        b"ab",
        b"",
        b".",
        b",",
        b" ",
        b"(",
        b"((",
        b"(a",
        b"b)",
        b"a.b",
        b"'s",
    ),
    *(
        b"a b",
        b". a",
        b"?!",
        "é".encode(),
        "É".encode(),
        b"\xc3",
        b"\xa9",
        b"\x89",
        b"A\xc3",
        b".\xc3",
    ),
    *(
        "ΑΣ".encode(),
        "Σ".encode(),
        "σ".encode(),
        "ς".encode(),
        "İ".encode(),
        "\u0307".encode(),
        b"i",
    ),
]
PIECES = st.tuples(st.sampled_from(TEXTS), st.booleans(), st.integers(0, 7).map(lambda n: n == 7))


def vocabularies(max_size: int = 8) -> st.SearchStrategy[Vocabulary]:
    """Vocabularies of a few pieces; some have twins that differ in nothing but their number."""
    pieces = st.lists(PIECES, min_size=1, max_size=max_size)
    return pieces.map(lambda pieces: Vocabulary(*map(tuple, zip(*pieces, strict=True))))


@st.composite
def raw_tables(draw: st.DrawFn) -> TokenTables:
    """Tables that no text has: any kinds, any hashes, any powers."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.integers(1, 8))
    hash_V3, power_V3 = rng.integers(0, 2**64, (2, size, 3), dtype=np.uint64)
    power_V3[rng.random((size, 3)) < 0.4] = 1
    hash_V3[power_V3 == 1] = 0
    return TokenTables(rng.integers(0, 4, size, dtype=np.uint8), hash_V3, power_V3)


EXPERTS = st.one_of(
    st.builds(Expert, st.just("token"), st.sampled_from([1, 2, 3, 5, 15, 31]) | st.integers(1, 31)),
    st.builds(Expert, st.just("within"), st.integers(0, 4)),
    st.builds(Expert, st.just("word"), st.integers(1, 4)),
)


def expert_lists(max_size: int = 5) -> st.SearchStrategy[list[Expert]]:
    return st.lists(EXPERTS, min_size=1, max_size=max_size)


def smallest_table(experts: Sequence[Expert]) -> int:
    """Return the fewest bytes that give each expert a bucket."""
    shares = [counts.SHARES[expert.kind] for expert in experts]
    return -(-64 * sum(shares) // min(shares))


class Scene(NamedTuple):
    """All that a state is made of."""

    experts: list[Expert]
    tables: TokenTables
    table_bytes: int

    @property
    def vocab(self) -> int:
        return len(self.tables.kind_V)

    def state(self, use_compiled: bool) -> Counts:
        return Counts(
            self.experts,
            self.tables,
            table_bytes=self.table_bytes,
            block_tokens=BLOCK,
            use_compiled=use_compiled,
        )

    def after(self, use_compiled: bool, history: Sequence[int], cut: int = BLOCK) -> Counts:
        """Return a state that did nothing but accept, `cut` tokens at a time."""
        state = self.state(use_compiled)
        for first in range(0, len(history), cut):
            state.accept(tokens(history[first : first + cut]))
        return state


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """States with tables of one bucket, of a few, and roomy ones."""
    experts = draw(expert_lists())
    tables = draw(vocabularies().map(Vocabulary.tables) | raw_tables())
    return Scene(
        experts, tables, smallest_table(experts) * draw(st.sampled_from([1, 1, 2, 5, 100]))
    )


def roomy(experts: Sequence[Expert], vocabulary: Vocabulary) -> Scene:
    """Return a state whose table never fills up under a stream of a test's length."""
    return Scene(list(experts), vocabulary.tables(), 1 << 20)


SHORT = st.lists(st.integers(0, 7), max_size=12)
PHRASES = st.builds(
    lambda motif, times, more: [*motif * times, *more],
    st.lists(st.integers(0, 7), min_size=1, max_size=9),
    st.integers(1, 20),
    SHORT,
)
STREAMS = (SHORT | PHRASES).map(lambda drawn: drawn[:BLOCK])
"""Tokens below 8, for `within` to fold into a vocabulary: few, or many that repeat themselves."""


def within(drawn: Sequence[int], vocab: int) -> list[int]:
    return [token % vocab for token in drawn]


def tokens(stream: Sequence[int]) -> np.ndarray:
    return np.array(stream, dtype=np.uint16)


def answers(state: Counts, stream: Sequence[int]) -> list[bytes]:
    """Return everything that is said of a question, to the last bit."""
    return [np.ascontiguousarray(part).tobytes() for part in state.look(tokens(stream))]


class Reader:
    """Follows words as strings."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.history: list[int] = []
        self.finished: list[bytes] = []
        self.pieces: list[int] = []

    def text(self, token: int) -> str:
        try:
            return self.vocabulary.texts[token].decode().lower()
        except UnicodeDecodeError:  # a part of a character stays as it is
            return self.vocabulary.texts[token].decode("utf-8", "surrogateescape")

    def word(self) -> bytes:
        """Return the open word; nothing where all of it would be stripped, or where none is open."""
        text = "".join(map(self.text, self.pieces)).strip(STRIPPED)
        return text.encode("utf-8", "surrogateescape")

    def class_of(self, token: int) -> str:
        if self.vocabulary.boundary[token]:
            return "boundary"
        return "continues" if self.pieces and not self.vocabulary.starts[token] else "starts"

    def read(self, token: int) -> None:
        kind = self.class_of(token)
        if kind != "continues":
            self.finished += [self.word()] if self.word() else []
            self.pieces = []
        if kind == "boundary":
            self.finished = []
        else:
            self.pieces.append(token)
        self.history.append(token)

    def context(self, expert: Expert) -> object:
        """Return what the expert goes by here, or None where it says nothing."""
        kind, length = expert
        if kind == "token":
            return tuple(self.history[-length:])
        before = list(self.finished)
        if kind == "word":
            before += [self.word()] if self.word() else []
            return tuple(before[-length:])
        words = tuple(before[-length:]) if length else ()
        return (tuple(self.pieces), words) if self.pieces else None


COUNTED = {
    "token": ("boundary", "continues", "starts"),
    "within": ("continues",),
    "word": ("starts",),
}


class Oracle:
    """All that followed each context, in dictionaries."""

    def __init__(self, experts: Sequence[Expert], vocabulary: Vocabulary) -> None:
        self.experts, self.reader = experts, Reader(vocabulary)
        self.followed: list[dict[object, Counter[int]]] = [defaultdict(Counter) for _ in experts]

    def known(self, e: int) -> Counter[int]:
        """Return what followed the context that expert e has here."""
        context = self.reader.context(self.experts[e])
        return Counter() if context is None else self.followed[e].get(context, Counter())

    def counts(self, e: int, token: int) -> bool:
        """Return whether expert e counts this token here."""
        return self.reader.class_of(token) in COUNTED[self.experts[e].kind]

    def read(self, token: int) -> None:
        for e, expert in enumerate(self.experts):
            if self.counts(e, token):
                self.followed[e][self.reader.context(expert)][token] += 1
        self.reader.read(token)
