"""From evidence to a verdict: whatever is wrong, missing or undecided is never green."""

import dataclasses
import json
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import ORDER
from checks.contract import Finding, Status, worst
from harness import ruleset, verdict
from harness.conduct import conduct
from harness.launch import Quiet
from harness.report.model import decode, encode
from harness.run import Run
from harness.verdict import EXIT_CODES, _combined, _conclude
from tests.judged import uniform

statuses = st.sampled_from(list(Status))


class Seed:
    """As much of a seed's result as the verdict looks at."""

    def __init__(self, seed, findings):
        self.seed, self.findings = seed, findings


def finding(check, status, measured=None, message="m"):
    return Finding(id=check, status=status, message=message, measured=measured)


# --- the verdict over findings ---


@given(
    found=st.dictionaries(st.sampled_from([*ORDER, "sandbox.network", "sandbox.files"]), statuses),
    required=st.lists(st.sampled_from(ORDER), unique=True),
)
def test_pass_means_that_every_required_check_is_there_and_passes(found, required):
    """Against a slow description: the sandbox's findings are always required, absence is NOT-RUN."""
    findings = [finding(check, status) for check, status in found.items()]
    status, message = _conclude(findings, required, [None])
    needed = [*required, *(check for check in found if check.startswith("sandbox."))]
    states = [found.get(check, Status.NOT_RUN) for check in needed]
    if Status.FAIL in states:
        expected = Status.FAIL
    elif Status.ERROR in states:
        expected = Status.ERROR
    elif Status.NOT_RUN in states or not states:
        expected = Status.NOT_RUN
    else:
        expected = Status.PASS
    assert status is expected
    assert (EXIT_CODES[status] == 0) == (expected is Status.PASS)
    assert message
    if status is not Status.PASS:
        for check, state in zip(needed, states, strict=True):
            assert (check in message) == (state is status)


def test_nothing_required_is_nothing_judged():
    assert _conclude([finding("time.setup", Status.PASS)], [], [None])[0] is Status.NOT_RUN


def test_a_failed_check_that_is_not_required_does_not_decide():
    found = [finding("time.setup", Status.FAIL), finding("time.load", Status.PASS)]
    assert _conclude(found, ["time.load"], [None])[0] is Status.PASS


@given(st.lists(st.tuples(statuses, st.none() | st.floats(-10, 10)), min_size=1, max_size=5))
def test_one_bad_seed_decides_and_is_named(each):
    seeds = [
        Seed(number, [finding("time.train", status, measured, f"of {number}")])
        for number, (status, measured) in enumerate(each, 1)
    ]
    combined = _combined("time.train", seeds)
    assert combined.status is worst([status for status, _ in each])
    deciding = [
        (number, measured or 0.0)
        for number, (status, measured) in enumerate(each, 1)
        if status is combined.status
    ]
    largest = max(measured for _, measured in deciding)
    named = [number for number, measured in deciding if f"of {number}" in combined.message]
    assert any(number in named for number, measured in deciding if measured == largest)
    assert set(combined.evidence["seeds"]) == {str(number) for number in range(1, len(each) + 1)}
    assert {part["status"] for part in combined.evidence["seeds"].values()} == {
        str(status) for status, _ in each
    }


# --- a whole report, from evidence that was changed ---


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_data, rules):
    folder = tmp_path_factory.mktemp("verdict")
    run = Run.create(
        root=folder / "runs",
        submission=uniform(folder / "mine"),
        rules=ruleset.load(str(rules)),
        data=tiny_data,
        seeds=(1, 2),
        baseline_text=None,
    )
    conduct(run, Quiet(), {})
    return run.folder


@pytest.fixture
def copied(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "run"))


def change(folder, step, seed=2, **facts):
    path = folder / "seeds" / str(seed) / f"{step}.json"
    record = json.loads(path.read_text())
    for name, value in facts.items():
        place = record
        *outer, last = name.split("__")
        for part in outer:
            place = place[int(part) if part.isdigit() else part]
        assert last in place
        place[last] = value
    path.write_text(json.dumps(record))


def states(folder) -> dict[str, Status]:
    report = verdict.report(Run(folder))
    encode(report)
    return {found.id: found.status for found in report.findings} | {"verdict": report.verdict}


def test_the_same_evidence_gives_the_same_report(copied):
    first, second = (encode(verdict.report(Run(copied))) for _ in range(2))
    assert first == second
    report = decode(first)
    assert encode(report) == first
    assert [found.id for found in report.findings] == list(ORDER)
    assert {found.status for found in report.findings if found.id in report.required[:-1]} == {
        Status.PASS
    }


BREACH = {"kind": "value", "message": "nan", "frame": 1, "position": 3, "question": "score"}


