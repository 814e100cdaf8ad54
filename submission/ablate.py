"""What each part of the system is worth: trains a preset with one part off at a time, on one's own machine.

    python -m submission.ablate --data runs/.data/synthetic-1 --seeds 1,2,3 [--parts muon,qat]

DATA is a folder as `harness data build` or a first `harness run` leaves it. For each part the table has the
nats per token of the validation text without it, and the difference to the whole system over the same seeds,
with a 95 % interval (Student's t of the paired differences). Positive means that the part helps.

Believes its own numbers: no sandbox, no counted bytes, no challenge. `harness run` is the judge.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from harness.sdk import Training
from submission import artifact, attention
from submission.loader import Tokens, read_shard
from submission.parallel import World
from submission.prepare import prepare
from submission.presets import PRESETS, Preset
from submission.score import Scorer, ready_windows
from submission.train import run

BLOCK_TOKENS = 1024
Change = Callable[[Preset], Preset]


def _model(**switches: object) -> Change:
    return lambda preset: replace(preset, model=replace(preset.model, **switches))


def _optimiser(**values: object) -> Change:
    return lambda preset: replace(preset, optimiser=replace(preset.optimiser, **values))


def _one_rate(preset: Preset) -> Preset:
    late = preset.optimiser.muon_rate_late
    return _optimiser(muon_rate_early=late)(preset)


def _full_rotary(preset: Preset) -> Preset:
    return _model(rotary_dims=preset.model.head_size)(preset)


def _steady_momentum(preset: Preset) -> Preset:
    return _optimiser(muon_momentum_start=preset.optimiser.muon_momentum)(preset)


def _no_sliding(preset: Preset) -> Preset:
    return replace(preset, windows=replace(preset.windows, stride=preset.windows.length))


def _nearest(preset: Preset) -> Preset:
    return replace(preset, quantise=replace(preset.quantise, nearest=True))


PARTS: dict[str, Change] = {
    "exclusive": _model(exclusive=False),
    "unet": _model(unet=False),
    "smear": _model(smear=False),
    "bigram": _model(bigram_width=0),
    "value": _model(value_width=0),
    "residual-mix": _model(residual_mix=False),
    "logit-cap": _model(logit_cap=0.0),
    "partial-rotary": _full_rotary,
    "muon": _optimiser(muon=False),
    "split-rate": _one_rate,
    "momentum-warmup": _steady_momentum,
    "clip": _optimiser(clip=0.0),
    "average": lambda preset: replace(preset, ema_decay=0.0),
    "qat": lambda preset: replace(preset, qat=replace(preset.qat, start=0.0)),
    "gptq": _nearest,
    "sliding": _no_sliding,
    "mixer": lambda preset: replace(preset, use_mixer=False),
}
"""For each part, what a preset is without it."""


@dataclass(frozen=True, slots=True)
class Result:
    """One training, scored."""

    nats: float
    """Per token of the validation text."""
    size_bytes: int
    """Of the weights, as packed."""
    wall_s: float


@dataclass(frozen=True, slots=True)
class _Shard:
    path: Path

    def tokens(self) -> Tokens:
        return read_shard(self.path)


@dataclass(frozen=True, slots=True)
class _Tokenizer:
    path: Path

    def read(self) -> bytes:
        return self.path.read_bytes()


def train_into(
    out: Path,
    preset: Preset,
    shards: Sequence[Path],
    *,
    vocab_size: int,
    seed: int,
    cap_bytes: int,
    train_s: float,
    tokenizer: Path | None = None,
) -> None:
    """Train one variant and leave what a train phase would in `out`."""
    gpu = torch.cuda.is_available()
    world = World(device=torch.device("cuda" if gpu else "cpu"))
    ready = prepare(preset, world, vocab_size=vocab_size, seed=seed)
    run(
        Training(
            shards=tuple(_Shard(path) for path in shards),  # type: ignore[arg-type]
            tokenizer=None if tokenizer is None else _Tokenizer(tokenizer),  # type: ignore[arg-type]
            out=out,
            seed=seed,
            train_s=train_s,
            deadline_s=time.monotonic() + train_s,
            cap_bytes=cap_bytes,
        ),
        ready,
    )


def trained(
    preset: Preset,
    shards: Sequence[Path],
    val_T: Tokens,
    *,
    vocab_size: int,
    seed: int,
    cap_bytes: int,
    train_s: float,
    tokenizer: Path | None = None,
) -> Result:
    """Train, export and score one variant."""
    started_s = time.monotonic()
    gpu = torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        train_into(
            out,
            preset,
            shards,
            vocab_size=vocab_size,
            seed=seed,
            cap_bytes=cap_bytes,
            train_s=train_s,
            tokenizer=tokenizer,
        )
        built = artifact.load(out)
        size = (out / artifact.WEIGHTS).stat().st_size
    device = torch.device("cuda" if gpu else "cpu")
    choice = attention.choose("sdpa", device)
    windows = ready_windows(built, [device], choice)
    block = BLOCK_TOKENS * (64 if gpu else 1)
    scorer = Scorer(
        built, tokens=len(val_T), block_tokens=block, windows=windows, mixer=preset.use_mixer
    )
    total = 0.0
    for first in range(0, len(val_T), block):
        total += float(scorer.score(val_T[first : first + block]).sum())
        scorer.accept(val_T[first : first + block])
    return Result(total / len(val_T), size, time.monotonic() - started_s)


def interval(differences: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the two-sided Student's t interval of the mean; None for fewer than two values."""
    if len(differences) < 2:
        return None
    from scipy import stats

    values = np.asarray(differences, dtype=np.float64)
    half = stats.t.ppf(0.5 + confidence / 2, len(values) - 1) * values.std(ddof=1)
    half /= np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def line(name: str, results: Sequence[Result], whole: Sequence[Result]) -> str:
    """Return one line of the table."""
    nats = float(np.mean([result.nats for result in results]))
    size = float(np.mean([result.size_bytes for result in results]))
    cells = f"{name:<18}{nats:>10.5f}{size:>14,.0f}"
    if results is whole:
        return cells
    differences = [a.nats - b.nats for a, b in zip(results, whole, strict=True)]
    around = interval(differences)
    told = f"[{around[0]:+.5f}, {around[1]:+.5f}]" if around else "no interval: one seed"
    return f"{cells}{np.mean(differences):>+12.5f}  {told}"


