"""An audited record as an entry of the one result: verdict, places, notes, and what was not looked at."""

from __future__ import annotations

import msgspec
import pytest

from checks.contract import Status
from harness.audit.as_result import UNREAD, entry_of_record, result_of_audit
from harness.audit.contest import load
from harness.audit.judging import exit_code
from harness.audit.model import Problem, SourceNote
from harness.audit.survey import survey
from harness.report.formats import FORMATS, render
from harness.report.result import Place
from tests.harness.audit.written import write_record

WHEN = "2026-11-26T10:00:00Z"


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    base = tmp_path_factory.mktemp("records")
    write_record(base / "honest")
    write_record(base / "cheat", claims={"val_bpb": 1.0}, logs={42: {"stop_ms": 600_100}})
    folders = [(base / name, name) for name in ("honest", "cheat")]
    return survey(folders, load(), jobs=1)


@pytest.fixture
def cheat(audit):
    return audit.folders[1]


def placed(entry):
    return {each.finding.id: each.place for each in entry.judgements}


def test_a_record_is_what_its_findings_are(audit):
    for folder in audit.folders:
        entry = entry_of_record(folder, f"records/{folder.id}")
        assert tuple(each.finding for each in entry.judgements) == folder.findings
        assert all(each.required for each in entry.judgements)
        assert (entry.kind, entry.name) == ("record", f"records/{folder.id}")
        assert entry.verdict is (Status.FAIL if exit_code(folder.findings) == 1 else Status.NOT_RUN)


def test_findings_stand_where_the_claim_or_the_log_does(cheat):
    places = placed(entry_of_record(cheat, "records/cheat"))
    assert places["claims.score"] == Place(
        file="records/cheat/submission.json",
        line=int(cheat.json.sources["claimed_val_bpb"].rpartition(":")[2]),
    )
    trained = next(run for run in cheat.runs if run.seed == 42).sources["train_stop_ms"]
    assert trained.startswith("train_seed42.log:")
    assert places["evidence.train"] == Place(
        file="records/cheat/train_seed42.log", line=int(trained.rpartition(":")[2])
    )
    assert places["claims.deviation"] is None


def test_without_a_prefix_places_are_within_the_folder(cheat):
    for prefix in ("", "."):
        entry = entry_of_record(cheat, prefix)
        assert entry.name == "cheat"
        assert placed(entry)["claims.score"].file == "submission.json"


@pytest.mark.parametrize(
    ("source", "file", "line"),
    [
        ("a b:c.json:5", "r/a b:c.json", 5),
        ("long.log, line 1,204 from the end", "r/long.log", None),
        ("submission.json", "r/submission.json", None),
    ],
)
def test_any_place_that_an_audit_writes_is_read(cheat, source, file, line):
    claims = msgspec.structs.replace(
        cheat.json, sources={**cheat.json.sources, "claimed_val_bpb": source}
    )
    changed = msgspec.structs.replace(cheat, json=claims)
    assert placed(entry_of_record(changed, "r"))["claims.score"] == Place(file=file, line=line)


def test_of_two_names_the_longer_is_meant(cheat):
    finding = cheat.findings[1]
    said = type(finding)(id=finding.id, status=finding.status, message="a.log:12: said")
    changed = msgspec.structs.replace(
        cheat, findings=(said,), sources={"one": "a.log", "two": "a.log:12"}
    )
    assert placed(entry_of_record(changed, ""))[finding.id] == Place(file="a.log", line=12)


def test_notes_and_what_could_not_be_read(cheat):
    notes = (
        SourceNote(
            id="source.target", file="t.py", layer="", line=7, text="x", message="m", behind="FLAG"
        ),
        SourceNote(
            id="source.order",
            file="t.py",
            layer="t.py:3:9",
            line=40,
            text="x",
            message="m",
            behind="",
        ),
    )
    changed = msgspec.structs.replace(
        cheat,
        source_notes=notes,
        problems=(Problem(file="x.gz", message="is packed"), Problem(file=".", message="many")),
    )
    found = [(n.id, n.message, n.place) for n in entry_of_record(changed, "r").notes]
    assert found == [
        ("source.target", "m [dead unless FLAG]", Place(file="r/t.py", line=7)),
        ("source.order", "m [line 40 of t.py:3:9]", Place(file="r/t.py", line=3)),
        (UNREAD, "is packed", Place(file="r/x.gz")),
        (UNREAD, "many", Place(file="r")),
    ]


def test_what_an_audit_cannot_do_is_said(cheat):
    (left,) = entry_of_record(cheat, "r").not_checked
    assert (left.what, left.command) == ("the scores themselves", "harness run SUBMISSION")


def test_an_audit_keeps_its_exit_code(audit):
    made = result_of_audit(audit, created_utc=WHEN, prefixes={"honest": "records/honest"})
    assert (made.command, made.exit_code, made.verdict) == ("audit", 1, Status.FAIL)
    assert [entry.name for entry in made.entries] == ["records/honest", "cheat"]
    alone = msgspec.structs.replace(audit, folders=audit.folders[:1], exit_code=3)
    assert result_of_audit(alone, created_utc=WHEN).exit_code == 3
    for style in FORMATS:
        assert "claims.score" in render(made, style).replace("\\", "")
