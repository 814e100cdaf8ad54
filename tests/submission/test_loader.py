"""The loader: every window once an epoch, in an order that only the seed decides, read ahead by a thread."""

import gc
import math
import threading
import traceback
import tracemalloc
from collections import Counter
from itertools import groupby, islice

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from submission.loader import (
    Loader,
    coprime_near,
    hold_out,
    most_windows,
    order,
    plan_epoch,
    read_shard,
    side_by_side,
    visits,
)

seeds = st.integers(0, 2**64)
lengths = st.integers(1, 9)
size_lists = st.lists(st.integers(0, 60), min_size=1, max_size=5)


@pytest.fixture
def threads():
    """A function that gives the threads that the test has started and that are still there."""
    before = set(threading.enumerate())
    return lambda: set(threading.enumerate()) - before


def numbered(sizes):
    """Shards in which every token is another number."""
    ends = np.cumsum(sizes)
    return [
        np.arange(end - size, end, dtype=np.uint16) for end, size in zip(ends, sizes, strict=True)
    ]


@given(st.integers(0, 400), lengths, seeds)
def test_every_window_of_a_grid_is_visited_once(size, length, seed):
    first_C = visits(np.random.PCG64(seed), size, length)
    grid = sorted(first_C.tolist())
    most = max(0, size - 1) // length
    assert min(most, 1) <= len(grid) <= most
    assert len(grid) >= most - 1
    if grid:
        assert grid == list(range(grid[0], grid[0] + length * len(grid), length))
        assert 0 <= grid[0] < length, "a phase that leaves out a window before it"
        assert size - length <= grid[-1] + length < size, "the grid goes on to the end of the shard"


@given(st.integers(2, 3000), seeds)
def test_neighbours_in_the_order_are_far_apart_in_the_text(size, seed):
    first_C = visits(np.random.PCG64(seed), size, 1)
    assert len(first_C) == size - 1
    steps = np.abs(np.diff(first_C))
    assert (8 * steps >= len(first_C)).all()


@given(size_lists, lengths, seeds, st.integers(0, 5))
def test_an_epoch_holds_the_windows_of_all_shards_and_no_target_twice(sizes, length, seed, number):
    assume(max(sizes) > length)
    shard_W, first_W = plan_epoch(sizes, length, seed, number)
    assert len(shard_W) == len(first_W)
    targets = Counter(
        (shard, first + offset)
        for shard, first in zip(shard_W.tolist(), first_W.tolist(), strict=True)
        for offset in range(1, length + 1)
    )
    assert set(targets.values()) == {1}
    assert all(0 < at < sizes[shard] for shard, at in targets)
    for shard, size in enumerate(sizes):
        most = max(0, size - 1) // length
        assert most - 1 <= (shard_W == shard).sum() <= most
        assert (shard_W == shard).any() == (size > length)


@given(size_lists, lengths, seeds)
def test_the_order_is_that_of_the_epochs_one_after_the_other(sizes, length, seed):
    assume(max(sizes) > length)
    plans = [plan_epoch(sizes, length, seed, number) for number in range(3)]
    wanted = [
        (number, shard, first)
        for number, plan in enumerate(plans)
        for shard, first in zip(*(part.tolist() for part in plan), strict=True)
    ]
    assert list(islice(order(sizes, length, seed), len(wanted))) == wanted


@given(size_lists, lengths, st.integers(1, 20), seeds, st.integers(0, 3))
def test_batches_are_the_windows_in_order_with_or_without_a_thread(
    sizes, length, batch_windows, seed, ahead
):
    assume(max(sizes) > length)
    shards = numbered(sizes)
    windows = order(sizes, length, seed)
    with Loader(
        shards, length=length, batch_windows=batch_windows, seed=seed, ahead=ahead
    ) as loader:
        for batch_BT in islice(loader, 4):
            assert str(batch_BT.dtype) == "torch.int64"
            assert batch_BT.shape == (batch_windows, length + 1)
            for row in batch_BT.tolist():
                epoch, shard, first = next(windows)
                assert row == shards[shard][first : first + length + 1].tolist()
            assert loader.epoch == epoch


