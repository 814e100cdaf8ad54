"""What works on a machine: the strongest level of it, and that it was tried and not read somewhere."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sandbox import mechanisms
from harness.sandbox.mechanisms import LEVELS, Mechanisms, open_to_others, probe, user_base

found = st.builds(
    Mechanisms,
    bubblewrap=st.sampled_from(["/usr/bin/bwrap", None]),
    bubblewrap_version=st.just("1"),
    bubblewrap_problem=st.just(""),
    landlock_abi=st.integers(0, 8),
    seccomp=st.booleans(),
    seccomp_problem=st.just(""),
    own_user=st.booleans(),
    others_reach_interpreter=st.booleans(),
    group_version=st.sampled_from([0, 1, 2]),
)


@given(found, st.sampled_from(LEVELS))
def test_the_level_is_the_strongest_that_works_and_never_more_than_asked(machine, most):
    level = machine.level(most)
    assert LEVELS.index(level) >= LEVELS.index(most)
    if level == "namespaces":
        assert machine.bubblewrap
    if level != "bare":
        assert machine.seccomp
    if level == "landlock":
        assert machine.landlock_abi
        assert most == "landlock" or machine.bubblewrap is None
    if level == "bare" and most != "bare":
        assert not machine.seccomp or not machine.landlock_abi


def test_a_probe_leaves_nothing_behind():
    before = {"tmp": set(os.listdir("/tmp")), "shm": set(os.listdir("/dev/shm"))}
    user = os.getresuid()
    machine = probe()
    assert os.getresuid() == user
    assert set(os.listdir("/dev/shm")) <= before["shm"]
    assert not list(Path("/sys/fs/cgroup").glob(f"**/harness-{os.getpid()}-*probe"))
    assert machine == msgspec.convert(msgspec.to_builtins(machine), Mechanisms)
    # The reason stands where the program does not.
    assert (machine.bubblewrap is None) == bool(machine.bubblewrap_problem)
    assert machine.seccomp == (not machine.seccomp_problem)


def test_a_program_that_is_there_and_refused_does_not_count(monkeypatch, tmp_path):
    """As on Ubuntu 24.04, where it is installed and may not map a user."""
    bwrap = tmp_path / "bwrap"
    bwrap.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo bubblewrap 0.9.0; else\n'
        "echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1; fi\n"
    )
    bwrap.chmod(0o755)
    monkeypatch.setattr(mechanisms, "PROGRAMS", f"{tmp_path}:/usr/bin:/bin")
    machine = probe()
    assert machine.bubblewrap is None
    assert machine.bubblewrap_version == "0.9.0"
    assert machine.bubblewrap_problem == "bwrap: setting up uid map: Permission denied"


def test_a_program_that_fails_in_silence_or_hangs_does_not_count(monkeypatch, tmp_path):
    monkeypatch.setattr(mechanisms, "TRIAL_S", 0.3)
    for body, says in (("exit 3", "status 3"), ("sleep 5", "timed out")):
        program = tmp_path / "bwrap"
        program.write_text(f'#!/bin/sh\nif [ "$1" = --version ]; then echo 1; exit; fi\n{body}\n')
        program.chmod(0o755)
        monkeypatch.setattr(mechanisms, "PROGRAMS", f"{tmp_path}:/usr/bin:/bin")
        path, _, problem = mechanisms._bubblewrap(root=False)
        assert path is None
        assert says in problem


def test_a_program_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(mechanisms, "PROGRAMS", str(tmp_path))
    assert "not installed" in mechanisms._bubblewrap(root=False)[2]


def test_without_libseccomp_there_is_no_filter_and_no_level_but_bare(monkeypatch):
    def missing(_):
        raise RuntimeError("no libseccomp")

    monkeypatch.setattr(mechanisms.system_calls, "program", missing)
    assert "install libseccomp2" in mechanisms._seccomp_problem()


def test_a_child_that_fails_says_no_and_changes_nothing_here():
    def fails():
        os.environ["CHANGED"] = "x"
        raise OSError

    assert not mechanisms._in_child(fails)
    assert mechanisms._in_child(lambda: os.chdir("/"))
    assert "CHANGED" not in os.environ
    assert Path.cwd() != Path("/")


def test_others_reach_what_every_folder_on_the_way_lets_through(tmp_path):
    open_way = Path("/usr/bin/env")
    assert open_to_others(open_way)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").touch()
    tmp_path.chmod(0o755)
    assert not open_to_others(closed / "file")
    assert not open_to_others(closed)
    # By a link, what counts is where it leads.
    link = tmp_path / "link"
    link.symlink_to(closed / "file")
    assert not open_to_others(link)


def test_no_two_judges_share_users(monkeypatch):
    monkeypatch.setattr(mechanisms, "_largest_user", lambda: 2**32 - 1)
    bases = []
    for pid in (1, 2, 32_768, 4_194_303):
        monkeypatch.setattr(mechanisms.os, "getpid", lambda pid=pid: pid)
        bases.append(user_base())
        assert mechanisms.judge_of(user_base()) == pid
        assert mechanisms.judge_of(user_base() + mechanisms.USERS_OF_A_JUDGE - 1) == pid
    ends = [base + mechanisms.USERS_OF_A_JUDGE for base in bases]
    assert all(end <= base for end, base in zip(ends[:-1], bases[1:], strict=True))
    assert ends[-1] < 2**31


def test_in_a_small_user_namespace_users_fit(monkeypatch):
    monkeypatch.setattr(mechanisms, "_largest_user", lambda: 65_536)
    for pid in range(1, 5000, 7):
        monkeypatch.setattr(mechanisms.os, "getpid", lambda pid=pid: pid)
        assert 10_000 < user_base() <= 65_536 - mechanisms.USERS_OF_A_JUDGE
        assert mechanisms.judge_of(user_base()) is None


def test_probing_imports_nothing_of_a_submission():
    code = "import harness.sandbox.mechanisms, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may become another user")
def test_a_user_stays_one():
    assert not probe().own_user
