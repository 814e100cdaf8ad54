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
from submission import artifact, export, fit, train
from submission import prepare as preparing
from submission.designs import DESIGNS, NEUTRAL
from submission.mixer import NO_HINT
from submission.parallel import World, share_of
from submission.pieces import from_tokenizer
from submission.prepare import prepare, rehearse, warm_up
from submission.presets import PRESETS, CalibrationConfig, QatConfig
from submission.schedule import Schedule
from submission.score import Scorer
from submission.train import _choose_weights, run
from submission.tune import tune_mixer
from submission.windows import SlidingModel
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
    assert {path.name for path in tmp_path.iterdir()} == {"weights.bin", "mixer.bin", "native"}
    for name, data in artifact.native_files().items():
        assert (tmp_path / name).read_bytes() == data
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


@pytest.mark.parametrize("wait_s", [60.0, 1e-9])
def test_a_fresh_artifact_is_of_the_first_weights_and_scores(tmp_path, capsys, wait_s):
    ready = ready_of(LONG)
    first = {name: weight.clone() for name, weight in ready.learner.model.state_dict().items()}
    # Time for every step, and none but what the deadline leaves: it makes no difference.
    run(training(tmp_path, fresh=True, deadline_s=time.monotonic() + wait_s), ready)
    said = capsys.readouterr().out
    assert "trained 0 steps" in said
    assert "the deadline may pass" not in said
    for name, weight in ready.learner.model.state_dict().items():
        assert torch.equal(weight, first[name])
    built = artifact.load(tmp_path)
    assert built.mixer_weights == (NEUTRAL,) * 3
    assert abs(Scorer(built).score(COUNTING[:400]).mean() - np.log(VOCAB)) < 1.0


def test_a_small_cap_is_kept(tmp_path, capsys):
    from submission.export import artifact_room

    others = train.beside_weights(training(tmp_path), ready_of(LONG))
    taken = 10**6 - artifact_room(ROOT / "submission", 10**6, others)
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
    assert artifact.load(tmp_path).mixer_weights == (NEUTRAL,) * 3


class Tokenizer:
    def read(self):
        return (ROOT / "harness/data/synthetic.model").read_bytes()


def test_the_tokenizer_s_pieces_go_along_and_words_are_followed(tmp_path):
    pytest.importorskip("sentencepiece")
    wanted = from_tokenizer(Tokenizer().read())
    vocab_size = len(wanted.texts)
    # What begins a word and what goes on with it, by turns, a stretch that comes back.
    starts, others = (np.flatnonzero(wanted.class_V[260:] == one) + 260 for one in (2, 1))
    text = np.stack([starts[:20], others[:20]], axis=1).flatten()
    shards = (Shard(np.tile(text, 60).astype(np.uint16)),)
    ready = prepare(PRESET, ALONE, vocab_size=vocab_size, seed=3)
    run(training(tmp_path, shards=shards, tokenizer=Tokenizer()), ready)
    built = artifact.load(tmp_path)
    assert built.pieces.texts == wanted.texts
    assert np.array_equal(built.pieces.class_V, wanted.class_V)
    # All three experts have something to say, and were fitted: the text repeats itself.
    assert all(weights != NEUTRAL for weights in built.mixer_weights)
    _, said = Scorer(built).evidence(np.tile(text, 3).astype(np.uint32))
    assert (said.token_TE != NO_HINT).any(0).all()


def test_without_a_tokenizer_the_experts_of_words_say_nothing(tmp_path):
    run(training(tmp_path), ready_of())
    built = artifact.load(tmp_path)
    assert built.mixer_weights[0] != NEUTRAL
    assert built.mixer_weights[1:] == (NEUTRAL, NEUTRAL)
    _, said = Scorer(built).evidence(COUNTING[:400])
    assert (said.token_TE[:, 0] != NO_HINT).any()
    assert (said.token_TE[:, 1:] == NO_HINT).all()


def test_another_vocabulary_s_tokenizer_is_refused_before_anything_is_trained(tmp_path, capsys):
    pytest.importorskip("sentencepiece")
    with pytest.raises(ValueError, match="512 pieces for a vocabulary of 40"):
        run(training(tmp_path, tokenizer=Tokenizer()), ready_of())
    assert not [*tmp_path.iterdir()]
    assert "steps" not in capsys.readouterr().out


