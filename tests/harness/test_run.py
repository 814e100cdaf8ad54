"""Whole runs in this process: what lies on disk, and what a run refuses to be opened with."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from checks.contract import Outcome, Status
from harness import ruleset, verdict
from harness.conduct import conduct
from harness.errors import DataError, HarnessError, JudgeError, ManifestError, UsageError
from harness.journal import events
from harness.launch import Quiet
from harness.run import Run, counted_tokenizer_bytes
from harness.selftest import tiny
from tests.judged import QUICK, bigram


@pytest.fixture(scope="module")
def finished(tiny_data, tmp_path_factory):
    """One finished run of two seeds; tests copy it before they touch it."""
    folder = tmp_path_factory.mktemp("finished")
    run = create(folder, tiny_data, seeds=(1, 7))
    conduct(run, Quiet(), {})
    return run


@pytest.fixture
def copied(finished, tmp_path):
    return Path(shutil.copytree(finished.folder, tmp_path / "copied"))


def create(folder, data, *, seeds=(1,), baseline_text=None, submission=None, **changes):
    rules = ruleset.load(str(QUICK))
    text = rules.text
    for old, new in changes.items():
        text = "\n".join(
            f"{old} = {new}" if line.startswith(f"{old} =") else line for line in text.splitlines()
        )
    rules = ruleset.Loaded(
        ruleset=ruleset.parse(text, "quick"),
        text=text,
        sha256=ruleset.hashlib.sha256(text.encode()).hexdigest(),
        baseline_text=None,
    )
    return Run.create(
        root=folder / "runs",
        submission=submission or bigram(folder / "mine"),
        rules=rules,
        data=data,
        seeds=seeds,
        baseline_text=baseline_text,
    )


def test_a_run_leaves_these_files_and_nothing_else(finished):
    found = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*")}
    steps = ["train.json", "artifact.json", "score.json", "nats.f64", "challenge.json"]
    logs = [
        f"logs/{step}.{stream}"
        for step in ("train", "score", "challenge")
        for stream in ("stdout", "stderr")
    ]
    expected = {"run.json", "ruleset.toml", "text.json", "journal.jsonl", "seeds", "submission"}
    expected |= {"isolation.json", "packages.json"}
    expected |= {"submission/bigram.py", "submission/submission.toml"}
    for seed in ("1", "7"):
        here = ["", *(f"/{name}" for name in [*steps, *logs, "logs", "sealed"])]
        here += ["/sealed/bigram.py", "/sealed/counts.npz"]
        expected |= {f"seeds/{seed}{name}" for name in here}
    assert found == expected


def test_the_journal_tells_the_story(finished):
    steps = ["train", "seal", "score", "challenge"]
    told = [(event["event"], event.get("seed")) for event in events(finished.folder)]
    assert told == [
        ("started", None),
        *(
            (f"{step} {what}", seed)
            for seed in (1, 7)
            for step in steps
            for what in ("started", "finished")
        ),
        ("measured", None),
    ]


def test_the_nats_on_disk_are_what_was_credited(finished):
    for seed in (1, 7):
        evidence = finished.evidence(seed)
        nats_N = np.fromfile(evidence.nats, dtype="<f8")
        assert len(nats_N) == tiny.VAL_TOKENS
        assert evidence.scored.credited.sum_nats == pytest.approx(float(nats_N.sum()), rel=1e-12)
        assert evidence.trained.train.outcome is Outcome.DONE


def test_seeds_have_secrets_of_their_own(finished):
    secrets = {finished.evidence(seed).examined.secret for seed in (1, 7)}
    assert len(secrets) == 2


def test_an_honest_run_passes_what_tiny_data_can_tell(finished):
    report = verdict.report(finished)
    assert (report.verdict, report.exit_code, report.attempts) == (Status.PASS, 0, 1)
    assert [seed.seed for seed in report.seeds] == [1, 7]


def test_opening_a_run_again_measures_nothing_again(copied):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    conduct(Run(copied), Quiet(), {})
    after = {path: path.stat().st_mtime_ns for path in copied.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} == {copied / "journal.jsonl"}
    assert verdict.report(Run(copied)).attempts == 2


# --- what a run refuses to be opened with ---


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def change_record(folder: Path, **facts: object) -> None:
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, **facts}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda run: append(run / "ruleset.toml", "\n"), "ruleset.toml: changed since the run began"),
        (lambda run: (run / "ruleset.toml").unlink(), "ruleset.toml: No such file or directory; the run"),
        (lambda run: (run / "ruleset.toml").write_bytes(b"\xff"), "ruleset.toml: not UTF-8 text"),
        (lambda run: append(run / "submission/bigram.py", "#"), "submission: changed since the run"),
        (lambda run: append(run / "submission/more.py", "#"), "submission: changed since the run"),
        (lambda run: append(run / "submission/submission.toml", "#"), "submission: changed since"),
        (lambda run: (run / "submission/bigram.py").unlink(), "submission: changed since the run"),
        (lambda run: shutil.rmtree(run / "submission"), "the run folder is not whole"),
        (lambda run: (run / "run.json").unlink(), "no run.json in it; name the folder of a run"),
        (lambda run: (run / "run.json").write_text("{"), "its run.json cannot be read"),
        (lambda run: change_record(run, more=1), "its run.json cannot be read"),
        (lambda run: change_record(run, data_digests={}), "the data changed since the run began"),
        (lambda run: change_record(run, data_folder="/nowhere"), "harness data build"),
        (lambda run: change_record(run, baseline_sha256="ab"), "baseline.toml: No such file"),
    ],
)  # fmt: skip
def test_a_run_that_was_changed_is_refused(copied, change, says):
    change(copied)
    with pytest.raises(UsageError) as caught:
        Run(copied)
    assert says in str(caught.value)


@pytest.mark.parametrize("place", ["absent", "file"])
def test_what_is_no_run_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UsageError,
        match=r"(no run\.json in it|its run\.json cannot be read); name the folder of a run",
    ):
        Run(tmp_path / place)


def test_a_baseline_is_kept_with_the_run_and_may_not_change(tiny_data, tmp_path):
    text = ruleset.load(str(QUICK)).baseline_text
    run = create(tmp_path, tiny_data, baseline_text=text)
    assert run.baseline is not None
    assert run.baseline.name == "quick"
    append(run.folder / "baseline.toml", "\n")
    with pytest.raises(
        UsageError, match=r"baseline\.toml: changed since the run began; start a new run"
    ):
        Run(run.folder)


def test_data_that_changed_is_refused(tmp_path):
    data = tiny.make(tmp_path / "data")
    run = create(tmp_path, data)
    shutil.rmtree(data.folder)
    other = tiny.tokens(tiny.VAL_TOKENS, seed=99)
    tiny.write_dataset(
        data.folder,
        train_T=other,
        val_T=other,
        vocab_size=tiny.VOCAB_SIZE,
        val_documents=[tiny.text(other)],
        token_classes_V=tiny.CLASSES_V,
        bos_id=0,
        name="tiny",
    )
    with pytest.raises(DataError, match="the data changed since the run began; start a new run"):
        Run(run.folder)


# --- what a run refuses to begin with ---


@pytest.mark.parametrize(
    ("manifest", "rules", "says"),
    [
        ({"predict": "predict = false"}, {"predict": '"required"'}, "score.predict is false"),
        (
            {},
            {"max_block_tokens": "1023"},
            "score.block_tokens is 1024, but .* allows 1023; lower it",
        ),
    ],
)
def test_a_submission_that_does_not_fit_the_ruleset(tiny_data, tmp_path, manifest, rules, says):
    submission = bigram(tmp_path / "mine", **manifest)
    with pytest.raises(UsageError, match=says):
        create(tmp_path, tiny_data, submission=submission, **rules)
    assert not (tmp_path / "runs").exists()


def test_a_program_that_is_not_there_is_told_before_anything_starts(tiny_data, tmp_path):
    submission = bigram(tmp_path / "mine")
    path = submission / "submission.toml"
    path.write_text(path.read_text().replace('["python", "bigram.py", "score"]', '["pyhton"]'))
    with pytest.raises(
        ManifestError, match=r"submission\.toml: score\.command 'pyhton': no such program"
    ):
        create(tmp_path, tiny_data, submission=submission)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_a_manifest_that_is_a_link_is_refused_and_nothing_is_left_behind(tiny_data, tmp_path, kind):
    submission = bigram(tmp_path / "mine")
    path = submission / "submission.toml"
    if kind == "link":
        path.rename(tmp_path / "elsewhere.toml")
        path.symlink_to(tmp_path / "elsewhere.toml")
    else:
        (tmp_path / "elsewhere.toml").hardlink_to(path)
    with pytest.raises(
        ManifestError, match=r"submission\.toml: (is a symbolic|has several).*of its own"
    ):
        create(tmp_path, tiny_data, submission=submission)
    assert list((tmp_path / "runs").iterdir()) == []


def test_two_runs_of_one_second_have_folders_of_their_own(tiny_data, tmp_path):
    submission = bigram(tmp_path / "mine", name='name = "Ünïcode / ../ name"')
    folders = {create(tmp_path, tiny_data, submission=submission).folder for _ in range(3)}
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {tmp_path / "runs"}
    assert all(folder.name.isascii() for folder in folders)


# --- seeds that do not get far ---


def failing(tmp_path, **lines):
    return bigram(tmp_path / "mine", **lines)


def test_a_seed_whose_train_phase_fails_goes_no_further(tiny_data, tmp_path):
    submission = failing(tmp_path)
    (submission / "bigram.py").write_text("raise SystemExit('no training today')")
    run = create(tmp_path, tiny_data, submission=submission, seeds=(1, 2))
    conduct(run, Quiet(), {})
    told = [event["event"] for event in events(run.folder)]
    assert told == [
        "started",
        "train started",
        "train finished",
        "train started",
        "train finished",
        "measured",
    ]
    report = verdict.report(run)
    assert (report.verdict, report.exit_code) == (Status.FAIL, 1)
    by_id = {finding.id: finding for finding in report.findings}
    assert by_id["time.setup"].status is Status.FAIL
    assert "no training today" in by_id["time.setup"].message
    assert by_id["order.blind"].status is Status.NOT_RUN
    assert not list(run.folder.rglob("work"))


def test_a_refused_artifact_is_never_scored(tiny_data, tmp_path):
    submission = failing(tmp_path, output='output = ["counts.npz", "absent.bin"]')
    run = create(tmp_path, tiny_data, submission=submission)
    conduct(run, Quiet(), {})
    assert run.evidence(1).artifact.refusals == ("output absent.bin: is not there",)
    assert run.evidence(1).scored is None
    report = verdict.report(run)
    assert {f.id for f in report.findings if f.status is Status.FAIL} >= {"bytes.artifact"}
    assert report.exit_code == 1


def test_scratch_is_gone_after_a_failure_in_any_phase(tiny_data, tmp_path):
    submission = failing(tmp_path)
    text = (submission / "bigram.py").read_text()
    broken = text.replace("        before_T", "        1 / 0\n        before_T", 1)
    (submission / "bigram.py").write_text(broken)
    run = create(tmp_path, tiny_data, submission=submission)
    conduct(run, Quiet(), {})
    evidence = run.evidence(1)
    assert evidence.scored.score.outcome is Outcome.EXITED
    assert "ZeroDivisionError" in evidence.scored.score.detail
    assert evidence.examined is None
    assert not evidence.nats.exists()
    assert not (run.seed_folder(1) / "work").exists()


def test_a_sealed_folder_that_was_written_to_is_the_end(copied):
    """The challenge process must find the artifact and nothing that the scorer left for it."""
    (copied / "seeds/1/challenge.json").unlink()
    sealed = copied / "seeds/1/sealed"
    sealed.chmod(0o755)
    (sealed / "notes").write_text("x")
    with pytest.raises(HarnessError, match="notes: was not sealed"):
        conduct(Run(copied), Quiet(), {})


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-8]),
        lambda path: path.write_bytes(path.read_bytes()[:-3]),
        lambda path: path.write_bytes(path.read_bytes()[:-8] + np.array([9.0]).tobytes()),
    ],
)
def test_nats_that_are_not_what_was_credited_are_never_judged(copied, change):
    change(copied / "seeds/7/nats.f64")
    with pytest.raises(
        JudgeError, match=r"seeds/7/nats\.f64: .*; delete score\.json and challenge\.json"
    ):
        verdict.report(Run(copied))


@pytest.mark.parametrize(
    ("counting", "own", "expected"),
    [("free", False, 0), ("counted-unless-own", True, 0), ("counted-unless-own", False, 777)],
)
def test_the_tokenizer_counts_unless_it_is_the_contests_own(counting, own, expected):
    class Named:
        tokenizer = type("T", (), {"sha256": "ab", "size_bytes": 777})
        bytes = type("B", (), {})
        data = type("D", (), {"tokenizer_sha256": "ab" if own else "cd"})

    Named.bytes.tokenizer = counting
    assert counted_tokenizer_bytes(Named, Named) == expected
    Named.tokenizer = None
    assert counted_tokenizer_bytes(Named, Named) == 0
