"""Caught means by the right checks, by no other, each saying the right thing: whatever else a report says."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import ORDER
from checks.contract import Finding, Status, worst
from harness.selftest.corpus import Expected
from harness.selftest.expect import cheat_complaints, twin_complaints

CHECKS = ORDER[:8]
statuses = st.fixed_dictionaries(dict.fromkeys(CHECKS, st.sampled_from(list(Status))))
groups = st.fixed_dictionaries(
    dict.fromkeys(CHECKS, st.sampled_from(["caught_by", "one_of", "also", "consequences", ""]))
)


def report(states, required=CHECKS, message="as said", tokens=10):
    """A report with as much in it as is looked at."""
    findings = [Finding(id=check, status=state, message=message) for check, state in states.items()]
    verdict = worst([state for check, state in states.items() if check in required])
    exit_code = {Status.PASS: 0, Status.FAIL: 1}.get(verdict, 3)
    return SimpleNamespace(
        findings=findings,
        required=required,
        verdict=verdict,
        exit_code=exit_code,
        seeds=[SimpleNamespace(seed=1, tokens=tokens)],
    )


def expected(grouped):
    named = {
        group: tuple(check for check, of in grouped.items() if of == group)
        for group in ("caught_by", "one_of", "also", "consequences")
    }
    messages = dict.fromkeys([*named["caught_by"], *named["one_of"]], "FAIL as")
    return Expected(says="Cheats.", source=("a test",), messages=messages, **named)


@given(statuses, groups)
def test_caught_is_what_the_words_of_the_file_say(states, grouped):
    """The oracle: the definition of each key, check by check."""
    failed = {check for check, state in states.items() if state is Status.FAIL}
    of = {group: {c for c, g in grouped.items() if g == group} for group in set(grouped.values())}
    one_of = of.get("one_of", set())
    right = (
        all((c in failed) == (g == "caught_by") or g in ("one_of", "also") for c, g in grouped.items())
        and len(failed & one_of) == (1 if one_of else 0)
        and all(
            grouped[check] == "consequences"
            for check, state in states.items()
            if state in (Status.ERROR, Status.NOT_RUN)
        )
        and bool(failed)
    )  # fmt: skip
    assert (cheat_complaints(expected(grouped), report(states)) == []) == right


@given(statuses)
def test_what_is_not_required_says_nothing(states):
    """The same findings, of which none but the first is required."""
    first = CHECKS[0]
    of_first = cheat_complaints(expected({first: "caught_by"}), report(states, required=(first,)))
    assert (of_first == []) == (states[first] is Status.FAIL)
    assert (twin_complaints(report(states, required=(first,)), 10) == []) == (
        states[first] is Status.PASS
    )


@given(statuses, st.integers(9, 11))
def test_a_twin_passes_everything_and_is_credited_whole(states, tokens):
    clean = all(state is Status.PASS for state in states.values()) and tokens == 10
    assert (twin_complaints(report(states, tokens=tokens), 10) == []) == clean


PASSING = dict.fromkeys(CHECKS, Status.PASS)


@pytest.mark.parametrize(
    ("states", "grouped", "says"),
    [
        ({}, {"order.blind": "caught_by"}, "order.blind did not FAIL"),
        ({}, {"score.bytes": "one_of"}, "none of score.bytes FAILed"),
        ({"time.train": Status.FAIL}, {}, "time.train FAILed, which should not: as said"),
        ({"time.load": Status.ERROR}, {}, "time.load is ERROR, which should not be: as said"),
        ({"time.load": Status.FAIL}, {"time.load": "consequences"}, "time.load FAILed, which should not"),
        (dict.fromkeys(CHECKS[:2], Status.FAIL), dict.fromkeys(CHECKS[:2], "one_of"),
         "time.setup, time.train FAILed, where one should"),
        ({}, {}, "the verdict is PASS, exit code 0"),
    ],
)  # fmt: skip
def test_a_complaint_says_what_is_wrong(states, grouped, says):
    complaints = cheat_complaints(expected(grouped), report({**PASSING, **states}))
    assert any(says in complaint for complaint in complaints), complaints


def test_a_message_has_to_say_what_it_should():
    wanted = expected({"time.train": "caught_by"})
    states = {**PASSING, "time.train": Status.FAIL}
    assert cheat_complaints(wanted, report(states)) == []
    (complaint,) = cheat_complaints(wanted, report(states, message="y" * 1000))
    assert complaint.startswith("time.train does not say 'FAIL as' but yyy")
    assert len(complaint) < 400


def test_a_verdict_that_does_not_fit_its_findings_is_not_caught():
    states = {**PASSING, "time.train": Status.FAIL}
    odd = SimpleNamespace(**{**vars(report(states)), "exit_code": 3})
    assert cheat_complaints(expected({"time.train": "caught_by"}), odd) == [
        "the verdict is FAIL, exit code 3"
    ]


def test_a_verdict_that_does_not_fit_its_findings_is_no_pass():
    odd = SimpleNamespace(**{**vars(report(PASSING)), "verdict": Status.ERROR, "exit_code": 3})
    assert twin_complaints(odd, 10) == ["the verdict is ERROR, exit code 3"]
