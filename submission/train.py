"""The trainer: learn from what the judge hands over, export before its deadline.

    python -m submission.train                                    started by the judge: one process
    python -m torch.distributed.run --standalone --nproc-per-node=8 -m submission.train     one a GPU

In the environment (the manifest's [train].env) SUBMISSION_PRESET names the size, "smoke" without it, and
SUBMISSION_ATTENTION the kernel: see attention.py. What it prints is for people. Nothing but the seed decides
the order of the data and the first weights; with a preset that counts its steps, on a machine that is fast
enough, the clock decides nothing at all. Where the judge asks for a fresh artifact (`harness check`), the
first weights are exported as they are.

Before the judge's clock starts everything that needs no data is done: kernels are compiled, and the export is
rehearsed on random weights, so that the time to keep for it is measured and not guessed. Does not resume.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from harness import sdk
from submission import artifact, attention, pieces
from submission.designs import EXPERTS
from submission.export import Exporter, artifact_room
from submission.fit import Learner, Progress, fit
from submission.hessians import Hessians, collect, generate
from submission.loader import Loader, Tokens, hold_out, side_by_side
from submission.model import GPT
from submission.parallel import World, join, share_of
from submission.prepare import END_S, TUNE_BLOCK, Prepared, prepare
from submission.presets import PRESETS, Preset
from submission.tune import BLOCK_TOKENS, tune_mixer
from submission.windows import SlidingModel


def run(training: sdk.Training | None, ready: Prepared) -> None:
    """Train, export and write the artifact; rank 0 brings what the judge handed over, the others None."""
    learner, world = ready.learner, ready.learner.world
    preset = learner.preset
    others = beside_weights(training, ready) if training is not None else {}
    told = json.loads(world.tell_bytes(_facts(training, others)))
    deadline_s = told["deadline_s"]
    if told["fresh"]:
        preset = learner.preset = untrained(preset, world)
    loader, calibration, held_out = None, None, np.zeros(0, dtype=np.uint16)
    if training is not None:
        shards, held_out = hold_out(
            [shard.tokens() for shard in training.shards], preset.held_out_tokens
        )
        loader = _loader(preset, world, shards, preset.batch_windows, training.seed)
        calibration = _loader(
            preset, world, shards, preset.calibration.batch_windows, training.seed + 1
        )
        weights = sum(parameter.numel() for parameter in learner.model.parameters())
        print(f"{weights:,} weights; {loader.windows_per_epoch} windows an epoch; {told}")
    if told["fresh"]:
        deadline_s = time.monotonic() + ready.reserve_s  # no step
    elif world.speaks and deadline_s - ready.reserve_s <= time.monotonic():
        print(
            f"the whole budget is less than the {ready.reserve_s:.1f} s that the export needs: "
            "nothing is trained, and the deadline may pass"
        )
    progress = fit(
        learner,
        loader,
        deadline_s=deadline_s - ready.reserve_s,
        cap_bytes=told["room_bytes"],
    )
    started_s = time.monotonic()
    nats = _choose_weights(learner, held_out)
    weighed_s = time.monotonic() - started_s
    hessians = _calibrate(learner, calibration)
    world.leave()
    if training is None:
        return
    print(f"calibrated in {time.monotonic() - started_s:.1f} s")
    built = write(ready, hessians, held_out, training, progress, told["room_bytes"], others)
    print(
        f"exported in {time.monotonic() - started_s:.1f} s; "
        f"{deadline_s - time.monotonic():.1f} s to spare"
    )
    # For people alone, and on the train clock: only where there is time for several times what it takes.
    if deadline_s - time.monotonic() > 3.0 * weighed_s:
        _say_what_it_cost(learner, built, held_out, nats)


def _say_what_it_cost(
    learner: Learner, built: artifact.Artifact, held_out: Tokens, nats: float
) -> None:
    tokens_BT = side_by_side(held_out, learner.preset.windows.length)
    if len(tokens_BT):
        learner.model.load_state_dict(built.build().state_dict())
        print(f"quantising costs {learner.nats(tokens_BT) - nats:+.4f} nats on held-out train text")


def beside_weights(training: sdk.Training, ready: Prepared) -> dict[str, bytes]:
    """Return the outputs beside the weights, by name; the mixer's numbers are still to be fitted."""
    built = artifact.Artifact(
        stored={}, model=ready.learner.model.config, windows=ready.learner.preset.windows
    )
    built.mixer = ready.learner.preset.mixer
    if training.tokenizer is not None:
        built.pieces = pieces.from_tokenizer(training.tokenizer.read())
    return {artifact.MIXER: built.mixer_bytes(), **artifact.native_files()}


def _facts(training: sdk.Training | None, others: Mapping[str, bytes]) -> bytes:
    if training is None:
        return b""
    room_bytes = artifact_room(Path(__file__).parent, training.cap_bytes, others)
    facts = {"deadline_s": training.deadline_s, "room_bytes": room_bytes, "fresh": training.fresh}
    return json.dumps(facts).encode()


def untrained(preset: Preset, world: World) -> Preset:
    """Return the preset with which an artifact of the first weights costs least; it is valid, not good.

    One window a rank calibrates, nothing is held out, and the mixer keeps the weights that change nothing.
    """
    return replace(
        preset,
        calibration=replace(preset.calibration, batches=1, batch_windows=world.size),
        held_out_tokens=0,
        use_mixer=False,
    )


