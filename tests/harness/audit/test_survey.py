"""From folders to the result: honest records pass, and many folders are held against each other."""

import json
import math

import jsonschema
import msgspec
import pytest

from checks.contract import Status
from harness.audit import model, schema, survey
from harness.audit.contest import load
from harness.audit.survey import READ
from tests.harness.audit.written import SCORES, write_record
from tests.judged import ROOT

PUBLISHED = ROOT / "docs" / "schema" / "audit-1.json"


@pytest.fixture(scope="module")
def contest():
    return load()


def audit(contest, *folders, **more):
    return survey.survey([(folder, folder.name) for folder in folders], contest, **more)


def statuses(folder):
    return {finding.id: finding.status for finding in folder.findings}


def test_an_honest_record_fails_nothing(contest, tmp_path):
    found = audit(contest, write_record(tmp_path / "honest"))
    said = statuses(found.folders[0])
    assert Status.FAIL not in said.values()
    assert Status.ERROR not in said.values()
    for name in (
        "claims.score",
        "claims.loss",
        "claims.bytes",
        "claims.seeds",
        "claims.ratio",
        "claims.steps",
    ):
        assert said[name] is Status.PASS, name
    for name in ("evidence.train", "evidence.score", "evidence.bytes", "evidence.seeds"):
        assert said[name] is Status.PASS, name


@pytest.mark.parametrize(
    ("expected", "changed"),
    [
        ("claims.score", {"claims": {"val_bpb": 1.0849}}),
        ("claims.loss", {"claims": {"val_loss": 1.8}}),
        ("claims.bytes", {"claims": {"bytes_total": 15_000_000}}),
        ("claims.code", {"claims": {"bytes_code": 20_000}}),
        ("claims.seeds", {"claims": {"seeds": [1337, 42, 7]}}),
        ("claims.ratio", {"logs": {seed: {"tokens": 9_662_464} for seed in SCORES}}),
        ("evidence.train", {"logs": {42: {"stop_ms": 600_100}}}),
        ("evidence.score", {"logs": {42: {"eval_ms": 610_000}}}),
        ("evidence.bytes", {"logs": {42: {"total": 16_000_001}}}),
    ],
)
def test_each_fault_is_found_by_its_check_alone(contest, tmp_path, expected, changed):
    found = audit(contest, write_record(tmp_path / "record", **changed))
    failed = {name for name, status in statuses(found.folders[0]).items() if status is Status.FAIL}
    assert expected in failed
    # Another score is another improvement: the statistics are of the logs and must not move.
    assert failed <= {expected, "claims.rounding", "claims.deviation"}
    assert found.exit_code == 1


def test_the_result_is_what_the_published_schema_says(contest, tmp_path):
    found = audit(contest, write_record(tmp_path / "one"), write_record(tmp_path / "two"))
    assert PUBLISHED.read_text("utf-8") == schema.text(), (
        "run: python -m harness.audit.schema > docs/schema/audit-1.json"
    )
    published = json.loads(PUBLISHED.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(published)
    jsonschema.Draft202012Validator(published).validate(json.loads(model.encode(found)))


def test_every_number_of_a_run_has_a_place(contest, tmp_path):
    folder = audit(contest, write_record(tmp_path / "record")).folders[0]
    for run in folder.runs:
        lines = (tmp_path / "record" / run.log).read_text().split("\n")
        for name in (
            "val_bpb",
            "val_loss",
            "counted_bytes",
            "train_stop_ms",
            "val_tokens",
            "ranks",
            "seed",
            "eval_ms",
        ):
            file, _, number = run.sources[name].rpartition(":")
            assert file == run.log
            value = getattr(run, name)
            shown = f"{value:.0f}" if float(value).is_integer() else f"{value:.8f}"
            assert shown in lines[int(number) - 1], name


def test_processes_change_nothing(contest, tmp_path):
    folders = [
        write_record(
            tmp_path / f"r{index:02}", {seed: bpb + index * 1e-4 for seed, bpb in SCORES.items()}
        )
        for index in range(20)
    ]
    alone, together = audit(contest, *folders, jobs=1), audit(contest, *folders, jobs=2)
    assert model.encode(alone) == model.encode(together)
    assert [folder.id for folder in alone.folders] == [folder.name for folder in folders]


def test_a_log_of_another_record_is_named(contest, tmp_path):
    one = write_record(tmp_path / "one")
    two = write_record(tmp_path / "two", {7: 1.12, 8: 1.121, 9: 1.122})
    (two / "train_seed9.log").write_bytes((one / "train_seed42.log").read_bytes())
    found = audit(contest, one, two)
    said = [
        next(f.message for f in folder.findings if f.id == "claims.copies")
        for folder in found.folders
    ]
    assert "train_seed42.log is, byte by byte, two: train_seed9.log" in said[0]
    assert "train_seed9.log is, byte by byte, one: train_seed42.log" in said[1]


def test_a_reader_that_fails_is_the_judge_s_fault_and_the_others_stand(
    contest, tmp_path, monkeypatch
):
    real = survey.read_folder

    def fails_on_one(folder, name):
        if name == "bad":
            raise RuntimeError("not thought of")
        return real(folder, name)

    monkeypatch.setattr(survey, "read_folder", fails_on_one)
    found = audit(contest, write_record(tmp_path / "bad"), write_record(tmp_path / "good"), jobs=1)
    bad, good = found.folders
    assert [(f.id, f.status) for f in bad.findings] == [("audit.read", Status.ERROR)]
    assert "not thought of" in bad.findings[0].message
    assert statuses(good)["claims.score"] is Status.PASS


def test_what_cannot_be_written_is_the_fault_of_its_folder_alone(contest, tmp_path, monkeypatch):
    folders = (write_record(tmp_path / "good"), write_record(tmp_path / "other"))
    monkeypatch.setattr(survey, "check_encodable", fails_for("good"))
    found = audit(contest, *folders, jobs=1)
    assert statuses(found.folders[0]) == {READ: Status.ERROR}
    assert READ not in statuses(found.folders[1])


def fails_for(name):
    def check(folder):
        if folder.id == name:
            raise TypeError("cannot be written")

    return check


def test_nothing_that_json_cannot_hold_is_written(contest, tmp_path):
    found = audit(contest, write_record(tmp_path / "record", claims={"name": "half \ud800 a pair"}))
    assert json.loads(model.encode(found))["folders"][0]["json"]["name"].startswith("half ")
    head = msgspec.structs.replace(found.folders[0].headline, mean_val_bpb=math.nan)
    broken = msgspec.structs.replace(
        found, folders=(msgspec.structs.replace(found.folders[0], headline=head),)
    )
    with pytest.raises(ValueError, match="nan"):
        model.encode(broken)


def test_exit_codes(contest, tmp_path):
    assert audit(contest, write_record(tmp_path / "fails", claims={"val_bpb": 1.0})).exit_code == 1
    open_one = write_record(tmp_path / "open", claims={"bytes_code": None})
    assert audit(contest, open_one).exit_code == 3
