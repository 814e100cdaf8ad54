"""What the tests of the counts draw, and their slow oracle: strings and dictionaries, no hash, no table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import strategies as st

from native import counts
from native.counts import EXPERTS, Counts, Hints, parse_context
from native.words import TokenTables, token_tables

NEEDS_COMPILED = pytest.mark.skipif(
    counts.compiled is None, reason="native._ngram was not built: no C compiler"
)
BUILDS = pytest.mark.parametrize(
    "use_compiled",
    [pytest.param(True, id="compiled", marks=NEEDS_COMPILED), pytest.param(False, id="twin")],
)
STRIPPED = " .,:;!?()[]{}<>\"'`"
SLOTS = 4
BLOCK = 200
"""The longest question of the drawn states: more than three of the stretches that count.c works in."""


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


def all_starts(pieces: Sequence[bytes]) -> TokenTables:
    """Return tables in which each piece starts a word. Without cores, word contexts stay as they are."""
    return token_tables(pieces, [True] * len(pieces), [False] * len(pieces))


THREE = ["token:2", "within:0", "word:2"]
SEVERAL = ["token:3", "word:2", "token:1", "within:1", "word:1", "within:0"]
PIECES_OF_ENGLISH = "| _the _cat _C at s . _, _The _dog"
ENGLISH = spoken(PIECES_OF_ENGLISH)


def english(text: str) -> list[int]:
    names = PIECES_OF_ENGLISH.replace("_", "").split()
    return [names.index(piece) for piece in text.split()]


# Letters that are one another's lower case, stripped characters alone, in front, behind and inside, a space
# inside, characters of two bytes and their parts, a capital beside a part of one, and lower cases that are
# longer than their capital or depend on what stands beside them.
TEXTS = [
    *b"a|b|A|aB|ab||.|,| |(|((|(a|b)|a.b|'s|a b|. a|?!|i|A\xc3|.\xc3|\xc3|\xa9|\x89".split(b"|"),
    *(text.encode() for text in ("é", "É", "ΑΣ", "Σ", "σ", "ς", "İ", "\u0307")),
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


LENGTHS = {
    "token": st.integers(1, 31) | st.integers(1, 4),
    "within": st.integers(0, 4),
    "word": st.integers(1, 4),
}


@st.composite
def context_lists(draw: st.DrawFn) -> list[str]:
    """Contexts of one expert, of two or of all three, each expert's from the longest down."""
    some = {
        expert: draw(st.sets(LENGTHS[expert], max_size=draw(st.sampled_from([2, 8]))))
        for expert in EXPERTS
    }
    if not any(some.values()):
        some["token"] = {1}
    left = {expert: sorted(lengths) for expert, lengths in some.items()}
    turns = draw(st.permutations([expert for expert in EXPERTS for _ in left[expert]]))
    return [f"{expert}:{left[expert].pop()}" for expert in turns]


def smallest_table(contexts: Sequence[str]) -> int:
    """Return the fewest bytes that give each context length a bucket."""
    shares = [counts.share(context) for context in contexts]
    return -(-64 * sum(shares) // min(shares))


class Scene(NamedTuple):
    """All that a state is made of."""

    contexts: list[str]
    tables: TokenTables
    table_bytes: int

    @property
    def vocab(self) -> int:
        return len(self.tables.kind_V)

    def state(self, use_compiled: bool) -> Counts:
        return Counts(
            self.contexts,
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
    contexts = draw(context_lists())
    tables = draw(vocabularies().map(Vocabulary.tables) | raw_tables())
    times = draw(st.sampled_from([1, 1, 2, 5, 100]))
    return Scene(contexts, tables, times * smallest_table(contexts))


def roomy(contexts: Sequence[str], vocabulary: Vocabulary) -> Scene:
    """Return a state whose tables never fill up under a stream of a test's length."""
    return Scene(list(contexts), vocabulary.tables(), smallest_table(contexts) << 12)


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


class Found(NamedTuple):
    """What is told of one context."""

    top: int
    second: int
    met: int
    top_count: int
    second_count: int


def unpacked(hints: Hints) -> list[list[Found]]:
    """Return what is told of each context and position."""

    def fields(one: int) -> Found:
        low = (one >> shift & 0xFFFF for shift in (0, 16, 32))
        return Found(*low, one >> 48 & 0xFF, one >> 56)

    return [[fields(one) for one in row] for row in hints.counts_CT.tolist()]


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

    def context(self, name: str) -> object:
        """Return what a context of this name is here, or None where its expert says nothing."""
        kind, length = parse_context(name)
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


class Hint(NamedTuple):
    """What an expert says, and upon what evidence."""

    token: int
    longer: int
    """How many of the expert's contexts are longer than the one that it is from, and were not met."""
    agreeing: int
    run: int
    alone: bool
    met: int

    @property
    def evidence(self) -> tuple[int, ...]:
        run = next(n for n, least in ((4, 6), (3, 3), (2, 2), (1, 1)) if self.run >= least)
        return self.longer, self.agreeing, run, self.alone


class Oracle:
    """All that followed each context, in order, in dictionaries."""

    def __init__(self, contexts: Sequence[str], vocabulary: Vocabulary) -> None:
        self.contexts, self.reader = contexts, Reader(vocabulary)
        self.followed: list[dict[object, list[int]]] = [defaultdict(list) for _ in contexts]
        self.seen: list[Counter[tuple[int, ...]]] = [Counter() for _ in EXPERTS]
        self.came_true: list[Counter[tuple[int, ...]]] = [Counter() for _ in EXPERTS]

    def forget(self, c: int, met: int) -> None:
        """Forget what followed the context number c as it is here, but for the last `met` times.

        A table that gave a context up knows no more of it than what came after it was met anew.
        """
        followed = self.known(c)
        assert met <= len(followed)
        del followed[: len(followed) - met]

    def known(self, c: int) -> list[int]:
        """Return what followed the context number c as it is here."""
        context = self.reader.context(self.contexts[c])
        return [] if context is None else self.followed[c].get(context, [])

    def hint(self, x: int) -> Hint | None:
        """Return what expert x says here."""
        lists = [
            self.known(c)
            for c, name in enumerate(self.contexts)
            if parse_context(name)[0] == EXPERTS[x]
        ]
        longer = next((n for n, followed in enumerate(lists) if followed), None)
        if longer is None:
            return None
        followed = lists[longer]
        run = next(
            (n for n, token in enumerate(followed[::-1]) if token != followed[-1]), len(followed)
        )
        agreeing = sum(followed[-1:] == other[-1:] for other in lists[longer + 1 :])
        return Hint(followed[-1], longer, agreeing, run, len(set(followed)) == 1, len(followed))

    def rate(self, x: int) -> float:
        """Return how often hints such as this came true; call it where there is one."""
        hint = self.hint(x)
        assert hint
        prior = 2 * hint.run / (hint.met + 1)
        return (self.came_true[x][hint.evidence] + prior) / (self.seen[x][hint.evidence] + 2)

    def counts(self, expert: str, token: int) -> bool:
        """Return whether an expert counts this token here."""
        return self.reader.class_of(token) in COUNTED[expert]

    def read(self, token: int) -> None:
        for x, expert in enumerate(EXPERTS):
            hint = self.hint(x)
            if hint and self.counts(expert, token):
                self.seen[x][hint.evidence] += 1
                self.came_true[x][hint.evidence] += hint.token == token
        for c, name in enumerate(self.contexts):
            if self.counts(parse_context(name)[0], token):
                self.followed[c][self.reader.context(name)].append(token)
        self.reader.read(token)
