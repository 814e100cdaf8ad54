"""Submissions tried without training: cheats are found, their twins pass, nobody is accused of less."""

import shutil
import tempfile
from pathlib import Path

import pytest

from checks import PREFLIGHT
from checks.contract import Status
from harness import ruleset
from harness.errors import DataError, JudgeError, UsageError
from harness.isolation import Survey
from harness.preflight import rules as trial_ruleset
from harness.preflight import trial
from harness.preflight.rules import NOT_JUDGED
from harness.preflight.trial import check_submission
from harness.report.model import decode as decode_report
from harness.report.result import decode, encode
from harness.run import Run
from harness.selftest import spoken
from tests.faults.minis import mini
from tests.faults.minis import rules as mini_rules
from tests.judged import QUICK, ROOT, bigram, uniform

ATTACKS = ROOT / "tests" / "attacks"


@pytest.fixture(scope="module")
def survey():
    """What works on this machine, found out once for all trials."""
    return Survey()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """One round of few questions, and no package to look for."""
    return ruleset.load(str(mini_rules(tmp_path_factory.mktemp("rules"))))


@pytest.fixture(scope="module")
def with_numpy(tmp_path_factory):
    """One round of enough questions for what peeks everywhere."""
    place = tmp_path_factory.mktemp("rules")
    return ruleset.load(str(mini_rules(place, packages='["numpy>=2"]', blind=64)))


@pytest.fixture(scope="module")
def tried(survey, tiny_data):
    """Try a submission; every option has a default."""

    def try_it(folder, rules=None, **given):
        given = {"name": "it", "data": tiny_data, "survey": survey, **given}
        given.setdefault("passed_env", {"OPENBLAS_NUM_THREADS": "1"})
        return check_submission(folder, rules or ruleset.load(str(QUICK)), **given)

    return try_it


def status(entry, check):
    return str(finding(entry, check).status)


def finding(entry, check):
    (found,) = (each.finding for each in entry.judgements if each.finding.id == check)
    return found


def failed(entry):
    return {each.finding.id for each in entry.judgements if each.finding.status is Status.FAIL}


# --- the honest one, with all that is said of it ---


@pytest.fixture(scope="module")
def honest(tried, tmp_path_factory):
    """(entry, folder it was kept in) of the bigram."""
    folder = tmp_path_factory.mktemp("honest")
    kept = folder / "kept"
    return tried(bigram(folder / "mine"), keep=kept, name="subs/mine one"), kept


def test_an_honest_submission_passes(honest):
    entry, _ = honest
    assert entry.verdict is Status.PASS, entry.judgements
    assert entry.message == "all 15 required checks hold" or entry.message.startswith("all ")
    ids = [each.finding.id for each in entry.judgements]
    assert ids[:4] == list(PREFLIGHT)
    assert not NOT_JUDGED & set(ids)
    assert {"time.setup", "time.load", "time.score", "bytes.artifact", "order.blind"} < set(ids)
    required = {each.finding.id for each in entry.judgements if each.required}
    assert set(ids) - required == {"score.bytes"}  # as in the ruleset: tiny data have no tokenizer
    assert len(entry.digest) == 64


def test_what_was_not_checked_is_said_with_its_command(honest):
    entry, _ = honest
    said = {each.what.split(",")[0].split(":")[0]: each.command for each in entry.not_checked}
    run = "harness run 'subs/mine one' --seeds 1337,42,2025 --ruleset quick.toml --data DATA"
    assert said["time.train"] == said["stats.margin"] == run
    assert said["trained weights"].endswith("--artifact FOLDER")
    assert any("trained weights may compress worse" in each.why for each in entry.not_checked)
    assert any("excerpt of 10,001 tokens" in each.why for each in entry.not_checked)


def test_its_figures(honest):
    entry, _ = honest
    assert entry.facts["score"].endswith("untrained weights: no result")
    assert "of 200,000 bytes, untrained weights" in entry.facts["artifact"]
    assert "the whole check" in entry.facts["time"]
    assert "10,001 tokens, vocabulary 64" in entry.facts["data"]


def test_the_run_is_kept_and_is_no_contest_s(honest, tiny_data):
    _, kept = honest
    (folder,) = (path.parent for path in kept.glob("*/run.json"))
    report = decode_report((folder / "report.json").read_bytes())
    assert report.ruleset.name == "trial of quick"
    assert (folder / "report.html").exists()
    assert Run(folder).data.val.tokens == tiny_data.val.tokens
    assert {path.name for path in kept.iterdir()} == {"data", folder.name}


