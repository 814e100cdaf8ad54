"""What a run writes down: whole or not at all, in order, by one judge at a time."""

import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness import journal
from harness.errors import JudgeError, UsageError
from harness.journal import Journal, events, read_record, write_atomically, write_record


@dataclasses.dataclass(frozen=True)
class Record:
    name: str
    value: float | None
    parts: tuple[int, ...] = ()


class Crash(BaseException):
    """A kill, as far as the disk can tell."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("journal")


@given(
    name=st.text(),
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    parts=st.lists(st.integers(-(1 << 53), 1 << 53)).map(tuple),
)
def test_a_record_reads_back_as_it_was(folder, name, value, parts):
    record = Record(name, value, parts)
    write_record(folder / "record.json", record)
    assert read_record(folder / "record.json", Record) == record
    assert [path.name for path in folder.iterdir()] == ["record.json"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused_and_nothing_is_written(tmp_path, value):
    write_record(tmp_path / "r.json", Record("old", 1.0))
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_record(tmp_path / "r.json", Record("new", value))
    assert read_record(tmp_path / "r.json", Record) == Record("old", 1.0)
    with Journal(tmp_path) as log, pytest.raises(ValueError, match="not JSON compliant"):
        log.write("x", value=value)
    assert events(tmp_path) == []


def test_a_record_that_is_not_there_is_none_and_a_damaged_one_names_the_remedy(tmp_path):
    assert read_record(tmp_path / "r.json", Record) is None
    damages = (
        *(b"", b"{", b'{"name": 1}', b'{"name": "x", "value": NaN}', b"\xff"),
        *(b'{"name": "\xff"}', b'{"unknown": ' + b"[" * 5000),
    )
    for damaged in damages:
        (tmp_path / "r.json").write_bytes(damaged)
        with pytest.raises(
            JudgeError, match=r"r\.json: .*; delete the file to have its step run again"
        ):
            read_record(tmp_path / "r.json", Record)


# --- failures at every step of a write ---


def steps(monkeypatch, fail):
    """Have `fail(n)` called before the n-th thing that a write does to the disk."""
    count = iter(range(100))
    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "open"), (os, "open")):
        real = getattr(owner, name)

        def watched(*args, _real=real, **named):
            fail(next(count))
            return _real(*args, **named)

        monkeypatch.setattr(owner, name, watched)


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("how", [Crash, OSError])
def test_a_write_that_is_cut_off_leaves_the_old_or_the_new(tmp_path, monkeypatch, before, at, how):
    path = tmp_path / "result.json"
    if before is not None:
        path.write_bytes(before)

    def fail(step):
        if step == at:
            raise how(5, "Input/output error")

    with monkeypatch.context() as patch:
        steps(patch, fail)
        try:
            write_atomically(path, b"new")
        except (Crash, OSError):
            raised = True
        else:
            raised = False
    found = path.read_bytes() if path.exists() else None
    assert found in (before, b"new")
    assert raised or found == b"new"
    if how is OSError:  # the judge lives on, and clears up
        assert not (tmp_path / ".result.json.partial").exists()
    write_atomically(path, b"newer")  # a second attempt is not in the way of what was left
    assert path.read_bytes() == b"newer"


def test_content_is_on_the_disk_before_its_name_is_and_the_name_before_the_return(
    tmp_path, monkeypatch
):
    done = []
    real_fsync, real_replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda fd: (done.append(str(Path(f"/proc/self/fd/{fd}").readlink())), real_fsync(fd)),
    )
    monkeypatch.setattr(
        Path, "replace", lambda self, other: (done.append("replace"), real_replace(self, other))
    )
    write_atomically(tmp_path / "r", b"x")
    assert done == [str(tmp_path / ".r.partial"), "replace", str(tmp_path)]


@pytest.mark.parametrize("target", ["absent/r", "folder", "file/r"])
def test_a_place_that_cannot_be_written_is_an_os_error_and_leaves_nothing(tmp_path, target):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"No such file|Is a directory|Not a directory"):
        write_atomically(tmp_path / target, b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


# --- events ---


def test_events_come_back_in_order_with_their_facts(tmp_path):
    with Journal(tmp_path) as log:
        log.write("started", seed=1)
        log.write("é\n", nested={"a": [1]})
    with Journal(tmp_path) as log:
        log.write("started")
    found = events(tmp_path)
    assert [event["event"] for event in found] == ["started", "é\n", "started"]
    assert found[0]["seed"] == 1
    assert found[1]["nested"] == {"a": [1]}
    assert all(event["utc"].endswith("Z") for event in found)
    assert events(tmp_path / "absent") == []


@given(st.integers(0, 200))
def test_a_journal_cut_at_any_byte_loses_its_last_line_and_nothing_more(folder, cut):
    path = folder / "journal.jsonl"
    path.unlink(missing_ok=True)
    with Journal(folder) as log:
        for number in range(3):
            log.write("step", number=number)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    # A line without its end may still be whole JSON: it happened.
    assert len(events(folder)) - kept in (0, 1)
    with Journal(folder) as log:
        log.write("started again")
    found = events(folder)
    assert found[-1]["event"] == "started again"
    assert [event["number"] for event in found[:-1]] == list(range(len(found) - 1))
    assert len(found) - 1 - kept in (0, 1)


def test_lines_that_are_no_events_are_left_out(tmp_path):
    (tmp_path / "journal.jsonl").write_bytes(
        b'5\nnull\n\xff\n{"event": "x"}\n[]\n{}\n"event"\n' + b"[" * 5000
    )
    assert events(tmp_path) == [{"event": "x"}]


# --- the lock ---

HOLD = """
import sys, time
from pathlib import Path
from harness.journal import Journal
with Journal(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_judge_is_refused_until_the_first_is_gone_however_it_went(tmp_path):
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(harness.__file__).parents[1],
    )
    try:
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(
            UsageError, match="another judge is at work on this run; wait for it or stop"
        ):
            Journal(tmp_path)
    finally:
        first.kill()
        first.wait(20)
        first.stdout.close()
    with Journal(tmp_path) as log:
        log.write("mine now")
        with pytest.raises(UsageError, match="another judge"):
            Journal(tmp_path)
    with Journal(tmp_path):
        pass


def test_publishing_replaces_what_was_there(tmp_path):
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    journal.publish(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"new"
