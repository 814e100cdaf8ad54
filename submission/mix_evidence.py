"""What the experts and the model say of a text, and what a design makes of it: the figures of mix_report.py.

Shapes as in mixer.py; D documents. Does not train, tune or print.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from submission.artifact import Artifact
from submission.designs import EXPERTS, GATES, SCOPES, Mixture, fitted, only, published
from submission.experts import PUBLISHED, Experts, MixerConfig, as_counted, spoken
from submission.loader import Tokens
from submission.mixer import EVERYWHERE, NO_HINT, Shares, Spoken, joined, offer, settle, shares
from submission.tune import Weights
from submission.windows import SlidingModel, members

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
    member_V3 = members(piece_V)
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
        picked = windows.picked(padded_T, first, np.concatenate(asked, axis=1), member_V3).cpu()
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
class Hits:
    """How often an expert speaks, and how often it is right."""

    spoken: float
    """Share of all positions with a hint."""
    right: float | None
    """Share of the hints that came true, where the expert counts the token; None without any."""


def hits(view: View, *, gated: bool = False) -> dict[str, Hits]:
    """Return how each expert fares, with all its hints or with those that pass the published gates."""
    found = {}
    for expert, scope in enumerate(SCOPES):
        heard_T = view.spoken.token_TE[:, expert] != NO_HINT
        if gated:
            heard_T = heard_T & (view.spoken.confidence_TE[:, expert] >= GATES[expert])
        counts_T = heard_T & ((scope == EVERYWHERE) | (view.shares.class_TK[:, 0] == scope))
        right_T = (view.spoken.token_TE[:, expert] == view.shares.token_TK[:, 0])[counts_T]
        found[EXPERTS[expert]] = Hits(
            spoken=float(heard_T.double().mean()),
            right=float(right_T.double().mean()) if len(right_T) else None,
        )
    return found


class Bin(NamedTuple):
    """L6's hints of one expert with an r between two bounds, over the tokens that the expert counts."""

    low: float
    high: float
    hints: int
    mean_r: float
    came_true: float
    """Share of them, 0..1."""


def reliability(view: View, weights: Weights) -> dict[str, tuple[Bin, ...]]:
    """Return each expert's bins that are not empty, each expert on what the one before has left."""
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
                bins.append(Bin(low, high, int(inside_T.sum()), *means))
        tables[EXPERTS[expert]] = tuple(bins)
        now = settle(now, said, expert, made, logit_r_T)
    return tables