def test_untrained_is_untrained(honest):
    """The bigram was asked for an untrained artifact, and left one without a count in it."""
    import numpy as np

    _, kept = honest
    (counts,) = kept.glob("*/seeds/1/sealed/counts.npz")
    assert not np.load(counts)["counts_VV"].any()


def test_the_entry_can_be_stored(honest):
    from harness.report.result import Result

    entry, _ = honest
    result = Result(
        harness_version="0",
        command="check",
        created_utc="2026-01-01T00:00:00Z",
        verdict=entry.verdict,
        message=entry.message,
        exit_code=0,
        entries=(entry,),
    )
    assert decode(encode(result), "x").entries == (entry,)


def test_what_training_left_can_be_given(tried, quick, with_numpy, honest, tmp_path):
    _, kept = honest
    (sealed,) = kept.glob("*/seeds/1/sealed")
    mine = bigram(tmp_path / "mine")
    entry = tried(mine, with_numpy, artifact=sealed)
    assert entry.verdict is Status.PASS, entry.judgements
    assert "setup" in entry.facts["time"]
    assert "train" not in entry.facts["time"]
    assert finding(entry, "submission.session").message.endswith("with given weights")
    assert not any("--artifact" in each.command for each in entry.not_checked)
    with pytest.raises(UsageError, match=r"has no counts.npz, which artifact.output names"):
        tried(mine, quick, artifact=tmp_path)


# --- cheats, and their twins ---


@pytest.mark.parametrize(
    ("attack", "caught_by"),
    [
        ("looks_at_next_token", "order.future"),
        ("hashed_cache", "norm.sum"),
        ("crashes_in_setup", "time.setup"),
    ],
)
def test_an_attack_is_found_and_its_twin_passes(tried, with_numpy, attack, caught_by):
    entry = tried(ATTACKS / attack / "cheat", with_numpy)
    assert entry.verdict is Status.FAIL
    assert caught_by in failed(entry)
    assert tried(ATTACKS / attack / "honest", with_numpy).verdict is Status.PASS


def test_code_over_the_cap_is_found_without_weights(tried, quick, tmp_path):
    mine = uniform(tmp_path / "mine", code='code = ["uniform.py", "table.txt"]')
    (mine / "table.txt").write_text("x" * 210_000)
    entry = tried(mine, quick)
    assert failed(entry) == {"submission.files", "bytes.artifact"}
    (place,) = (j.place for j in entry.judgements if j.finding.id == "submission.files")
    assert (place.file, place.line) == ("submission.toml", 9)
    (mine / "table.txt").write_text("x" * 100_000)
    assert tried(mine, quick).verdict is Status.PASS


def test_an_import_that_nobody_provides(tried, quick, tmp_path):
    mine = uniform(tmp_path / "mine")
    path = mine / "uniform.py"
    path.write_text(f"import gone\n{path.read_text()}")
    entry = tried(mine, quick)
    assert failed(entry) == {"submission.imports"}
    (place,) = (j.place for j in entry.judgements if j.finding.id == "submission.imports")
    assert (place.file, place.line) == ("uniform.py", 1)
    assert finding(entry, "submission.session").message == (
        "stopped before anything was started: submission.imports is FAIL"
    )
    assert entry.not_checked[0].what == "what a whole judged session shows"


def test_a_module_that_was_left_out(tried, quick, tmp_path):
    mine = uniform(tmp_path / "mine")
    path = mine / "uniform.py"
    path.write_text(f"import helper\n{path.read_text()}")
    (mine / "helper.py").write_text("")
    manifest = mine / "submission.toml"
    manifest.write_text(manifest.read_text().replace('"-I", ', ""))
    entry = tried(mine, quick)
    assert failed(entry) == {"submission.imports"}
    assert (
        "is in the folder but not in artifact.code" in finding(entry, "submission.imports").message
    )
    manifest.write_text(
        manifest.read_text().replace('["uniform.py"]', '["uniform.py", "helper.py"]')
    )
    assert tried(mine, quick).verdict is Status.PASS


