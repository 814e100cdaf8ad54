"""The size guard: a quantisation step whose blob is under the cap, found by trying, and what that cost.

Sizes are bytes; steps are the quantiser's, larger is coarser. The search works on their logarithms: an
estimate says how the size falls with the step, each real blob how far the estimate is off.

Does not know what a blob is made of, nor which parts of it could be given up instead of the step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

LARGEST_FACTOR = 2.0**16
"""Of the step over the one asked for. No trained weight survives it as anything but 0, and a step of 0.5
times it is still a float16."""
LARGEST_LEAP = 16.0
"""Between one step and the next on the estimate's word alone."""
LEAST_LEAP = 0.00125
"""Of the step's logarithm after the first blob, in search of one that fits or of one that does not; four
times as much after each."""
STEEPEST = 0.25
"""Powers of the step by which the estimate's error may be expected to go on changing."""
ESTIMATES = 8
"""At most so many for one step: an estimate looks at every weight."""
_CODES_AT_ONCE = 1 << 20


@dataclass(kw_only=True, slots=True, frozen=True)
class Fit:
    """A blob under the cap, and how it came about."""

    blob: bytes
    step: float
    """The step of `blob`."""
    tries: int
    """Blobs really made."""
    first_bytes: int
    """Size at the step asked for first."""
    gave_up: str
    """A sentence for people: what was given up for the size, or that nothing was."""


def fit(
    make: Callable[[float], bytes],
    estimate: Callable[[float], float],
    *,
    cap_bytes: int,
    step: float,
    smallest_step: float,
    until_s: float = math.inf,
    tries: int = 6,
    now: Callable[[], float] = time.monotonic,
    slack: float = 0.002,
) -> Fit:
    """Return the largest blob found that is at most `cap_bytes`, and the step that made it.

    `make(step)` is the blob itself, and expensive; `estimate(step)` is about its bytes, off by some factor,
    and cheap. Neither need be monotone, nor the estimate true: a bad one costs tries, not correctness. The
    search begins at `step` and ends where the blob fills the cap to within `slack` of it or the step is down
    to `smallest_step`. It ends earlier after `tries` blobs, or where one more, going by the slowest so far,
    would not be ready at the instant `until_s` of the clock `now`. But while nothing fits, neither ends it:
    steps grow, faster and faster, up to LARGEST_FACTOR times the first, within nine blobs.
    Raises ValueError where even that does not fit, and for arguments out of range. Source: false position
    with the Illinois remedy (Dowell and Jarratt 1971, BIT 11, 168-174).
    """
    if not (0 < step < math.inf and 0 < smallest_step < math.inf and 0 <= slack < 1):
        raise ValueError(f"steps {step} and {smallest_step} or slack {slack} are out of range")
    search = _Search(estimate, cap_bytes, max(step, smallest_step), smallest_step, slack)
    wanted, slowest_s = search.first_step, 0.0
    while True:
        started_s = now()
        search.take(wanted, make(wanted))
        slowest_s = max(slowest_s, now() - started_s)
        if search.done():
            return search.result("")
        if search.finest_fit and search.tries >= tries:
            return search.result("tries")
        if search.finest_fit and now() + slowest_s >= until_s:
            return search.result("time")
        wanted = search.next_step()


def entropy_bytes(codes: np.ndarray) -> float:
    """Return the bytes that an ideal coder of order 0 needs for int8 codes of any shape, without its table.

    0 for empty and for constant arrays. Raises ValueError for another dtype.
    """
    if codes.dtype != np.int8:
        raise ValueError(f"codes are int8, not {codes.dtype}")
    flat = np.ascontiguousarray(codes).reshape(-1).view(np.uint8)
    counts = np.zeros(256, dtype=np.int64)
    # bincount turns what it is given into int64, eight bytes a code.
    for first in range(0, flat.size, _CODES_AT_ONCE):
        counts += np.bincount(flat[first : first + _CODES_AT_ONCE], minlength=256)
    counts = counts[counts > 0]
    return max(0.0, float((counts * np.log2(flat.size / counts)).sum()) / 8)


