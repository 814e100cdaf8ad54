"""The state of ngram.h in plain Python: the oracle of the compiled one, and what counts where nothing was compiled.

It has the same buckets, keys and order of work, so that both give the same answers and save the same bytes. It is
written to be read: a question is kept as its tokens and a list of what to put back.

Shapes: E experts, T positions, V vocabulary. Does not check its arrays' types as the binding does.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from native.words import BOUNDARY, STARTS

TOKEN, WITHIN, WORD = range(3)
SLOTS, BUCKET_BYTES, EVIDENCE = 5, 64, 64
MAX_EXPERTS, MAX_LENGTH, MAX_WORDS, MAX_BLOCK, PAST = 16, 31, 4, 1 << 24, 32
MASK = (1 << 64) - 1
BASE, FAR = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
VERSION = 1
TOP_FROM = (0, 2, 3, 4, 6, 10, 20, 50)
MISSED_FROM = (0, 1, 2, 3, 5, 9, 21, 61)


def mixed(x: int) -> int:
    """Return a well spread 64-bit number, one for each (Steele, Lea and Flood 2014; Stafford's constants)."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


@dataclass(slots=True)
class Context:
    """What is remembered of one context."""

    tag: int
    total: int
    token: int
    second: int
    top: int
    next: int

    def packed(self) -> int:
        """Return the counts in 64 bits, without the tag."""
        low = self.token | self.second << 16 | self.total << 32
        return low | self.top << 48 | self.next << 56

    def counted(self, token: int) -> Context:
        """Return it after one more next token."""
        one = replace(self, total=self.total + 1)
        if one.token == token:
            one.top += 1
        elif one.next == 0:
            one.second, one.next = token, 1
        elif one.second == token:
            one.next += 1
            if one.next > one.top:
                one.token, one.second, one.top, one.next = one.second, one.token, one.next, one.top
        elif one.next > 1:
            one.next -= 1
        else:
            one.second = token
        if one.top == 255 or one.total == 65_535:
            one.top, one.next, one.total = (one.top + 1) // 2, one.next // 2, (one.total + 1) // 2
        return one


@dataclass(slots=True)
class Cursor:
    """Where the stream stands: a function of the tokens so far."""

    position: int = 0
    rolling: tuple[int, ...] = (0,) * MAX_EXPERTS
    words: tuple[int, ...] = (0,) * MAX_WORDS
    pieces: int = 0
    core: int = 0
    trail: int = 0
    trail_power: int = 1
    length: int = 0
    past: tuple[int, ...] = (0,) * PAST
    """The last tokens, the latest last."""

    def finish_word(self) -> None:
        """Close the open word."""
        if self.core:
            self.words = (self.core, *self.words[:-1])
        self.core, self.trail, self.trail_power, self.pieces, self.length = 0, 0, 1, 0, 0


@dataclass(slots=True)
class Looked:
    """What was found at one position, and what to put back if it is undone."""

    counts: list[int]
    rates: list[float]
    open: bool
    put_back: list[tuple[int, int, int, Context | None]] = field(default_factory=list)
    """Expert, bucket, slot and what was in it."""
    counted: list[tuple[int, int, bool]] = field(default_factory=list)
    """Expert, evidence and whether the hint came true."""


@dataclass(slots=True)
class Expert:
    """One expert: its table and what it has learnt of itself."""

    kind: int
    length: int
    buckets: int
    table: dict[int, list[Context | None]] = field(default_factory=dict)
    tallies: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(EVIDENCE)])
    contexts: int = 0
    given_up: int = 0


