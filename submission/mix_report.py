"""What the mixer is worth on text that nothing was tuned on, design by design and expert by expert.

    python -m submission.mix_report --data DATA --artifact FOLDER [--tokens N] [--json FILE]
    python -m submission.mix_report --data DATA --preset smoke            trains one first

DATA is a folder as `harness data build` makes it; FOLDER has the outputs of a train phase (a run's sealed
artifact). The weights of L6 are fitted on the tail of the train text; everything that is printed is of the
validation text.

- *gain*: nats per token that the text costs less, with a 99 % interval over documents (ratio estimate,
  Student's t): tokens
  of one document are alike, so that documents are what was drawn.
- *hints*, *right*: share of positions with a hint; of those where the next token is in the expert's class,
  how many come true.
- *reliability*: L6's r in bins against how often the hint came true.
- *claimed*: what the published gate, which looks at the class of the scored token, would have reported.

Shapes as in mixer.py; D documents. Does not judge: no sandbox, no counted bytes, no clock.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from submission import ablate, artifact, attention
from submission.artifact import Artifact
from submission.designs import EXPERTS, SCOPES, Mixture, fitted, only, published
from submission.experts import PUBLISHED, Experts, MixerConfig, as_counted, spoken
from submission.loader import Tokens, hold_out, read_shard
from submission.mixer import EVERYWHERE, NO_HINT, Shares, Spoken, joined, offer, settle, shares
from submission.model import BOS
from submission.presets import PRESETS
from submission.score import ready_windows
from submission.tune import Weights, fit
from submission.windows import SlidingModel

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.99
BINS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class View:
    """A stream's tokens as one set of hints and the model see them (K = 1: the token itself)."""

    shares: Shares
    spoken: Spoken


def views(
    built: Artifact, windows: SlidingModel, stream_T: Tokens, block_tokens: int
) -> dict[str, View]:
    """Return what three sets of hints and the model say of a stream, in one pass of the model.

    "counted": the published contexts' most frequent tokens (L1 to L5). "published": L6's hints from the same
    contexts. "own": L6's hints from the artifact's contexts.
    """
    pieces = built.known_pieces()
    piece_V = torch.from_numpy(pieces.class_V).long()
    sizes = {"tokens": len(stream_T), "block_tokens": block_tokens}
    old = Experts(MixerConfig(contexts=PUBLISHED), pieces, **sizes)
    own = Experts(built.mixer, pieces, **sizes)
    # The model reads up to the token before a position; one more, so that the last position is one too.
    padded_T = np.append(stream_T, 0).astype(np.int64)
    parts: dict[str, list[View]] = {"counted": [], "published": [], "own": []}
    for first in range(0, len(stream_T), block_tokens):
        block_T = padded_T[first : min(first + block_tokens, len(stream_T))]
        hints = old.counts.look(block_T)
        said = {
            "counted": as_counted(hints, PUBLISHED),
            "published": spoken(hints),
            "own": spoken(own.counts.look(block_T)),
        }
        said = {name: one.part(slice(len(block_T))) for name, one in said.items()}
        asked = [block_T[:, None], *(one.token_TE.clamp(min=0).numpy() for one in said.values())]
        picked = windows.picked(padded_T, first, np.concatenate(asked, axis=1), piece_V).cpu()
        target_T1 = torch.from_numpy(block_T[:, None].copy())
        for n, (name, one) in enumerate(said.items()):
            hint_logp_TE = picked[:, 1 + 3 * n : 4 + 3 * n]
            now = shares(piece_V, one, target_T1, picked[:, :1], hint_logp_TE, picked[:, -3:])
            parts[name].append(View(now, one))
        old.accept(block_T)
        own.accept(block_T)
    return {
        name: View(joined([one.shares for one in some]), joined([one.spoken for one in some]))
        for name, some in parts.items()
    }


def gains(view: View, mixture: Mixture, block_tokens: int, *experts: str) -> Floats:
    """Return the nats that each token costs less, (T,), with all experts or some; L5 learns by blocks."""
    said = only(view.spoken, *(experts or EXPERTS))
    if mixture.calibration is None:
        mixed = [mixture(view.shares, said)]
    else:
        mixed = []
        for first in range(0, len(said.open_T), block_tokens):
            here = slice(first, first + block_tokens)
            mixed.append(mixture(view.shares.part(here), said.part(here)))
            mixture.learn(view.shares.part(here), said.part(here))
    logp_T = torch.cat([one.logp_TK for one in mixed])[:, 0]
    return (logp_T - view.shares.logp_TK[:, 0]).numpy()


def claimed(view: View) -> Floats:
    """Return the nats that each token would have cost less, (T,), by the published gate."""
    credited, _ = published(view.shares, view.spoken)
    return (credited.logp_TK - view.shares.logp_TK)[:, 0].numpy()