@dataclass(slots=True, frozen=True)
class _Point:
    """A step that was tried: its logarithm, and that of its blob's size over the estimate."""

    step: float
    bytes: int
    log_step: float
    log_error: float


@dataclass(slots=True)
class _Search:
    """What is known so far. `coarsest_miss` and `finest_fit`, once both are there, enclose the answer."""

    estimate: Callable[[float], float]
    cap_bytes: int
    first_step: float
    smallest_step: float
    slack: float
    coarsest_miss: _Point | None = None
    """Always finer than `finest_fit`: what is tried lies between the two, or beyond the one there is."""
    finest_fit: _Point | None = None
    best: _Point | None = None
    blob: bytes = b""
    points: list[_Point] = field(default_factory=list)
    known: dict[float, float] = field(default_factory=dict)
    """Logarithms of estimates by those of their steps."""
    widths: list[float] = field(default_factory=list)
    """Of the bracket, each time that a step within it was asked for."""

    @property
    def tries(self) -> int:
        return len(self.points)

    def take(self, step: float, blob: bytes) -> None:
        """Learn from a blob."""
        log_step = math.log(step)
        error = _log(len(blob)) - self._log_estimate(log_step)
        point = _Point(step, len(blob), log_step, error)
        self.points.append(point)
        if len(blob) > self.cap_bytes:
            self.coarsest_miss = point
            return
        self.finest_fit = point
        # Sizes that are not monotone can make an earlier, coarser blob the larger one.
        if self.best is None or point.bytes >= self.best.bytes:
            self.best, self.blob = point, blob

    def done(self) -> bool:
        """Return whether nothing is left to gain."""
        if self.best is None or self.finest_fit is None:
            return False
        full = self.best.bytes >= self.cap_bytes * (1 - self.slack)
        fit, miss = self.finest_fit, self.coarsest_miss
        together = miss is not None and fit.log_step - miss.log_step < 1e-6
        return full or together or fit.step <= self.smallest_step

    def next_step(self) -> float:
        """Return the step to try next.

        Raises ValueError where the coarsest one did not fit.
        """
        if self.finest_fit is None:
            assert self.coarsest_miss is not None, "nothing was tried"
            return self._coarser(self.coarsest_miss)
        if self.coarsest_miss is None:
            return self._finer(self.finest_fit)
        return self._between(self.coarsest_miss, self.finest_fit)

    def _coarser(self, miss: _Point) -> float:
        largest = self.first_step * LARGEST_FACTOR
        if miss.step >= largest:
            smallest = min(point.bytes for point in self.points)
            raise ValueError(
                f"nothing fits under the cap of {self.cap_bytes:,} bytes: the smallest of {self.tries} "
                f"blobs, with steps up to {largest:.4g}, has {smallest:,}; make the model smaller"
            )
        least = miss.log_step + self._least_leap()
        leap = miss.log_step + math.log(LARGEST_LEAP)
        guess = self._root(miss.log_step, leap, self._trend(miss))
        step = math.exp(max(guess, least))
        return step if step < largest / 2 else largest

    def _finer(self, fit: _Point) -> float:
        leap = fit.log_step - math.log(LARGEST_LEAP)
        guess = self._root(leap, fit.log_step, self._trend(fit))
        most = fit.log_step - self._least_leap()
        return max(math.exp(min(guess, most)), self.smallest_step)

    def _between(self, miss: _Point, fit: _Point) -> float:
        width = fit.log_step - miss.log_step
        self.widths.append(width)
        if len(self.widths) > 2 and width > self.widths[-3] / 2:
            # The estimate misleads, or one end stands still.
            return math.exp(miss.log_step + width / 2)
        guess = self._root(miss.log_step, fit.log_step, _line(miss, fit, math.inf))
        # Rounding may put it on an end, which is known already.
        inset = width / 64
        return math.exp(min(max(guess, miss.log_step + inset), fit.log_step - inset))

    def _least_leap(self) -> float:
        return min(LEAST_LEAP * 4.0 ** (self.tries - 1), math.log(LARGEST_FACTOR))

    def _trend(self, last: _Point) -> Callable[[float], float]:
        # Beyond all that was tried, a line through two noisy points could lead anywhere.
        before = self.points[-2] if len(self.points) > 1 else last
        return _line(before, last, STEEPEST)

    def _root(self, low: float, high: float, log_error: Callable[[float], float]) -> float:
        """Return about where, between two logarithms of steps, the size is half the slack below the cap.

        That is `low` or `high` where even they are said to be too small, or too large.
        """

        def over(log_step: float) -> float:
            return self._log_estimate(log_step) + log_error(log_step) - target

        target = _log(self.cap_bytes * (1 - self.slack / 2))
        over_low, over_high = over(low), over(high)
        if over_low <= 0:
            return low
        if over_high >= 0:
            return high
        middle, side = low, 0
        for _ in range(ESTIMATES - 2):
            middle = (low * over_high - high * over_low) / (over_high - over_low)
            over_middle = over(middle)
            if abs(over_middle) < self.slack / 8:
                break
            if over_middle > 0:
                low, over_low = middle, over_middle
                over_high /= 2 if side > 0 else 1
                side = 1
            else:
                high, over_high = middle, over_middle
                over_low /= 2 if side < 0 else 1
                side = -1
        return middle

    def _log_estimate(self, log_step: float) -> float:
        # The ends of a bracket are asked for again and again.
        if log_step not in self.known:
            self.known[log_step] = _log(self.estimate(math.exp(log_step)))
        return self.known[log_step]

    def result(self, ended_by: str) -> Fit:
        """Return the best blob; `ended_by` says what ran out, "" that nothing did."""
        assert self.best is not None, "nothing fits"
        gave_up = self._gave_up(self.best)
        room = self.cap_bytes - self.best.bytes
        if ended_by and room > self.cap_bytes * self.slack:
            gave_up += f"; {room:,} bytes stay unused because {ended_by} ran out"
        return Fit(
            blob=self.blob,
            step=self.best.step,
            tries=self.tries,
            first_bytes=self.points[0].bytes,
            gave_up=gave_up,
        )

    def _gave_up(self, best: _Point) -> str:
        first, step, cap = self.first_step, best.step, self.cap_bytes
        sizes = f"{self.points[0].bytes:,} bytes to {best.bytes:,} of {cap:,}"
        if step > first:
            return (
                f"the step had to grow from {first:.4g} to {step:.4g} "
                f"({_per_cent(step / first - 1)} % coarser) to bring {sizes}"
            )
        finest = ", the finest asked for," if step <= self.smallest_step else ""
        if step < first:
            return (
                f"nothing: the step could shrink from {first:.4g} to {step:.4g}{finest.rstrip(',')} "
                f"({_per_cent(1 - step / first)} % finer), which brings {sizes}"
            )
        return (
            f"nothing: {best.bytes:,} bytes at step {step:.4g}{finest or ', as asked for,'} "
            f"{cap - best.bytes:,} below the cap of {cap:,}"
        )


def _line(a: _Point, b: _Point, steepest: float) -> Callable[[float], float]:
    apart = b.log_step - a.log_step
    slope = (b.log_error - a.log_error) / apart if apart else 0.0
    slope = min(max(slope, -steepest), steepest)
    return lambda log_step: b.log_error + slope * (log_step - b.log_step)


def _log(size: float) -> float:
    # An estimate that is no size at all must not stop the search, only not help it.
    return math.log(size) if 1 <= size < math.inf else 0.0


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.2g}"
