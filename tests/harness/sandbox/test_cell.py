"""One process's policy, for each level: pure, but for the filter that it compiles."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness.sandbox import cell, mechanisms, system_calls
from harness.sandbox.cell import Folders, Sandbox
from harness.sandbox.mechanisms import Mechanisms
from harness.sandbox.sight import Sight
from tests import cells

EVERYTHING = Mechanisms(
    bubblewrap="/usr/bin/bwrap",
    bubblewrap_version="0.8.0",
    bubblewrap_problem="",
    landlock_abi=7,
    seccomp=True,
    seccomp_problem="",
    own_user=True,
    others_reach_interpreter=True,
    group_version=2,
)
SEEN = Sight(links=(("/bin", "usr/bin"),), shown=(Path("/usr"),), hidden=(), entries=(), gpus=())
OWN = Folders(
    cwd=Path("/w/code"),
    writable=(Path("/w/code"), Path("/w/out")),
    private=(Path("/w/code"),),
)


def sandbox(level, *, gpus=(), entries=(), **changed):
    return Sandbox(
        mechanisms=msgspec.structs.replace(EVERYTHING, **changed),
        level=level,
        sight=replace(SEEN, gpus=gpus, entries=entries),
        limits=cells.LIMITS,
    )


def policy(box, *, loopback=False, command=("/bin/true",)):
    return box.policy(list(command), {"A": "b"}, OWN, loopback=loopback)


def doors(box, **more):
    return policy(box, **more)["cell"]["landlock"]


@pytest.mark.parametrize("level", mechanisms.LEVELS)
def test_a_policy_travels_as_json_and_holds_what_was_asked(level):
    made = policy(sandbox(level))
    assert json.loads(json.dumps(made)) == made
    inside = made["cell"]
    assert (inside["command"], inside["env"], inside["cwd"]) == (
        ["/bin/true"],
        {"A": "b"},
        "/w/code",
    )
    assert inside["limits"]["RLIMIT_CORE"] == 0
    assert inside["limits"]["RLIMIT_FSIZE"] == cells.LIMITS.disk_bytes
    assert made["private"] == ["/w/code"]
    assert made["watch"]["folders"] == ["/w/code", "/w/out"]
    assert made["watch"]["reserve_bytes"] == cell.RESERVE_BYTES
    assert made["group"]["processes"] == cells.LIMITS.processes


@pytest.mark.parametrize(
    ("level", "changed", "switch", "reach"),
    [
        ("namespaces", {}, "namespace", []),
        ("namespaces", {"own_user": False}, "namespace", []),
        ("landlock", {}, "user", []),
        ("landlock", {"own_user": False}, "scope", []),
        ("landlock", {"others_reach_interpreter": False}, "scope", []),
        ("landlock", {"landlock_abi": 4}, "user", ["shim"]),
        ("landlock", {"landlock_abi": 4, "own_user": False}, "scope", ["keeper", "shim"]),
        ("bare", {}, "sweep", ["keeper", "shim"]),
    ],
)
def test_how_all_of_it_is_killed_and_what_it_could_kill(level, changed, switch, reach):
    made = policy(sandbox(level, **changed))
    assert made["switch"] == switch
    assert made["within_reach"] == reach


def test_each_process_has_a_user_that_no_other_of_the_run_has():
    box = sandbox("landlock")
    users = [policy(box)["cell"]["user"] for _ in range(mechanisms.USERS_OF_A_JUDGE)]
    assert len(set(users)) == len(users)
    assert min(users) >= mechanisms.SMALL_USER_BASE
    assert policy(box)["cell"]["user"] == users[0]


@pytest.mark.parametrize(
    ("level", "changed"),
    [
        ("bare", {}),
        ("landlock", {"own_user": False}),
        ("landlock", {"others_reach_interpreter": False}),
        ("namespaces", {"own_user": False}),
    ],
)
def test_where_it_cannot_be_it_has_the_judges_user(level, changed):
    made = policy(sandbox(level, **changed))
    assert made["cell"]["user"] is None
    assert "RLIMIT_NPROC" not in made["cell"]["limits"]  # it would count what people run


def test_a_package_that_others_cannot_reach_keeps_the_judges_user(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed" / "package").mkdir()
    box = sandbox("landlock", entries=(tmp_path / "closed" / "package",))
    assert not box.own_users
    assert sandbox("namespaces", entries=(tmp_path / "closed" / "package",)).own_users


@pytest.mark.parametrize(
    ("level", "loopback", "own_user", "expected"),
    [
        ("namespaces", False, True, ("all", True)),
        ("namespaces", True, True, ("all", True)),
        ("landlock", False, True, ("none", True)),
        ("landlock", False, False, ("none", False)),
        ("landlock", True, True, ("stream", True)),
        ("landlock", True, False, ("stream", True)),
    ],
)
def test_which_sockets_the_filter_leaves(level, loopback, own_user, expected):
    inet, named = expected
    made = policy(sandbox(level, own_user=own_user), loopback=loopback)
    assert made["cell"]["filter"] == system_calls.program(inet, named=named).hex()


def test_without_a_filter_there_is_none():
    assert policy(sandbox("bare"))["cell"]["filter"] == ""
    assert policy(sandbox("landlock", seccomp=False))["cell"]["filter"] == ""


def test_the_doors_are_for_landlock_alone():
    assert doors(sandbox("namespaces")) is None
    assert doors(sandbox("bare")) is None


def test_what_the_doors_open():
    made = doors(sandbox("landlock"))
    assert made["tcp"] is False
    assert doors(sandbox("landlock"), loopback=True)["tcp"] is True
    paths = made["paths"]
    assert paths["write"] == ["/w/code", "/w/out", "/dev/shm"]
    assert {"/usr", "/sys", "/proc"} <= set(paths["read"])
    assert set(paths["device"]) == {
        f"/dev/{name}" for name in "null zero full random urandom".split()
    }
    assert "process" not in paths


def test_shared_memory_is_closed_where_leftovers_could_not_be_told():
    made = doors(sandbox("landlock", own_user=False))
    assert "/dev/shm" not in made["paths"]["write"]


@pytest.mark.parametrize(
    ("own_user", "root", "writes"), [(True, True, True), (False, False, True), (False, True, False)]
)
def test_threads_of_cuda_get_their_names_but_never_as_root(monkeypatch, own_user, root, writes):
    """Root owns the kernel's parameters below /proc, without any capability."""
    monkeypatch.setattr(cell.os, "geteuid", lambda: 0 if root else 1000)
    made = doors(sandbox("landlock", gpus=(Path("/dev/nvidia0"),), own_user=own_user))
    assert ("/proc" in made["paths"].get("process", [])) == writes
    assert ("/proc" in made["paths"]["read"]) != writes
    assert "/dev/nvidia0" in made["paths"]["device"]


def test_the_shim_starts_inside_bubblewrap_and_nowhere_else():
    start = policy(sandbox("namespaces"))["start"]
    assert start[0] == "/usr/bin/bwrap"
    assert start[start.index("--") + 1] == sys.executable
    assert policy(sandbox("landlock"))["start"] == []
    assert policy(sandbox("bare"))["start"] == []


def test_no_group_is_asked_for_where_none_can_be_made():
    assert policy(sandbox("namespaces", group_version=0))["group"] is None
