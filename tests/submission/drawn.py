"""What the tests of the mixer draw: distributions with sure and impossible tokens, and hints of every kind.

Shapes as in submission/mixer.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from submission.designs import DESIGNS, EXPERTS, SCOPES, Calibration, Mixture
from submission.mixer import (
    CONTINUES,
    CONTROL,
    EVERYWHERE,
    NO_HINT,
    STARTS,
    Shares,
    Spoken,
    class_of,
    shares,
)
from submission.windows import log_mass, members

LARGEST_VOCABULARY = 9


@dataclass(frozen=True, slots=True)
class Case:
    """Some positions of a stream: what the model and the experts say there."""

    piece_V: torch.Tensor
    logp_TV: torch.Tensor
    spoken: Spoken

    def asked(self, token_TK: torch.Tensor) -> Shares:
        """Return what the mixer is given where it is asked about these tokens."""
        logp_TV = self.logp_TV
        return shares(
            self.piece_V,
            self.spoken,
            token_TK,
            logp_TV.gather(1, token_TK),
            logp_TV.gather(1, self.spoken.token_TE.clamp(min=0)),
            log_mass(logp_TV, members(self.piece_V)),
        )

    def everything(self) -> torch.Tensor:
        """Return every token of the vocabulary at each position, (T, V)."""
        return torch.arange(self.logp_TV.shape[1]).expand(self.logp_TV.shape)

    def row(self) -> Shares:
        """Return the whole distribution, K = V."""
        return self.asked(self.everything())

    def class_TV(self) -> torch.Tensor:
        """Return the class of each token as the next one."""
        return class_of(self.piece_V, self.everything(), self.spoken.open_T[:, None])


def said(token_TE, rate_TE=None, confidence_TE=None, open_T=None) -> Spoken:
    """Return what the experts say; certain of it, and inside a word, where nothing else is given."""
    token_TE = torch.tensor(token_TE, dtype=torch.int64)
    rate_TE, confidence_TE = (
        torch.as_tensor(np.ones(token_TE.shape) if given is None else given, dtype=torch.float64)
        for given in (rate_TE, confidence_TE)
    )
    open_T = [True] * len(token_TE) if open_T is None else open_T
    return Spoken(token_TE, rate_TE, confidence_TE, torch.tensor(open_T))


def logs(p_TV) -> torch.Tensor:
    """Return the logarithms of these probabilities."""
    return torch.tensor(p_TV, dtype=torch.float64).log()


SEEDS = st.integers(0, 2**32)
CLASSES = (CONTROL, CONTINUES, STARTS)
SURE = (0.0, 0.3, 0.45, 0.65, 0.8, 1.0, 1.0)
RATES = (0.0, 1e-9, 0.02, 0.3, 0.7, 0.99, 1 - 2.0**-24, 1.0)


def _row(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return logits: of any temperature, with impossible tokens, with one that is sure or all but sure."""
    logits_V = rng.normal(0, rng.choice([0.1, 1.0, 1.0, 3.0, 20.0, 300.0]), size)
    kind = rng.choice(
        ["as it is", "impossible ones", "all but sure", "sure"], p=[0.6, 0.2, 0.15, 0.05]
    )
    one = rng.integers(size)
    if kind == "impossible ones":
        logits_V[rng.random(size) < 0.5] = -np.inf
        logits_V[one] = 0.0
    elif kind == "all but sure":
        logits_V[one] = logits_V.max() + rng.uniform(0, 45)
    elif kind == "sure":
        logits_V[:] = -np.inf
        logits_V[one] = 0.0
    return logits_V


def _hints(rng: np.random.Generator, class_V: np.ndarray, likely: int) -> list[int]:
    """Return three hints, most in their scope, many alike or likely, some missing."""
    one, alike, hints = rng.integers(len(class_V)), rng.random() < 0.3, []
    for scope in SCOPES:
        inside = np.flatnonzero((class_V == scope) | (scope == EVERYWHERE))
        hint = (
            rng.choice(inside) if len(inside) and rng.random() < 0.8 else rng.integers(len(class_V))
        )
        hint = one if alike else likely if rng.random() < 0.25 else hint
        hints.append(NO_HINT if rng.random() < 0.15 else int(hint))
    return hints


