"""The loader: every window once an epoch, in an order that only the seed decides."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from submission.data import Windows, batches, hold_out, visiting_order


@given(st.integers(1, 300), st.integers(0, 2**32))
def test_every_window_is_visited_once_an_epoch(count, seed):
    order = visiting_order(count, seed)
    for _ in range(3):
        assert sorted(islice(order, count)) == list(range(count))


def test_order_depends_on_the_seed_alone():
    first = list(islice(visiting_order(1000, 7), 50))
    assert first == list(islice(visiting_order(1000, 7), 50))
    assert first != list(islice(visiting_order(1000, 8), 50))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(1, 9))
def test_windows_cover_the_targets_of_each_shard(sizes, length):
    ends = np.cumsum(sizes)
    shards = [np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    wanted = sum(max(0, (size - 1) // length) for size in sizes)
    if not wanted:
        with pytest.raises(ValueError, match="too few"):
            Windows(shards, length)
        return
    windows = Windows(shards, length)
    assert len(windows) == wanted
    targets = [token for n in range(wanted) for token in windows[n][1:]]
    assert len(set(targets)) == len(targets) == wanted * length
    for n in range(wanted):
        assert len(windows[n]) == length + 1
        assert (np.diff(windows[n]) == 1).all()
        assert any(set(windows[n]) <= set(shard) for shard in shards)


def test_batches_shift_targets_by_one():
    (batch_BT,) = islice(batches(Windows([np.arange(100, dtype=np.uint16)], 8), 4, seed=0), 1)
    assert batch_BT.shape == (4, 9)
    assert batch_BT.dtype == np.int64
    assert (batch_BT[:, 1:] == batch_BT[:, :-1] + 1).all()


@given(st.integers(10, 400), st.integers(0, 100))
def test_held_out_tokens_are_not_trained_on(size, tokens):
    shards, held = hold_out([np.arange(5), np.arange(size)], tokens)
    assert len(held) == min(tokens, int(size * 0.1))
    assert np.array_equal(np.concatenate([shards[-1], held]), np.arange(size))
    assert len(shards) == 2
