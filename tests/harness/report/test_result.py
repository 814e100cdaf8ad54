from __future__ import annotations

import json
import math

import pytest
from msgspec.structs import replace

from checks.contract import Finding, Status
from harness.errors import UsageError
from harness.report import ranking
from harness.report.from_run import result_of_run
from harness.report.result import Entry, Judgement, Place, conclude, decode, encode, over
from tests.harness.report import sample_results, samples


def test_halves_of_surrogate_pairs_are_written_as_escapes() -> None:
    made = replace(
        sample_results.gate(), message="half \ud800 a pair", created_utc="whole \U0001f600"
    )
    read = decode(encode(made), "it")
    assert (read.message, read.created_utc) == ("half \\ud800 a pair", "whole \U0001f600")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_hold_is_refused(value: float) -> None:
    found = Finding(id="a.b", status=Status.PASS, message="", evidence={"deep": [{"value": value}]})
    entry = sample_results.entry("run", "r", Judgement(finding=found, required=True))
    with pytest.raises(ValueError, match=r"nan|inf"):
        encode(sample_results.result("run", entry))


def test_a_newer_result_is_refused_by_name() -> None:
    newer = encode(replace(sample_results.gate(), schema_version="1.7"))
    with pytest.raises(UsageError, match=r"result\.json: schema 1\.7 is newer than 1\.0"):
        decode(newer, "result.json")


def test_keys_are_sorted_and_equal_results_are_equal_bytes() -> None:
    data = encode(sample_results.gate())
    assert data == encode(sample_results.gate())
    plain = json.loads(data)
    assert list(plain) == sorted(plain)


def test_the_verdict_hangs_on_what_is_required() -> None:
    broken = Judgement(finding=Finding(id="x.y", status=Status.FAIL, message=""), required=False)
    held = Judgement(finding=Finding(id="a.b", status=Status.PASS, message=""), required=True)
    assert conclude([broken, held]) == (Status.PASS, "the one required check holds")
    assert conclude([broken])[0] is Status.NOT_RUN
    assert conclude([replace(broken, required=True), held]) == (Status.FAIL, "broken: x.y")
    assert over([]) == (Status.NOT_RUN, "nothing was judged")


def test_the_worst_comes_first_and_the_rest_stays_in_order() -> None:
    gate = sample_results.gate()
    assert [str(e.verdict) for e in ranking.entries(gate)] == ["FAIL", "NOT-RUN", "PASS"]
    ids = [each.finding.id for each in ranking.judgements(gate.entries[1])]
    assert ids == ["norm.sum", "order.blind", "repro.score", "bytes.artifact", "time.setup"]


def test_a_verdict_that_no_finding_explains_is_found() -> None:
    assert ranking.unexplained(sample_results.empty().entries[0])
    assert not any(ranking.unexplained(entry) for entry in sample_results.gate().entries)


def test_of_a_long_place_the_end_is_kept() -> None:
    assert ranking.where(Place(file="a/" * 300 + "b.py", line=7)).endswith("/a/b.py:7")
    assert ranking.where(Place(file="a.py", line=1_234)) == "a.py:1234"
    assert ranking.where(None) == ""


# A run.


@pytest.mark.parametrize("make", samples.ALL)
def test_a_run_keeps_its_verdict_and_exit_code(make) -> None:
    report = make()
    made = result_of_run(report)
    (entry,) = made.entries
    assert (made.verdict, made.exit_code) == (report.verdict, report.exit_code)
    assert (entry.kind, entry.name, entry.digest) == (
        "run",
        report.submission.name,
        report.submission.digest,
    )
    assert made.message == (report.verdict_message or "the judge could not tell")
    assert tuple(each.finding for each in entry.judgements) == report.findings
    assert made.created_utc == report.created_utc
    assert made.ruleset == report.ruleset


def test_what_the_verdict_of_a_run_hangs_on_is_required() -> None:
    report = samples.passing()
    loose = Finding(id="sandbox.network", status=Status.ERROR, message="not held")
    advice = Finding(id="source.scan", status=Status.FAIL, message="look")
    changed = replace(report, findings=(*report.findings[1:], loose, advice))
    judgements = result_of_run(changed).entries[0].judgements
    required = {each.finding.id: each.required for each in judgements}
    assert required["sandbox.network"]
    assert not required["source.scan"]
    # A check that the ruleset requires and that left no finding decides as one that was not run.
    missing = judgements[-1]
    assert (missing.finding.id, missing.finding.status) == (report.findings[0].id, Status.NOT_RUN)
    assert missing.required


def test_the_facts_of_a_run() -> None:
    facts = result_of_run(samples.passing()).entries[0].facts
    assert facts["mean"] == "1.869187 nats/token"
    assert facts["mean in bits"] == "0.723601 bits/byte"
    assert facts["artifact"] == "15,918,646 / 16,000,000 bytes"
    assert facts["p-value"].endswith(" (welch)")
    assert facts["guarantees"].startswith(
        "enforced: tree-dies, fresh-home; not enforced: no-network"
    )


def test_an_entry_needs_no_findings() -> None:
    assert Entry(kind="run", name="", verdict=Status.ERROR, message="").judgements == ()
