"""Everything that needs no data, done before the judge's clock starts: compile, and rehearse the export.

Does not train anything that is kept: after it the model is at its first weights.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from submission import artifact, attention
from submission.attention import Attend
from submission.export import Exporter
from submission.fit import Learner
from submission.hessians import collect
from submission.model import BANKS, GPT
from submission.parallel import World, share_of
from submission.presets import Preset
from submission.tune import tune_mixer
from submission.windows import SlidingModel

MARGIN = 1.25
"""Times the rehearsed export that is kept for the real one."""
END_S = 3.0
"""Kept besides for what a rehearsal does not show: the last step, the weighing of the average, the end."""
TRIES = 3
"""Artifacts that the size guard may make in the kept time."""
REHEARSED_STEP = 1 / 100
"""Of weights that are 0.05 on average: codes of about the size that a trained model has."""
TUNE_BLOCK = 16_384
"""Tokens at a time where the passes have one shape: several of them."""


@dataclass(slots=True, kw_only=True)
class Prepared:
    """What is ready before the data come."""

    learner: Learner
    scoring: SlidingModel | None
    """A model to put the quantised weights into, compiled; None where that is not worth it."""
    reserve_s: float
    """Seconds to keep for the export, all in all."""
    tail_s: float
    """Of these, what is for the mixer and the end: the size guard stops before."""


def prepare(
    preset: Preset, world: World, *, vocab_size: int, seed: int, attend: Attend = attention.attend
) -> Prepared:
    """Return a learner at its first weights; what the preset asks for is compiled and rehearsed.

    Raises ValueError for more ranks than windows: one of them would have nothing to do.
    """
    fewest = min(preset.batch_windows, preset.calibration.batch_windows)
    if world.size > fewest:
        raise ValueError(
            f"{world.size} ranks for batches of {fewest} windows; start at most {fewest}"
        )
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
    reserve_s, tail_s = preset.reserve_s, 0.5 * preset.reserve_s
    if preset.rehearse:
        rehearsed_s, tail_s = rehearse(learner, scoring)
        reserve_s = max(reserve_s, rehearsed_s)
    return Prepared(learner=learner, scoring=scoring, reserve_s=reserve_s, tail_s=tail_s)


def warm_up(learner: Learner, steps: int = 3) -> None:
    """Make a few steps on random tokens, so that all is compiled, and forget them."""
    preset, world = learner.preset, learner.world
    for tokens_BT in _random_batches(learner, share_of(preset.batch_windows, world), steps):
        learner.step(tokens_BT, factor=1.0)
    learner.catch_up()
    learner.restart()


@dataclass(slots=True)
class _Lap:
    """Seconds that each part of an export took."""

    hessians_s: float = 0.0
    made_s: float = 0.0
    tuned_s: float = 0.0


def rehearse(learner: Learner, scoring: SlidingModel | None) -> tuple[float, float]:
    """Export random weights of about the trained size, twice, and forget them; return the seconds to keep.

    All in all, and for what follows the size guard. Rank 0's numbers, on every rank.
    """
    world = learner.world
    with torch.no_grad():
        for name in BANKS:
            bank = getattr(learner.model, name).normal_(0.0, 0.05)
            # One row with a step of its own: otherwise the search over clips, most of GPTQ's work, is spared.
            bank[:, 0, 0] = 0.5
    _exported(learner, scoring)  # this one pays for kernels that load
    lap = _exported(learner, scoring)
    learner.restart()
    tail_s = MARGIN * lap.tuned_s + END_S
    kept_s = MARGIN * (lap.hessians_s + TRIES * lap.made_s) + tail_s
    told = world.tell(torch.tensor([kept_s, tail_s], dtype=torch.float64))
    if world.speaks:
        print(
            f"rehearsed: Hessians {lap.hessians_s:.1f} s, GPTQ and packing {lap.made_s:.1f} s, "
            f"mixer {lap.tuned_s:.1f} s; keeping {kept_s:.1f} s"
        )
    return float(told[0]), float(told[1])


def _exported(learner: Learner, scoring: SlidingModel | None) -> _Lap:
    preset, world, lap = learner.preset, learner.world, _Lap()
    rows, count = share_of(preset.calibration.batch_windows, world), preset.calibration.batches
    at_s = time.monotonic()
    with learner.unrounded() as model:
        batches = (batch_BT[:, :-1] for batch_BT in _random_batches(learner, rows, count))
        hessians = collect(model, batches, world)
    lap.hessians_s, at_s = time.monotonic() - at_s, time.monotonic()
    if not world.speaks:
        return lap
    exporter = Exporter(learner.model, hessians, preset.quantise, preset.windows)
    built = artifact.from_bytes(exporter.make(REHEARSED_STEP))
    built.mixer = preset.mixer
    lap.made_s, at_s = time.monotonic() - at_s, time.monotonic()
    if scoring is not None:
        rng = np.random.default_rng(0)
        held_out = rng.integers(0, built.model.vocab_size, preset.held_out_tokens)
        tune_mixer(built, held_out, until_s=np.inf, windows=scoring, block_tokens=TUNE_BLOCK)
        lap.tuned_s = time.monotonic() - at_s
    return lap


def _random_batches(learner: Learner, rows: int, count: int) -> list[torch.Tensor]:
    shape = (rows, learner.preset.windows.length + 1)
    generator = torch.Generator().manual_seed(0)
    vocab_size = learner.model.config.vocab_size
    return [torch.randint(0, vocab_size, shape, generator=generator) for _ in range(count)]
