"""From folders to the result: honest records pass, and many folders are held against each other."""

import json
import math

import jsonschema
import msgspec
import pytest

from checks.contract import Status
from harness.audit import model, schema, scripts, survey
from harness.audit.contest import load
from harness.audit.survey import READ
from tests.harness.audit.written import SCORES, log_text, write_record
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


def test_equal_logs_without_a_score_are_no_copies(contest, tmp_path):
    folders = [
        write_record(tmp_path / name, {seed: bpb + shift for seed, bpb in SCORES.items()})
        for name, shift in (("one", 0.0), ("two", 0.01))
    ]
    for folder in folders:
        (folder / "monitor.log").write_text("all is well\n")
    for folder in audit(contest, *folders).folders:
        assert not any("byte by byte" in finding.message for finding in folder.findings)


def test_what_a_script_hides_is_said(contest, tmp_path):
    folder = write_record(tmp_path / "record")
    (folder / "train_gpt.py").write_text("import x\nexec(x.code())\n")
    (folder / "notes.py").write_text("import subprocess\nsubprocess.run(['gcc'])\n")
    found = audit(contest, folder).folders[0]
    assert any("train_gpt.py" in p.message and "exec" in p.message for p in found.problems)
    assert [(n.id, n.file, n.line, n.severity) for n in found.source_notes] == [
        ("source.process", "notes.py", 2, "note")
    ]
    assert not any(finding.id.startswith("source.") for finding in found.findings)


def test_a_script_that_cannot_be_read_is_said(contest, tmp_path, monkeypatch):
    monkeypatch.setattr(scripts, "read_start", lambda path, limit: None)
    found = audit(contest, write_record(tmp_path / "record"), jobs=1).folders[0]
    assert [(p.file, p.message) for p in found.problems] == [("train_gpt.py", "cannot be read")]


def test_the_largest_figures_are_of_the_runs_and_not_of_other_logs(contest, tmp_path):
    folder = write_record(tmp_path / "record", claims={"seeds": list(SCORES)})
    aside = log_text(7, 1.3, stop_ms=700_000, total=17_000_000, eval_ms=900_000, ranks=2, tokens=5)
    (folder / "ablation_of_another_kind.log").write_text(aside)
    found = audit(contest, folder).folders[0]
    assert found.other_logs == ("ablation_of_another_kind.log",)
    assert (found.max_counted_bytes, found.max_train_stop_ms) == (15_853_466, 591_064)
    assert (found.max_eval_s, found.ranks) == (79.155, (8,))
    for logs in (found.logs_over_cap, found.logs_over_600s_train, found.logs_over_600s_eval):
        assert logs == found.other_logs


def test_the_track_has_the_contest_s_name_and_the_other_one_no_limits(contest, tmp_path):
    slow = {42: {"stop_ms": 700_000, "eval_ms": 900_000}}
    tracks = {None: "track_10min_16mb", "10min_16mb": "track_10min_16mb"}
    tracks["non-record-16mb"] = "track_non_record_16mb"
    for index, (claimed, track) in enumerate(tracks.items()):
        folder = write_record(tmp_path / str(index), claims={"track": claimed}, logs=slow)
        found = audit(contest, folder).folders[0]
        assert found.track == track
        assert ("track" in found.ambiguous) is (claimed is None)
        timed = track == "track_10min_16mb"
        assert found.logs_over_600s_train == (("train_seed42.log",) if timed else ())
        assert found.logs_over_600s_eval == (("train_seed42.log",) if timed else ())


def test_every_value_of_a_log_has_its_line(contest, tmp_path):
    found = audit(contest, write_record(tmp_path / "record")).folders[0]
    for log in found.logs:
        lines = (tmp_path / "record" / log.log).read_text().split("\n")
        for name in ("seed_logged", "counted_bytes", "train_stop_ms", "val_tokens", "ranks"):
            number = int(log.sources[name].rpartition(":")[2])
            assert f"{getattr(log, name):.0f}" in lines[number - 1]
    assert found.json.sources["name"] == "submission.json:4"


def test_no_claim_of_a_mended_file_is_used(contest, tmp_path):
    folder = write_record(tmp_path / "record")
    text = (folder / "submission.json").read_text()
    (folder / "submission.json").write_text(f"# mine\n{text}")
    found = audit(contest, folder).folders[0]
    assert (found.json.claimed_val_bpb, found.json.strict_json) == (None, False)
    assert statuses(found)["claims.json"] is Status.FAIL
