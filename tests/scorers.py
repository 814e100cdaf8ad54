"""Scorers that are challenged within the test's own process, and what they are challenged with.

Legend: N tokens of the stream, T tokens of a block, M tokens of a prefix, V vocabulary.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from checks.contract import Tolerances
from harness.challenge import Examination
from harness.clock import Deadline
from harness.questions import Subject
from harness.ruleset import Challenges
from harness.session import blocks

LIMITS = Tolerances(
    floor_nats=0.02,
    cap_nats=0.25,
    repeat_factor=4.0,
    sum_tolerance=1e-3,
    gain_limit_nats=0.001,
    confidence=0.99,
    min_span=1.0,
    max_replay_ratio=2.0,
)


def counts(**changed):
    asked = {
        "blind": 40,
        "future": 4,
        "target": 4,
        "target_tokens": 5,
        "target_whole": 4,
        "repeat": 2,
        "max_rounds": 1,
        "floor_nats": LIMITS.floor_nats,
        "cap_nats": LIMITS.cap_nats,
        "repeat_factor": LIMITS.repeat_factor,
        "sum_tolerance": LIMITS.sum_tolerance,
        "gain_limit_fraction": 0.2,
        "confidence": LIMITS.confidence,
        "min_span": LIMITS.min_span,
        "max_replay_ratio": LIMITS.max_replay_ratio,
    }
    return Challenges(**asked | changed)


class Bigram:
    """An honest scorer that learns from accepted blocks; subclasses cheat."""

    def __init__(self, vocab_size, seed=0):
        self.counts_VV = (
            np.random.default_rng(seed).gamma(0.3, size=(vocab_size, vocab_size)) + 1e-3
        )
        self.done, self.last = 0, 0

    def rows(self, block_T):
        before_T = np.concatenate([[self.last], block_T[:-1]]).astype(np.int64)
        rows_TV = self.counts_VV[before_T]
        return rows_TV / rows_TV.sum(axis=1, keepdims=True)

    def about(self, question, position):
        pass

    def score(self, block_T, first):
        return -np.log(self.rows(block_T)[np.arange(len(block_T)), block_T])

    def accept(self, block_T):
        before_T = np.concatenate([[self.last], block_T[:-1]]).astype(np.int64)
        np.add.at(self.counts_VV, (before_T, block_T), 1.0)
        self.done += len(block_T)
        self.last = int(block_T[-1])

    def predict(self, prefix_M):
        return np.log(self.rows(np.append(prefix_M, 0))[-1])


class Noisy(Bigram):
    """Honest, but no two answers are the same."""

    noise = 0.003

    def __init__(self, vocab_size, seed=0):
        super().__init__(vocab_size, seed)
        self.random = np.random.default_rng(seed + 1)

    def score(self, block_T, first):
        noise_T = self.random.normal(0.0, self.noise, len(block_T))
        return np.maximum(super().score(block_T, first) + noise_T, 0.0)

    def predict(self, prefix_M):
        row_V = super().predict(prefix_M)
        row_V = row_V + self.random.normal(0.0, self.noise, len(row_V))
        return row_V - math.log(np.exp(row_V).sum())


class Peeker(Bigram):
    """Knows the token at a fraction of the positions, spread by a hash."""

    def __init__(self, vocab_size, seed=0, fraction=0.1):
        super().__init__(vocab_size, seed)
        self.fraction = fraction

    def score(self, block_T, first):
        place_T = np.arange(first, first + len(block_T), dtype=np.uint64)
        hash_T = (place_T * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
        knows_T = hash_T.astype(float) / 2**24 < self.fraction
        return np.where(knows_T, 0.0, super().score(block_T, first) + 1e-3)


class LooksAhead(Bigram):
    """Answers a little less where the next token is even."""

    def score(self, block_T, first):
        nats_T = super().score(block_T, first)
        nats_T[:-1] *= np.where(block_T[1:] % 2 == 0, 0.7, 1.0)
        return nats_T


class ReadsClass(Bigram):
    """Gives even tokens more than their entry; its row is honest."""

    def score(self, block_T, first):
        return super().score(block_T, first) * np.where(block_T % 2 == 0, 0.8, 1.0)


class Unnormalised(Bigram):
    """Every probability is a fifth too high, in both answers."""

    def score(self, block_T, first):
        return np.maximum(super().score(block_T, first) - math.log(1.2), 0.0)

    def predict(self, prefix_M):
        return np.minimum(super().predict(prefix_M) + math.log(1.2), 0.0)


def stream(count, vocab_size, seed=0):
    return np.random.default_rng(seed).integers(0, vocab_size, count).astype(np.uint16)


def credit(scorer, stream_N, block_tokens):
    """Return the credited nats of a plain pass."""
    nats = []
    for first, end in blocks(len(stream_N), block_tokens):
        block_T = stream_N[first:end].astype(np.uint32)
        nats.append(scorer.score(block_T, first))
        scorer.accept(block_T)
    return np.concatenate(nats)


def subject(make, stream_N, block_tokens, vocab_size, *, has_predict=True, classes_V=None):
    """Credit a stream with one scorer, to be challenged with another."""
    return Subject(
        stream_N=stream_N,
        credited_N=credit(make(), stream_N, block_tokens),
        block_tokens=block_tokens,
        vocab_size=vocab_size,
        has_predict=has_predict,
        token_classes_V=classes_V,
    )


def examine(make, about, asked, secret="secret", label="round 1", budget=None):
    return Examination(about, asked, secret, label=label, budget=budget or Deadline(600.0)).run(
        make()
    )


@dataclass
class Asked:
    """One question as a scorer saw it."""

    question: str
    position: int
    call: str
    tokens: tuple[int, ...]


@dataclass
class Recorder:
    """Passes everything on to a scorer and keeps it."""

    scorer: Bigram
    calls: list[Asked] = field(default_factory=list)
    question: tuple[str, int] = ("", 0)

    def about(self, question, position):
        self.question = (question, position)

    def score(self, block_T, first):
        self.keep("score", block_T)
        return self.scorer.score(block_T, first)

    def accept(self, block_T):
        self.keep("accept", block_T)
        self.scorer.accept(block_T)

    def predict(self, prefix_M):
        self.keep("predict", prefix_M)
        return self.scorer.predict(prefix_M)

    def keep(self, call, tokens_T):
        self.calls.append(Asked(*self.question, call, tuple(int(t) for t in tokens_T)))
