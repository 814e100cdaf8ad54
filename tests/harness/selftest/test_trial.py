"""One submission of an attack through the judge: caught or escaped, passed or failed, not run, an error."""

import os
import time

import msgspec
import pytest

from checks import ORDER
from checks.contract import Status
from harness import ruleset, verdict
from harness.commands.run import passed_environment
from harness.errors import JudgeError, UsageError
from harness.launch import Quiet
from harness.run import Run
from harness.selftest import trial
from harness.selftest.corpus import read_attack
from harness.selftest.trial import Bench, State
from tests.harness.selftest.made import CAUGHT, CRASH, LEGAL, OVER, SAME, entry, with_key


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "bench").mkdir()
    return Bench(tmp_path / "bench", Quiet(), passed_environment())


@pytest.fixture
def made(tmp_path):
    def make(expected, **code):
        return read_attack(entry(tmp_path / "corpus", "mine", expected, **code))

    return make


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "bench").iterdir())


def test_a_cheat_that_the_right_check_fails_is_caught(bench, made, tmp_path):
    tried = bench.cheat(made(CAUGHT, cheat=OVER))
    assert (tried.state, tried.caught_by, tried.reason) == (State.CAUGHT, ("bytes.artifact",), "")
    assert tried.wall_s > 0
    assert left(tmp_path) == [f"data-{os.getpid()}"]


def test_a_cheat_that_passes_has_escaped(bench, made):
    tried = bench.cheat(made(CAUGHT, cheat=SAME))
    assert (tried.state, tried.caught_by) == (State.ESCAPED, ())
    assert tried.reason == "bytes.artifact did not FAIL; the verdict is PASS, exit code 0"


def test_a_cheat_that_another_check_fails_has_escaped(bench, made):
    tried = bench.cheat(made(CAUGHT, cheat=CRASH))
    assert tried.state is State.ESCAPED
    assert "bytes.artifact" not in tried.caught_by
    assert "bytes.artifact did not FAIL; " in tried.reason
    assert " FAILed, which should not: " in tried.reason


def test_a_message_that_says_something_else_is_an_escape(bench, made):
    tried = bench.cheat(made(CAUGHT.replace("over the cap", "under the cap"), cheat=OVER))
    assert (tried.state, tried.caught_by) == (State.ESCAPED, ("bytes.artifact",))
    assert "does not say 'under the cap' but 2" in tried.reason


def test_an_honest_submission_passes_and_one_that_does_not_fails(bench, made, tmp_path):
    tried = bench.twin(made(LEGAL))
    assert (tried.state, tried.reason) == (State.PASS, "")
    other = read_attack(entry(tmp_path / "corpus", "other", LEGAL, honest=OVER))
    tried = bench.twin(other)
    assert tried.state is State.FAIL
    assert tried.reason.startswith("bytes.artifact is FAIL: 2")
    assert "the verdict is FAIL, exit code 1" in tried.reason
    assert left(tmp_path) == [f"data-{os.getpid()}"]


def test_a_twin_is_tried_once(bench, made, monkeypatch):
    attack = made(LEGAL)
    first = bench.twin(attack)
    monkeypatch.setattr(Run, "create", None)
    assert bench.twin(attack) is first


@pytest.mark.parametrize(
    ("wanted", "output", "state", "says"),
    [
        ("leaves its folder", "../none.bin", State.CAUGHT, ""),
        ("is not there", "../none.bin", State.ESCAPED, "refused, but not with 'is not there'"),
        ("leaves its folder", "none.bin", State.ESCAPED, "it was not refused; the verdict is PASS"),
    ],
)
def test_a_manifest_that_is_to_be_refused(bench, made, wanted, output, state, says):
    attack = made(f"{LEGAL}refused = '{wanted}'", cheat=SAME)
    manifest = attack.cheat / "submission.toml"
    manifest.write_text(manifest.read_text().replace('"none.bin"', f'"{output}"'))
    tried = bench.cheat(attack)
    assert tried.state is state, tried.reason
    assert says in tried.reason
    assert tried.caught_by == (() if output == "none.bin" else ("exit 2",))


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UsageError("submission.toml leaves its folder"), State.CAUGHT),
        (UsageError("something leaves its folder"), State.ESCAPED),
        (JudgeError("submission.toml leaves its folder"), State.ERROR),
    ],
)
def test_a_refusal_names_the_file_and_is_no_fault_of_the_judge(
    bench, made, monkeypatch, error, state
):
    def create(**_):
        raise error

    monkeypatch.setattr(Run, "create", create)
    assert bench.cheat(made(f"{LEGAL}refused = 'leaves its folder'", cheat=SAME)).state is state


