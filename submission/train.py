"""The trainer: learn from what the judge hands over, export before its deadline.

    python -m submission.train                                    started by the judge: one process
    python -m torch.distributed.run --standalone --nproc-per-node=8 -m submission.train     one a GPU

In the environment (the manifest's [train].env) SUBMISSION_PRESET names the size, "smoke" without it, and
SUBMISSION_ATTENTION the kernel: see attention.py. What it prints is for people. Nothing but the seed decides
the order of the data and the first weights; with a preset that counts its steps, on a machine that is fast
enough, the clock decides nothing at all.

Before the judge's clock starts everything that needs no data is done: kernels are compiled, and the export is
rehearsed on random weights, so that the time to keep for it is measured and not guessed. Does not resume.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from harness import sdk
from submission import artifact, attention
from submission.attention import Attend
from submission.export import Exporter, artifact_room
from submission.fit import Learner, Progress, fit
from submission.hessians import Hessians, collect, generate
from submission.loader import Loader, Tokens, hold_out
from submission.model import GPT
from submission.parallel import World, join
from submission.presets import PRESETS, Preset
from submission.tune import tune_mixer
from submission.windows import SlidingModel

MARGIN = 1.25
"""Times the rehearsed export that is kept for the real one."""
END_S = 3.0
"""Kept besides for what a rehearsal does not show: the last step, the weighing of the average, the end."""
TRIES = 3
"""Artifacts that the size guard may make in the kept time: more are made where time is left."""
TUNE_BLOCK = 16_384


@dataclass(slots=True, kw_only=True)
class Prepared:
    """What is ready before the data come."""

    learner: Learner
    scoring: SlidingModel | None
    """A model to put the quantised weights into, compiled; None where that is not worth it."""
    reserve_s: float
    """Seconds to keep for the export."""


def prepare(
    preset: Preset, world: World, *, vocab_size: int, seed: int, attend: Attend = attention.attend
) -> Prepared:
    """Return a learner at its first weights; what the preset asks for is compiled and rehearsed."""
    learner = Learner(preset, world, vocab_size=vocab_size, seed=seed, attend=attend)
    scoring = None
    if preset.compile:
        warm_up(learner)
        if world.speaks and preset.use_mixer:
            model = GPT(learner.model.config, dtype=learner.model.dtype).to(world.device)
            model.load_state_dict(learner.model.state_dict())
            model.attend = attend
            scoring = SlidingModel([model], preset.windows, compiled=True)
            scoring.warm_up()
    reserve_s = preset.reserve_s
    if preset.rehearse:
        reserve_s = max(reserve_s, rehearse(learner, scoring))
    return Prepared(learner=learner, scoring=scoring, reserve_s=reserve_s)


def warm_up(learner: Learner, steps: int = 3) -> None:
    """Make a few steps on random tokens, so that all is compiled, and forget them."""
    preset, world = learner.preset, learner.world
    for tokens_BT in _random_batches(learner, preset.batch_windows // world.size, steps):
        learner.step(tokens_BT, factor=1.0)
    learner.catch_up()
    learner.restart()


def rehearse(learner: Learner, scoring: SlidingModel | None) -> float:
    """Export random weights of about the trained size, throw the result away; return the seconds to keep.

    The largest of all ranks, which must agree.
    """
    preset, world = learner.preset, learner.world
    with torch.no_grad():
        for bank in (learner.model.qo, learner.model.kv, learner.model.up, learner.model.down):
            bank.normal_(0.0, 0.05)
    batches = _random_batches(
        learner, preset.calibration.batch_windows // world.size, preset.calibration.batches
    )
    kept_s = 0.0
    for _ in range(2):  # the first pays for kernels that load
        before_s = time.monotonic()
        with learner.unrounded() as model:
            hessians = collect(model, (batch_BT[:, :-1] for batch_BT in batches), world)
        hessians_s = time.monotonic() - before_s
        made_s = tuned_s = 0.0
        if world.speaks:
            exporter = Exporter(learner.model, hessians, preset.quantise, preset.windows)
            built = artifact.from_bytes(exporter.make(1 / 31))
            made_s = time.monotonic() - before_s - hessians_s
            if scoring is not None:
                held_out = np.random.default_rng(0).integers(
                    0, built.model.vocab_size, preset.held_out_tokens
                )
                tune_mixer(
                    built, held_out, until_s=np.inf, windows=scoring, block_tokens=TUNE_BLOCK
                )
                tuned_s = time.monotonic() - before_s - hessians_s - made_s
        kept_s = MARGIN * (hessians_s + TRIES * made_s + tuned_s) + END_S
    told = world.tell(torch.tensor([kept_s], dtype=torch.float64))
    learner.restart()
    if world.speaks:
        print(
            f"rehearsed: Hessians {hessians_s:.1f} s, GPTQ and packing {made_s:.1f} s, "
            f"mixer {tuned_s:.1f} s; keeping {float(told):.1f} s"
        )
    return float(told)


def _random_batches(learner: Learner, rows: int, count: int) -> list[torch.Tensor]:
    shape = (max(1, rows), learner.preset.windows.length + 1)
    generator = torch.Generator().manual_seed(0)
    vocab_size = learner.model.config.vocab_size
    return [torch.randint(0, vocab_size, shape, generator=generator) for _ in range(count)]


def run(training: sdk.Training | None, ready: Prepared) -> None:
    """Train, export and write the artifact; rank 0 brings what the judge handed over, the others None."""
    learner, world = ready.learner, ready.learner.world
    preset = learner.preset
    told = json.loads(world.tell_bytes(_facts(training)))
    deadline_s = told["deadline_s"]
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
    progress = fit(
        learner,
        loader,
        deadline_s=deadline_s - ready.reserve_s,
        cap_bytes=told["room_bytes"],
    )
    started_s = time.monotonic()
    _choose_weights(learner, held_out)
    hessians = _calibrate(learner, calibration)
    world.leave()
    if training is None:
        return
    print(f"calibrated in {time.monotonic() - started_s:.1f} s")
    write(ready, hessians, held_out, training, progress, told["room_bytes"])
    print(
        f"exported in {time.monotonic() - started_s:.1f} s; "
        f"{deadline_s - time.monotonic():.1f} s to spare"
    )


def _facts(training: sdk.Training | None) -> bytes:
    if training is None:
        return b""
    room_bytes = artifact_room(Path(__file__).parent, training.cap_bytes)
    return json.dumps({"deadline_s": training.deadline_s, "room_bytes": room_bytes}).encode()


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


def _choose_weights(learner: Learner, held_out: Tokens) -> None:
    """Leave in the model whichever is better on held-out train text: its weights or their average."""
    if learner.average is None:
        return
    world, length = learner.world, learner.preset.windows.length
    better = torch.zeros(1)
    if world.speaks and len(held_out) > length:
        count = (len(held_out) - 1) // length
        at = np.arange(count)[:, None] * length + np.arange(length + 1)
        tokens_BT = torch.from_numpy(held_out[at].astype(np.int64))
        own = learner.nats(tokens_BT)
        learner.average.swap()
        averaged = learner.nats(tokens_BT)
        learner.average.swap()
        better[0] = float(averaged < own)
        print(f"held-out train text: weights {own:.4f} nats, their average {averaged:.4f}")
    if float(world.tell(better)):
        learner.average.swap()


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
            rows = config.batch_windows // world.size
            yield generate(model, rows, length, temperature=config.temperature, generator=generator)
            continue
        tokens_BT = torch.empty((config.batch_windows, length + 1), dtype=torch.int64)
        if loader is not None:
            tokens_BT = next(loader)
        yield world.tell(tokens_BT)[world.rank :: world.size, :-1]


def write(
    ready: Prepared,
    hessians: Hessians,
    held_out: Tokens,
    training: sdk.Training,
    progress: Progress,
    room_bytes: int,
) -> None:
    """Quantise, fit the cap, tune the mixer and leave both files in the judge's folder."""
    preset, model = ready.learner.preset, ready.learner.model
    exporter = Exporter(model, hessians, preset.quantise, preset.windows)
    fitted = exporter.fit(
        cap_bytes=room_bytes,
        step=progress.planned_step or preset.quantise.smallest_step,
        until_s=training.deadline_s - 0.5 * ready.reserve_s,
    )
    cost = exporter.costs[fitted.step]
    print(
        f"{len(fitted.blob):,} bytes in {fitted.tries} tries; gave up {fitted.gave_up}; "
        f"{cost.floored:.1%} of rows have the smallest step; "
        f"loss {cost.loss:.4g}, to nearest {cost.nearest_loss:.4g}"
    )
    (training.out / artifact.WEIGHTS).write_bytes(fitted.blob)
    built = artifact.from_bytes(fitted.blob)
    built.mixer = preset.mixer
    if preset.use_mixer:
        until_s = training.deadline_s - 0.2 * ready.reserve_s
        built.mixer_weights = tune_mixer(
            built,
            held_out,
            until_s=until_s,
            windows=_with_weights(ready.scoring, built),
            block_tokens=TUNE_BLOCK if ready.scoring is not None else 1024,
        )
    (training.out / artifact.MIXER).write_bytes(built.mixer_bytes())
    print(f"mixer weights {', '.join(f'{weight:.3f}' for weight in built.mixer_weights)}")


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
    preset = PRESETS[os.environ.get("SUBMISSION_PRESET", "smoke")]
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