def test_a_link_in_the_code(tried, quick, tmp_path):
    mine = uniform(tmp_path / "mine", code='code = ["uniform.py", "table.txt"]')
    (tmp_path / "table.txt").write_text("x")
    (mine / "table.txt").symlink_to(tmp_path / "table.txt")
    (mine / "notes.txt").symlink_to(tmp_path / "table.txt")
    entry = tried(mine, quick)
    assert failed(entry) == {"submission.files"}
    assert (
        finding(entry, "submission.files").message == "artifact.code: table.txt is a symbolic link"
    )
    assert [(note.id, note.place.file) for note in entry.notes] == [
        ("submission.files", "notes.txt")
    ]


def test_notes_are_counted_where_there_are_many(tried, quick, tmp_path):
    mine = uniform(tmp_path / "mine")
    for number in range(25):
        (mine / f"link{number}").symlink_to("uniform.py")
    entry = tried(mine, quick)
    assert entry.verdict is Status.PASS
    assert len(entry.notes) == 21
    assert entry.notes[-1].message == "5 more notes are left out"


def test_a_manifest_that_cannot_be_used_is_a_finding_with_a_line(tried, quick, tmp_path):
    mine = uniform(tmp_path / "mine", block_tokens="blok_tokens = 500")
    entry = tried(mine, quick)
    (judgement,) = (j for j in entry.judgements if j.finding.id == "submission.manifest")
    assert judgement.finding.status is Status.FAIL
    assert "unknown field `blok_tokens`" in judgement.finding.message
    assert str(mine) not in judgement.finding.message
    assert (judgement.place.file, judgement.place.line) == ("submission.toml", 14)
    assert [j.finding.id for j in entry.judgements] == ["submission.manifest", "submission.session"]
    empty = tried(tmp_path / "nothing", quick)
    assert failed(empty) == {"submission.manifest"}


def test_a_ruleset_that_does_not_take_it_is_a_finding(tried, quick, tmp_path):
    mine = uniform(tmp_path / "mine", block_tokens="block_tokens = 16_000_000")
    entry = tried(mine, quick)
    assert failed(entry) == {"submission.manifest"}
    assert "allows 1048576; lower it" in finding(entry, "submission.manifest").message


def test_a_program_that_is_not_on_this_machine_is_no_fault(tried, quick, tmp_path):
    mine = uniform(tmp_path / "mine", command='command = ["torch-runner", "x"]')
    entry = tried(mine, quick)
    assert entry.verdict is Status.NOT_RUN
    assert status(entry, "submission.manifest") == "NOT-RUN"


# --- what is not held against it ---


@pytest.mark.parametrize(
    ("train", "why"),
    [
        ("import sys; sys.exit('no data')", "it ended with status 1; its last line: no data"),
        ("import os; os._exit(0)", "output none.bin: is not there"),
        ("import time; time.sleep(60)", "every process was killed at the deadline"),
    ],
)
def test_a_trainer_that_leaves_nothing_is_not_accused(
    tried, quick, tmp_path, monkeypatch, train, why
):
    monkeypatch.setattr(trial_ruleset, "TRAIN_S", 0.3)
    monkeypatch.setattr(trial_ruleset, "TRAIN_GRACE_S", 0.3)
    entry = tried(mini(tmp_path / "mine", train=train), quick)
    assert entry.verdict is Status.NOT_RUN
    assert not failed(entry)
    said = finding(entry, "submission.session").message
    assert "no untrained artifact" in said
    assert why in said
    assert "`fresh`" in said
    assert "--artifact" in said


def foreign(quick):
    """The quick ruleset of a contest with a tokenizer of its own."""
    text = quick.text.replace('tokenizer_sha256 = ""', f'tokenizer_sha256 = "{"0" * 64}"')
    assert text != quick.text
    import hashlib

    return ruleset.Loaded(
        ruleset=ruleset.parse(text, "x"),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        baseline_text=None,
    )


def test_a_scorer_for_another_tokenizer_is_told_to_give_data(
    tried, quick, tmp_path, monkeypatch, tiny_data
):
    monkeypatch.setattr(trial, "embedded", lambda folder: tiny_data)
    mine = mini(tmp_path / "mine", load="    assert vocab == 1024, vocab")
    entry = tried(mine, foreign(quick), data=None)
    assert entry.verdict is Status.NOT_RUN
    said = finding(entry, "time.load").message
    assert "has a vocabulary of 64; a submission made for another tokenizer needs --data" in said
    # On the contest's own data it is a crash like any other.
    assert failed(tried(mine, foreign(quick))) == {"time.load"}


