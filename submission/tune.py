"""The mixer's weights, fitted on held-out train text that plays the stream.

Expert by expert, each on what the one before has left, as they will be mixed in. Does not touch the model.
See designs.py for what the weights do (L6); the other designs have none.

Shapes: T positions, E experts, F features of a hint: 1, logit of its share, logit of its rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from submission.artifact import Artifact
from submission.designs import EXPERTS, NEUTRAL, SCOPES, fitted
from submission.loader import Tokens
from submission.mixer import EVERYWHERE, Shares, Spoken, joined, logit, offer, settle
from submission.score import Scorer
from submission.windows import SlidingModel

Floats = npt.NDArray[np.float64]
Weights = tuple[tuple[float, ...], ...]
BLOCK_TOKENS = 1024
"""Tokens at a time where passes are as large as the question."""


def tune_mixer(
    built: Artifact,
    held_out: Tokens,
    *,
    until_s: float,
    windows: SlidingModel | None = None,
    block_tokens: int = BLOCK_TOKENS,
    now: Callable[[], float] = time.monotonic,
) -> Weights | None:
    """Return weights fitted on held-out train tokens, as far as time allows.

    None without time or text, and for designs other than L6, which have no weights. Hints and rates are those
    that a scorer would have had. `windows` is the artifact's model where it is ready already.
    """
    if built.mixer.design != "L6":
        return None
    scorer = Scorer(built, tokens=len(held_out), block_tokens=block_tokens, windows=windows)
    seen = []
    for first in range(0, len(held_out), block_tokens):
        if now() >= until_s:
            break
        block_T = held_out[first : first + block_tokens]
        shares, spoken = scorer.evidence(block_T)
        seen.append((shares.on(torch.device("cpu")), spoken.on(torch.device("cpu"))))
        scorer.accept(block_T)
    if not seen:
        return None
    return fit(joined([one for one, _ in seen]), joined([one for _, one in seen]))


def fit(shares: Shares, spoken: Spoken) -> Weights:
    """Return L6's weights; `shares` is the model's distribution at the positions' own tokens (K = 1)."""
    weights: list[tuple[float, ...]] = [NEUTRAL] * len(EXPERTS)
    for expert, scope in enumerate(SCOPES):
        made = offer(shares, spoken, expert, scope)
        # Inside its class alone does a hint say anything of the next token.
        counts_T = made.active_T & ((scope == EVERYWHERE) | (shares.class_TK[:, 0] == scope))
        right_T = spoken.token_TE[:, expert] == shares.token_TK[:, 0]
        logit_q_T, logit_rate_T = logit(made.log_q_T), logit(spoken.rate_TE[:, expert].log())
        x_TF = torch.stack([torch.ones_like(logit_q_T), logit_q_T, logit_rate_T], dim=1)
        if counts_T.any():
            weights[expert] = fit_weights(x_TF[counts_T].numpy().T, right_T[counts_T].numpy())
        shares = settle(shares, spoken, expert, made, fitted(weights)(expert, made, spoken))
    return tuple(weights)


def fit_weights(
    x_FT: Floats, right_T: npt.NDArray[np.bool_], strength: float = 20.0, rounds: int = 50
) -> tuple[float, ...]:
    """Return the weights that make the mixed probability of a hint best predict that it comes true.

    Logistic regression by Newton's method with step halving, and a quadratic pull of `strength` towards
    NEUTRAL: without evidence the mixer does nothing. Source: Hastie, Tibshirani and Friedman, "The Elements
    of Statistical Learning", section 4.4.1.
    """
    sign_T = np.where(right_T, -1.0, 1.0)

    def cost(weight_F: Floats) -> float:
        pull = 0.5 * strength * float(np.square(weight_F - NEUTRAL).sum())
        return float(np.logaddexp(0.0, sign_T * (weight_F @ x_FT)).sum()) + pull

    weight_F = np.array(NEUTRAL)
    best = cost(weight_F)
    for _ in range(rounds):
        p_T = np.exp(-np.logaddexp(0.0, -(weight_F @ x_FT)))
        slope_F = x_FT @ (p_T - right_T) + strength * (weight_F - NEUTRAL)
        curve_FF = (x_FT * (p_T * (1.0 - p_T))) @ x_FT.T + strength * np.eye(len(weight_F))
        move_F = np.linalg.solve(curve_FF, slope_F)
        while (reached := cost(weight_F - move_F)) > best and np.abs(move_F).max() > 1e-9:
            move_F = 0.5 * move_F
        if reached >= best or np.abs(move_F).max() <= 1e-9:
            break
        weight_F, best = weight_F - move_F, reached
    return tuple(float(weight) for weight in weight_F)