@pytest.mark.parametrize("design", DESIGNS)
def test_a_run_leaves_a_mixer_of_its_design(tmp_path, design):
    config = replace(PRESET.mixer, design=design)
    run(training(tmp_path), ready_of(replace(PRESET, mixer=config)))
    built = artifact.load(tmp_path)
    assert built.mixer == config
    scorer = Scorer(built)
    scorer.accept(COUNTING[:100])
    assert np.isfinite(scorer.score(COUNTING[100:200])).all()


def test_preparing_leaves_no_trace():
    """Warm-up steps and the rehearsed export are forgotten: the first real step is the same."""
    touched, fresh = ready_of(), ready_of()
    warm_up(touched.learner)
    kept_s, tail_s = rehearse(touched.learner, None)
    assert preparing.END_S <= tail_s < kept_s
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
    built.mixer_weights = None
    assert tune_mixer(built, COUNTING, until_s=0.0, now=lambda: 1.0) is None
    # Too few steps to have learnt to count: the hints are all that is right.
    stream = COUNTING[:400]
    before = Scorer(built).score(stream).mean()
    built.mixer_weights = tune_mixer(built, COUNTING[:2000], until_s=1.0, now=lambda: 0.0)
    assert Scorer(built).score(stream).mean() < before - 1.0


def test_tuning_learns_from_what_it_accepted():
    """The text repeats from block to block alone: without history there would be no hint."""
    built = random_artifact()
    text = np.tile(np.random.default_rng(0).permutation(VOCAB), 15).astype(np.uint16)
    tuned = tune_mixer(built, text, until_s=1.0, now=lambda: 0.0, block_tokens=20)
    assert tuned[0] != NEUTRAL


def test_each_part_of_a_run_gets_its_own_end(tmp_path, monkeypatch):
    ends = {}

    def spied(name, key, real):
        def call(*args, **named):
            ends[name] = named[key]
            return real(*args, **named)

        return call

    monkeypatch.setattr(train, "fit", spied("fit", "deadline_s", train.fit))
    monkeypatch.setattr(train, "tune_mixer", spied("tune", "until_s", train.tune_mixer))
    guard = spied("guard", "until_s", train.Exporter.fit)
    monkeypatch.setattr(train.Exporter, "fit", lambda self, **named: guard(self, **named))
    given = training(tmp_path)
    run(given, ready_of(replace(PRESET, reserve_s=20.0)))
    wanted = {"fit": -20.0, "guard": -10.0, "tune": -3.0}
    assert ends == {name: given.deadline_s + after for name, after in wanted.items()}


def test_the_guard_begins_at_the_step_that_was_trained_against(tmp_path, monkeypatch):
    asked = []
    real = train.Exporter.fit

    def spied(self, **named):
        asked.append(named["step"])
        return real(self, **named)

    monkeypatch.setattr(train.Exporter, "fit", spied)
    monkeypatch.setattr(fit, "planned_step", lambda *_: 0.125)
    run(training(tmp_path), ready_of(replace(PRESET, qat=QatConfig(start=1.1))))
    assert asked == [0.125]


def test_the_reserve_is_what_the_rehearsal_took(monkeypatch):
    learner = ready_of().learner
    laps = iter([None, preparing._Lap(hessians_s=1.0, made_s=2.0, tuned_s=4.0)])
    monkeypatch.setattr(preparing, "_exported", lambda *_: next(laps))
    kept_s, tail_s = rehearse(learner, None)
    assert tail_s == preparing.MARGIN * 4.0 + preparing.END_S
    assert kept_s == preparing.MARGIN * (1.0 + preparing.TRIES * 2.0) + tail_s


def test_the_rehearsal_searches_over_clips_in_every_bank(monkeypatch):
    """Where the smallest step binds on all rows GPTQ spares itself the search, and the reserve would too."""
    searched = []
    real = export.quantise_bank

    def spied(*given, **named):
        done = real(*given, **named)
        searched.append(not done.floored_NR.all())
        return done

    monkeypatch.setattr(export, "quantise_bank", spied)
    rehearse(ready_of().learner, None)
    assert searched == [True] * 8


