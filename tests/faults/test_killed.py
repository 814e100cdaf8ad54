"""The judge killed at any instant, alone or with its keeper: nothing survives it, and the run goes on.

What each phase and each write to the disk leaves is tests/harness/test_resume.py's subject. Here the instants
are anywhere, the command line is the whole of it, and the machine is looked at.
"""

import os
import random
import signal
import time

import pytest

from harness.clock import sleep
from harness.errors import EXIT_JUDGE, EXIT_PASS
from tests import cells, machines
from tests.faults import bench as benches
from tests.faults.minis import mini, rules

LINGERS = """
if os.fork() == 0:
    os.setsid()
    while True: time.sleep(60)
time.sleep(0.15)
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """An honest submission that stays a while in each phase, with a daemon in it; its score is the same."""
    lingers = {name: "time.sleep(0.1)" for name in ("start", "train", "load", "score", "challenge")}
    lingers["challenge"] = "time.sleep(0.01)"
    return mini(tmp_path_factory.mktemp("slow") / "mine", **lingers)


@pytest.fixture(scope="module")
def whole(slow, quick, tmp_path_factory, tiny_data):
    """How the run ends, and how long it takes from when its folder is named, where nobody is killed."""
    with benches.bench(tmp_path_factory.mktemp("whole"), tiny_data.folder) as made:
        judge = made.judging(slow, quick)
        judge.wait_for(lambda: judge.run)
        from_s = time.monotonic()
        ended = judge.ended()
        assert ended.status == EXIT_PASS, ended.err
        return ended.verdict(), time.monotonic() - from_s


def kept_by_the_run(found, run):
    """Return what is left beside what a run that was cut off keeps in its own folder."""
    own = f"left in files: {run}/"
    return [what for what in found if run is None or not what.startswith(own)]


@pytest.mark.parametrize("instant", range(4))
def test_killed_at_any_instant(bench, slow, quick, whole, instant):
    """Eight parts of the time that a run takes; where in its part one is killed is drawn afresh."""
    verdict, lasts_s = whole
    judge = bench.judging(slow, quick)
    judge.wait_for(lambda: judge.run)
    delay_s = lasts_s * (instant + random.random()) / 4
    sleep(delay_s)
    judge.kill([signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT][instant % 4])
    assert kept_by_the_run(bench.left(), judge.run) == [], f"killed after {delay_s:.3f} s"
    assert bench.resume(judge.run).verdict() == verdict, f"killed after {delay_s:.3f} s"
    assert bench.left() == []


@pytest.mark.parametrize("level", ["landlock", "bare"])
@pytest.mark.parametrize("phase", ["train", "challenge"])
def test_killed_without_namespaces(bench, whole, level, phase, tmp_path):
    cells.skip_without(level)
    quick = rules(tmp_path, train_s=1.5)
    submission = mini(
        tmp_path / "mine", **{phase: LINGERS if phase == "train" else "time.sleep(0.05)"}
    )
    judge = bench.judging(submission, quick, level)
    logs = f"seeds/5/logs/{phase}.stdout"
    assert judge.wait_for(lambda: judge.run and (judge.run / logs).exists() and judge.keepers())
    judge.kill()
    assert kept_by_the_run(bench.left(), judge.run) == []
    ended = bench.resume(judge.run, level)
    if phase == "challenge":
        assert ended.verdict()["nats"] == whole[0]["nats"]
        assert ended.status == EXIT_PASS, ended.err
    else:  # a daemon holds up the end of training, which is no fault of the judge's
        assert "FAIL" in ended.verdict()["findings"].values()
    assert bench.left() == []


@pytest.mark.parametrize("level", ["namespaces", "landlock", "bare"])
def test_killed_together_with_its_keeper(bench, slow, quick, whole, level):
    """Nobody is left who could clean up: the cell ends by itself, and the next judge does the rest.

    A shim dies with its keeper, or kills all it can and ends: at every level. What remains is what the keeper
    would have deleted: the empty control group, until a judge starts on this machine again.
    """
    cells.skip_without(level)
    judge = bench.judging(slow, quick, level)
    assert judge.wait_for(lambda: judge.run and list(judge.run.glob("seeds/5/logs/score.*")))
    keepers = judge.keepers()
    assert len(keepers) == 1
    os.kill(judge.process.pid, signal.SIGSTOP)  # so that neither sees the other die
    os.kill(keepers[0], signal.SIGKILL)
    judge.kill()
    remains = kept_by_the_run(bench.left(), judge.run)
    assert all(what.startswith("left in groups: ") for what in remains), remains
    ended = bench.resume(judge.run, level)
    assert ended.verdict() == whole[0]
    assert bench.left() == []


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_a_keeper_that_is_killed_from_outside_is_not_held_against_the_submission(
    bench, slow, quick, whole, level
):
    cells.skip_without(level)
    judge = bench.judging(slow, quick, level)
    assert judge.wait_for(lambda: judge.run and list(judge.run.glob("seeds/5/logs/train.*")))
    os.kill(judge.keepers()[0], signal.SIGKILL)
    ended = judge.ended()
    assert ended.status == EXIT_JUDGE
    assert "was killed from outside, which is nothing that the submission could do" in ended.err
    assert "Traceback" not in ended.err
    assert kept_by_the_run(bench.left(), judge.run) == []
    assert bench.resume(judge.run, level).verdict() == whole[0]


CONTAINER, USER, MACHINE, RUNNER = machines.ROWS
here = pytest.mark.parametrize("elsewhere", [CONTAINER], indirect=True)


@here
@pytest.mark.parametrize("row", [CONTAINER, MACHINE])
def test_killed_when_it_has_trained_what_lies_in_another_folder(elsewhere, slow, quick, whole, row):
    """In a container cells have users of their own, which cannot go where the runs are closed.

    It is there for a judge that goes on in the same way, and is made again by one that cannot.
    """
    elsewhere.out.mkdir(mode=0o700)
    judge = elsewhere.judging(slow, quick)
    assert judge.wait_for(lambda: judge.run and (judge.run / "seeds/5/train.json").exists())
    judge.kill()
    sealed = (judge.run / "seeds/5/artifact.json").exists()
    assert sealed or list((elsewhere.place / "tmp").glob("harness-*/5/output/none.bin"))
    elsewhere.row = row
    ended = elsewhere.resume(judge.run)
    assert ended.verdict() == whole[0], ended.err
    assert elsewhere.left() == []


@here
def test_a_judge_that_cannot_start_anything_leaves_nothing(elsewhere, honest, quick):
    """The runs and the temporary files both lie where a cell's user cannot go."""
    elsewhere.place.chmod(0o700)
    ended = elsewhere.judge(honest, quick)
    assert ended.status == EXIT_JUDGE
    assert "Traceback" not in ended.err
    assert elsewhere.left() == []