@pytest.mark.parametrize(
    ("step", "facts", "check"),
    [
        ("train", {"setup__wall_s": 30.001}, "time.setup"),
        ("train", {"train__wall_s": 30.001}, "time.train"),
        ("train", {"train__outcome": "deadline"}, "time.train"),
        ("train", {"train__outcome": "exited"}, "time.train"),
        ("score", {"load__wall_s": 31.0}, "time.load"),
        ("score", {"score__wall_s": 31.0}, "time.score"),
        ("score", {"score__outcome": "breach", "credited__breach": BREACH}, "score.complete"),
        ("score", {"score__outcome": "deadline", "credited__ended_by_clock": True}, "time.score"),
        ("artifact", {"files__0__size_bytes": 200_000}, "bytes.artifact"),
        ("artifact", {"tokenizer_bytes": 200_000}, "bytes.artifact"),
        ("artifact", {"refusals": ["output x: is a symbolic link"]}, "bytes.artifact"),
        ("challenge", {"challenge__breach": BREACH}, "order.blind"),
        ("challenge", {"challenge__blind__4__blind_nats": 9.0}, "order.blind"),
        ("challenge", {"challenge__future__1__worst_gap_nats": 0.5}, "order.future"),
        ("challenge", {"challenge__blind__4__log_sum": 0.01}, "norm.sum"),
    ],
)  # fmt: skip
def test_one_broken_rule_in_one_of_two_seeds_fails_the_run(copied, step, facts, check):
    change(copied, step, **facts)
    found = states(copied)
    assert found[check] is Status.FAIL
    assert found["verdict"] is Status.FAIL
    report = verdict.report(Run(copied))
    said = next(one for one in report.findings if one.id == check)
    assert "seed 2" in said.message
    assert all(one.status is Status.PASS for one in report.seeds[0].findings if one.id == check)
    assert report.exit_code == 1


@pytest.mark.parametrize("step", ["train", "artifact", "score", "challenge"])
def test_a_step_that_never_happened_is_never_green(copied, step):
    (copied / "seeds" / "2" / f"{step}.json").unlink()
    found = states(copied)
    assert found["verdict"] in (Status.NOT_RUN, Status.ERROR, Status.FAIL)
    assert EXIT_CODES[found["verdict"]] != 0


def test_a_positive_control_that_was_missed_is_an_error_of_the_judge(copied):
    path = copied / "seeds" / "2" / "challenge.json"
    record = json.loads(path.read_text())
    for answer in record["controls"]["order.blind"]["blind"]:
        answer["blind_nats"] = answer["credited_nats"]
    path.write_text(json.dumps(record))
    found = states(copied)
    assert found["order.blind"] is Status.ERROR
    assert found["verdict"] is Status.ERROR


def test_a_seed_that_was_not_scored_whole_has_no_score(copied):
    change(copied, "score", score__outcome="deadline", credited__ended_by_clock=True)
    report = verdict.report(Run(copied))
    assert report.seeds[1].nats_per_token is None
    assert report.seeds[1].curve == ()
    assert report.nats_per_token_mean == report.seeds[0].nats_per_token


def test_what_a_report_says_of_its_numbers(copied, tiny_data):
    report = verdict.report(Run(copied))
    assert report.data.val_text_bytes == tiny_data.text.text_bytes
    assert not report.data.own
    assert report.wall_s == pytest.approx(sum(t.wall_s for s in report.seeds for t in s.phases))
    for seed in report.seeds:
        assert seed.bits_per_byte == pytest.approx(
            seed.nats_per_token * seed.tokens / 0.6931471805599453 / tiny_data.text.text_bytes
        )
        assert [time.phase for time in seed.phases] == [
            "setup",
            "train",
            "load",
            "score",
            "challenge",
        ]
        assert report.challenge_seed[str(seed.seed)] == seed.challenge_seed
        assert seed.curve[-1][0] == seed.tokens
        assert sum(
            nats * (end - start)
            for (end, nats), start in zip(
                seed.curve, [0, *(e for e, _ in seed.curve)], strict=False
            )
        ) == pytest.approx(seed.nats_per_token * seed.tokens)


@given(st.data())
@settings(max_examples=40)
def test_no_number_of_the_evidence_makes_the_verdict_crash(finished, data):
    """Whatever finite number stands in a record of a challenge, there is a report without NaN."""
    run = Run(finished)
    evidence = run.evidence(1)
    answers = list(evidence.examined.challenge.blind)
    index = data.draw(st.integers(0, len(answers) - 1))
    number = st.floats(0, 1e9)
    answers[index] = dataclasses.replace(
        answers[index],
        credited_nats=data.draw(number),
        blind_nats=data.draw(st.none() | st.floats(-1e-3, 3.5e38)),
        log_sum=data.draw(st.none() | st.floats(-1e30, 100)),
    )
    challenge = dataclasses.replace(evidence.examined.challenge, blind=tuple(answers))
    examined = dataclasses.replace(evidence.examined, challenge=challenge)
    found = verdict._seed_findings(run, dataclasses.replace(evidence, examined=examined))
    json.dumps(msgspec.to_builtins(found), allow_nan=False)
