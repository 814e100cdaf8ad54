"""What quantising costs, in nats per token of the validation text: with and without soft rounding, by bits.

    python -m tests.benchmarks.quantising --data DATA [--preset h100] [--train-s 42] [--cap-bytes 15700000]

Trains the preset for a while, with soft rounding and without, and stores each at the smallest step whose
estimated size meets the cap, with codes of 6 and of 8 bits. Prints, for each, the step, the bytes, the
share of rows that have that step, the Hessian-weighted loss over rounding's, and the gap: nats of the
stored weights less those of the weights themselves, on windows that do not overlap. One seed: gaps of the
same weights are compared, not trainings.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from submission import artifact, attention
from submission.export import Exporter, planned_step
from submission.fit import Learner, fit
from submission.gptq import GptqConfig
from submission.hessians import collect
from submission.loader import Loader, Tokens, read_shard, side_by_side
from submission.parallel import World
from submission.presets import PRESETS, Preset, QatConfig

HEADER = (
    f"{'rounding':<10}{'bits':>5}{'step':>9}{'bytes':>13}{'floored':>9}{'of nearest':>12}{'gap':>9}"
)


def trained(
    preset: Preset, shards: list[Tokens], vocab_size: int, seed: int, train_s: float, cap: int
):
    """Return a learner that has learnt for `train_s`, and the inputs of a calibration."""
    world = World(device=torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    learner = Learner(preset, world, vocab_size=vocab_size, seed=seed)
    learner.step(
        torch.randint(0, vocab_size, (preset.batch_windows, preset.windows.length + 1)), 1.0
    )
    learner.catch_up()
    learner.restart()
    length = preset.windows.length
    with Loader(shards, length=length, batch_windows=preset.batch_windows, seed=seed) as batches:
        deadline_s = time.monotonic() + train_s
        progress = fit(
            learner, batches, deadline_s=deadline_s, cap_bytes=cap, log=lambda line: None
        )
    rows, count = preset.calibration.batch_windows, preset.calibration.batches
    with Loader(shards, length=length, batch_windows=rows, seed=seed + 1) as batches:
        text = [next(batches)[:, :-1] for _ in range(count)]
    return learner, text, progress.steps


def main() -> None:
    """Train twice and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", choices=PRESETS, default="h100")
    parser.add_argument("--train-s", type=float, default=42.0)
    parser.add_argument("--cap-bytes", type=int, default=15_700_000)
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--windows", type=int, default=128)
    options = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = True
    shards = [read_shard(path) for path in sorted((options.data / "train").glob("*.bin"))]
    val_T = np.concatenate([read_shard(p) for p in sorted((options.data / "val").glob("*.bin"))])
    vocab_size = int(max(int(val_T.max()), *(int(shard.max()) for shard in shards))) + 1
    preset = PRESETS[options.preset]
    val_BT = side_by_side(val_T, preset.windows.length)[: options.windows]
    print(HEADER, flush=True)
    for name, start in (("plain", 0.0), ("soft", preset.qat.start)):
        variant = replace(preset, qat=QatConfig(start=start))
        with attention.preferring("sdpa"):
            learner, text, steps = trained(
                variant, shards, vocab_size, options.seed, options.train_s, options.cap_bytes
            )
            own = learner.nats(val_BT)
            with learner.unrounded() as model:
                hessians = collect(model, text, learner.world)
        kept = {key: value.clone() for key, value in learner.model.state_dict().items()}
        for bits in (6, 8):
            config = replace(variant.quantise, gptq=GptqConfig(bits=bits))
            step = planned_step(learner.model, config, options.cap_bytes)
            exporter = Exporter(learner.model, hessians, config, variant.windows)
            blob = exporter.make(step)
            cost = exporter.costs[step]
            learner.model.load_state_dict(artifact.from_bytes(blob).build().state_dict())
            gap = learner.nats(val_BT) - own
            learner.model.load_state_dict(kept)
            ratio = cost.loss / cost.nearest_loss
            print(
                f"{name:<10}{bits:>5}{step:>9.5f}{len(blob):>13,}{cost.floored:>9.2f}{ratio:>12.2f}{gap:>+9.4f}",
                flush=True,
            )
        print(f"  {steps} steps, {own:.4f} nats per token before it was stored", flush=True)


if __name__ == "__main__":
    main()