def test_code_that_speaks_of_cuda_and_crashes_here(tried, quick, tmp_path, monkeypatch):
    mine = mini(tmp_path / "mine", start="device = 'cuda'\nsys.exit(1)")
    no_gpu = trial.machine.describe()
    assert no_gpu.gpus == () or pytest.skip("this machine has a GPU")
    entry = tried(mine, quick)
    assert entry.verdict is Status.NOT_RUN
    assert "speaks of CUDA, and this machine has no GPU" in finding(entry, "time.setup").message


def test_a_submission_that_says_it_needs_a_gpu_is_read_and_not_tried(tried, quick, tmp_path):
    assert trial.machine.describe().gpus == () or pytest.skip("this machine has a GPU")
    mine = uniform(tmp_path / "mine")
    manifest = mine / "submission.toml"
    manifest.write_text(f"{manifest.read_text()}\n[check]\ngpu = true\n")
    entry = tried(mine, quick)
    assert entry.verdict is Status.PASS
    (session,) = (j for j in entry.judgements if j.finding.id == "submission.session")
    assert session.finding.status is Status.NOT_RUN
    assert not session.required
    assert "check.gpu" in entry.not_checked[0].why


def test_a_command_that_is_not_python_is_tried_all_the_same(tried, quick, tmp_path):
    mine = uniform(
        tmp_path / "mine",
        command='command = ["sh", "run.sh"]',
        code='code = ["uniform.py", "run.sh"]',
    )
    (mine / "run.sh").write_text("exec python uniform.py score\n")
    # Both commands run the scorer; training is not asked for where its outputs are given.
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "none.bin").write_bytes(b"")
    entry = tried(mine, quick, artifact=tmp_path / "out")
    assert entry.verdict is Status.PASS, entry.judgements
    (imports,) = (j for j in entry.judgements if j.finding.id == "submission.imports")
    assert (imports.finding.status, imports.required) == (Status.NOT_RUN, False)


# --- the judge's own faults, and nothing left behind ---


def test_a_fault_of_the_judge_is_an_error_and_no_exception(tried, quick, tmp_path, monkeypatch):
    def breaks(*arguments, **named):
        raise JudgeError("the disk is full")

    monkeypatch.setattr("harness.preflight.session.conduct", breaks)
    entry = tried(uniform(tmp_path / "mine"), quick)
    assert entry.verdict is Status.ERROR
    assert finding(entry, "submission.session").message == "the judge failed: the disk is full"


def test_data_that_cannot_be_used_are_the_caller_s_business(tried, quick, tmp_path, tiny_data):
    from dataclasses import replace

    odd = replace(tiny_data, val_text=tmp_path / "none.xz")
    with pytest.raises(DataError, match="make it a readable file"):
        tried(uniform(tmp_path / "mine"), quick, data=odd)


def test_nothing_is_left(tried, quick, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "scratch").mkdir()
    tried(uniform(tmp_path / "mine"), quick)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "submission.toml",
        "uniform.py",
    ]


def test_a_folder_to_keep_it_in_is_new(tried, quick, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").touch()
    with pytest.raises(UsageError, match="is not empty"):
        tried(uniform(tmp_path / "mine"), quick, keep=tmp_path / "kept")
    shutil.rmtree(tmp_path / "kept")


def test_data_with_a_tokenizer(tried, quick, tmp_path):
    pytest.importorskip("sentencepiece")
    data = spoken.make(tmp_path / "spoken")
    entry = tried(uniform(tmp_path / "mine"), quick, data=data)
    assert status(entry, "score.bytes") == "PASS"
    assert Path(tmp_path / "spoken").exists()


def test_required_guarantees_are_errors_where_they_are_not_held(tried, quick, tmp_path):
    text = quick.text.replace("guarantees = []", 'guarantees = ["network"]')
    strict = ruleset.Loaded(
        ruleset=ruleset.parse(text, "x"), text=text, sha256="0" * 64, baseline_text=None
    )
    mine = uniform(tmp_path / "mine")
    entry = tried(mine, strict, most="bare", guarantees_required=True)
    assert entry.verdict is Status.ERROR
    assert status(entry, "sandbox.network") == "ERROR"
    entry = tried(mine, strict, most="bare", guarantees_required=False)
    assert entry.verdict is Status.PASS
    assert any(each.what.startswith("sandbox.network") for each in entry.not_checked)
