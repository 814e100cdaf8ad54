"""What one process read must not show to the next in which pages of a file are in memory."""

import os
from pathlib import Path

import pytest

from harness import page_cache
from harness.page_cache import PageCache, choose, forget, is_cached


@pytest.fixture
def file(tmp_path):
    path, probe = written(tmp_path / "read-by-another"), written(tmp_path / "probe")
    if is_cached(probe):
        pytest.skip("this file system does not say which of its pages are in memory, or keeps them")
    return path  # of which nobody has asked: asking has the kernel read ahead


def written(path):
    with path.open("wb") as out:
        out.write(bytes(1 << 16))
        out.flush()
        os.fsync(out.fileno())  # pages that are not on the disk yet stay where they are
    forget(path)
    return path


def test_a_file_that_was_read_is_cached(file):
    file.read_bytes()
    assert is_cached(file)


def test_a_file_that_was_read_is_forgotten(file):
    file.read_bytes()
    forget(file)
    assert not is_cached(file)


def test_every_file_of_a_folder_is_forgotten(file):
    inner = file.parent / "deep" / "er"
    inner.mkdir(parents=True)
    other = Path(inner, "other")
    os.link(file, other)
    other.read_bytes()
    PageCache("each", [file.parent]).empty()
    assert not is_cached(file)


def test_without_a_way_nothing_is_emptied(file):
    file.read_bytes()
    PageCache("none", [file.parent]).empty()
    assert is_cached(file)


def test_the_quick_way_is_taken_where_it_works(file):
    if not os.access(page_cache.WHOLE, os.W_OK):
        pytest.skip("only root may empty the whole page cache")
    chosen = choose([file], thorough=False)
    assert chosen.way == "whole"
    file.read_bytes()
    chosen.empty()
    assert not is_cached(file)


@pytest.mark.parametrize(("thorough", "way"), [(True, "each"), (False, "none")])
def test_the_slow_way_is_taken_only_where_it_is_asked_for(
    monkeypatch, tmp_path, file, thorough, way
):
    monkeypatch.setattr(page_cache, "WHOLE", tmp_path / "absent" / "drop_caches")
    assert choose([file], thorough=thorough).way == way


def test_a_way_that_leaves_pages_where_they_are_is_not_taken(monkeypatch, file):
    monkeypatch.setattr(page_cache, "is_cached", lambda path: True)
    assert choose([file], thorough=True).way == "none"


def test_what_cannot_be_opened_is_passed_over(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    PageCache("each", [tmp_path, tmp_path / "absent"]).empty()