@pytest.mark.parametrize("elsewhere", [USER, RUNNER], indirect=True)
@pytest.mark.parametrize("with_keeper", [True, False])
def test_killed_without_privileges(elsewhere, whole, with_keeper):
    """No group, no user of its own: nothing is left at all, and what training left is deleted on resuming."""
    submission = mini(elsewhere.place / "mine", start="time.sleep(0.2)", load=LINGERS)
    quick = rules(elsewhere.place)
    judge = elsewhere.judging(submission, quick)
    assert judge.wait_for(lambda: judge.run and list(judge.run.glob("seeds/5/logs/score.*")))
    keepers = judge.keepers()
    if with_keeper:
        os.kill(judge.process.pid, signal.SIGSTOP)
        os.kill(keepers[0], signal.SIGKILL)
    judge.kill()
    assert kept_by_the_run(elsewhere.left(), judge.run) == []
    assert elsewhere.resume(judge.run).verdict()["nats"] == whole[0]["nats"]
    assert elsewhere.left() == []


def test_killed_before_there_is_a_run(bench, honest, quick):
    """The folder appears when it is whole; what a judge was making is deleted by the next one there."""
    unfinished = []

    def making():
        unfinished[:] = bench.out.glob(".*.unfinished") if bench.out.exists() else []
        return unfinished

    # It is there for a few milliseconds: with a large file, for longer.
    (honest / "ballast.bin").write_bytes(bytes(200 << 20))
    try:
        judge = bench.judging(honest, quick)
        assert judge.wait_for(making)
        judge.kill()
    finally:
        (honest / "ballast.bin").unlink()
    assert judge.run is None
    assert [path.name for path in bench.out.iterdir()] == [unfinished[0].name]
    assert bench.judge(honest, quick).status == EXIT_PASS
    assert bench.left() == []


def test_the_folder_of_a_judge_that_is_making_it_is_left_alone(tmp_path):
    from harness.storage import made_whole

    names = [f"2026010{day}-000000-mini-abcdef" for day in (1, 2)]
    (tmp_path / ".mine.partial").mkdir()
    (tmp_path / f".{names[0]}.unfinished" / "of a judge that is gone").mkdir(parents=True)
    with made_whole(tmp_path / names[1]) as first:
        with made_whole(tmp_path / "another"):
            assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
                [".mine.partial", first.name, ".another.unfinished"]
            )
        (first / "file").touch()
    assert (tmp_path / names[1] / "file").exists()
    with pytest.raises(ZeroDivisionError), made_whole(tmp_path / names[0]):
        1 / 0  # noqa: B018
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".mine.partial",
        names[1],
        "another",
    ]