def _case(seed: int) -> Case:
    """Return one to four positions over one vocabulary."""
    rng = np.random.default_rng(seed)
    size, positions = rng.integers(1, LARGEST_VOCABULARY + 1), rng.integers(1, 5)
    there_are = CLASSES if rng.random() < 0.8 else rng.choice(CLASSES, rng.integers(1, 3))
    piece_V = torch.from_numpy(rng.choice(there_are, size))
    logp_TV = torch.from_numpy(np.stack([_row(rng, size) for _ in range(positions)])).log_softmax(
        -1
    )
    open_T = torch.from_numpy(rng.random(positions) < 0.75)
    class_TV = class_of(piece_V, torch.arange(size).expand(logp_TV.shape), open_T[:, None])
    token_TE = np.array(
        [
            _hints(rng, class_V, likely)
            for class_V, likely in zip(class_TV.numpy(), logp_TV.argmax(1).tolist(), strict=True)
        ]
    )
    given = (rng.random((2, positions, len(EXPERTS))) < 0.5) * 1.0
    rate_TE = np.where(given[0], rng.choice(RATES, token_TE.shape), rng.random(token_TE.shape))
    sure_TE = np.where(given[1], rng.choice(SURE, token_TE.shape), rng.random(token_TE.shape))
    # What stands for the rate of no hint is nobody's business.
    rate_TE = np.where(token_TE == NO_HINT, np.nan, rate_TE)
    return Case(piece_V, logp_TV, said(token_TE, rate_TE, sure_TE, open_T.tolist()))


CASES = SEEDS.map(_case)
"""From a seed: number by number, hypothesis would draw mostly rows in which a hint moves nothing."""


def _weights(seed: int) -> tuple[tuple[float, ...], ...]:
    """Return weights of L6 as they are fitted, and some that are far too large."""
    rng = np.random.default_rng(seed)
    large = rng.choice([1.0, 1.0, 1.0, 1e3, 1e6], (3, 3))
    return tuple(map(tuple, (rng.normal(0, 1, (3, 3)) * large).tolist()))


WEIGHTS = SEEDS.map(_weights)


def calibration(seed: int) -> Calibration:
    """Return what L5 might have counted: rates of every kind, and bins that never were met."""
    rng = np.random.default_rng(seed)
    learnt = Calibration.empty()
    shape = tuple(learnt.seen_EQC.shape)
    seen_EQC = rng.integers(0, 1000, shape) * (rng.random(shape) < 0.7)
    rate_EQC = rng.choice([0.0, 1.0, 0.5], shape) + rng.choice([0.0, 0.3, -0.3], shape)
    true_EQC = np.round(seen_EQC * np.clip(rate_EQC, 0, 1))
    return Calibration(torch.from_numpy(true_EQC).double(), torch.from_numpy(seen_EQC).double())


@st.composite
def mixtures(draw, designs=DESIGNS):
    """Return a design with whatever it may have learnt."""
    design = draw(st.sampled_from(designs))
    if design == "L5":
        return Mixture(design, calibration=calibration(draw(SEEDS)))
    return Mixture(design, draw(WEIGHTS)) if design == "L6" else Mixture(design)


_PIECES = torch.tensor([STARTS, STARTS, STARTS, CONTINUES, CONTINUES, CONTINUES])
_OF_CLASS = {EVERYWHERE: range(6), CONTINUES: range(3, 6), STARTS: range(3)}


def evidence(seed: int, *, knows: bool, count: int = 3000) -> tuple[Shares, Spoken]:
    """Return what a model and three experts say of `count` tokens, inside words; asked about are the tokens.

    The tokens are drawn from the model's distribution. A hint is any token of the expert's class. Of one
    that `knows` a share s of the hints is the token instead, if that is of its class; s is 0.1, 0.5 or 0.9.
    Its rate says by which odds the hint is then more probable than the model thinks, so that the weights
    0, 1, 1 are Bayes' rule. Of one that does not know the rate says nothing.
    """
    rng = np.random.default_rng(seed)
    logp_TV = torch.from_numpy(rng.normal(0, 1.5, (count, 6))).log_softmax(-1)
    target_T = (rng.random((count, 1)) > logp_TV.exp().cumsum(1).numpy()).sum(1).clip(max=5)
    told_TE = rng.choice([0.1, 0.5, 0.9], (count, 3))
    sizes_E = np.array([len(_OF_CLASS[scope]) for scope in SCOPES])
    odds_TE = (told_TE * sizes_E + 1 - told_TE) / (1 - told_TE)
    token_TE = np.stack([rng.choice(_OF_CLASS[scope], count) for scope in SCOPES], axis=1)
    if knows:
        right_TE = rng.random((count, 3)) < told_TE
        of_class_TE = np.stack([np.isin(target_T, _OF_CLASS[scope]) for scope in SCOPES], axis=1)
        token_TE = np.where(right_TE & of_class_TE, target_T[:, None], token_TE)
    token_TE = np.where(rng.random((count, 3)) < 0.2, NO_HINT, token_TE)
    case = Case(_PIECES, logp_TV, said(token_TE, odds_TE / (1 + odds_TE), None, [True] * count))
    return case.asked(torch.from_numpy(target_T)[:, None]), case.spoken
