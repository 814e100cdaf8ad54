"""Batches of training windows from the shards that the judge hands over.

Shapes: B windows of a batch, T tokens of a window.
Does not prefetch, spread over processes or look at documents: a window may cross their boundaries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.integer]


class Windows:
    """All whole windows of `length` inputs and targets of some shards, numbered; none crosses shards.

    Window n of a shard holds its tokens n*length .. (n+1)*length, the last of them only as a target.
    Raises ValueError where no shard is long enough for one.
    """

    def __init__(self, shards: Sequence[Tokens], length: int) -> None:
        self._shards = list(shards)
        self.length = length
        counts = [max(0, (len(shard) - 1) // length) for shard in self._shards]
        self._ends = np.cumsum(counts)
        if not counts or not self._ends[-1]:
            raise ValueError(
                f"the train shards hold {sum(map(len, self._shards))} tokens, too few for one window of "
                f"{length} and its last target; hand over more data"
            )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, number: int) -> Tokens:
        """Return the length + 1 tokens of window `number`."""
        shard = int(np.searchsorted(self._ends, number, side="right"))
        first = (number - (int(self._ends[shard - 1]) if shard else 0)) * self.length
        return self._shards[shard][first : first + self.length + 1]


def visiting_order(count: int, seed: int) -> Iterator[int]:
    """Yield 0..count-1 for ever, each once an epoch, in an order that depends on `seed` alone.

    An epoch is start + k * stride modulo count, with stride coprime to count, both drawn anew each epoch:
    no table is needed, however many windows there are. Source: as docs/submission.md, "loader".
    """
    rng = np.random.default_rng(seed)
    while True:
        start = int(rng.integers(count))
        stride = int(rng.integers(1, max(2, count)))
        while math.gcd(stride, count) != 1:
            stride = int(rng.integers(1, max(2, count)))
        for k in range(count):
            yield (start + k * stride) % count


def batches(windows: Windows, size: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Yield batches (B, T + 1) of int64 tokens for ever: columns 0..T-1 are inputs, 1..T targets."""
    order = visiting_order(len(windows), seed)
    while True:
        yield np.stack([windows[next(order)] for _ in range(size)]).astype(np.int64)


def hold_out(
    shards: Sequence[Tokens], tokens: int, largest_share: float = 0.1
) -> tuple[list[Tokens], Tokens]:
    """Return the shards without the tail of the last one, and that tail.

    The tail has `tokens` tokens, or `largest_share` of the last shard where that is less.
    """
    last = shards[-1]
    count = min(tokens, int(len(last) * largest_share))
    cut = len(last) - count
    return [*shards[:-1], last[:cut]], last[cut:]
