"""The trainer as a whole: it prepares without data, ends in time, and what it exports can be scored."""

import json
import socket
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness import sdk
from harness.manifest import load as load_manifest
from harness.sdk import Training
from submission import artifact
from submission.mixer import NEUTRAL
from submission.parallel import World
from submission.prepare import prepare, rehearse, warm_up
from submission.presets import PRESETS, CalibrationConfig
from submission.schedule import Schedule
from submission.score import Scorer
from submission.train import _choose_weights, run
from submission.tune import tune_mixer
from tests.judged import ROOT
from tests.submission.tiny import PRESET, VOCAB, random_artifact

COUNTING = np.arange(4000, dtype=np.uint16) % VOCAB
ALONE = World(device=torch.device("cpu"))
LONG = replace(PRESET, schedule=Schedule(steps=60, warmdown=0.5), batch_windows=8)


class Shard:
    def __init__(self, tokens=COUNTING):
        self._tokens = tokens

    def tokens(self):
        return self._tokens


def training(out, **changes):
    facts = {"shards": (Shard(),), "tokenizer": None, "out": out, "seed": 3, "train_s": 60.0}
    facts |= {"deadline_s": time.monotonic() + 60.0, "cap_bytes": 1_000_000}
    return Training(**{**facts, **changes})


def ready_of(preset=PRESET, seed=3):
    return prepare(preset, ALONE, vocab_size=VOCAB, seed=seed)


def test_a_run_leaves_an_artifact_that_scores(tmp_path, capsys):
    run(training(tmp_path), ready_of(LONG))
    said = capsys.readouterr().out
    assert "gave up nothing" in said
    assert "quantising costs" in said
    assert {path.name for path in tmp_path.iterdir()} == {"weights.bin", "mixer.json"}
    built = artifact.load(tmp_path)
    assert built.mixer == LONG.mixer
    assert Scorer(built).score(COUNTING[:400]).mean() < 1.0


def test_the_artifact_is_a_function_of_the_seed(tmp_path):
    blobs = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / name).mkdir()
        run(training(tmp_path / name, seed=seed), ready_of(seed=seed))
        blobs.append((tmp_path / name / artifact.WEIGHTS).read_bytes())
    assert blobs[0] == blobs[1]
    assert blobs[0] != blobs[2]


def test_a_small_cap_is_kept(tmp_path, capsys):
    from submission.export import artifact_room

    taken = 10**6 - artifact_room(ROOT / "submission", 10**6)
    run(training(tmp_path, cap_bytes=taken + 3000), ready_of(LONG))
    assert (tmp_path / artifact.WEIGHTS).stat().st_size <= 3000
    assert "coarser" in capsys.readouterr().out
    with pytest.raises(ValueError, match="cap"):
        run(training(tmp_path, cap_bytes=taken + 100), ready_of())


def test_generated_text_can_calibrate(tmp_path):
    config = CalibrationConfig(source="generated", batches=1, batch_windows=2)
    run(training(tmp_path), ready_of(replace(PRESET, calibration=config)))
    assert np.isfinite(Scorer(artifact.load(tmp_path)).score(COUNTING[:100])).all()


def test_without_the_mixer_its_weights_change_nothing(tmp_path):
    run(training(tmp_path), ready_of(replace(PRESET, use_mixer=False)))
    assert artifact.load(tmp_path).mixer_weights == NEUTRAL