def test_a_refusal_that_nobody_expected_is_an_error(bench, made):
    attack = made(CAUGHT, cheat=OVER)
    (attack.cheat / "submission.toml").write_text("schema = 2")
    tried = bench.cheat(attack)
    assert tried.state is State.ERROR
    assert "submission.toml" in tried.reason


def test_spoilt_data_are_the_cheat_s_alone(bench, made):
    attack = made(LEGAL + "refused = 'text.text_bytes is'\n[data]\nstated_bytes_factor = 2.0")
    assert bench.cheat(attack).state is State.CAUGHT
    assert bench.twin(attack).state is State.PASS


def test_data_that_should_be_refused_and_are_not_have_escaped(bench, made):
    """One document has no order, so nothing is spoilt and nobody complains."""
    attack = made(LEGAL + "refused = 'order'\n[data]\nreversed_documents = true")
    tried = bench.cheat(attack)
    assert (tried.state, tried.reason[:18]) == (State.ESCAPED, "it was not refused")


def test_links_are_laid_in_a_copy(bench, made):
    wanted = CAUGHT.replace("over the cap", "code table.txt: is a symbolic link")
    attack = made(
        wanted.replace("[mess", 'consequences = ["time.load", "time.score", "score.complete", '
        '"order.future", "order.blind", "norm.sum", "norm.target", "repro.score"]\n[mess')
        + '[links]\n"cheat/table.txt" = "../expected.toml"\n',
        cheat=SAME,
    )  # fmt: skip
    manifest = attack.cheat / "submission.toml"
    manifest.write_text(
        manifest.read_text().replace('["uniform.py"]', '["uniform.py", "table.txt"]')
    )
    tried = bench.cheat(attack)
    assert tried.state is State.CAUGHT, tried.reason
    assert not (attack.cheat / "table.txt").is_symlink()


@pytest.mark.parametrize(
    ("state", "ends"), [("enforced", State.ESCAPED), ("best effort", State.NOT_RUN)]
)
def test_a_cheat_that_needs_a_guarantee_runs_where_it_is_held(
    bench, made, monkeypatch, state, ends
):
    truly = verdict.report
    runs = []

    def report(run):
        runs.append(run)
        said = truly(run)
        held = tuple(
            msgspec.structs.replace(line, state=state, means="made up")
            for line in said.guarantees
            if line.name == "files"
        )
        return msgspec.structs.replace(said, guarantees=held)

    monkeypatch.setattr(verdict, "report", report)
    attack = made(with_key('needs = "files"'), cheat=SAME)
    tried = bench.cheat(attack)
    assert tried.state is ends
    assert bench.twin(attack).state is State.PASS
    assert len(runs) == (2 if state == "enforced" else 1)
    if ends is State.NOT_RUN:
        said = "escapes here: the guarantee 'files' is best effort: made up"
        assert (tried.reason, tried.wall_s) == (said, 0.0)


def test_without_sentencepiece_what_needs_it_is_not_run(bench, made, monkeypatch):
    monkeypatch.setattr(trial.importlib.util, "find_spec", lambda name: None)
    attack = made(CAUGHT + "[data]\nset = 'spoken'", cheat=OVER)
    for tried in (bench.cheat(attack), bench.twin(attack)):
        assert tried.state is State.NOT_RUN
        assert tried.reason.startswith("sentencepiece is not installed")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (JudgeError("the disk is full"), "the disk is full"),
        (KeyError("x"), "the judge raised KeyError in test_trial.py:"),
    ],
)
def test_a_judge_that_raises_is_an_error_and_leaves_nothing(
    bench, made, monkeypatch, tmp_path, error, says
):
    def conduct(*_, **__):
        raise error

    monkeypatch.setattr(trial, "conduct", conduct)
    attack = made(with_key('needs = "files"'), cheat=OVER)
    for tried in (bench.cheat(attack), bench.twin(attack)):
        assert tried.state is State.ERROR
        assert says in tried.reason
    assert left(tmp_path) == [f"data-{os.getpid()}"]


