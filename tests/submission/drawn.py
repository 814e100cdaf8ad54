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


LOGITS = st.floats(-40, 40) | st.just(-np.inf) | st.floats(-800, 800)
CONFIDENCES = st.sampled_from([0.0, 0.3, 0.45, 0.65, 0.8, 1.0]) | st.floats(0, 1)
RATES = st.sampled_from([0.0, 1e-9, 1 - 2.0**-24, 1.0]) | st.floats(0, 1)


@st.composite
def cases(draw):
    """Return one to four positions over one vocabulary."""
    size, positions = draw(st.integers(1, LARGEST_VOCABULARY)), draw(st.integers(1, 4))
    there_are = draw(
        st.sampled_from(
            [(CONTROL, CONTINUES, STARTS), (CONTINUES, STARTS), (STARTS,), (CONTINUES,), (CONTROL,)]
        )
    )
    piece_V = draw(st.lists(st.sampled_from(there_are), min_size=size, max_size=size))
    rows, hints, rates, confidences, opens = [], [], [], [], []
    for _ in range(positions):
        logits = draw(st.lists(LOGITS, min_size=size, max_size=size))
        logits[draw(st.integers(0, size - 1))] = draw(st.floats(-40, 40))
        rows.append(logits)
        one = draw(st.integers(NO_HINT, size - 1))
        alike = draw(st.booleans())
        hints.append([one if alike else draw(st.integers(NO_HINT, size - 1)) for _ in EXPERTS])
        # What stands beside no hint is nobody's business.
        rates.append([np.nan if hint == NO_HINT else draw(RATES) for hint in hints[-1]])
        confidences.append([draw(CONFIDENCES) for _ in EXPERTS])
        opens.append(draw(st.booleans()))
    return Case(
        torch.tensor(piece_V),
        torch.tensor(rows, dtype=torch.float64).log_softmax(-1),
        said(hints, rates, confidences, opens),
    )


NUMBERS = st.floats(-5, 5) | st.floats(-1e6, 1e6)
WEIGHTS = st.tuples(*[st.tuples(NUMBERS, NUMBERS, NUMBERS)] * len(EXPERTS))


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
        return Mixture(design, calibration=calibration(draw(st.integers(0, 2**32))))
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
