"""The judge's attack on itself: nothing works from inside a cell, much does without one, nothing stays."""

import json
import os
from pathlib import Path

import pytest

from harness import cell_trial
from harness.cell_trial import start_s, try_cell
from harness.errors import JudgeError
from harness.sandbox import attempts
from harness.sandbox.guarantees import KNOWN, guarantees, held
from tests import cells


def left():
    """Return what a trial could leave on the machine."""
    return {
        *(path for path in Path("/dev/shm").iterdir()),
        *(path for path in Path("/tmp").glob("harness-trial-*")),
        *(path for path in Path("/sys/fs/cgroup").glob(f"**/harness-{os.getpid()}-*")),
        *(
            path
            for path in Path("/proc").glob(f"{os.getpid()}/task/*/children")
            if path.read_text()
        ),
    }


@pytest.fixture(params=["namespaces", "landlock"])
def level(request):
    cells.skip_without(request.param)
    return request.param


def test_nothing_works_from_inside_and_nothing_stays(level):
    before = left()
    trial = try_cell(cells.sandbox(level))
    assert {name: says for name, says in trial.worked.items() if says} == {}
    assert set(trial.worked) <= set(KNOWN)
    assert 0 < trial.wall_s < 30
    assert left() <= before


def test_where_nothing_isolates_it_is_found_and_said(tmp_path):
    before = left()
    trial = try_cell(cells.sandbox("bare"), folder=tmp_path)
    assert {"files", "network", "channel", "ipc"} <= {
        name for name, says in trial.worked.items() if says
    }
    assert trial.worked["clock"] == []
    assert "a file of the judge could be read" in trial.worked["files"]
    assert "a file in /dev/shm outlived its cell" in trial.worked["ipc"]
    assert "a socket file of the judge's user could be reached" in trial.worked["files"]
    assert left() <= before
    assert list(tmp_path.iterdir()) == []


def test_loopback_is_found_to_open_the_network_where_there_is_no_namespace(level):
    found = try_cell(cells.sandbox(level), loopback=True).worked
    assert bool(found["network"]) == (level == "landlock")
    if level == "landlock":
        assert found["network"] == ["a port of the machine could be reached"]
        # And sockets of the judge's own user then have names again.
        assert bool(found["files"]) == (not cells.sandbox(level).own_users)


def test_every_attempt_is_about_a_guarantee_that_there_is():
    facts = {"canary": "/x/y", "judge": 1, "mark": "m", "port": 1, "abstract": "a"}
    tried = attempts.attempts(facts)
    assert set(tried) <= set(KNOWN)
    says = [one for several in tried.values() for one, _ in several]
    assert len(set(says)) == len(says)


def test_what_worked_makes_its_guarantee_not_enforced():
    box = cells.sandbox("bare")
    record = held(box, try_cell(box).worked, loopback=False, page_cache="none")
    lines = {line.name: line.state for line in guarantees(record, required=(), train_hidden=True)}
    for name in ("files", "network", "channel", "ipc"):
        assert lines[name] == "not enforced"


def test_a_daemon_and_a_file_in_shared_memory_are_left_and_looked_for(monkeypatch):
    """Without this the trial would say that nothing is left because nothing was."""
    seen = []
    monkeypatch.setattr(
        cell_trial,
        "_left_in_shared_memory",
        lambda mark: (
            seen.append(Path("/dev/shm", mark).exists()) or Path("/dev/shm", mark).unlink()
        ),
    )
    try_cell(cells.sandbox("bare"))
    assert seen == [True]


def test_an_interpreter_that_does_not_run_is_the_machines_fault(monkeypatch, tmp_path):
    broken = tmp_path / "attempts.py"
    broken.write_text("import sys; print('half a'); sys.exit('no such library')")
    monkeypatch.setattr(attempts, "__file__", str(broken))
    with pytest.raises(
        JudgeError, match=r"does not run in the sandbox \(status 1\): no such library"
    ):
        try_cell(cells.sandbox("bare"))


@cells.each_level
def test_starting_a_cell_is_timed_until_it_is_gone(tmp_path, level):
    cells.skip_without(level)
    tmp_path.chmod(0o755)
    before = left()
    assert 0.001 < start_s(cells.sandbox(level), tmp_path / "new") < 20
    assert left() <= before


def test_the_script_prints_one_line_of_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(attempts, "leave_behind", lambda _: None)
    monkeypatch.setattr(
        attempts,
        "attempts",
        lambda _: {
            "files": [("worked", lambda: None), ("refused", lambda: Path("/nowhere").stat())],
            "ipc": [("odd", lambda: int("x"))],
        },
    )
    attempts.main([json.dumps({"mark": "m"})])
    assert json.loads(capsys.readouterr().out) == {"files": ["worked"], "ipc": []}