def test_preparing_leaves_no_trace():
    """Warm-up steps and the rehearsed export are forgotten: the first real step is the same."""
    touched, fresh = ready_of(), ready_of()
    warm_up(touched.learner)
    kept_s, tail_s = rehearse(touched.learner, None)
    assert 3.0 <= tail_s < kept_s < 60.0
    tokens_BT = torch.from_numpy(COUNTING[:34].astype(np.int64)).view(2, 17)
    losses = [float(ready.learner.step(tokens_BT, 1.0)) for ready in (touched, fresh)]
    assert losses[0] == losses[1]
    pairs = zip(touched.learner.model.parameters(), fresh.learner.model.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_a_rehearsed_reserve_is_kept():
    assert ready_of(replace(PRESET, rehearse=True, reserve_s=0.0)).reserve_s > 0.0
    assert ready_of(replace(PRESET, rehearse=True, reserve_s=500.0)).reserve_s == 500.0


def test_of_weights_and_average_the_better_is_exported(capsys):
    learner = ready_of(replace(PRESET, ema_decay=0.9)).learner
    with torch.no_grad():
        for mean in learner.average._mean:
            mean.normal_(0.0, 3.0)
    own = learner.model.embedding.detach().clone()
    _choose_weights(learner, COUNTING[:400])
    assert torch.equal(learner.model.embedding, own)
    learner.average.swap()
    _choose_weights(learner, COUNTING[:400])
    assert torch.equal(learner.model.embedding, own)
    assert "their average" in capsys.readouterr().out


def test_tuning_stops_when_its_time_is_over_and_helps_when_it_is_not(tmp_path):
    run(training(tmp_path), ready_of())
    built = artifact.load(tmp_path)
    built.mixer_weights = NEUTRAL
    assert tune_mixer(built, COUNTING, until_s=0.0, now=lambda: 1.0) == NEUTRAL
    # Too few steps to have learnt to count: the hints are all that is right.
    stream = COUNTING[:400]
    before = Scorer(built).score(stream).mean()
    built.mixer_weights = tune_mixer(built, COUNTING[:2000], until_s=1.0, now=lambda: 0.0)
    assert Scorer(built).score(stream).mean() < before - 1.0


def test_tuning_does_not_depend_on_the_size_of_its_passes():
    built = random_artifact()
    small, large = (
        tune_mixer(built, COUNTING[:600], until_s=1.0, now=lambda: 0.0, block_tokens=size)
        for size in (600, 600)
    )
    assert small == large


def test_the_manifest_names_all_that_the_scorer_imports(request):
    """Starts it from the sealed set of files alone; it must get as far as asking for the judge."""
    import shutil
    import subprocess
    import sys

    root = request.config.rootpath
    manifest = load_manifest(root / "submission")
    assert set(manifest.artifact.output) == {artifact.WEIGHTS, artifact.MIXER}
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


def test_two_ranks_under_torchrun_answer_one_judge(tmp_path, tiny_shard):
    """torchrun hands the judge's socket on as standard input; rank 0 alone speaks."""
    import os

    judge, theirs = socket.socketpair()
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command += ["-m", "tests.submission.tiny_train"]
    child = subprocess.Popen(
        command, stdin=theirs, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    theirs.close()
    opening = {"protocol": 1, "phase": "train", "vocab_size": VOCAB, "block_tokens": 0}
    payload = json.dumps({**opening, "tokens": 0, "seed": 3}).encode()
    judge.sendall(sdk.header(sdk.Kind.OPEN, len(payload)) + payload)
    ready = judge.recv(sdk.HEADER.size, socket.MSG_WAITALL)
    assert sdk.HEADER.unpack(ready)[1] == sdk.Kind.READY
    facts = {"files": [{"name": "a", "size_bytes": tiny_shard.stat().st_size}], "shards": 1}
    facts |= {"out": str(tmp_path), "train_s": 100.0, "cap_bytes": 1_000_000}
    payload = json.dumps({**facts, "deadline_s": time.monotonic() + 100.0}).encode()
    with tiny_shard.open("rb") as file:
        head = sdk.header(sdk.Kind.DATA, len(payload))
        socket.send_fds(judge, [head], [file.fileno()])
        judge.sendall(payload)
    said = child.communicate(timeout=120)[0].decode()
    judge.close()
    assert child.returncode == 0, said
    assert np.isfinite(Scorer(artifact.load(tmp_path)).score(COUNTING[:100])).all()
    assert said.count("trained 3 steps") == 1


@pytest.fixture
def tiny_shard(tmp_path_factory):
    path = tmp_path_factory.mktemp("shard") / "a.bin"
    header = np.zeros(256, dtype="<i4")
    header[:3] = 20240520, 1, len(COUNTING)
    path.write_bytes(header.tobytes() + COUNTING.tobytes())
    return path


def test_presets_fit_their_windows():
    for preset in PRESETS.values():
        assert preset.windows.length <= preset.model.max_length
        assert preset.windows.length % preset.windows.stride == 0
        assert preset.batch_windows % preset.micro_windows == 0 or preset.batch_windows == 384