@pytest.mark.parametrize("status", [Status.ERROR, Status.NOT_RUN])
def test_a_judge_that_cannot_conclude_is_an_error(bench, made, monkeypatch, status):
    truly = verdict.report
    monkeypatch.setattr(
        verdict,
        "report",
        lambda run: msgspec.structs.replace(
            truly(run), verdict=status, exit_code=3, verdict_message="nobody knows"
        ),
    )
    attack = made(CAUGHT, cheat=OVER)
    for tried in (bench.cheat(attack), bench.twin(attack)):
        assert (tried.state, tried.reason) == (State.ERROR, "nobody knows")


def test_an_interrupt_is_not_swallowed_and_leaves_nothing(bench, made, monkeypatch, tmp_path):
    def conduct(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(trial, "conduct", conduct)
    with pytest.raises(KeyboardInterrupt):
        bench.cheat(made(CAUGHT, cheat=OVER))
    assert left(tmp_path) == [f"data-{os.getpid()}"]


def test_what_is_kept(made, tmp_path):
    (tmp_path / "bench").mkdir()
    bench = Bench(tmp_path / "bench", Quiet(), passed_environment(), keep=True)
    attack = made(CAUGHT, cheat=OVER)
    bench.cheat(attack)
    bench.twin(attack)
    assert left(tmp_path) == [f"data-{os.getpid()}", "mine-cheat", "mine-honest"]
    (run,) = (tmp_path / "bench" / "mine-cheat" / "runs").iterdir()
    assert verdict.report(Run(run)).verdict is Status.FAIL


@pytest.mark.parametrize(
    ("changed", "value", "says"),
    [
        ("processes_of", lambda folder: ["sleep 9"], "a process was left: sleep 9"),
        ("LOG_CAP_BYTES", -101, " has 0 bytes, over the cap of -101"),
    ],
)
def test_what_is_left_spoils_a_trial(bench, made, monkeypatch, changed, value, says):
    monkeypatch.setattr(trial, changed, value)
    attack = made(CAUGHT, cheat=OVER)
    for tried, state in ((bench.cheat(attack), State.ESCAPED), (bench.twin(attack), State.FAIL)):
        assert tried.state is state
        assert says in tried.reason


def test_a_cheat_that_never_got_to_the_seal_has_nothing_sealed(bench, made, monkeypatch):
    wanted = CAUGHT.replace("bytes.artifact", "time.setup").replace("over the cap", "stopped: ")
    rest = [check for check in ORDER if check not in ("time.setup", "score.bytes", "stats.margin")]
    attack = made(
        wanted.replace("[messages]", f"consequences = {rest}\n[messages]"),
        cheat=SAME,
    )
    code = attack.cheat / "uniform.py"
    code.write_text("import sys\nsys.exit('stopped: here')\n")
    assert bench.cheat(attack).state is State.CAUGHT
    truly = trial.conduct

    def conduct(run, *others, **named):
        truly(run, *others, **named)
        (run.seed_folder(trial.SEED) / "sealed").mkdir()

    monkeypatch.setattr(trial, "conduct", conduct)
    tried = bench.cheat(attack)
    assert tried.reason == "an artifact was sealed although none was judged"


def test_a_process_that_is_left_is_found(tmp_path):
    import subprocess

    with subprocess.Popen(["sleep", "60"], cwd=tmp_path) as process:
        try:
            # Popen returns while the kernel is still laying out the new process: its command line comes last.
            while trial.processes_of(tmp_path) == [""]:
                time.sleep(0.01)
            assert trial.processes_of(tmp_path) == ["sleep\x0060\x00"]
            assert trial.processes_of(tmp_path / "other") == []
        finally:
            process.kill()
    assert trial.processes_of(tmp_path) == []


def test_the_rules_of_a_trial_are_quick_with_what_was_changed():
    quick = ruleset.load(str(trial.QUICK)).ruleset
    assert trial.rules({}, tokenizer=False).ruleset == quick
    changed = trial.rules({"train_s": 2.5, "answer_s": 1.0}, tokenizer=True)
    assert changed.ruleset.phases == msgspec.structs.replace(
        quick.phases, train_s=2.5, answer_s=1.0
    )
    assert set(changed.ruleset.verdict.required) == {*quick.verdict.required, "score.bytes"}
    assert changed.sha256 != ruleset.load(str(trial.QUICK)).sha256
