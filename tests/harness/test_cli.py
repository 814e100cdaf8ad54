"""The command line: one sentence for bad input, JSON where JSON is asked for, the verdict's exit code."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import ruleset
from harness.commands.baseline import refuse_invalid, render
from harness.errors import (
    EXIT_JUDGE,
    EXIT_PASS,
    EXIT_RULE_BROKEN,
    HarnessError,
    UsageError,
)
from harness.report.model import decode
from harness.selftest import tiny
from tests.judged import BASELINE, ROOT, command, environment, uniform
from tests.processes import all_gone


def test_without_a_baseline_everything_else_passed_and_nothing_is_decided(run_without_baseline):
    run, done = run_without_baseline
    assert done.returncode == EXIT_JUDGE
    report = json.loads(done.stdout)
    assert report["verdict"] == "NOT-RUN"
    assert "stats.margin" in report["verdict_message"]
    assert "the other 11 required checks passed over 2 seeds" in report["verdict_message"]
    margin = next(finding for finding in report["findings"] if finding["id"] == "stats.margin")
    assert "--baseline" in margin["message"]
    assert (run / "report.json").read_text() == done.stdout
    assert (run / "report.html").stat().st_size > 1000


def test_json_is_all_there_is_on_standard_output(run_without_baseline):
    run, done = run_without_baseline
    assert json.loads(done.stdout)["run_id"] == run.name
    assert done.stderr.splitlines()[0] == f"run {run}"
    assert len(done.stderr.splitlines()) == 1 + 2 * 5  # a line a phase and seed


def test_a_report_is_what_the_published_schema_says(run_without_baseline):
    published = json.loads((ROOT / "docs" / "schema" / "report-1.json").read_text("utf-8"))
    report = json.loads((run_without_baseline[0] / "report.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(published).validate(report)
    assert report["schema_version"] == "1.1"


def test_a_report_can_be_judged_again(run_without_baseline, desk):
    run, done = run_without_baseline
    status, out, err = desk("report", run, "--json")
    assert (status, out, err) == (EXIT_JUDGE, done.stdout, "")
    status, out, _ = desk("report", run)
    assert status == EXIT_JUDGE
    assert "stats.margin" in out
    assert run.name in out.replace("\n", "")


def test_a_newer_report_is_not_written_over(run_without_baseline, desk, tmp_path):
    copied = Path(shutil.copytree(run_without_baseline[0], tmp_path / "copy"))
    path = copied / "report.json"
    for said, status in (('"schema_version": "9.9"', 2), ('"schema_version": 1', EXIT_JUDGE)):
        path.write_text(path.read_text().replace('"schema_version": "1.1"', said))
        before = path.read_bytes()
        assert desk("report", copied)[0] == status
        assert (path.read_bytes() == before) == (status == 2)
        path.write_bytes((run_without_baseline[0] / "report.json").read_bytes())


def test_a_run_that_never_finished_can_be_reported(run_without_baseline, desk, tmp_path):
    copied = Path(shutil.copytree(run_without_baseline[0], tmp_path / "copy"))
    for name in ("score.json", "challenge.json", "nats.f64"):
        (copied / "seeds" / "2" / name).unlink()
    status, out, _ = desk("report", copied, "--json")
    assert status == EXIT_JUDGE
    states = {finding["id"]: finding["status"] for finding in json.loads(out)["findings"]}
    said = json.loads(out)["verdict_message"]
    assert said.startswith("not finished (1 of 2 seeds to do, --resume goes on): undecided")
    assert states["time.train"] == "PASS"
    assert states["score.complete"] == states["order.blind"] == "NOT-RUN"


@pytest.fixture(scope="module")
def baselines(tiny_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("baselines")
    bytes_per_token = tiny_data.text.text_bytes / tiny.VAL_TOKENS
    for name, nats in (("worse", (5.0, 5.1, 5.2)), ("better", (4.1, 4.11, 4.12))):
        (folder / f"{name}.toml").write_text(BASELINE.format(*nats, bytes_per_token))
    return folder


@pytest.mark.parametrize(
    ("baseline", "seeds", "status", "verdict"),
    [
        ("worse", "1,2", EXIT_PASS, "PASS"),
        ("better", "1,2", EXIT_RULE_BROKEN, "FAIL"),
        ("worse", "1", EXIT_JUDGE, "NOT-RUN"),
    ],
)
def test_the_exit_code_is_the_verdicts(
    asked, baselines, desk, tmp_path, baseline, seeds, status, verdict
):
    given_ = ["--seeds", seeds, "--baseline", baselines / f"{baseline}.toml", "--quiet"]
    ended, out, err = desk(*asked, *given_, "--json", "--out", tmp_path / "runs")
    report = json.loads(out)
    assert (ended, report["exit_code"], report["verdict"]) == (status, status, verdict)
    assert len(err.splitlines()) == 1  # the run's folder
    margin = next(finding for finding in report["findings"] if finding["id"] == "stats.margin")
    assert margin["status"] == verdict


def test_a_finished_run_is_something_to_beat(run_without_baseline, asked, desk, tmp_path):
    run, _ = run_without_baseline
    status, out, err = desk(
        "baseline", run, "--out", tmp_path / "base.toml", "--name", 'Mine "é" 🎵\x7f'
    )
    assert (status, err) == (EXIT_PASS, "")
    assert out == f"{tmp_path / 'base.toml'}: 2 seeds of {run.name}\n"
    base = ruleset.parse_baseline((tmp_path / "base.toml").read_text(), "base.toml")
    report = decode((run / "report.json").read_bytes())
    assert base.name == 'Mine "é" 🎵\x7f'
    assert base.seeds == (1, 2)
    assert base.nats_per_token == tuple(seed.nats_per_token for seed in report.seeds)
    assert base.tokens == tiny.VAL_TOKENS
    beat = ["--seeds", "1,2", "--baseline", tmp_path / "base.toml", "--out", tmp_path / "runs"]
    status, out, _ = desk(*asked, *beat, "--json", "--quiet")
    margin = next(f for f in json.loads(out)["findings"] if f["id"] == "stats.margin")
    assert (margin["status"], status) == ("NOT-RUN", EXIT_JUDGE)
    assert "no noise to test against" in margin["message"]


def test_one_seed_is_no_baseline(run_without_baseline):
    report = decode((run_without_baseline[0] / "report.json").read_bytes())
    with pytest.raises(UsageError, match="one seed has no deviation"):
        refuse_invalid(msgspec.structs.replace(report, seeds=report.seeds[:1]))


@given(st.text(min_size=1))
@settings(max_examples=100)
def test_a_baseline_keeps_any_name(run_without_baseline, name):
    report = decode((run_without_baseline[0] / "report.json").read_bytes())
    try:
        text = render(report, name)
    except UsageError:
        assert any("\ud800" <= character <= "\udfff" for character in name)
    else:
        assert ruleset.parse_baseline(text, "b").name == name


def test_a_fault_of_the_judge_says_that_it_is_one(desk, monkeypatch):
    monkeypatch.setattr(ruleset, "load", lambda name: 1 / 0)
    status, out, err = desk("run", "x")
    assert (status, out) == (EXIT_JUDGE, "")
    assert "Traceback" in err
    assert err.endswith("harness: this is a fault of the judge, not of the submission\n")


def test_every_error_has_an_exit_code_of_its_own_kind():
    kinds = [HarnessError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert {kind.__name__: kind.exit_code for kind in kinds} == {
        "HarnessError": 3,
        "UsageError": 2,
        "JudgeError": 3,
        "ManifestError": 2,
        "RulesetError": 2,
        "DataError": 2,
        "DataElsewhere": 2,
        "NewerSchema": 2,
    }


def test_a_reader_that_leaves_is_no_fault_of_the_judge(run_without_baseline):
    process = subprocess.Popen(
        command("report", run_without_baseline[0], "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == EXIT_JUDGE


def test_ctrl_c_stops_the_submission_and_leaves_a_run_to_resume(asked, tmp_path):
    mine = uniform(tmp_path / "mine")
    (mine / "uniform.py").write_text("import time; print('here', flush=True); time.sleep(60)")
    words = [mine if word == asked[1] else word for word in asked]
    process = subprocess.Popen(
        command(*words, "--seeds", "1", "--out", tmp_path / "runs"),
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
        text=True,
    )
    place = process.stderr.readline().removeprefix("run ").strip()
    log = Path(place) / "seeds/1/logs/train.stdout"
    while not (log.exists() and log.read_text()):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == EXIT_JUDGE
    assert err.split("\n") == [f"go on with: harness run --resume {place}", "", "stopped", ""]
    assert all_gone(str(tmp_path / "runs"))
