"""What a run is started in, written down each time; packages that change on the way."""

import ctypes
import os
import py_compile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness import isolation, manifest, packages, ruleset
from harness.errors import JudgeError, UsageError
from harness.isolation import Isolation, Survey, check_packages, limits_of, prepare
from harness.journal import read_record
from tests import cells
from tests.harness.sites import install
from tests.judged import QUICK, SUBMISSIONS

PR_GET_DUMPABLE = 3


@pytest.fixture
def rules():
    return ruleset.load(str(QUICK)).ruleset


@pytest.fixture
def mine():
    return manifest.load(SUBMISSIONS / "uniform")


@pytest.fixture
def prepared(tmp_path, rules, mine):
    def begin(most="bare", libraries="", survey=None):
        return prepare(
            *(tmp_path, tmp_path / "data", rules, mine),
            most=most,
            libraries=libraries,
            survey=survey or Survey(),
        )

    return begin


def attempts_of(folder):
    return read_record(folder / isolation.FILE, Isolation).attempts


@cells.each_level
def test_the_level_and_what_it_holds_are_written_down(prepared, tmp_path, level):
    cells.skip_without(level)
    isolated = prepared(level)
    (record,) = attempts_of(tmp_path)
    assert record.level == isolated.sandbox.level == level
    assert record.own_users == isolated.sandbox.own_users
    assert bool(record.worked["files"]) == (level == "bare")
    assert isolated.work is None or isolated.work.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == [isolation.FILE]


def test_many_runs_may_share_one_survey(prepared, tmp_path, monkeypatch):
    survey = Survey()
    prepared(survey=survey)
    monkeypatch.setattr(isolation, "try_cell", lambda *_, **__: pytest.fail("tried again"))
    monkeypatch.setattr(isolation.mechanisms, "probe", lambda: pytest.fail("probed again"))
    prepared(survey=survey)
    first, second = attempts_of(tmp_path)
    assert first == second


def test_each_start_is_one_more_record(prepared, tmp_path):
    """A run that is resumed on a weaker machine holds what both held."""
    prepared("bare")
    prepared("bare")
    assert len(attempts_of(tmp_path)) == 2


def test_a_run_goes_on_with_the_packages_that_it_began_with(prepared, tmp_path, monkeypatch):
    site = tmp_path / "site"
    install(site, "numpy", version="2.0")
    monkeypatch.setattr(packages, "search_path", lambda: [str(site)])
    prepared()
    prepared()
    install(site, "extra")
    prepared()  # not one of the ruleset's
    (site / "numpy-2.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: numpy\nVersion: 2.1\n"
    )
    with pytest.raises(UsageError, match="not those the run began with; start a new run"):
        prepared()
    assert len(attempts_of(tmp_path)) == 3


def test_no_cell_sees_into_the_data_or_the_run_whatever_is_on_the_library_path(prepared, tmp_path):
    (tmp_path / "data").mkdir()
    seen = prepared(libraries=str(tmp_path)).sandbox.sight
    assert tmp_path in seen.shown
    assert {tmp_path, tmp_path / "data"} <= set(seen.hidden)


def test_the_judges_memory_is_closed_before_anything_starts(prepared):
    child = os.fork()
    if child == 0:
        try:
            prepared()
            os._exit(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
        except BaseException:
            os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- packages, hashed before training and before scoring ---


@pytest.fixture
def pinned(tmp_path):
    install(tmp_path / "site", "alpha", {"alpha/core.py": "x = 1\n"})
    return packages.resolve(["alpha"], [str(tmp_path / "site")])


def test_packages_that_stay_as_they_are_are_no_matter(pinned, tmp_path):
    for _ in range(3):
        check_packages(tmp_path, pinned, sealed_off=True)


@pytest.mark.parametrize("sealed_off", [True, False])
def test_a_file_that_changed_between_phases_is_named(pinned, tmp_path, sealed_off):
    check_packages(tmp_path, pinned, sealed_off=sealed_off)
    (tmp_path / "site" / "alpha" / "core.py").write_text("x = 2\n")
    with pytest.raises(JudgeError, match=r"alpha 1\.0: alpha/core\.py: changed.*start a new run"):
        check_packages(tmp_path, pinned, sealed_off=sealed_off)


def test_byte_code_that_appeared_counts_where_a_submission_could_have_written_it(pinned, tmp_path):
    check_packages(tmp_path, pinned, sealed_off=True)
    py_compile.compile(str(tmp_path / "site" / "alpha" / "core.py"))
    check_packages(tmp_path, pinned, sealed_off=True)
    with pytest.raises(JudgeError, match="__pycache__"):
        check_packages(tmp_path, pinned, sealed_off=False)


def test_limits_are_those_of_the_ruleset_on_this_machine(rules, monkeypatch):
    monkeypatch.setattr(isolation.machine, "memory_bytes", lambda: 1000)
    found = limits_of(rules)
    assert found.memory_bytes == int(1000 * rules.limits.memory_fraction)
    assert (found.processes, found.disk_bytes) == (rules.limits.processes, rules.limits.disk_bytes)
    monkeypatch.setattr(isolation.machine, "memory_bytes", lambda: None)
    with pytest.raises(JudgeError, match="how much memory"):
        limits_of(rules)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives cells users of their own")
def test_where_the_runs_folder_is_closed_phases_lie_where_their_users_can_reach(tmp_path):
    box = replace(
        cells.sandbox("landlock"),
        mechanisms=msgspec.structs.replace(
            cells.mechanisms(), others_reach_interpreter=True, own_user=True
        ),
    )
    work = isolation._work(tmp_path, box)  # pytest's folders are closed to others
    assert work is not None
    try:
        assert work.stat().st_mode & 0o777 == 0o711
        assert isolation._work(tmp_path, box) == work  # a run that is resumed finds it anew
    finally:
        work.rmdir()
    assert isolation._work(tmp_path, cells.sandbox("bare")) is None
    assert isolation._work(Path("/usr"), box) is None