@given(st.data(), lengths)
def test_too_little_text_is_refused(data, length):
    sizes = data.draw(st.lists(st.integers(0, length), max_size=5))
    for attempt in (
        lambda: most_windows(sizes, length),
        lambda: next(order(sizes, length, 0)),
        lambda: Loader(numbered(sizes), length=length, batch_windows=1, seed=0),
    ):
        with pytest.raises(ValueError, match=f"hold {sum(sizes)} tokens, too few for one window"):
            attempt()


@given(st.integers(10, 400), st.integers(0, 100))
def test_held_out_tokens_are_not_trained_on(size, tokens):
    shards, held = hold_out([np.arange(5), np.arange(size)], tokens)
    assert len(held) == min(tokens, int(size * 0.1))
    assert np.array_equal(np.concatenate([shards[-1], held]), np.arange(size))
    assert len(shards) == 2


@given(st.integers(0, 80), lengths)
def test_windows_side_by_side_have_each_target_once(count, length):
    windows = side_by_side(np.arange(count, dtype=np.uint16), length)
    assert windows.shape == (max(0, (count - 1) // length), length + 1)
    assert windows[:, 1:].flatten().tolist() == list(range(1, len(windows) * length + 1))


def test_the_order_is_pinned():
    """Another version of numpy, or another machine, must not change a run's data."""
    assert list(islice(order([50, 9, 31], 4, 1337), 8)) == [
        (0, 2, 10),
        (0, 1, 1),
        (0, 0, 3),
        (0, 0, 31),
        (0, 0, 15),
        (0, 0, 43),
        (0, 2, 22),
        (0, 0, 27),
    ]


@given(st.integers(1000, 100_000), st.integers(0, 2**32))
def test_a_few_windows_lie_about_evenly_over_the_shard(count, seed):
    """No gap between visited blocks is much larger than it must be, however few they are."""
    blocks = visits(np.random.PCG64(seed), count + 1, 1)
    for few in (3, 8, 40):
        if 4 * few < count:
            seen = np.sort(blocks[:few])
            gaps = np.diff(np.append(seen, seen[0] + count))
            assert gaps.max() <= 3.0 * count / few


@given(st.integers(1, 10**7), st.floats(0, 1))
def test_the_stride_is_the_nearest_that_is_coprime(count, share):
    stride = coprime_near(share * count, count)
    assert 1 <= stride <= count
    assert math.gcd(stride, count) == 1
    nearer = abs(stride - round(share * count))
    between = range(max(1, round(share * count) - nearer + 1), round(share * count) + nearer)
    assert all(math.gcd(other, count) > 1 for other in between if other <= count)


def test_order_depends_on_the_seed_and_the_epoch():
    plans = {
        (seed, n): plan_epoch([1000], 3, seed, n)[1].tolist() for seed in (7, 8) for n in (0, 1)
    }
    assert len({tuple(plan) for plan in plans.values()}) == 4


def test_later_epochs_cut_the_text_elsewhere():
    phases = [plan_epoch([1000], 100, 5, number)[1].min() for number in range(20)]
    assert len(set(phases)) > 10


def test_a_batch_mixes_shards():
    shard_W, _ = plan_epoch([2000] * 4, 4, 11, 0)
    whole = shard_W[: len(shard_W) // 32 * 32].reshape(-1, 32)
    held = [len(set(batch)) for batch in whole.tolist()]
    assert np.mean(np.array(held) == 4) > 0.95
    longest = max(len(list(run)) for _, run in groupby(shard_W.tolist()))
    assert longest < 15


def test_shards_are_visited_in_proportion_to_what_is_left():
    shard_W, _ = plan_epoch([8001, 2001], 1, 3, 0)
    for part in np.array_split(shard_W, 5):
        assert 0.15 < (part == 1).mean() < 0.25


def test_windows_per_epoch_is_the_most_there_can_be():
    loader = Loader(numbered([41, 9, 3]), length=4, batch_windows=1, seed=0, ahead=0)
    assert loader.windows_per_epoch == 10 + 2


def test_where_the_shards_lie_changes_nothing(tmp_path):
    tokens = np.arange(500, dtype=np.uint16)
    seen = []
    for name in ("a", "b"):
        write_shard(tmp_path / name, tokens)
        with Loader([read_shard(tmp_path / name)], length=8, batch_windows=4, seed=1) as loader:
            seen.append(next(loader).tolist())
    assert seen[0] == seen[1]


def test_no_more_batches_than_asked_for_are_read_ahead():
    shards = numbered([100])
    with Loader(shards, length=4, batch_windows=2, seed=0, ahead=3) as loader:
        next(loader)
        for _ in range(100):
            if loader._ready.qsize() == 3:
                break
            threading.Event().wait(0.01)
        threading.Event().wait(0.02)
        assert loader._ready.qsize() == 3


def test_the_thread_ends_with_close(threads):
    loader = Loader(numbered([100]), length=4, batch_windows=2, seed=0)
    (thread,) = threads()
    assert thread.daemon, "a trainer that dies must not wait for it"
    loader.close()
    assert not threads()
    loader.close()
    with pytest.raises(RuntimeError, match="closed"):
        next(loader)


def test_the_thread_ends_with_a_loader_that_is_dropped(threads):
    loader = Loader(numbered([100]), length=4, batch_windows=2, seed=0)
    next(loader)
    assert threads()
    del loader
    gc.collect()
    assert not threads()


def test_without_a_thread_none_is_started(threads):
    with Loader(numbered([100]), length=4, batch_windows=2, seed=0, ahead=0) as loader:
        next(loader)
        assert not threads()
    with pytest.raises(RuntimeError, match="closed"):
        next(loader)


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_an_error_surfaces_with_its_traceback_and_closes(ahead, threads, monkeypatch):
    def broken_order(*_):
        yield from [(0, 0, 0)] * 5
        raise OSError("the disk is gone")

    monkeypatch.setattr("submission.loader.order", broken_order)
    loader = Loader(numbered([100]), length=4, batch_windows=2, seed=0, ahead=ahead)
    assert len([next(loader), next(loader)]) == 2
    with pytest.raises(OSError, match="the disk is gone") as caught:
        next(loader)
    assert "broken_order" in [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert not threads()
    with pytest.raises(RuntimeError, match="closed"):
        next(loader)


def test_shards_are_not_copied(tmp_path):
    with (tmp_path / "shard.bin").open(
        "wb"
    ) as file:  # sparse: 200 MB of which the header is written
        file.write(np.array([20240520, 1, 10**8], dtype="<i4").tobytes())
        file.truncate(1024 + 2 * 10**8)
    tracemalloc.start()
    try:
        shards = [read_shard(tmp_path / "shard.bin")]
        next(Loader(shards, length=2048, batch_windows=4, seed=0))
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_memory_is_pinned_where_it_can_be():
    with Loader(numbered([100]), length=4, batch_windows=2, seed=0, pin=True) as loader:
        assert next(loader).is_pinned() == torch.cuda.is_available()


def write_shard(path, tokens, *, magic=20240520, version=1, count=None, extra=b""):
    header = np.zeros(256, dtype="<i4")
    header[:3] = magic, version, len(tokens) if count is None else count
    path.write_bytes(header.tobytes() + np.asarray(tokens, dtype="<u2").tobytes() + extra)


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_a_shard_file_is_mapped_and_not_writable(tmp_path, count):
    tokens = np.arange(count) * 60 % 65536
    write_shard(tmp_path / "shard.bin", tokens)
    read = read_shard(tmp_path / "shard.bin")
    assert isinstance(read, np.memmap)
    assert read.dtype == np.uint16
    assert np.array_equal(read, tokens)
    assert not read.flags.writeable


@pytest.mark.parametrize(
    "wrong",
    [
        {"magic": 20240521},
        {"version": 2},
        {"count": 9},
        {"count": 11},
        {"count": -1},
        {"extra": b"\0"},
    ],
)
def test_a_file_that_is_no_shard_is_refused(tmp_path, wrong):
    write_shard(tmp_path / "shard.bin", np.arange(10), **wrong)
    with pytest.raises(ValueError, match="no shard: magic"):
        read_shard(tmp_path / "shard.bin")


@pytest.mark.parametrize("size", [0, 11, 1023])
def test_a_file_without_a_header_is_refused(tmp_path, size):
    (tmp_path / "shard.bin").write_bytes(bytes(size))
    with pytest.raises(ValueError, match=f"in {size} bytes"):
        read_shard(tmp_path / "shard.bin")
