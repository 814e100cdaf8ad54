from __future__ import annotations

import msgspec
import pytest

from harness.report import reading
from harness.report.model import Guarantee
from tests.harness.report import samples
from tests.harness.report.sample_findings import CAP_BYTES


def test_a_comparison_is_the_check_s_own() -> None:
    facts = reading.comparison(samples.passing())
    assert facts.mean == pytest.approx(1.869187)
    assert facts.baseline_mean == pytest.approx(1.88217853)
    assert facts.target_nats == pytest.approx(1.88217853 - 0.005)
    assert facts.interval is not None
    assert facts.interval[0] < facts.mean < facts.interval[1]
    assert [row.deciding for row in reading.readings(samples.passing())] == [
        True,
        False,
        False,
        False,
    ]


def test_without_a_baseline_there_is_a_mean_and_no_target() -> None:
    facts = reading.comparison(samples.undecided())
    assert facts.mean == pytest.approx(1.869187)
    assert (facts.baseline, facts.target_nats, facts.improvement_nats) == ((), None, None)


def test_the_gain_is_read_from_the_evidence() -> None:
    bound = reading.gain(samples.passing().findings)
    assert bound == reading.Bound(mean=0.00003, lower=-0.00015, upper=0.00021, limit=0.001)
    assert reading.gain(samples.died().findings) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (samples.passing, "Keep the run's folder"),
        (
            samples.failing,
            "Mend what broke bytes.artifact, score.complete, order.blind, norm.target",
        ),
        (samples.undecided, "give --baseline FILE"),
        (samples.died, 'its train phase ended with "deadline"'),
        (samples.empty, "Read the message"),
    ],
)
def test_there_is_always_something_to_do_next(make, words: str) -> None:
    assert any(words in step for step in reading.next_steps(make()))


def test_a_guarantee_that_is_required_and_not_held_is_named() -> None:
    loose = Guarantee(name="network", state="watched", means="", required=True)
    report = msgspec.structs.replace(samples.passing(), guarantees=(loose,))
    assert (
        "This machine does not enforce network, which the ruleset requires."
        in reading.next_steps(report)
    )


def test_evidence_is_that_of_the_seed_that_came_to_the_same() -> None:
    report = samples.failing()
    found = reading.finding(report.findings, "order.blind")
    assert found is not None
    evidence = reading.evidence_of(report, found)
    first = reading.finding(report.seeds[0].findings, "order.blind")
    assert first is not None
    assert evidence is first.evidence


def test_the_largest_artifact_and_its_cap() -> None:
    report = samples.passing()
    largest = reading.largest_artifact(report)
    assert largest is not None
    assert largest.seed == 2025
    assert reading.cap_bytes(report) == CAP_BYTES
    assert reading.cap_bytes(samples.died()) is None