HEADER = f"{'without':<18}{'nats/token':>10}{'weights, bytes':>14}{'difference':>12}  95 % interval"


def ablate(
    preset: Preset, parts: Sequence[str], one: Callable[[Preset, int], Result], seeds: Sequence[int]
) -> dict[str, list[Result]]:
    """Return the results of the whole system and of each part's absence, printing lines as they come.

    A part whose absence changes nothing in this preset is left out, and said to be.
    """
    whole = [one(preset, seed) for seed in seeds]
    found = {"(whole)": whole}
    print(HEADER)
    print(line("(whole)", whole, whole), flush=True)
    for name in parts:
        without = PARTS[name](preset)
        if without == preset:
            print(f"{name:<18}has no effect in this preset", flush=True)
            continue
        found[name] = [one(without, seed) for seed in seeds]
        print(line(name, found[name], whole), flush=True)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m submission.ablate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument("--preset", choices=PRESETS, default="smoke")
    parser.add_argument("--parts", default=",".join(PARTS), help="by commas; default: all")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--tokens", type=int, default=131_072, help="validation tokens at most")
    parser.add_argument("--cap-bytes", type=int, default=16_000_000)
    parser.add_argument("--train-s", type=float, default=300.0)
    parser.add_argument("--json", type=Path, help="write every single result here too")
    parser.add_argument("--verbose", action="store_true", help="show the trainers' own lines")
    options = parser.parse_args()
    unknown = [name for name in options.parts.split(",") if name not in PARTS]
    if unknown:
        parser.error(f"--parts: {unknown[0]!r} is no part; use some of {', '.join(PARTS)}")
    if not all(seed.isdigit() for seed in options.seeds.split(",")):
        parser.error("--seeds: whole numbers by commas, as in 1,2,3")
    for name in ("dataset.json", "train/*.bin", "val/*.bin"):
        if not list(options.data.glob(name)):
            parser.error(f"--data {options.data}: no {name}; build it with harness data build")
    return options


def main() -> int:
    """Train and print the table."""
    options = _options()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.backends.cuda.matmul.allow_tf32 = True
    vocab_size = json.loads((options.data / "dataset.json").read_text("utf-8"))["vocab_size"]
    shards = sorted((options.data / "train").glob("*.bin"))
    val = [read_shard(path) for path in sorted((options.data / "val").glob("*.bin"))]
    val_T = np.concatenate(val)[: options.tokens]

    model = options.data / "tokenizer.model"
    tokenizer = model if model.exists() else None

    def one(preset: Preset, seed: int) -> Result:
        from contextlib import nullcontext, redirect_stdout

        quiet = nullcontext() if options.verbose else redirect_stdout(sys.stderr)
        with quiet, attention.preferring("sdpa"):
            return trained(
                preset,
                shards,
                val_T,
                vocab_size=vocab_size,
                seed=seed,
                cap_bytes=options.cap_bytes,
                train_s=options.train_s,
                tokenizer=tokenizer,
            )

    seeds = [int(seed) for seed in options.seeds.split(",")]
    found = ablate(PRESETS[options.preset], options.parts.split(","), one, seeds)
    if options.json:
        told = {
            name: [[result.nats, result.size_bytes, result.wall_s] for result in results]
            for name, results in found.items()
        }
        options.json.write_text(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