def test_text_for_calibration_comes_in_an_order_of_its_own(tmp_path, monkeypatch):
    seeds = []
    real = train.Loader
    monkeypatch.setattr(
        train,
        "Loader",
        lambda *given, seed, **named: seeds.append(seed) or real(*given, seed=seed, **named),
    )
    run(training(tmp_path, seed=3), ready_of())
    assert seeds == [3, 4]


def test_a_compiled_preset_is_warmed_up_and_tunes_in_the_model_it_compiled(tmp_path, monkeypatch):
    """With a compiler that does nothing: what is compiled, when, and what is run on it."""
    compiled, passes = [], []
    real = SlidingModel.row
    monkeypatch.setattr(torch, "compile", lambda x, **_: compiled.append(x) or x)
    monkeypatch.setattr(
        SlidingModel, "row", lambda self, *asked: passes.append(self) or real(self, *asked)
    )
    ready = ready_of(replace(PRESET, compile=True))
    assert len(compiled) == 2
    assert passes == [ready.scoring]
    run(training(tmp_path), ready)
    built = artifact.load(tmp_path)
    assert torch.equal(ready.scoring._models[0].embedding, built.build().embedding)
    assert len(compiled) == 2


def test_held_out_nats_and_calibration_see_the_weights_as_they_are_stored():
    learner = ready_of(replace(PRESET, qat=QatConfig(start=1.1))).learner
    tokens_BT = torch.from_numpy(COUNTING[:34].astype(np.int64)).view(2, 17)
    text = [torch.from_numpy(COUNTING[:68].astype(np.int64)).view(4, 17)] * 2
    with torch.no_grad():
        for parameter in learner.model.parameters():
            parameter.normal_(0.0, 0.5)
    plain, hessians = learner.nats(tokens_BT), train._calibrate(learner, iter(text))
    learner.rounding.set(alpha=16.0, smallest_step=0.5)
    assert learner.nats(tokens_BT) == plain
    again = train._calibrate(learner, iter(text))
    assert all(torch.equal(hessians[kind], again[kind]) for kind in hessians)


def test_more_ranks_than_windows_are_refused():
    crowd = World(device=torch.device("cpu"), size=9)
    with pytest.raises(ValueError, match="9 ranks for batches of 2 windows"):
        prepare(PRESET, crowd, vocab_size=VOCAB, seed=1)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_of_a_batch_are_what_slicing_gives(size):
    worlds = [World(device=torch.device("cpu"), rank=rank, size=size) for rank in range(size)]
    assert [share_of(8, world) for world in worlds] == [len(range(8)[r::size]) for r in range(size)]


def test_a_budget_below_the_reserve_is_said(tmp_path, capsys):
    run(training(tmp_path), ready_of(replace(PRESET, reserve_s=500.0)))
    assert "nothing is trained" in capsys.readouterr().out
    assert (tmp_path / artifact.WEIGHTS).exists()


def test_the_manifest_names_all_that_the_scorer_imports(request):
    """Starts it from the sealed set of files alone; it must get as far as asking for the judge."""
    import shutil
    import subprocess
    import sys

    root = request.config.rootpath
    manifest = load_manifest(root / "submission")
    outputs = {artifact.WEIGHTS, artifact.MIXER, *artifact.native_files()}
    assert set(manifest.artifact.output) == outputs
    sealed = request.getfixturevalue("tmp_path")
    for name in manifest.artifact.code:
        (sealed / "submission").mkdir(exist_ok=True)
        shutil.copy(root / "submission" / name, sealed / "submission" / name)
    (sealed / "native").mkdir()
    for name, data in artifact.native_files().items():
        (sealed / name).write_bytes(data)
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
import native.counts
import submission.score
for module in (submission.score, native.counts, native.counts.compiled or native.counts):
    assert module.__file__.startswith(sealed), module.__file__
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
        assert preset.batch_windows % preset.micro_windows == 0