@dataclass(frozen=True, slots=True)
class Gain:
    """Nats per token, and half the width of the interval; None where one document has none."""

    mean: float
    half: float | None

    def __str__(self) -> str:
        return f"{self.mean:+.5f} " + (
            "one document: no interval" if self.half is None else f"+-{self.half:.5f}"
        )


def over_documents(gain_T: Floats, document_T: npt.NDArray[np.int64]) -> Gain:
    """Return the mean gain of a token with its interval over documents.

    The ratio of a document's gain to its tokens, with the variance of Cochran 1977 ("Sampling Techniques",
    chapter 6) and Student's t for one less than there are documents.
    """
    from scipy import stats

    tokens_D = np.bincount(document_T).astype(np.float64)
    gain_D = np.bincount(document_T, weights=gain_T)
    tokens_D, gain_D = tokens_D[tokens_D > 0], gain_D[tokens_D > 0]
    mean, count = float(gain_D.sum() / tokens_D.sum()), len(tokens_D)
    if count < 2:
        return Gain(mean, None)
    spread = np.square(gain_D - mean * tokens_D).sum() * count / (count - 1)
    half = stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1) * np.sqrt(spread) / tokens_D.sum()
    return Gain(mean, float(half))


@dataclass(frozen=True, slots=True)
class Reliability:
    """How L6's r of one expert compares with what happened, over the tokens that the expert counts."""

    hints: float
    """Share of all positions with a hint."""
    right: float | None
    """Share of the counted hints that came true; None without any."""
    bins: tuple[tuple[float, float, int, float, float], ...]
    """From, to, hints, their mean r, and how many came true, for each bin that is not empty."""


def reliability(view: View, weights: Weights) -> dict[str, Reliability]:
    """Return each expert's table, each on what the one before has left."""
    tables, now, said = {}, view.shares, view.spoken
    for expert, scope in enumerate(SCOPES):
        made = offer(now, said, expert, scope)
        logit_r_T = fitted(weights)(expert, made, said)
        counts_T = made.active_T & ((scope == EVERYWHERE) | (now.class_TK[:, 0] == scope))
        r_T = torch.sigmoid(logit_r_T)[counts_T].numpy()
        right_T = (said.token_TE[:, expert] == now.token_TK[:, 0])[counts_T].numpy()
        bins = []
        for low, high in pairwise(BINS):
            inside_T = (r_T >= low) & ((r_T < high) | (high == 1.0))
            if inside_T.any():
                means = float(r_T[inside_T].mean()), float(right_T[inside_T].mean())
                bins.append((low, high, int(inside_T.sum()), *means))
        tables[EXPERTS[expert]] = Reliability(
            hints=float((said.token_TE[:, expert] != NO_HINT).double().mean()),
            right=float(right_T.mean()) if len(right_T) else None,
            bins=tuple(bins),
        )
        now = settle(now, said, expert, made, logit_r_T)
    return tables


@dataclass(slots=True)
class Report:
    """All that is printed."""

    nats: float
    """Per token, without a mixer."""
    tokens: int
    documents: int
    gains: dict[str, Gain]
    reliability: dict[str, Reliability]
    weights: dict[str, Weights]

    def lines(self) -> list[str]:
        """Return the report as text."""
        told = [
            f"{self.tokens:,} tokens in {self.documents} documents; "
            f"the model alone: {self.nats:.5f} nats/token",
            f"{'':<54}gain, nats/token, {CONFIDENCE:.0%} interval over documents",
        ]
        told += [f"{name:<54}{gain}" for name, gain in self.gains.items()]
        for name, table in self.reliability.items():
            right = "none" if table.right is None else f"{table.right:.1%} right"
            told.append(f"{name} expert: a hint at {table.hints:.1%} of positions, {right}")
            told.append(f"{'r from':>10}{'to':>6}{'hints':>12}{'mean r':>9}{'came true':>11}")
            for low, high, count, r, right_share in table.bins:
                told.append(f"{low:>10.2f}{high:>6.2f}{count:>12,}{r:>9.3f}{right_share:>11.3f}")
        return told

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "nats": self.nats,
            "tokens": self.tokens,
            "documents": self.documents,
            "confidence": CONFIDENCE,
            "gains": {name: [gain.mean, gain.half] for name, gain in self.gains.items()},
            "reliability": {
                name: {"hints": one.hints, "right": one.right, "bins": one.bins}
                for name, one in self.reliability.items()
            },
            "weights": self.weights,
        }


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
        reliability=reliability(val["own"], fitted_on["own"]),
        weights=fitted_on,
    )


def _trained(options: argparse.Namespace, out: Path) -> None:
    """Leave the outputs of a training in `out`."""
    preset = PRESETS[options.preset]
    vocab_size = json.loads((options.data / "dataset.json").read_text("utf-8"))["vocab_size"]
    model = options.data / "tokenizer.model"
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