class Ngram:
    """The same methods as the compiled type: see _ngram.pyi and ngram.h."""

    def __init__(
        self,
        experts: Sequence[tuple[int, int, int]],
        kind_V: npt.NDArray[np.uint8],
        hash_V3: npt.NDArray[np.uint64],
        power_V3: npt.NDArray[np.uint64],
        block_tokens: int,
        counts_ET: npt.NDArray[np.uint64],
        rate_ET: npt.NDArray[np.float32],
        open_T: npt.NDArray[np.uint8],
    ) -> None:
        low, high = (1, 0, 1), (MAX_LENGTH, MAX_WORDS, MAX_WORDS)
        if not (
            1 <= len(experts) <= MAX_EXPERTS
            and all(
                kind in (TOKEN, WITHIN, WORD)
                and low[kind] <= length <= high[kind]
                and 1 <= table_bytes // BUCKET_BYTES <= 0xFFFFFFFF // SLOTS
                for kind, length, table_bytes in experts
            )
            and 1 <= len(kind_V) <= 65_536
            and 1 <= block_tokens <= MAX_BLOCK
        ):
            raise ValueError(
                f"no state for {len(kind_V)} tokens, experts {experts} and blocks of {block_tokens} "
                "tokens: a kind, a length or a size is out of range (see native/ngram.h)"
            )
        self._wanted = [
            (kind, length, table_bytes // BUCKET_BYTES) for kind, length, table_bytes in experts
        ]
        self._block, self._vocab = block_tokens, len(kind_V)
        self._kinds = kind_V.tolist()
        self._hashes = hash_V3.reshape(-1, 3).tolist()
        self._powers = power_V3.reshape(-1, 3).tolist()
        self._out = (counts_ET, rate_ET, open_T)
        self._tokens_digest = self._vocab
        for part in (kind_V, hash_V3, power_V3):
            self._tokens_digest = digest(self._tokens_digest, part.tobytes())
        self._forget()

    def _forget(self) -> None:
        self._experts = [Expert(*wanted) for wanted in self._wanted]
        self._at, self._accepted = Cursor(), Cursor()
        self._question: list[int] = []
        self._looked: list[Looked] = []
        self._ask([])

    # The stream's place.

    def _advance(self, token: int) -> None:
        at = self._at
        rolling = list(at.rolling)
        for e, own in enumerate(self._experts):
            if own.kind != TOKEN:
                continue
            leaving = at.past[-own.length] + 1 if at.position >= own.length else 0
            power = pow(BASE, own.length, 1 << 64)
            rolling[e] = (rolling[e] * BASE + token + 1 - leaving * power) & MASK
        at.rolling = tuple(rolling)
        at.past = (*at.past[1:], token)
        at.position += 1
        if self._kinds[token] & BOUNDARY:
            at.finish_word()
            at.words = (0,) * MAX_WORDS
            return
        if at.length == 0 or self._kinds[token] & STARTS:
            at.finish_word()
        at.pieces = (at.pieces * BASE + token + 1) & MASK
        at.length += 1
        self._append_text(self._hashes[token], self._powers[token])

    def _append_text(self, hashes: list[int], powers: list[int]) -> None:
        at = self._at
        if powers[1] == 1:  # no core
            if at.core:
                at.trail = (at.trail * powers[0] + hashes[0]) & MASK
                at.trail_power = (at.trail_power * powers[0]) & MASK
            return
        if at.core:
            at.core = (at.core * at.trail_power + at.trail) & MASK
            at.core = ((at.core * powers[0] + hashes[0]) * powers[1] + hashes[1]) & MASK
        else:
            at.core = hashes[1]
        at.trail, at.trail_power = hashes[2], powers[2]

    def _key(self, e: int, own: Expert) -> int:
        at = self._at
        total = (e + 1) * FAR
        if own.kind == TOKEN:
            return mixed((total + at.rolling[e]) & MASK)
        words = at.words
        if own.kind == WITHIN:
            total += at.pieces
        elif at.core:
            words = (at.core, *words)
        for word in words[: own.length]:
            total = (total * FAR + word) & MASK
        return mixed(total & MASK)

    def _counts(self, kind: int, token: int) -> bool:
        boundary = bool(self._kinds[token] & BOUNDARY)
        starts = self._at.length == 0 or bool(self._kinds[token] & STARTS)
        return kind == TOKEN or (not boundary and starts == (kind == WORD))

    # One position.

    def _visit(self, token: int | None) -> Looked:
        """Look a position up for every expert, and count its token if there is one."""
        looked = Looked(counts=[], rates=[], open=self._at.length > 0)
        for e, own in enumerate(self._experts):
            key = self._key(e, own)
            tag, number = (key | 1) & 0xFFFFFFFF, (key >> 32) * own.buckets >> 32
            bucket = own.table.get(number, [None] * SLOTS)
            slot = next((k for k, one in enumerate(bucket) if one and one.tag == tag), None)
            if own.kind == WITHIN and not looked.open:
                slot = None
            found = bucket[slot] if slot is not None else None
            looked.counts.append(found.packed() if found else 0)
            looked.rates.append(rate(found, own.tallies) if found else 0.0)
            if token is None or not self._counts(own.kind, token):
                continue
            if found is not None and slot is not None:
                right = found.token == token
                own.tallies[evidence(found)][0] += 1
                own.tallies[evidence(found)][1] += right
                looked.counted.append((e, evidence(found), right))
                after = found.counted(token)
            else:
                slot = room(bucket, tag)
                after = Context(tag=tag, total=1, token=token, second=0, top=1, next=0)
                own.contexts += bucket[slot] is None
                own.given_up += bucket[slot] is not None
            looked.put_back.append((e, number, slot, bucket[slot]))
            own.table.setdefault(number, [None] * SLOTS)[slot] = after
        return looked

    # The question.

    def _undo(self) -> None:
        looked = self._looked.pop()
        self._question.pop()
        for e, number, slot, was in reversed(looked.put_back):
            own, now = self._experts[e], self._experts[e].table[number][slot]
            own.contexts -= was is None
            own.given_up -= was is not None and now is not None and was.tag != now.tag
            own.table[number][slot] = was
        for e, kind_of_evidence, right in looked.counted:
            self._experts[e].tallies[kind_of_evidence][0] -= 1
            self._experts[e].tallies[kind_of_evidence][1] -= right

    def _ask(self, tokens: list[int]) -> None:
        if len(tokens) > self._block:
            raise ValueError(f"{len(tokens)} tokens at once; this state was made for {self._block}")
        if tokens and max(tokens) >= self._vocab:
            raise ValueError(f"token {max(tokens)} is not below {self._vocab}")
        same = 0
        while same < min(len(tokens), len(self._question)) and tokens[same] == self._question[same]:
            same += 1
        while len(self._question) > same:
            self._undo()
        self._at = replace(self._accepted)
        for token in self._question:
            self._advance(token)
        for token in tokens[same:]:
            self._looked.append(self._visit(token))
            self._question.append(token)
            self._advance(token)
            self._show(len(self._question) - 1, self._looked[-1])
        self._show(len(self._question), self._visit(None))

    def _show(self, t: int, looked: Looked) -> None:
        counts_ET, rate_ET, open_T = self._out
        for e in range(len(self._experts)):
            counts_ET[e, t] = looked.counts[e]
            rate_ET[e, t] = looked.rates[e]
        open_T[t] = looked.open

    def look(self, token_T: npt.NDArray[np.uint16]) -> None:
        """Fill the arrays for the positions 0 .. len(token_T) of this question."""
        self._ask(token_T.tolist())

    def accept(self, token_T: npt.NDArray[np.uint16]) -> None:
        """Make these tokens history."""
        self._ask(token_T.tolist())
        self._accepted = replace(self._at)
        self._question, self._looked = [], []
        self._ask([])

    @property
    def accepted(self) -> int:
        """Tokens of the history."""
        return self._accepted.position

    @property
    def table_bytes(self) -> int:
        """Bytes that the compiled tables would have."""
        return sum(own.buckets * BUCKET_BYTES for own in self._experts)

    @property
    def contexts(self) -> list[int]:
        """Contexts of each expert."""
        return [own.contexts for own in self._experts]

    @property
    def given_up(self) -> list[int]:
        """Contexts of each expert that made room for others."""
        return [own.given_up for own in self._experts]

    # As bytes.

    def save(self) -> bytes:
        """Return the history, in the compiled state's format."""
        self._ask([])
        body = self._head() + b"".join(saved_expert(own) for own in self._experts)
        return body + struct.pack("<Q", digest(VERSION, body))

    def _head(self) -> bytes:
        at = self._accepted
        words = (*at.rolling, *at.words, at.pieces, at.core, at.trail, at.trail_power, at.length)
        head = struct.pack("<4s3IQ", b"NGR1", VERSION, len(self._experts), 0, self._tokens_digest)
        return head + struct.pack(f"<{1 + len(words)}Q{PAST}H", at.position, *words, *at.past)

    def load(self, saved: bytes) -> None:
        """Replace the history; raises ValueError where `saved` is not one of this state's."""
        self._forget()
        try:
            self._restore(bytes(saved))
        except ValueError as problem:
            self._forget()
            raise ValueError(f"the saved state is refused: {problem}") from None

    def _restore(self, saved: bytes) -> None:
        head = len(self._head())
        if len(saved) < head + 8:
            raise ValueError("it is cut short")
        magic, version, experts, _, tokens = struct.unpack_from("<4s3IQ", saved)
        if (magic, version) != (b"NGR1", VERSION):
            raise ValueError("it is not a saved state of this version")
        body = saved[:-8]
        if struct.unpack("<Q", saved[-8:])[0] != digest(VERSION, body):
            raise ValueError("it is damaged or cut short")
        if experts != len(self._experts):
            raise ValueError("it was saved with other experts")
        if tokens != self._tokens_digest:
            raise ValueError("it was saved with another vocabulary")
        at = head
        for own in self._experts:
            at = restore_expert(own, body, at)
        numbers = struct.unpack_from(f"<{6 + MAX_EXPERTS + MAX_WORDS}Q{PAST}H", saved, 24)
        rest = numbers[1 + MAX_EXPERTS + MAX_WORDS :]
        self._accepted = Cursor(
            numbers[0],
            numbers[1 : 1 + MAX_EXPERTS],
            numbers[1 + MAX_EXPERTS : 1 + MAX_EXPERTS + MAX_WORDS],
            *rest[:5],
            past=rest[5:],
        )
        self._ask([])


def rate(one: Context, tallies: list[list[int]]) -> float:
    """Return how often hints with such evidence came true, 0..1 exclusive."""
    seen, right = tallies[evidence(one)]
    met = one.total + 1.0
    return (right * met + 2 * one.top) / ((seen + 2.0) * met)


def evidence(one: Context) -> int:
    """Return the kind of evidence, 0..63, that a context's counts are."""
    missed = min(one.total - one.top, 255)
    of_top = sum(one.top >= n for n in TOP_FROM) - 1
    return 8 * of_top + sum(missed >= n for n in MISSED_FROM) - 1


def room(bucket: list[Context | None], tag: int) -> int:
    """Return the slot for a newcomer: the first free one, or the one that was met least often."""
    if None in bucket:
        return bucket.index(None)
    order = [((tag >> 1) + k) % SLOTS for k in range(SLOTS)]
    totals = [one.total for k in order if (one := bucket[k])]
    return order[totals.index(min(totals))]


def digest(seed: int, data: bytes) -> int:
    """Return a 64-bit digest against accidents, not against malice."""
    total = seed ^ len(data)
    whole = len(data) // 8 * 8
    for (word,) in struct.iter_unpack("<Q", data[:whole]):
        total = (mixed(total ^ word) + BASE) & MASK
    return mixed(total ^ int.from_bytes(data[whole:], "little"))


def saved_expert(own: Expert) -> bytes:
    """Return what is saved of one expert: its numbers, then each used bucket after its own number."""
    used = sorted(n for n, bucket in own.table.items() if any(bucket))
    head = struct.pack("<2i2I", own.kind, own.length, own.buckets, len(used))
    head += struct.pack("<2Q", own.contexts, own.given_up)
    head += b"".join(struct.pack("<2q", *tally) for tally in own.tallies)
    return head + b"".join(struct.pack("<I", n) + packed(own.table[n]) for n in used)


def restore_expert(own: Expert, body: bytes, at: int) -> int:
    """Fill an empty expert from what `saved_expert` wrote at `at`; return where it ends."""
    kind, length, buckets, used, own.contexts, own.given_up = struct.unpack_from(
        "<2i2I2Q", body, at
    )
    if (kind, length) != (own.kind, own.length):
        raise ValueError("it was saved with other experts")
    if buckets != own.buckets:
        raise ValueError("it was saved with another table size")
    tallies = struct.unpack_from(f"<{2 * EVIDENCE}q", body, at + 32)
    own.tallies = [list(tallies[n : n + 2]) for n in range(0, 2 * EVIDENCE, 2)]
    at += 32 + 16 * EVIDENCE
    for _ in range(used):
        (number,) = struct.unpack_from("<I", body, at)
        own.table[number] = unpacked(body[at + 4 : at + 4 + BUCKET_BYTES])
        at += 4 + BUCKET_BYTES
    return at


def packed(bucket: list[Context | None]) -> bytes:
    """Return a bucket's 64 bytes: five counts, five tags."""
    counts = [one.packed() if one else 0 for one in bucket]
    return struct.pack("<5Q5II", *counts, *(one.tag if one else 0 for one in bucket), 0)


def unpacked(data: bytes) -> list[Context | None]:
    """Return the bucket in 64 bytes."""
    numbers = struct.unpack("<5Q5II", data)
    slots: list[Context | None] = []
    for count, tag in zip(numbers[:SLOTS], numbers[SLOTS:], strict=False):
        token, second, total, top, runner_up = struct.unpack("<3H2B", struct.pack("<Q", count))
        slots.append(Context(tag, total, token, second, top, runner_up) if count else None)
    return slots
