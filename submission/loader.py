"""The training loader: windows of all shards in an order that the seed alone decides, read ahead.

Shapes: B windows of a batch, T tokens of a window, W windows of an epoch as visited, C those of one shard.

An epoch lays one grid of windows over each shard, `length` tokens apart from a random phase on, and visits
each of them once: no target comes twice in an epoch. The phase is drawn anew each epoch, so that later epochs
cut the text elsewhere. What lies before the phase and behind the last whole window is not a target in that
epoch; a phase costs a shard at most one of its windows, and never its only one. Batches run across the ends
of epochs.

The plan of an epoch takes about 48 bytes a window while it is made and 12 afterwards: 190 MB and 47 MB
for 80 shards of 10^8 tokens at length 2048 (3.9 million windows).

Does not know of ranks (one process reads the batch, the others get their part from it), of documents (a
window may cross their boundaries) or of how to start in the middle.
"""

from __future__ import annotations

import itertools
import math
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt
import torch

Tokens = npt.NDArray[np.integer]
Batch = tuple[int, torch.Tensor]

HEADER_BYTES = 1024
MAGIC, VERSION = 20240520, 1
GOLDEN = (5**0.5 - 1) / 2


def read_shard(path: Path) -> Tokens:
    """Return the tokens of a shard file, uint16, memory-mapped read-only.

    The file has 256 little-endian int32 of header (magic 20240520, version 1, count, the rest not read), then
    `count` little-endian uint16. Raises ValueError where magic, version or size are others.
    """
    size = path.stat().st_size
    magic, version, count = 0, 0, 0
    if size >= HEADER_BYTES:
        magic, version, count = np.fromfile(path, dtype="<i4", count=3).tolist()
    if (magic, version, HEADER_BYTES + 2 * count) != (MAGIC, VERSION, size):
        raise ValueError(
            f"{path} is no shard: magic {magic}, version {version}, count {count} in {size} bytes, "
            f"not {MAGIC}, {VERSION} and {HEADER_BYTES} + 2 * count"
        )
    return np.memmap(path, dtype="<u2", mode="r", offset=HEADER_BYTES, shape=(count,))


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


