"""`fresh`: a trial asks for an untrained artifact, a run says nothing of it."""

import pytest

from checks.contract import Outcome
from harness import phases
from harness.handover import Handover
from tests.harness.scenes import TAKES_DATA, Scene

SAYS = TAKES_DATA + "\nprint(json.dumps(told))"


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def train(scene, script, *, handed=True, **given):
    scene._write(script)
    with Handover([scene.folder / "shard"], None, 1 << 30) as handover:
        return phases.train(
            scene.context(),
            seed=3,
            code=scene.folder / "code",
            output=scene.folder / "output",
            work=scene.folder / "work",
            logs=scene.folder / "logs" / "train",
            handover=handover if handed else None,
            **given,
        )


def test_a_run_says_nothing_of_it(scene):
    assert scene.train(SAYS).train.outcome is Outcome.DONE
    assert set(scene.said("train")) == {
        "files", "shards", "out", "train_s", "deadline_s", "cap_bytes"
    }  # fmt: skip


def test_a_trial_asks_for_it(scene):
    assert train(scene, SAYS, fresh=True).train.outcome is Outcome.DONE
    assert scene.said("train")["fresh"] is True


def test_without_data_to_hand_over_it_ends_after_setup(scene):
    trained = train(scene, SAYS, handed=False)
    assert trained.setup.outcome is Outcome.DONE
    assert trained.train.outcome is Outcome.NOT_STARTED
    assert trained.data_hidden
    assert (scene.folder / "logs" / "train.stdout").read_text() == ""
    assert scene.is_clean()
