"""A judge killed at any moment: nothing that was finished is repeated, and the verdict is the same.

The judge is a process of its own, killed with SIGKILL in each phase of a submission that lingers in each.
What lies between phases is reached by a judge that kills itself as it writes down what it did; every single
write, by one that crashes in this process.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import journal, ruleset, verdict
from harness.clock import Deadline, sleep
from harness.conduct import conduct
from harness.errors import EXIT_USAGE
from harness.journal import events
from harness.launch import Quiet
from harness.report.model import encode
from harness.run import Run
from tests.judged import QUICK, ROOT, command, environment, judge, uniform
from tests.processes import all_gone, carrying

LINGER = """
import os, time

def linger(where):
    print("in", where, flush=True)
    time.sleep(0.1)

accepted = 0
"""
PLACES = {
    "judge = socket": LINGER + "judge = socket",
    "send(READY)": "linger('setup' if sys.argv[1] == 'train' else 'load')\nsend(READY)",
    "    Path(": "    linger('train')\n    os.fork() or (linger('child'), os._exit(0))\n    Path(",
    "        send(DONE)": "        accepted += 1\n        accepted == 2 and linger('score')\n"
    "        send(DONE)",
}
STEPS = ["train", "seal", "score", "challenge"]
SAME_FOR_A_SEED = (
    "seed", "nats_per_token", "bits_per_byte", "tokens", "artifact_digest", "challenges"
)  # fmt: skip


@pytest.fixture(scope="module")
def lingering(tmp_path_factory):
    """A submission that says where it is, and stays there for a while."""
    folder = uniform(tmp_path_factory.mktemp("lingering") / "mine")
    text = (folder / "uniform.py").read_text()
    for old, new in PLACES.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "uniform.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def few_questions(tmp_path_factory):
    """The quick ruleset with one round of a few questions: what is asked is not what is tested here."""
    text = QUICK.read_text()
    for old, new in (
        ("blind = 300", "blind = 20"),
        ("max_rounds = 4", "max_rounds = 1"),
        ('baseline = "quick.toml"', 'baseline = ""'),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("rules") / "quick.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def arguments(lingering, few_questions, tiny_data):
    """What comes before the folder of the run."""
    given = ["--seeds", "5", "--ruleset", few_questions, "--data", tiny_data.folder, "--quiet"]
    return ["run", lingering, *given, "--out"]


def comparable(report: dict) -> dict:
    """What a resumed run must share with one that was never cut off."""
    return {
        "verdict": report["verdict"],
        "exit_code": report["exit_code"],
        "findings": {finding["id"]: finding["status"] for finding in report["findings"]},
        "seeds": [
            {
                name: seed[name]
                for name in (
                    "seed",
                    "nats_per_token",
                    "bits_per_byte",
                    "tokens",
                    "artifact_digest",
                    "challenges",
                )
            }
            for seed in report["seeds"]
        ],
        "submission": report["submission"],
    }


@pytest.fixture(scope="module")
def uncut(arguments, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uncut")
    done = judge(*arguments, folder, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    (run,) = [path for path in folder.iterdir() if path.name[0] != "."]
    return comparable(json.loads((run / "report.json").read_text()))


def only_run(folder: Path) -> Path | None:
    found = [path for path in folder.iterdir() if path.name[0] != "."] if folder.exists() else []
    return found[0] if found else None


def finished_steps(run: Path) -> Counter:
    return Counter(event["event"] for event in events(run) if event["event"].endswith("finished"))


def resume_and_compare(folder, uncut, *, attempts=2, by_command=False):
    """Resume the run in FOLDER and check everything that resuming promises."""
    run = only_run(folder)
    assert run is not None
    before = finished_steps(run)
    kept = {path: path.read_bytes() for path in run.glob("seeds/*/*.json")}
    if by_command:
        done = judge("run", "--resume", run, "--json", "--quiet", cwd=ROOT)
        assert done.returncode == uncut["exit_code"], done.stderr
        report = json.loads(done.stdout)
    else:
        conduct(Run(run), Quiet(), {"PYTHONPATH": str(ROOT)})
        report = json.loads(encode(verdict.report(Run(run))))
    assert comparable(report) == uncut
    assert report["attempts"] == attempts
    after = finished_steps(run)
    assert all(count == 1 for count in after.values()), (before, after)
    # A kill between a result and its line in the journal loses the line, never the result.
    assert len(after) >= len(STEPS) - 1
    assert all(path.read_bytes() == was for path, was in kept.items())
    assert not list(run.rglob("work"))
    assert not list(run.rglob("*.partial"))
    assert carrying(str(folder)) == []


class Started:
    """A judge at work in a process of its own."""

    def __init__(self, line, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            line,
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, reached, in_s=30.0):
        patience = Deadline(in_s)
        while not reached():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert not patience.passed
            sleep(0.002)

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=20)
        assert all_gone(str(self.folder)), "a process survived its judge"


def says(folder, log, words):
    def reached():
        run = only_run(folder)
        path = run / f"seeds/5/logs/{log}.stdout" if run else None
        return path is not None and path.exists() and words in path.read_text()

    return reached


@pytest.mark.parametrize(
    ("phase", "log"),
    [
        ("setup", "train"),
        ("train", "train"),
        ("child", "train"),
        ("load", "score"),
        ("score", "score"),
        ("score", "challenge"),
    ],
)
def test_a_judge_killed_in_a_phase(arguments, tmp_path, uncut, phase, log):
    folder = tmp_path / "runs"
    started = Started(command(*arguments, folder), folder)
    started.wait_for(says(folder, log, f"in {phase}"))
    started.kill()
    run = only_run(folder)
    assert not (run / "report.json").exists()
    resume_and_compare(folder, uncut)


KILLS_ITSELF = """
import os, signal, sys
from harness import journal
from harness.cli import main
event, real = sys.argv.pop(1), journal.Journal.write
def write(log, said, **facts):
    real(log, said, **facts)
    if said == event:
        os.kill(os.getpid(), signal.SIGKILL)
