"""The judge's disk is full, or cannot be written to: one sentence, exit 3 or 2, and the run goes on later."""

import os
import subprocess
import sys

import pytest

from harness.errors import EXIT_JUDGE, EXIT_PASS, EXIT_RULE_BROKEN, EXIT_USAGE
from tests.faults.bench import fill, tmpfs, unmount
from tests.faults.minis import mini, rules

ROOMY_BYTES = 700 << 20
"""More than the judge keeps for itself."""
FILLS = """
with open(out + "/much", "wb") as file:
    while True: file.write(bytes(1 << 20))
"""
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from harness.cli import main
main()
"""


@pytest.fixture
def disk(bench):
    """A disk of its own for the runs."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    try:
        tmpfs(bench.out, ROOMY_BYTES)
    except subprocess.CalledProcessError:
        pytest.skip("nothing may be mounted here")
    bench.begin()
    try:
        yield bench.out
        assert bench.left() == []
    finally:
        unmount(bench.out)


def one_sentence(ended):
    """Return the last line; check that the judge said what is the matter and nothing of its own inside."""
    assert "Traceback" not in ended.err, ended.err
    last = ended.err.splitlines()[-1]
    assert last.startswith("harness: ")
    return last


def cut_off(bench, submission, quick, reached):
    """Kill a judge once it has come so far; return its run."""
    judge = bench.judging(submission, quick)
    assert judge.wait_for(lambda: judge.run and reached(judge.run))
    judge.kill()
    bench.left()
    return judge.run


STAGES = {
    "nothing": lambda run: (run / "text.json").exists(),
    "trained": lambda run: (run / "seeds/5/train.json").exists(),
    "sealed": lambda run: (run / "seeds/5/artifact.json").exists(),
    "scored": lambda run: (run / "seeds/5/score.json").exists(),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_full_disk_at_each_step(bench, disk, quick, tmp_path, stage):
    """Whatever is the first thing that finds no room: it says so, and the run goes on when there is."""
    submission = mini(tmp_path / "mine", start="time.sleep(0.1)")
    run = cut_off(bench, submission, quick, STAGES[stage])
    fill(disk / "ballast")
    ended = bench.resume(run)
    assert ended.status == EXIT_JUDGE, ended.err
    assert "make room" in one_sentence(ended)
    (disk / "ballast").unlink()
    again = bench.resume(run)
    assert again.status == EXIT_PASS, again.err
    assert again.verdict()["nats"] == [4.158883083359671]


def test_a_full_disk_before_there_is_a_run(bench, disk, honest, quick):
    fill(disk / "ballast")
    ended = bench.judge(honest, quick)
    assert ended.status in (EXIT_USAGE, EXIT_JUDGE)
    assert "No space left on device" in one_sentence(ended)
    assert [path.name for path in disk.iterdir()] == ["ballast"]
    (disk / "ballast").unlink()
    assert bench.judge(honest, quick).status == EXIT_PASS


def test_a_disk_that_the_submission_fills(bench, disk, tmp_path):
    """More than its limit: its own fault, in its own words. Less: the machine is too small, and says so."""
    ended = bench.judge(
        mini(tmp_path / "much", train=FILLS), rules(tmp_path / "r", disk_bytes=100 << 20)
    )
    assert ended.status == EXIT_RULE_BROKEN, ended.err
    message = ended.findings("FAIL")["time.train"]
    assert "File too large" in message or "are its limit" in message
    little = bench.judge(
        mini(tmp_path / "little", train=FILLS), rules(tmp_path / "r", disk_bytes=2_000_000_000)
    )
    assert little.status == EXIT_JUDGE, little.err
    assert "is nearly full; make room and resume the run" in one_sentence(little)


@pytest.mark.parametrize("most_bytes", [600, 1_500, 3_000, 30_000])
def test_files_that_may_not_grow(bench, honest, quick, tmp_path, most_bytes):
    """Where no disk can be mounted: a limit on each file ends the first write that is longer."""
    given = ["--seeds", "5", "--ruleset", quick, "--data", bench.data, "--out", bench.out, "--json"]
    line = [sys.executable, "-c", LIMITED, most_bytes, "run", honest, *given]
    ended = bench.started(line).ended()
    assert ended.status in (EXIT_USAGE, EXIT_JUDGE), ended.err
    assert "File too large" in one_sentence(ended)
    if ended.run is None:
        assert list(bench.out.iterdir()) == []
    else:
        assert bench.resume(ended.run).status == EXIT_PASS


def test_an_output_that_cannot_be_written_to(bench, disk, honest, quick):
    run = cut_off(
        bench, mini(bench.place / "slow", start="time.sleep(0.2)"), quick, STAGES["trained"]
    )
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    try:
        ended = bench.judge(honest, quick)
        assert (ended.status, ended.run) == (EXIT_USAGE, None)
        assert "Read-only file system; choose a writable folder" in one_sentence(ended)
        ended = bench.resume(run)
        assert ended.status == EXIT_USAGE
        assert one_sentence(ended).endswith("Read-only file system; make it writable")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
    assert bench.resume(run).status == EXIT_PASS
