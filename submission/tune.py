"""The mixer's weights, fitted on held-out train text that plays the stream.

Does not touch the model. See mixer.py for what the weights do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from submission.artifact import Artifact
from submission.loader import Tokens
from submission.mixer import NEUTRAL, NO_HINT, fit_weights
from submission.score import Scorer
from submission.windows import SlidingModel

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
) -> tuple[float, ...]:
    """Return mixing weights fitted on held-out train tokens, as far as time allows.

    Hints and rates are those that a scorer would have had. `windows` is the artifact's model where it is
    ready already. Without time or hints the weights are NEUTRAL.
    """
    scorer = Scorer(built, tokens=len(held_out), windows=windows)
    seen = []
    for first in range(0, len(held_out), block_tokens):
        if now() >= until_s:
            break
        block_T = held_out[first : first + block_tokens]
        hints, log_q_T = scorer.evidence(block_T)
        scorer.accept(block_T)
        given_T = hints.token_T != NO_HINT
        right_T = (hints.token_T == block_T)[given_T]
        seen.append((np.exp(log_q_T[given_T]), hints.rate_T[given_T], right_T))
    if not seen:
        return NEUTRAL
    q_T, rate_T, right_T = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    return fit_weights(q_T, rate_T, right_T)
