"""The positive control: scorers of the judge's own that leak on purpose and must be caught.

Each examines one check with the same code, the same number of questions and the same tolerance as the
submission. The stated size of the leak that `order.blind` must catch is the ruleset's threshold, in nats per
token, spread over the fewest positions that the questions can be relied on to meet; the others leak at every
position. A check whose planted leak goes unnoticed was blind, and its PASS becomes ERROR.

The scorer underneath knows nothing: every token has probability 1/V. What matters is the leak, not the loss.
It runs in the judge and answers instantly, since it is the judge's own code.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from checks.contract import Challenge
from harness.challenge import Examination, Row
from harness.clock import Deadline
from harness.questions import Stream, Subject
from harness.ruleset import Challenges
from harness.session import blocks

CONTROL_TOKENS = 1 << 20
"""The controls replay no more of the stream than this: their leaks do not depend on depth."""
MISS = 1e-6
"""Chance that the questions of one examination meet no tainted position."""
LEAKS = {
    "order.blind": "target",
    "order.future": "future",
    "norm.sum": "sum",
    "norm.target": "class",
}
"""Check -> what its control leaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What is planted: `gain_nats` at a `fraction` of the positions."""

    kind: str
    fraction: float
    gain_nats: float

    @property
    def nats_per_token(self) -> float:
        """Return the stated size."""
        return self.fraction * self.gain_nats


def planted(check: str, questions: int, threshold_nats: float, tolerance_nats: float) -> Leak:
    """Return the leak for a check that asks `questions`: as small as the threshold, as rare as they allow."""
    if check != "order.blind":
        return Leak(kind=LEAKS[check], fraction=1.0, gain_nats=max(0.1, 2.0 * tolerance_nats))
    fraction = 1.0 - MISS ** (1.0 / max(questions, 1))
    gain = max(threshold_nats / fraction, 2.0 * tolerance_nats)
    return Leak(kind=LEAKS[check], fraction=fraction, gain_nats=gain)


class LeakingScorer:
    """Uniform over the vocabulary, but for the leak."""

    def __init__(self, leak: Leak, stream_N: Stream, vocab_size: int, *, has_predict: bool) -> None:
        self._leak = leak
        self._stream_N = stream_N
        self._vocab_size = vocab_size
        self._has_predict = has_predict
        self._base = math.log(vocab_size)

    def about(self, question: str, position: int) -> None:
        """Note nothing: this scorer needs no patience."""

    def accept(self, tokens_n: npt.NDArray[np.uint32]) -> None:
        """Make a block history, of which this scorer keeps nothing."""

    def score(self, tokens_n: npt.NDArray[np.uint32], first: int) -> Row:
        """Return uniform nats, less what the leak gains."""
        count = len(tokens_n)
        nats_n = np.full(count, self._base)
        gain = self._leak.gain_nats
        if self._leak.kind == "target":
            nats_n[_tainted(first, count, self._leak.fraction)] -= gain
        elif self._leak.kind == "future":
            # It profits where the next token is the one that really follows: what a look ahead tells.
            nats_n[:-1] -= gain * (tokens_n[1:] == self._stream_N[first + 1 : first + count])
        elif self._leak.kind == "class":
            nats_n -= np.where(tokens_n % 2 == 0, gain, -gain)
        elif not self._has_predict:
            nats_n -= gain
        return nats_n

    def predict(self, prefix_m: npt.NDArray[np.uint32]) -> Row:
        """Return the honest uniform row, or one whose sum is off for the "sum" leak."""
        extra = self._leak.gain_nats if self._leak.kind == "sum" else 0.0
        return np.full(self._vocab_size, extra - self._base)


def examine(leak: Leak, like: Subject, counts: Challenges, secret: str) -> Challenge:
    """Credit a stream with the leaking scorer and challenge it as `like`, the submission, was."""
    stream_N = like.stream_N[:CONTROL_TOKENS]
    scorer = LeakingScorer(leak, stream_N, like.vocab_size, has_predict=like.has_predict)
    credited_N = np.concatenate(
        [
            scorer.score(stream_N[first:end].astype(np.uint32), first)
            for first, end in blocks(len(stream_N), like.block_tokens)
        ]
    )
    subject = replace(like, stream_N=stream_N, credited_N=credited_N)
    examination = Examination(
        subject, counts, secret, label=f"control/{leak.kind}", budget=Deadline(3600.0)
    )
    return examination.run(scorer)


def _tainted(first: int, count: int, fraction: float) -> npt.NDArray[np.bool_]:
    """Return which positions leak: a fixed pseudo-random pattern over the whole stream.

    A multiplicative hash of the position (Knuth, TAOCP 3, section 6.4), salted.
    """
    salt = int.from_bytes(hashlib.sha256(b"planted leak").digest()[:8], "little")
    position_n = np.arange(first, first + count, dtype=np.uint64) + np.uint64(salt & 0xFFFFFFFF)
    mixed_n = position_n * np.uint64(0x9E3779B97F4A7C15)
    return (mixed_n >> np.uint64(11)).astype(np.float64) * 2.0**-53 < fraction
