"""What the mixer is worth on text that nothing was tuned on, design by design and expert by expert.

    python -m submission.mix_report --data DATA --artifact FOLDER [--tokens N] [--json FILE]
    python -m submission.mix_report --data DATA --preset smoke            trains one first

DATA is a folder as `harness data build` makes it; FOLDER has the outputs of a train phase (a run's sealed
artifact). The weights of L6 are fitted on the tail of the train text; everything that is printed is of the
validation text.

- gain: nats per token that the text costs less, with a 99 % interval over documents (ratio estimate,
  Student's t): tokens of one document are alike, so that documents are what was drawn.
- as published, which is no probability: what the gate on the scored token's class would claim.
- hint at, right: share of positions with a hint; of those whose token the expert counts, how many came true.
- r, mean r, came true: L6's r in bins against how often the hint came true.

Shapes as in mixer.py; the figures are mix_evidence.py's. Does not judge: no sandbox, no counted bytes, no
clock.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from submission import ablate, artifact, attention
from submission.artifact import Artifact
from submission.designs import EXPERTS, Mixture, only
from submission.loader import Tokens, hold_out, read_shard
from submission.mix_evidence import (
    CONFIDENCE,
    Bin,
    Floats,
    Gain,
    Hits,
    View,
    claimed,
    gains,
    hits,
    over_documents,
    reliability,
    views,
)
from submission.model import BOS
from submission.presets import PRESETS
from submission.score import ready_windows
from submission.tune import Weights, fit


@dataclass(slots=True)
class Report:
    """All that is printed."""

    nats: float
    """Per token, without a mixer."""
    tokens: int
    documents: int
    gains: dict[str, Gain]
    hits: dict[str, dict[str, Hits]]
    """Of each set of hints, expert by expert."""
    reliability: dict[str, dict[str, tuple[Bin, ...]]]
    """Of L6 with each set of contexts, expert by expert."""
    weights: dict[str, Weights]

    def lines(self) -> list[str]:
        """Return the report as text."""
        told = [
            f"{self.tokens:,} tokens in {self.documents} documents; "
            f"the model alone: {self.nats:.5f} nats/token",
            f"{'':<54}gain, nats/token, {CONFIDENCE:.0%} interval over documents",
        ]
        told += [f"{name:<54}{gain}" for name, gain in self.gains.items()]
        told.append(f"{'':<44}hint at, right:" + "".join(f"{one:>16}" for one in EXPERTS))
        for name, by_expert in self.hits.items():
            told.append(f"{name:<59}" + "".join(f"{_shown(one):>16}" for one in by_expert.values()))
        for name, tables in self.reliability.items():
            for expert, bins in tables.items():
                told.append(f"{name}, {expert} expert")
                told.append(f"{'r from':>10}{'to':>6}{'hints':>12}{'mean r':>9}{'came true':>11}")
                for low, high, count, r, right in bins:
                    told.append(f"{low:>10.2f}{high:>6.2f}{count:>12,}{r:>9.3f}{right:>11.3f}")
        return told

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "nats": self.nats,
            "tokens": self.tokens,
            "documents": self.documents,
            "confidence": CONFIDENCE,
            "gains": {name: [gain.mean, gain.half] for name, gain in self.gains.items()},
            "hits": {
                name: {expert: [one.spoken, one.right] for expert, one in by_expert.items()}
                for name, by_expert in self.hits.items()
            },
            "reliability": self.reliability,
            "weights": self.weights,
        }


def _shown(one: Hits) -> str:
    return f"{one.spoken:.1%}, " + ("none" if one.right is None else f"{one.right:.1%}")


def report(
    tuned: dict[str, View], val: dict[str, View], val_T: Tokens, block_tokens: int
) -> Report:
    """Return the report of the validation text; `tuned` is held-out train text, on which L6 is fitted."""
    document_T = np.cumsum(val_T == BOS)
    fitted_on = {name: fit(tuned[name].shares, tuned[name].spoken) for name in ("published", "own")}
    all_gains: dict[str, Floats] = {}
    for design in ("L1", "L2", "L3", "L4"):
        all_gains[design] = gains(val["counted"], Mixture(design), block_tokens)
    all_gains["as published, which is no probability"] = claimed(val["counted"])
    for experts in ((), *((one,) for one in EXPERTS)):
        name = " ".join(["L5", *experts])
        all_gains[name] = gains(val["counted"], Mixture("L5"), block_tokens, *experts)
    for contexts, label in (("published", "L6"), ("own", "L6, own contexts")):
        mixture = Mixture("L6", fitted_on[contexts])
        all_gains[label] = gains(val[contexts], mixture, block_tokens)
        for expert in EXPERTS:
            # An expert alone is fitted alone: the weights of three would not be its own.
            alone = only(tuned[contexts].spoken, expert)
            mixture = Mixture("L6", fit(tuned[contexts].shares, alone))
            all_gains[f"{label}, {expert} alone"] = gains(
                val[contexts], mixture, block_tokens, expert
            )
    for label, less in (
        ("L6", "L1"),
        ("L6", "L6, token alone"),
        ("L6, own contexts", "L6, own contexts, token alone"),
    ):
        all_gains[f"{label} over {less}"] = all_gains[label] - all_gains[less]
    return Report(
        nats=-float(val["own"].shares.logp_TK.mean()),
        tokens=len(val_T),
        documents=len(np.unique(document_T)),
        gains={name: over_documents(gain_T, document_T) for name, gain_T in all_gains.items()},
        hits={
            "most frequent token (L1 to L5)": hits(val["counted"]),
            "of these, those that pass their gates": hits(val["counted"], gated=True),
            "L6": hits(val["published"]),
            "L6, own contexts": hits(val["own"]),
        },
        reliability={
            "L6": reliability(val["published"], fitted_on["published"]),
            "L6, own contexts": reliability(val["own"], fitted_on["own"]),
        },
        weights=fitted_on,
    )


def _trained(options: argparse.Namespace, out: Path) -> None:
    """Leave the outputs of a training in `out`."""
    preset = PRESETS[options.preset]
    vocab_size = json.loads((options.data / "dataset.json").read_text("utf-8"))["vocab_size"]
    model = options.data / "tokenizer.model"
    with (
        redirect_stdout(sys.stderr),
        attention.preferring("sdpa"),
    ):  # the trainer's log is no report
        ablate.train_into(
            out,
            preset,
            sorted((options.data / "train").glob("*.bin")),
            vocab_size=vocab_size,
            seed=options.seed,
            cap_bytes=16_000_000,
            train_s=options.train_s,
            tokenizer=model if model.exists() else None,
        )


def _count(text: str) -> int:
    """Return a whole number of 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m submission.mix_report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument("--artifact", type=Path, help="folder with weights.bin and mixer.bin")
    parser.add_argument(
        "--preset", choices=PRESETS, default="smoke", help="trained without --artifact"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--train-s", type=float, default=300.0)
    parser.add_argument(
        "--tokens", type=_count, default=10_000_000, help="validation tokens at most"
    )
    parser.add_argument(
        "--tune-tokens",
        type=_count,
        default=131_072,
        help="of the train text's tail, at most; an artifact must have been trained without them",
    )
    parser.add_argument(
        "--block-tokens", type=_count, default=1024, help="L5 learns after each block"
    )
    parser.add_argument(
        "--stride",
        type=_count,
        help="of the windows, instead of the artifact's: larger is faster and a little worse",
    )
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    for name in ("dataset.json", "train/*.bin", "val/*.bin"):
        if not list(options.data.glob(name)):
            parser.error(f"--data {options.data}: no {name}; build it with harness data build")
    for name in (artifact.WEIGHTS, artifact.MIXER):
        if options.artifact and not (options.artifact / name).is_file():
            parser.error(f"--artifact {options.artifact}: no {name}; name a train phase's output")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json {options.json}: no folder {options.json.parent}; make it first")
    return options


def _built(options: argparse.Namespace) -> Artifact:
    """Return the artifact that is asked for, trained first if there is none; refuses what does not fit."""
    with tempfile.TemporaryDirectory() as folder:
        where = options.artifact or Path(folder)
        if options.artifact is None:
            held_out = PRESETS[options.preset].held_out_tokens
            options.tune_tokens = min(options.tune_tokens, held_out)
            _trained(options, where)
        built = artifact.load(where)
    facts = json.loads((options.data / "dataset.json").read_text("utf-8"))
    if built.model.vocab_size != facts["vocab_size"]:
        raise ValueError(
            f"--data {options.data} has {facts['vocab_size']} tokens, the artifact's model "
            f"{built.model.vocab_size}; give the data it was trained for"
        )
    if options.stride:
        built.windows = replace(built.windows, stride=options.stride)
    return built


def main() -> int:
    """Train if there is nothing trained, score, and print."""
    options = _options()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    try:
        built = _built(options)
    except (KeyError, ValueError, OSError) as problem:
        print(f"mix_report: {problem}", file=sys.stderr)
        return 2
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    choice = attention.choose("sdpa", device)
    windows = ready_windows(built, [device], choice)
    train: Sequence[Tokens] = [
        read_shard(path) for path in sorted((options.data / "train").glob("*.bin"))
    ]
    _, tune_T = hold_out(list(train), options.tune_tokens)
    val = [read_shard(path) for path in sorted((options.data / "val").glob("*.bin"))]
    val_T = np.concatenate(val)[: options.tokens]
    seen = []
    for name, stream_T in (("train text's tail", tune_T), ("validation text", val_T)):
        if not len(stream_T):
            print(
                f"--data {options.data}: the {name} has no tokens; build it anew", file=sys.stderr
            )
            return 2
        started_s = time.monotonic()
        seen.append(views(built, windows, np.asarray(stream_T), options.block_tokens))
        took_s = time.monotonic() - started_s
        print(f"{name}: {len(stream_T):,} tokens in {took_s:.1f} s", file=sys.stderr, flush=True)
    made = report(seen[0], seen[1], val_T, options.block_tokens)
    print("\n".join(made.lines()))
    if options.json:
        options.json.write_text(json.dumps(made.as_json(), indent=2, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
