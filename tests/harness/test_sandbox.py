"""What a submission's processes get to see of the machine, and what the judge admits it cannot hold."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.contract import Status
from harness.sandbox import KNOWN, environment, findings, guarantees

names = st.lists(st.sampled_from([*KNOWN, "colour", "gpu"]), unique=True).map(tuple)


@given(names, st.booleans())
def test_a_required_guarantee_is_enforced_or_found_missing(required, train_hidden):
    held = guarantees(required, train_hidden=train_hidden)
    assert {one.name for one in held} == {*KNOWN, *required}
    assert {one.name for one in held if one.required} == set(required)
    found = findings(held)
    assert {finding.id for finding in found} == {
        f"sandbox.{one.name}" for one in held if one.required and one.state != "enforced"
    }
    assert all(finding.status is Status.NOT_RUN for finding in found)
    assert all(one.means for one in held)


def test_a_guarantee_that_this_judge_does_not_know_is_never_held():
    assert guarantees(("gravity",), train_hidden=True)[-1].state == "not enforced"


def test_train_data_with_a_path_is_admitted():
    said = {
        hidden: next(
            one.means for one in guarantees((), train_hidden=hidden) if one.name == "files"
        )
        for hidden in (True, False)
    }
    assert "without a path" in said[True]
    assert "path can be found" in said[False]


def test_the_environment_is_clean_and_private(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("PATH", "/somewhere/else")
    env = environment(Path("/p/home"), Path("/p/tmp"), {"CUDA_VISIBLE_DEVICES": "1"})
    assert "SECRET_TOKEN" not in env
    assert "/somewhere/else" not in env["PATH"]
    assert (env["HOME"], env["TMPDIR"], env["CUDA_VISIBLE_DEVICES"]) == ("/p/home", "/p/tmp", "1")
    assert not any(str(Path.home()) in value for name, value in env.items() if name != "PATH")
    caches = [value for name, value in env.items() if "CACHE" in name]
    assert len(caches) >= 4
    assert all(value.startswith("/p/tmp/") for value in caches)


@pytest.mark.parametrize("name", ["HOME", "TMPDIR", "PATH", "PYTHONHASHSEED"])
def test_what_is_passed_on_never_replaces_what_the_judge_sets(name):
    plain = environment(Path("/h"), Path("/t"), {})
    assert environment(Path("/h"), Path("/t"), {name: "mine"}) == plain
