"""The state of ngram.h in plain Python: the compiled one's oracle, and what counts where none was compiled.

It has the same buckets, keys and order of work, so that both give the same answers and save the same bytes.
It is written to be read: a question is kept as its tokens and a list of what to put back.

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
EXPERTS, SLOTS, BUCKET_BYTES, EVIDENCE = 3, 4, 64, 512
MAX_CONTEXTS, MAX_LENGTH, MAX_WORDS, MAX_BLOCK, PAST = 8, 31, 4, 1 << 24, 32
MOST_ROWS = EXPERTS * MAX_CONTEXTS
MASK = (1 << 64) - 1
BASE, FAR = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
VERSION = 1
LARGEST_RATE = 1 - 2**-24  # the 32-bit float before 1


def mixed(x: int) -> int:
    """Return a well spread 64-bit number, one for each (Steele, Lea and Flood 2014; Stafford's constants)."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


@dataclass(slots=True)
class Context:
    """What is remembered of one context."""

    tag: int
    met: int
    top: int
    top_count: int
    second: int
    second_count: int
    last: int
    run: int
    """How many times in a row `last` has followed, to 255."""

    def packed(self) -> int:
        """Return the counts in 64 bits."""
        low = self.top | self.second << 16 | self.met << 32
        return low | self.top_count << 48 | self.second_count << 56

    def counted(self, token: int) -> Context:
        """Return it after one more next token."""
        run = min(self.run + 1, 255) if token == self.last else 1
        one = replace(self, met=self.met + 1, last=token, run=run)
        if one.top == token:
            one.top_count += 1
        elif one.second_count and one.second == token:
            one.second_count += 1
        elif one.second_count > 1:
            one.second_count -= 1
        else:
            one.second, one.second_count = token, 1
        if one.second == token and one.top != token and one.second_count >= one.top_count:
            one.top, one.second = one.second, one.top
            one.top_count, one.second_count = one.second_count, one.top_count
        if one.top_count == 255 or one.met == 65_535:
            one.top_count, one.second_count = max(1, one.top_count // 2), one.second_count // 2
            one.met //= 2
        return one


def new_context(tag: int, token: int) -> Context:
    """Return what is remembered of a context met for the first time."""
    return Context(tag, met=1, top=token, top_count=1, second=0, second_count=0, last=token, run=1)


@dataclass(slots=True)
class Cursor:
    """Where the stream stands: a function of the tokens so far."""

    position: int = 0
    rolling: tuple[int, ...] = (0,) * MOST_ROWS
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
    hints: list[int]
    rates: list[float]
    open: bool
    put_back: list[tuple[int, int, int, Context | None]] = field(default_factory=list)
    """Row, bucket, slot and what was in it."""
    counted: list[tuple[int, int, bool]] = field(default_factory=list)
    """Expert, evidence and whether the hint came true."""


@dataclass(slots=True)
class Row:
    """The contexts of one length."""

    expert: int
    length: int
    buckets: int
    table: dict[int, list[Context | None]] = field(default_factory=dict)
    met: int = 0
    given_up: int = 0


class Ngram:
    """The same methods as the compiled type: see _ngram.pyi and ngram.h."""

    def __init__(
        self,
        contexts: Sequence[tuple[int, int, int]],
        kind_V: npt.NDArray[np.uint8],
        hash_V3: npt.NDArray[np.uint64],
        power_V3: npt.NDArray[np.uint64],
        block_tokens: int,
        hint_XT: npt.NDArray[np.int32],
        rate_XT: npt.NDArray[np.float32],
        counts_CT: npt.NDArray[np.uint64],
        open_T: npt.NDArray[np.uint8],
    ) -> None:
        low, high = (1, 0, 1), (MAX_LENGTH, MAX_WORDS, MAX_WORDS)
        lengths = [[n for one, n, _ in contexts if one == expert] for expert in range(EXPERTS)]
        if not (
            contexts
            and all(
                0 <= expert < EXPERTS
                and low[expert] <= length <= high[expert]
                and 1 <= table_bytes // BUCKET_BYTES < 1 << 30
                for expert, length, table_bytes in contexts
            )
            and all(own == sorted(set(own), reverse=True) for own in lengths)
            and all(len(own) <= MAX_CONTEXTS for own in lengths)
            and 1 <= len(kind_V) <= 65_536
            and 1 <= block_tokens <= MAX_BLOCK
        ):
            raise ValueError(
                f"no state for {len(kind_V)} tokens, contexts {contexts} and blocks of {block_tokens} "
                "tokens: an expert, a length or a size is out of range, or an expert's contexts are not from "
                "the longest down (see native/ngram.h)"
            )
        self._wanted = [(expert, length, size // BUCKET_BYTES) for expert, length, size in contexts]
        self._block, self._vocab = block_tokens, len(kind_V)
        self._kinds = kind_V.tolist()
        self._hashes = hash_V3.reshape(-1, 3).tolist()
        self._powers = power_V3.reshape(-1, 3).tolist()
        self._out = (hint_XT, rate_XT, counts_CT, open_T)
        self._tokens_digest = self._vocab
        for part in (kind_V, hash_V3, power_V3):
            self._tokens_digest = digest(self._tokens_digest, part.tobytes())
        self._forget()

    def _forget(self) -> None:
        self._rows = [Row(*wanted) for wanted in self._wanted]
        self._tallies = [[[0, 0] for _ in range(EVIDENCE)] for _ in range(EXPERTS)]
        self._at, self._accepted = Cursor(), Cursor()
        self._question: list[int] = []
        self._looked: list[Looked] = []
        self._ask([])

    # The stream's place.

    def _advance(self, token: int) -> None:
        at = self._at
        rolling = list(at.rolling)
        for c, own in enumerate(self._rows):
            if own.expert != TOKEN:
                continue
            leaving = at.past[-own.length] + 1 if at.position >= own.length else 0
            power = pow(BASE, own.length, 1 << 64)
            rolling[c] = (rolling[c] * BASE + token + 1 - leaving * power) & MASK
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

    def _key(self, c: int, own: Row) -> int:
        at = self._at
        total = (c + 1) * FAR
        if own.expert == TOKEN:
            return mixed((total + at.rolling[c]) & MASK)
        words = at.words
        if own.expert == WITHIN:
            total += at.pieces
        elif at.core:
            words = (at.core, *words)
        for word in words[: own.length]:
            total = (total * FAR + word) & MASK
        return mixed(total & MASK)

    def _counts(self, expert: int, token: int) -> bool:
        boundary = bool(self._kinds[token] & BOUNDARY)
        starts = self._at.length == 0 or bool(self._kinds[token] & STARTS)
        return expert == TOKEN or (not boundary and starts == (expert == WORD))

    # One position.

    def _visit(self, token: int | None) -> Looked:
        """Look a position up, and count its token if there is one."""
        looked = Looked(counts=[], hints=[], rates=[], open=self._at.length > 0)
        found: list[list[Context | None]] = [[] for _ in range(EXPERTS)]
        for c, own in enumerate(self._rows):
            key = self._key(c, own)
            tag, number = (key | 1) & 0xFFFFFFFF, (key >> 32) * own.buckets >> 32
            bucket = own.table.get(number, [None] * SLOTS)
            slot = next((k for k, one in enumerate(bucket) if one and one.tag == tag), None)
            if own.expert == WITHIN and not looked.open:
                slot = None
            here = bucket[slot] if slot is not None else None
            found[own.expert].append(here)
            looked.counts.append(here.packed() if here else 0)
            if token is None or not self._counts(own.expert, token):
                continue
            if here is not None and slot is not None:
                after = here.counted(token)
            else:
                slot, after = room(bucket, tag), new_context(tag, token)
                own.met += bucket[slot] is None
                own.given_up += bucket[slot] is not None
            looked.put_back.append((c, number, slot, bucket[slot]))
            own.table.setdefault(number, [None] * SLOTS)[slot] = after
        for expert in range(EXPERTS):
            self._say(expert, found[expert], token, looked)
        return looked

    def _say(
        self, expert: int, found: list[Context | None], token: int | None, looked: Looked
    ) -> None:
        """Add an expert's hint and rate from what was found at its contexts, the longest first."""
        chosen = next((k for k, one in enumerate(found) if one), None)
        one = found[chosen] if chosen is not None else None
        if chosen is None or one is None:
            looked.hints.append(-1)
            looked.rates.append(0.0)
            return
        agreeing = sum(other.last == one.last for other in found[chosen + 1 :] if other)
        kind = evidence(chosen, agreeing, one)
        tally = self._tallies[expert][kind]
        looked.hints.append(one.last)
        looked.rates.append(rate(one, *tally))
        if token is not None and self._counts(expert, token):
            tally[0] += 1
            tally[1] += one.last == token
            looked.counted.append((expert, kind, one.last == token))

    # The question.

    def _undo(self) -> None:
        looked = self._looked.pop()
        self._question.pop()
        for c, number, slot, was in reversed(looked.put_back):
            own, now = self._rows[c], self._rows[c].table[number][slot]
            own.met -= was is None
            own.given_up -= was is not None and now is not None and was.tag != now.tag
            own.table[number][slot] = was
        for expert, kind, right in looked.counted:
            self._tallies[expert][kind][0] -= 1
            self._tallies[expert][kind][1] -= right

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
        hint_XT, rate_XT, counts_CT, open_T = self._out
        hint_XT[:, t], rate_XT[:, t] = looked.hints, looked.rates
        for c, counts in enumerate(looked.counts):
            counts_CT[c, t] = counts
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
        return sum(own.buckets * BUCKET_BYTES for own in self._rows)

    @property
    def contexts(self) -> list[int]:
        """Contexts of each length."""
        return [own.met for own in self._rows]

    @property
    def given_up(self) -> list[int]:
        """Contexts of each length that made room for others."""
        return [own.given_up for own in self._rows]

    # As bytes.

    def save(self) -> bytes:
        """Return the history, in the compiled state's format."""
        self._ask([])
        body = self._head() + b"".join(saved_row(own) for own in self._rows)
        body += b"".join(
            struct.pack("<2q", *tally) for tallies in self._tallies for tally in tallies
        )
        return body + struct.pack("<Q", digest(VERSION, body))

    def _head(self) -> bytes:
        at = self._accepted
        words = (*at.rolling, *at.words, at.pieces, at.core, at.trail, at.trail_power, at.length)
        head = struct.pack("<4s3IQ", b"NGR1", VERSION, len(self._rows), 0, self._tokens_digest)
        return head + struct.pack(f"<{1 + len(words)}Q{PAST}H", at.position, *words, *at.past)

    def load(self, saved: bytes) -> None:
        """Replace the history; raises ValueError where `saved` is not one of this state's."""
        body = bytes(memoryview(saved))
        self._forget()
        try:
            self._restore(body)
        except (ValueError, struct.error) as problem:
            self._forget()
            said = problem if isinstance(problem, ValueError) else "it is cut short"
            raise ValueError(f"the saved state is refused: {said}") from None

    def _restore(self, saved: bytes) -> None:
        head = len(self._head())
        if len(saved) < head + 8:
            raise ValueError("it is cut short")
        magic, version, rows, _, tokens = struct.unpack_from("<4s3IQ", saved)
        if (magic, version) != (b"NGR1", VERSION):
            raise ValueError("it is not a saved state of this version")
        body = saved[:-8]
        if struct.unpack("<Q", saved[-8:])[0] != digest(VERSION, body):
            raise ValueError("it is damaged or cut short")
        if rows != len(self._rows):
            raise ValueError("it was saved with other contexts")
        if tokens != self._tokens_digest:
            raise ValueError("it was saved with another vocabulary")
        at = head
        for own in self._rows:
            at = restore_row(own, body, at)
        if at + 16 * EVIDENCE * EXPERTS != len(body):
            raise ValueError("it is damaged")
        numbers = struct.unpack_from(f"<{2 * EVIDENCE * EXPERTS}q", body, at)
        if any(
            not 0 <= right <= seen <= 1 << 53
            for seen, right in zip(numbers[::2], numbers[1::2], strict=True)
        ):
            raise ValueError("it is damaged")
        tallies = iter(numbers)
        self._tallies = [
            [[next(tallies), next(tallies)] for _ in range(EVIDENCE)] for _ in range(EXPERTS)
        ]
        numbers = struct.unpack_from(f"<{6 + MOST_ROWS + MAX_WORDS}Q{PAST}H", saved, 24)
        position, rolling, rest = numbers[0], numbers[1 : 1 + MOST_ROWS], numbers[1 + MOST_ROWS :]
        pieces, core, trail, trail_power, length = rest[MAX_WORDS : MAX_WORDS + 5]
        self._accepted = Cursor(
            position=position,
            rolling=rolling,
            words=rest[:MAX_WORDS],
            pieces=pieces,
            core=core,
            trail=trail,
            trail_power=trail_power,
            length=length,
            past=rest[MAX_WORDS + 5 :],
        )
        self._ask([])


def rate(one: Context, seen: int, right: int) -> float:
    """Return how often hints with such evidence came true, above 0 and below 1."""
    times = one.met + 1.0
    return min(LARGEST_RATE, (right * times + 2 * min(one.run, one.met)) / ((seen + 2.0) * times))


def evidence(chosen: int, agreeing: int, one: Context) -> int:
    """Return the kind of evidence, 0..511: which length, how many agree, how often in a row, alone or not."""
    of_run = one.run - 1 if one.run < 3 else 2 if one.run < 6 else 3
    return ((chosen * 8 + agreeing) * 4 + of_run) * 2 + (one.top_count == one.met)


def room(bucket: list[Context | None], tag: int) -> int:
    """Return the slot for a newcomer: the first free one, or the one that was met least often."""
    if None in bucket:
        return bucket.index(None)
    order = [((tag >> 1) + k) % SLOTS for k in range(SLOTS)]
    totals = [one.met for k in order if (one := bucket[k])]
    return order[totals.index(min(totals))]


def digest(seed: int, data: bytes) -> int:
    """Return a 64-bit digest against accidents, not against malice."""
    total = seed ^ len(data)
    whole = len(data) // 8 * 8
    for (word,) in struct.iter_unpack("<Q", data[:whole]):
        total = (mixed(total ^ word) + BASE) & MASK
    return mixed(total ^ int.from_bytes(data[whole:], "little"))


def saved_row(own: Row) -> bytes:
    """Return what is saved of one length: its numbers, then each used bucket after its own number."""
    used = sorted(n for n, bucket in own.table.items() if any(bucket))
    head = struct.pack("<2i2I", own.expert, own.length, own.buckets, len(used))
    head += struct.pack("<2Q", own.met, own.given_up)
    return head + b"".join(struct.pack("<I", n) + packed(own.table[n]) for n in used)


def restore_row(own: Row, body: bytes, at: int) -> int:
    """Fill an empty row from what `saved_row` wrote at `at`; return where it ends."""
    expert, length, buckets, used, own.met, own.given_up = struct.unpack_from("<2i2I2Q", body, at)
    if (expert, length) != (own.expert, own.length):
        raise ValueError("it was saved with other contexts")
    if buckets != own.buckets:
        raise ValueError("it was saved with another table size")
    at += 32
    for _ in range(used):
        (number,) = struct.unpack_from("<I", body, at)
        if number >= buckets or at + 4 + BUCKET_BYTES > len(body):
            raise ValueError("it is damaged")
        own.table[number] = unpacked(body[at + 4 : at + 4 + BUCKET_BYTES])
        at += 4 + BUCKET_BYTES
    return at


def packed(bucket: list[Context | None]) -> bytes:
    """Return a bucket's 64 bytes: four counts, four tags, four last tokens."""
    counts = [one.packed() if one else 0 for one in bucket]
    tags = [one.tag if one else 0 for one in bucket]
    last = [one.last | one.run << 16 if one else 0 for one in bucket]
    return struct.pack("<4Q4I4I", *counts, *tags, *last)


def unpacked(data: bytes) -> list[Context | None]:
    """Return the bucket in 64 bytes."""
    numbers = struct.unpack("<4Q4I4I", data)
    slots: list[Context | None] = []
    for counts, tag, last in zip(numbers[:4], numbers[4:8], numbers[8:], strict=True):
        top, second, met, more, fewer = struct.unpack("<3H2B", struct.pack("<Q", counts))
        one = Context(tag, met, top, more, second, fewer, last & 0xFFFF, last >> 16)
        slots.append(one if counts else None)
    return slots
