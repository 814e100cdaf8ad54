"""The trainer: it learns, it is reproducible, it keeps the deadline, and what it exports can be scored."""

import socket
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.manifest import load as load_manifest
from harness.sdk import Training
from submission import artifact
from submission.data import Windows
from submission.mixer import NEUTRAL
from submission.optimiser import Schedule
from submission.presets import PRESETS
from submission.score import Scorer
from submission.train import build, export, fit, run, tune_mixer
from tests.submission.tiny import PRESET, VOCAB

COUNTING = np.arange(4000, dtype=np.uint16) % VOCAB


def silent(_line):
    pass


def trained(preset, seed=1, deadline_s=1e9, now=lambda: 0.0):
    model = build(preset, VOCAB, seed)
    windows = Windows([COUNTING], preset.windows.length)
    progress = fit(model, windows, preset, seed=seed, deadline_s=deadline_s, now=now, log=silent)
    return model, progress


def test_loss_falls_on_a_stream_that_is_easy():
    preset = replace(PRESET, schedule=Schedule(steps=60, warmdown_steps=30), batch_windows=8)
    _, progress = trained(preset)
    assert progress.losses[0] == pytest.approx(np.log(VOCAB), abs=0.1)
    assert np.mean(progress.losses[-5:]) < 0.5


def test_every_weight_is_trained():
    preset = replace(PRESET, schedule=Schedule(steps=3, warmdown_steps=1))
    model, _ = trained(preset)
    start = build(preset, VOCAB, seed=1)
    for (name, after), before in zip(model.named_parameters(), start.parameters(), strict=True):
        assert not torch.equal(after, before), name


def test_the_seed_decides_everything():
    once, again, other = trained(PRESET), trained(PRESET), trained(PRESET, seed=2)
    assert once[1].losses == again[1].losses
    assert once[1].losses != other[1].losses
    for one, two in zip(once[0].parameters(), again[0].parameters(), strict=True):
        assert torch.equal(one, two)


class SlowClock:
    """Each look costs a second, so that a step costs about two."""

    def __init__(self):
        self.time_s = 0.0

    def __call__(self):
        self.time_s += 1.0
        return self.time_s


def test_a_slow_machine_ends_early_inside_the_reserve():
    clock = SlowClock()
    preset = replace(PRESET, schedule=Schedule(steps=1000, warmdown_steps=5), reserve_s=20.0)
    _, progress = trained(preset, deadline_s=60.0, now=clock)
    assert 5 < progress.steps < 40
    assert clock.time_s <= 60.0 - 20.0 + 2.0


def test_no_time_at_all_still_ends():
    _, progress = trained(PRESET, deadline_s=-1.0)
    assert progress.steps == 0


def test_tuning_stops_when_its_time_is_over_and_helps_when_it_is_not():
    model, _ = trained(PRESET)
    built = export(model, PRESET)
    assert tune_mixer(built, COUNTING, until_s=0.0, now=lambda: 1.0) == NEUTRAL
    # Too few steps to have learnt to count: the hints are all that is right.
    stream = COUNTING[:400]
    before = Scorer(built).score(stream).mean()
    built.mixer_weights = tune_mixer(built, COUNTING[:2000], until_s=1.0, now=lambda: 0.0)
    assert Scorer(built).score(stream).mean() < before - 1.0


class Shard:
    def tokens(self):
        return COUNTING


def test_a_run_leaves_an_artifact_that_scores(tmp_path, capsys):
    training = Training(
        shards=(Shard(),), tokenizer=None, out=tmp_path, seed=3, train_s=60.0, deadline_s=1e12
    )
    run(training, build(PRESET, VOCAB, 3), PRESET)
    assert "packed" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["weights.bin"]
    built = artifact.load(tmp_path / "weights.bin")
    assert np.isfinite(Scorer(built).score(COUNTING[:100])).all()


def test_the_manifest_names_all_that_the_scorer_imports(request):
    """Starts it from the sealed set of files alone; it must get as far as asking for the judge."""
    import shutil
    import subprocess
    import sys

    root = request.config.rootpath
    manifest = load_manifest(root / "submission")
    assert set(manifest.artifact.output) == {artifact.FILE_NAME}
    sealed = request.getfixturevalue("tmp_path")
    for name in manifest.artifact.code:
        (sealed / "submission").mkdir(exist_ok=True)
        shutil.copy(root / "submission" / name, sealed / "submission" / name)
    judge, theirs = socket.socketpair()
    judge.close()
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_SEALED, str(sealed), str(root)],
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
    )
    theirs.close()
    assert done.stdout == "sealed\n", done.stderr


IMPORT_SEALED = """
import importlib.util, sys
sealed, root = sys.argv[1:]
sys.path[:] = [sealed] + [path for path in sys.path if path not in ("", root)]
spec = importlib.util.spec_from_file_location("harness", root + "/harness/__init__.py",
    submodule_search_locations=[root + "/harness"])
sys.modules["harness"] = importlib.util.module_from_spec(spec)
import submission.score
assert submission.score.__file__.startswith(sealed), submission.score.__file__
print("sealed")
"""


def test_presets_fit_their_windows():
    for preset in PRESETS.values():
        assert preset.windows.length <= preset.model.max_length
        assert preset.windows.length % preset.windows.stride == 0