journal.Journal.write = write
main()
"""


@pytest.mark.parametrize("event", ["train finished", "score finished", "measured"])
def test_a_judge_killed_between_phases(arguments, tmp_path, uncut, event):
    folder = tmp_path / "runs"
    line = [
        sys.executable,
        "-c",
        KILLS_ITSELF,
        event,
        *map(str, arguments),
        str(folder),
    ]
    started = Started(line, folder)
    assert started.process.wait(60) == -signal.SIGKILL
    started.kill()
    assert [e["event"] for e in events(only_run(folder))][-1] == event
    resume_and_compare(folder, uncut)


def test_a_finished_run_is_printed_again_and_a_second_judge_is_refused(arguments, tmp_path, uncut):
    folder = tmp_path / "runs"
    started = Started(command(*arguments, folder), folder)
    started.wait_for(says(folder, "train", "in setup"))
    run = only_run(folder)
    refused = judge("run", "--resume", run, cwd=ROOT)
    assert refused.returncode == EXIT_USAGE
    assert "another judge is at work on this run; wait for it or stop it" in refused.stderr
    assert started.process.wait(60) == 0
    started.process.communicate()
    resume_and_compare(folder, uncut, by_command=True)
    resume_and_compare(folder, uncut, attempts=3)


# --- every single write ---


class Crash(BaseException):
    """A kill, as far as the disk can tell."""


@pytest.fixture(scope="module")
def fresh(tiny_data, few_questions, tmp_path_factory):
    """Return a function that makes a run of a submission that starts in no time."""
    folder = tmp_path_factory.mktemp("crashes")
    told = {"submission": uniform(folder / "mine"), "rules": ruleset.load(str(few_questions))}
    told |= {"data": tiny_data, "seeds": (5,), "baseline_text": None}
    return lambda: Run.create(root=folder / "runs", **told)


def crash_at(run, number, patch):
    """Execute until the run's `number`-th flush to disk, before or after which everything stops."""
    count = 0
    real = os.fsync

    def fsync(descriptor):
        nonlocal count
        count += 1
        if count == number:
            raise Crash
        real(descriptor)

    patch.setattr(journal.os, "fsync", fsync)
    try:
        conduct(run, Quiet(), {})
    except Crash:
        return True
    return False


AT_EACH_WRITE = [
    *(1, 2, 3),  # "started"; text.json and its name
    *(2, 3),  # isolation.json and its name, as at every start that has something to do
    *(4, 5),  # packages.json and its name
    *(4, 5, 6),  # "train started"; train.json and its name, after which training is not repeated
    *(4, 5, 6),  # the same of the seal
    *(4, 5, 6, 7, 8),  # "score started"; the nats and their name; score.json and its name
    *(4, 5, 6),  # the same of the challenge
    2,  # "measured"
]
"""Which flush of each attempt is the last one that does not happen."""
AT_EACH_FINISH = [11, 7, 9, 7]
"""The lines that say that a step is finished, once it is."""


@pytest.mark.parametrize("crashes", [AT_EACH_WRITE, AT_EACH_FINISH], ids=["writes", "finishes"])
def test_a_judge_that_crashes_at_every_write_in_turn(fresh, monkeypatch, crashes):
    run = fresh()
    for number in crashes:
        with monkeypatch.context() as patch:
            assert crash_at(Run(run.folder), number, patch)
    conduct(Run(run.folder), Quiet(), {})
    report = verdict.report(Run(run.folder))
    assert (report.verdict, report.attempts) == ("PASS", len(crashes) + 1)
    told = Counter(event["event"] for event in events(run.folder))
    assert all(count == 1 for count in finished_steps(run.folder).values())
    again = {name: told[f"{name} started"] for name in STEPS}
    # Each of these was cut off as it began, and as its result was to be written; then it was done.
    expected = {"train": 3, "seal": 3, "score": 5, "challenge": 3}
    assert again == (expected if crashes is AT_EACH_WRITE else dict.fromkeys(STEPS, 1))
    assert told["measured"] == (2 if crashes is AT_EACH_WRITE else 1)
    assert not list(run.folder.rglob("*.partial"))
    assert not list(run.folder.rglob("work"))


@given(st.lists(st.integers(1, 22), min_size=1, max_size=3))
@settings(max_examples=5)
def test_a_judge_that_crashes_anywhere(fresh, crashes):
    run = fresh()
    for number in crashes:
        with pytest.MonkeyPatch.context() as patch:
            crash_at(Run(run.folder), number, patch)
    conduct(Run(run.folder), Quiet(), {})
    assert verdict.report(Run(run.folder)).verdict == "PASS"
    assert all(count == 1 for count in finished_steps(run.folder).values())