def side_by_side(tokens: Tokens, length: int) -> torch.Tensor:
    """Return the windows of a text that do not overlap, (B, T + 1) int64; none where it is too short."""
    count = max(0, (len(tokens) - 1) // length)
    at = np.arange(count)[:, None] * length + np.arange(length + 1)
    return torch.from_numpy(np.asarray(tokens)[at].astype(np.int64))


def most_windows(sizes: Sequence[int], length: int) -> int:
    """Return how many windows of `length` inputs shards of these sizes hold at phase 0.

    That is the most an epoch can have; its phases may take away one for each shard.
    Raises ValueError where no shard is long enough for one window and its last target.
    """
    count = sum(max(0, size - 1) // length for size in sizes)
    if not count:
        raise ValueError(
            f"the train shards hold {sum(sizes)} tokens, too few for one window of "
            f"{length} and its last target; hand over more data"
        )
    return count


def _below(bits: np.random.PCG64, bound: int) -> int:
    # The raw stream is what numpy promises to keep; what Generator.integers makes of it may change with a
    # release. The remainder's bias is bound / 2^64.
    return int(bits.random_raw()) % bound


def coprime_near(wanted: float, count: int) -> int:
    """Return the number of 1..count that is coprime to `count` and nearest to `wanted`, the larger of two."""
    middle = round(wanted)
    for away in itertools.count():
        for candidate in (middle + away, middle - away):
            if 1 <= candidate <= count and math.gcd(candidate, count) == 1:
                return candidate
    raise AssertionError("1 is coprime to everything")


def visits(bits: np.random.PCG64, size: int, length: int) -> npt.NDArray[np.int64]:
    """Return the first tokens of the windows of one shard (C,) in the order of their visit.

    Window k is block (start + k * stride) mod C, all of them once, as stride is coprime to C. It is the one
    nearest to the golden section of C, from either end: however few windows are visited, they lie about
    evenly over the whole shard, and consecutive ones more than C/3 apart where C is large. C is 0 where
    size <= length. Source: the trainer of contest pull request #1179, which takes any stride below C; the
    golden section, Knuth, "The Art of Computer Programming", volume 3, section 6.4 (three-gap theorem).
    """
    if size <= length:
        return np.empty(0, dtype=np.int64)
    phase = _below(bits, min(length, size - length))
    count = (size - 1 - phase) // length
    start = _below(bits, count)
    stride = coprime_near(count * (GOLDEN if _below(bits, 2) else 1.0 - GOLDEN), count)
    return phase + (start + np.arange(count) * stride) % count * length


def plan_epoch(
    sizes: Sequence[int], length: int, seed: int, number: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return shards (W,) and first tokens in them (W,) of all windows of epoch `number`, from 0.

    At each visit a shard's chance is its share of the windows that are left, so a batch mixes shards and all
    of them last until about the end. A function of the arguments alone: seed, sizes and their order.
    """
    bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(number,)))
    firsts = [visits(bits, size, length) for size in sizes]
    # Independent times for all windows put the shards in a random order; sorted within their shard, they
    # leave its own order alone. Raw integers, for the reason that _below gives.
    times = [np.sort(bits.random_raw(len(first_C))) for first_C in firsts]
    order_W = np.argsort(np.concatenate(times), kind="stable")
    counts = [len(first_C) for first_C in firsts]
    shard_W = np.repeat(np.arange(len(sizes), dtype=np.int32), counts)
    return shard_W[order_W], np.concatenate(firsts)[order_W]


def order(sizes: Sequence[int], length: int, seed: int) -> Iterator[tuple[int, int, int]]:
    """Yield (epoch, shard, first token) of one window after the other, epoch after epoch, for ever.

    A window is the tokens first .. first + length of its shard, the last of them only as a target.
    Raises ValueError as `most_windows`, when the first is asked for.
    """
    most_windows(sizes, length)  # without any, the loop would turn for ever
    for number in itertools.count():
        for shard, first in zip(*plan_epoch(sizes, length, seed, number), strict=True):
            yield number, int(shard), int(first)


def _batches(
    shards: Sequence[Tokens], length: int, batch_windows: int, seed: int, pin: bool
) -> Iterator[Batch]:
    # Views of the plain kind, nothing is copied: slicing a memmap as such costs more than reading a window.
    plain = [np.asarray(shard) for shard in shards]
    windows = order([len(shard) for shard in plain], length, seed)
    while True:
        tokens_BT = torch.empty((batch_windows, length + 1), dtype=torch.int64, pin_memory=pin)
        for row in tokens_BT.numpy():
            epoch, shard, first = next(windows)
            row[:] = plain[shard][first : first + length + 1]
        yield epoch, tokens_BT


def _read_ahead(
    batches: Iterator[Batch], places: SimpleQueue[bool], ready: SimpleQueue[Batch | BaseException]
) -> None:
    try:
        while places.get():
            ready.put(next(batches))
    except BaseException as error:  # whatever it is: a consumer that is not told waits for ever
        ready.put(error)


def _end(places: SimpleQueue[bool], thread: threading.Thread) -> None:
    places.put(False)
    if thread is not threading.current_thread():  # which collects garbage like any other
        thread.join()


class Loader:
    """Batches (B, T + 1) of int64 tokens on the CPU, for ever: columns 0..T-1 are inputs, 1..T targets.

    A thread keeps up to `ahead` batches ready; with 0 there is none, and the batches are the same. `pin` asks
    for page-locked memory, which there is only with CUDA. An error of the thread is raised, with its
    traceback, where the batch would have come, and closes the loader. The seed is 0 or more. Close it, leave
    its `with` or drop it: the thread ends after the batches it has places for. One consumer at a time.
    Raises ValueError where no shard is long enough for one window.
    """

    epoch = 0
    """The epoch of the last window of the last batch that was yielded, from 0."""

    def __init__(
        self,
        shards: Sequence[Tokens],
        *,
        length: int,
        batch_windows: int,
        seed: int,
        ahead: int = 2,
        pin: bool = False,
    ) -> None:
        self.windows_per_epoch = most_windows([len(shard) for shard in shards], length)
        """At most; see `most_windows`."""
        self._closed = False
        self._ahead = ahead
        pin = pin and torch.cuda.is_available()
        self._batches = _batches(shards, length, batch_windows, seed, pin)
        if ahead:
            self._start()

    def _start(self) -> None:
        # SimpleQueue.put is the one of its kind that a finaliser may call. The thread holds no reference
        # to the loader: that is what lets a dropped one be collected.
        self._places: SimpleQueue[bool] = SimpleQueue()
        self._ready: SimpleQueue[Batch | BaseException] = SimpleQueue()
        for _ in range(self._ahead):
            self._places.put(True)
        arguments = self._batches, self._places, self._ready
        thread = threading.Thread(target=_read_ahead, args=arguments, name="loader", daemon=True)
        self._finaliser = weakref.finalize(self, _end, self._places, thread)
        thread.start()

    def _take(self) -> Batch:
        if not self._ahead:
            return next(self._batches)
        item = self._ready.get()
        if isinstance(item, BaseException):
            raise item
        self._places.put(True)
        return item

    def __iter__(self) -> Loader:
        return self

    def __next__(self) -> torch.Tensor:
        if self._closed:
            raise RuntimeError("the loader is closed; a new one starts again at the first window")
        try:
            self.epoch, tokens_BT = self._take()
        except BaseException:
            self.close()
            raise
        return tokens_BT

    def close(self) -> None:
        """End the thread and wait until it has; a second time does nothing."""
        self._closed = True
        if self._ahead:
            self._finaliser()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
