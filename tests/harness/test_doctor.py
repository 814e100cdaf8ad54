"""`harness doctor`: the same facts as before a run, a remedy for each that is missing, exit codes 0 and 3."""

import json
import math
from dataclasses import replace

import msgspec
import pytest

from harness import doctor, noise, ruleset
from harness.doctor import Diagnosis, diagnose
from harness.errors import EXIT_JUDGE, EXIT_PASS
from harness.sandbox import mechanisms
from harness.sandbox.guarantees import KNOWN
from harness.sandbox.mechanisms import SCOPE_ABI
from tests import cells
from tests.judged import QUICK


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Two starts instead of five, no sleeps, and what works here tried once for all."""
    monkeypatch.setattr(doctor, "STARTS", 1)
    monkeypatch.setattr(noise, "SLEEPS", 4)
    monkeypatch.setattr(mechanisms, "probe", cells.mechanisms)


@pytest.fixture(scope="module")
def demanding(tmp_path_factory):
    """The quick ruleset, with every guarantee required."""
    text = QUICK.read_text()
    assert "guarantees = []" in text
    wanted = ", ".join(f'"{name}"' for name in KNOWN)
    path = tmp_path_factory.mktemp("rules") / "all.toml"
    path.write_text(
        text.replace("guarantees = []", f"guarantees = [{wanted}]").replace(
            'baseline = "quick.toml"', 'baseline = ""'
        )
    )
    return path


def remedies(monkeypatch, *, loopback=False, most="namespaces", **changed):
    """Return the remedies for a machine with these mechanisms."""
    found = msgspec.structs.replace(
        msgspec.structs.replace(
            cells.mechanisms(),
            bubblewrap="/usr/bin/bwrap",
            bubblewrap_version="0.8.0",
            bubblewrap_problem="",
            landlock_abi=7,
            seccomp=True,
            seccomp_problem="",
            own_user=True,
            others_reach_interpreter=True,
            group_version=2,
        ),
        **changed,
    )
    box = replace(cells.sandbox("bare"), mechanisms=found, level=found.level(most))
    return list(doctor._missing(found, box, loopback=loopback))


REFUSED = {"bubblewrap": None, "bubblewrap_problem": "bwrap: Creating new namespace failed"}


@pytest.mark.parametrize(
    ("changed", "what", "how"),
    [
        (
            {"bubblewrap": None, "bubblewrap_version": ""},
            "namespaces",
            "apt-get install bubblewrap",
        ),
        (
            {
                "bubblewrap": None,
                "bubblewrap_problem": "bwrap: setting up uid map: Permission denied",
            },
            "uid map",
            "apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"bubblewrap": None, "bubblewrap_problem": "loopback: Failed RTM_NEWADDR"},
            "RTM_NEWADDR",
            "sudo",
        ),
        (REFUSED, "Creating new namespace failed", "--privileged"),
        ({"seccomp": False, "seccomp_problem": "none"}, "seccomp: none", "libseccomp2"),
        ({**REFUSED, "landlock_abi": 0}, "no Landlock", "5.13"),
        (
            {**REFUSED, "landlock_abi": SCOPE_ABI - 1, "own_user": False},
            "does not keep signals inside",
            "6.12",
        ),
        ({**REFUSED, "others_reach_interpreter": False}, "users:", "chmod o+rx"),
        ({"group_version": 0}, "memory:", "systemd-run --user --scope"),
    ],
)
def test_what_is_missing_has_a_remedy(monkeypatch, changed, what, how):
    said = remedies(monkeypatch, **changed)
    assert any(what in one.what and how in one.how for one in said), said


def test_a_machine_with_everything_misses_nothing(monkeypatch):
    assert remedies(monkeypatch) == []
    assert remedies(monkeypatch, loopback=True) == []


def test_loopback_needs_namespaces(monkeypatch):
    said = remedies(monkeypatch, loopback=True, **REFUSED)
    assert any(one.what.startswith("network:") for one in said)


def test_every_remedy_is_one_line_each(monkeypatch):
    worst = {**REFUSED, "landlock_abi": 0, "seccomp": False, "own_user": False, "group_version": 0}
    for one in remedies(monkeypatch, loopback=True, **worst):
        assert one.what
        assert one.how
        assert "\n" not in one.what + one.how


def test_the_json_is_the_record_with_every_number_a_number(desk):
    status, out, err = desk("doctor", "--ruleset", QUICK, "--sandbox", "bare", "--json")
    assert err == ""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    said = json.loads(out, parse_constant=refuse)
    assert set(said) == {*Diagnosis.__struct_fields__, "held"}
    assert (said["schema_version"], said["level"], said["ruleset"]) == ("1.0", "bare", "quick")
    assert [line["name"] for line in said["guarantees"]] == list(KNOWN)
    assert said["held"] is True  # this ruleset requires nothing
    assert status == EXIT_PASS
    assert all(
        math.isfinite(said[name]) and said[name] > 0 for name in ("start_ms", "bare_start_ms")
    )
    msgspec.convert({key: said[key] for key in said if key != "held"}, Diagnosis)


def test_what_a_ruleset_requires_and_is_not_held_is_exit_3(desk, demanding):
    status, out, _ = desk("doctor", "--ruleset", demanding, "--sandbox", "bare", "--json")
    said = json.loads(out)
    assert status == EXIT_JUDGE
    assert said["held"] is False
    assert all(line["required"] for line in said["guarantees"])


def test_the_screen_names_what_is_lacking(desk, demanding):
    status, out, _ = desk("doctor", "--ruleset", demanding, "--sandbox", "bare")
    assert status == EXIT_JUDGE
    assert "cannot be judged here" in out
    for name in ("network", "files", "channel"):
        assert f"{name} (required)" in out
    assert "not enforced" in out
    assert "\x1b" not in out


def test_what_the_doctor_says_is_what_a_run_will_say(demanding):
    """The strongest level here: whatever is enforced was tried."""
    rules = ruleset.load(str(demanding)).ruleset
    found = diagnose(rules, "namespaces", loopback=False, libraries="")
    assert found.level == cells.mechanisms().level()
    assert found.held == all(line.state == "enforced" for line in found.guarantees)
    if found.level == "namespaces":
        states = {line.name: line.state for line in found.guarantees}
        for name in ("network", "files", "processes", "channel", "environment"):
            assert states[name] == "enforced"