def _loader(
    preset: Preset, world: World, shards: list[Tokens], batch_windows: int, seed: int
) -> Loader:
    return Loader(
        shards,
        length=preset.windows.length,
        batch_windows=batch_windows,
        seed=seed,
        pin=world.device.type == "cuda" and world.size == 1,
    )


def _choose_weights(learner: Learner, held_out: Tokens) -> float:
    """Leave in the model whichever is better on held-out train text: its weights or their average.

    Return its nats there, on rank 0; NaN where the text is too short to tell.
    """
    tokens_BT = side_by_side(held_out, learner.preset.windows.length)
    nats, better = float("nan"), torch.zeros(1)
    if learner.world.speaks and len(tokens_BT):
        nats = learner.nats(tokens_BT)
        if learner.average is not None:
            learner.average.swap()
            averaged = learner.nats(tokens_BT)
            learner.average.swap()
            print(f"held-out train text: weights {nats:.4f} nats, their average {averaged:.4f}")
            better[0] = float(averaged < nats)
            nats = min(nats, averaged)
    if float(learner.world.tell(better)) and learner.average is not None:
        learner.average.swap()
    return nats


def _calibrate(learner: Learner, loader: Iterator[torch.Tensor] | None) -> Hessians:
    preset, world = learner.preset, learner.world
    with learner.unrounded() as model:
        return collect(model, _calibration_text(model, preset, world, loader), world)


def _calibration_text(
    model: GPT, preset: Preset, world: World, loader: Iterator[torch.Tensor] | None
) -> Iterator[torch.Tensor]:
    config, length = preset.calibration, preset.windows.length
    generator = torch.Generator(world.device).manual_seed(world.rank)
    for _ in range(config.batches):
        if config.source == "generated":
            rows = share_of(config.batch_windows, world)
            yield generate(model, rows, length, temperature=config.temperature, generator=generator)
            continue
        yield world.deal(loader, config.batch_windows, length + 1)[:, :-1]


def write(
    ready: Prepared,
    hessians: Hessians,
    held_out: Tokens,
    training: sdk.Training,
    progress: Progress,
    room_bytes: int,
    others: Mapping[str, bytes],
) -> artifact.Artifact:
    """Quantise, fit the cap, tune the mixer and leave all outputs; return what they hold."""
    preset, model = ready.learner.preset, ready.learner.model
    exporter = Exporter(model, hessians, preset.quantise, preset.windows)
    fitted = exporter.fit(
        cap_bytes=room_bytes,
        step=progress.planned_step or preset.quantise.smallest_step,
        until_s=training.deadline_s - ready.tail_s,
    )
    cost = exporter.costs[fitted.step]
    print(
        f"{len(fitted.blob):,} bytes in {fitted.tries} tries; gave up {fitted.gave_up}; "
        f"{cost.floored:.1%} of rows have the smallest step; "
        f"loss {cost.loss:.4g}, to nearest {cost.nearest_loss:.4g}"
    )
    (training.out / artifact.WEIGHTS).write_bytes(fitted.blob)
    for name, data in others.items():
        (training.out / name).parent.mkdir(exist_ok=True)
        (training.out / name).write_bytes(data)
    built = artifact.from_bytes(fitted.blob, others[artifact.MIXER])
    if preset.use_mixer:
        until_s = training.deadline_s - min(END_S, 0.2 * ready.reserve_s)
        built.mixer_weights = tune_mixer(
            built,
            held_out,
            until_s=until_s,
            windows=_with_weights(ready.scoring, built),
            block_tokens=TUNE_BLOCK if ready.scoring is not None else BLOCK_TOKENS,
        )
    (training.out / artifact.MIXER).write_bytes(built.mixer_bytes())
    for expert, weights in zip(EXPERTS, built.mixture().weights, strict=True):
        print(f"mixer, {expert} expert: {', '.join(f'{weight:.3f}' for weight in weights)}")
    return built


def _with_weights(scoring: SlidingModel | None, built: artifact.Artifact) -> SlidingModel | None:
    if scoring is not None:
        scoring.load(built.build().state_dict())
    return scoring


def main() -> None:
    """Prepare what needs no data, ask for it, and run."""
    world = join()
    connection = sdk.connect() if world.speaks else None
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // world.size))
    # float32 products on tensor cores: their factors are bfloat16 numbers here, which fit.
    torch.backends.cuda.matmul.allow_tf32 = True
    name = os.environ.get("SUBMISSION_PRESET", "smoke")
    if name not in PRESETS:
        raise SystemExit(
            f"SUBMISSION_PRESET is {name!r}, not one of {', '.join(PRESETS)}; correct [train].env"
        )
    preset = PRESETS[name]
    opening = json.loads(world.tell_bytes(_opened(connection)))
    wanted = os.environ.get("SUBMISSION_ATTENTION", "sdpa")
    choice = attention.choose(wanted, world.device, preset.model.head_size)
    if world.speaks:
        print(choice.reason)
    with attention.preferring(choice.name):
        ready = prepare(preset, world, **opening, attend=choice.attend)
        run(connection.ready() if connection is not None else None, ready)


def _opened(connection: sdk.Connection | None) -> bytes:
    if connection is None:
        return b""
    opening = connection.opening
    return json.dumps({"vocab_size": opening.vocab_size, "seed": opening.seed}).encode()


if __name__ == "__main__":
    main()
    # The artifact is written. To take torch and its compiler down in order costs seconds of the train clock.
    sys.stdout.flush()
    os._exit(0)
