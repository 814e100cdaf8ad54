"""The rules that say how much a hint gets: five published or derived ones, L1 to L5, and the one we use, L6.

The first four take the original's gates and boosts as they are (contest pull request #1302): an expert
speaks if its confidence reaches a gate, and multiplies the odds of its hint by e^boost.

- L1: the token expert alone.
- L2: all that pass their gates at once, over the whole vocabulary; for an expert of one class, confidence
  counts times the mass of the class. Boosts of one token add up.
- L3: class by class, the expert with the greatest gain, inside the class.
- L4: the original's own rule, which lets the class of the scored token choose the hint, divided by its sum.
- L5: as L3, but every expert in turn, and r is the rate at which hints of such q and confidence came true,
  pulled towards q by 20 pseudo-counts; counted online, block by block, predict first and update then.
- L6: every expert in turn, token experts everywhere; logit r = w0 + w1 logit q + w2 logit rate, with three
  weights an expert that were fitted on train text, and the rate that the counts keep themselves. So
  accepting tokens needs no model.

Each is a function of `mixer.Shares` and `mixer.Spoken`; sums are 1 by construction, but for `published`,
which L4 divides by its sum. Shapes as in mixer.py; Q bins of the model's share, C of the confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from native.counts import EXPERTS
from submission.mixer import (
    CONTINUES,
    CONTROL,
    EVERYWHERE,
    NO_HINT,
    STARTS,
    Offer,
    Rule,
    Shares,
    Spoken,
    logit,
    mixed,
    offer,
)

DESIGNS = ("L1", "L2", "L3", "L4", "L5", "L6")
SCOPES = (EVERYWHERE, CONTINUES, STARTS)
"""Of L1, L4 and L6, expert by expert in the order of EXPERTS, as all that follows."""
CLASS_SCOPES = (None, CONTINUES, STARTS)
"""Of L3 and L5: the token expert's is the class of its hint."""
GATES = (0.80, 0.45, 0.65)
BOOSTS = (2.625, 0.75, 0.75)
AGREEMENT = 0.5
"""Added to the boost where two experts that pass their gates name one token."""
NEUTRAL = (0.0, 1.0, 0.0)
"""Weights of L6 that leave every share as it is, between logits of +-LARGEST_LOGIT."""
PSEUDO = 20.0
SPAN, Q_BINS, C_BINS = 8.0, 17, 11


@dataclass(slots=True)
class Calibration:
    """L5's counts: how often hints of such q and confidence came true, and how many there were, (E, Q, C)."""

    true_EQC: torch.Tensor
    seen_EQC: torch.Tensor

    @classmethod
    def empty(cls, device: torch.device | str = "cpu") -> Calibration:
        """Return one that has seen nothing."""
        shape = (len(EXPERTS), Q_BINS, C_BINS)
        return cls(*(torch.zeros(shape, dtype=torch.float64, device=device) for _ in range(2)))

    def logit_r(self, expert: int, made: Offer, spoken: Spoken) -> torch.Tensor:
        """Return the rule of L5."""
        bins = _bins(expert, made, spoken)
        q_T = made.log_q_T.exp()
        r_T = (self.true_EQC[bins] + PSEUDO * q_T) / (self.seen_EQC[bins] + PSEUDO)
        return logit(r_T.log())

    def update(self, now: Shares, spoken: Spoken) -> None:
        """Count how the hints fared; `now` is the model's distribution, asked about the targets (K = 1)."""
        target_T = now.token_TK[:, 0]
        before = Calibration(self.true_EQC.clone(), self.seen_EQC.clone())

        def rule(expert: int, made: Offer, said: Spoken) -> torch.Tensor:
            counts_T = made.active_T & (now.class_TK[:, 0] == made.class_T)
            right_T = counts_T & (said.token_TE[:, expert] == target_T)
            bins = _bins(expert, made, said)
            self.seen_EQC.index_put_(bins, counts_T.double(), accumulate=True)
            self.true_EQC.index_put_(bins, right_T.double(), accumulate=True)
            return before.logit_r(expert, made, said)

        mixed(now, spoken, CLASS_SCOPES, rule)


def _bins(expert: int, made: Offer, spoken: Spoken) -> tuple[torch.Tensor, ...]:
    q_T = (logit(made.log_q_T).clamp(-SPAN, SPAN) + SPAN).round().long()
    c_T = (spoken.confidence_TE[:, expert] * (C_BINS - 1)).round().long()
    return torch.full_like(q_T, expert), q_T, c_T


@dataclass(slots=True)
class Mixture:
    """One of the designs, ready to be used; `calibration` is L5's alone, `weights` L6's."""

    design: str
    weights: Sequence[Sequence[float]] = (NEUTRAL,) * len(EXPERTS)
    device: torch.device | str = "cpu"
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Refuse what is no design."""
        if self.design not in DESIGNS:
            raise ValueError(f"design {self.design!r} is unknown; use one of {', '.join(DESIGNS)}")
        if self.design == "L5" and self.calibration is None:
            self.calibration = Calibration.empty(self.device)
        numbers = [weight for three in self.weights for weight in three]
        if [len(three) for three in self.weights] != [3, 3, 3] or not all(map(_is_finite, numbers)):
            raise ValueError(f"weights {self.weights}; give three for each of {', '.join(EXPERTS)}")

    def __call__(self, now: Shares, spoken: Spoken) -> Shares:
        """Return the mixed distribution."""
        if self.design == "L1":
            return _boosted(only(spoken, "token"), now, SCOPES)
        if self.design == "L2":
            return _added(now, spoken)
        if self.design == "L3":
            return _boosted(spoken, now, CLASS_SCOPES)
        if self.design == "L4":
            credited, log_sum_T = published(now, spoken)
            return replace(credited, logp_TK=credited.logp_TK - log_sum_T[:, None])
        if self.design == "L5":
            assert self.calibration is not None
            return mixed(now, spoken, CLASS_SCOPES, self.calibration.logit_r)
        return mixed(now, spoken, SCOPES, fitted(self.weights))

    def learn(self, now: Shares, spoken: Spoken) -> None:
        """Count how the hints for accepted tokens fared (L5); `now` is what the model gave them (K = 1)."""
        assert self.calibration is not None
        self.calibration.update(now, spoken)


def _is_finite(number: object) -> bool:
    return isinstance(number, int | float) and math.isfinite(number)


def only(spoken: Spoken, *experts: str) -> Spoken:
    """Return what some of the experts say."""
    heard_E = torch.tensor([one in experts for one in EXPERTS], device=spoken.token_TE.device)
    return replace(spoken, token_TE=torch.where(heard_E, spoken.token_TE, NO_HINT))


def fitted(weights: Sequence[Sequence[float]]) -> Rule:
    """Return the rule of L6."""

    def rule(expert: int, made: Offer, spoken: Spoken) -> torch.Tensor:
        bias, of_q, of_rate = weights[expert]
        rate_T = spoken.rate_TE[:, expert]
        raw_T = bias + of_q * logit(made.log_q_T) + of_rate * logit(rate_T.log())
        return raw_T.clamp(-40.0, 40.0)

    return rule


def _boosts(spoken: Spoken) -> torch.Tensor:
    """Return each expert's boost, (T, E), where it passes its gate, else 0."""
    gate_E, boost_E = (
        torch.tensor(table, dtype=torch.float64, device=spoken.token_TE.device)
        for table in (GATES, BOOSTS)
    )
    passed_TE = (spoken.confidence_TE >= gate_E) & (spoken.token_TE != NO_HINT)
    return torch.where(passed_TE, boost_E, 0.0)


def _chosen(
    spoken: Spoken, boost_TE: torch.Tensor, log_q_TE: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the expert with the greatest gain c * boost - ln(1 + q (e^boost - 1)), and its boost.

    The first one of those that pass (boost > 0) unless a later one has strictly more; its boost grows where
    another one that passes names the same token. The number is -1 and the boost 0 where none passes.
    """
    gain_TE = spoken.confidence_TE * boost_TE - torch.log1p(log_q_TE.exp() * torch.expm1(boost_TE))
    gain_TE = torch.where(boost_TE > 0, gain_TE, -torch.inf)
    best_T = gain_TE.argmax(1)  # the first of equal ones
    passes_T = (boost_TE > 0).any(1)
    token_T = spoken.token_TE.gather(1, best_T[:, None])
    agree_T = ((boost_TE > 0) & (spoken.token_TE == token_T)).sum(1) >= 2
    boost_T = boost_TE.gather(1, best_T[:, None])[:, 0] + AGREEMENT * agree_T
    return torch.where(passes_T, best_T, -1), torch.where(passes_T, boost_T, 0.0)


def _boosted(spoken: Spoken, now: Shares, scope_E: Sequence[int | None]) -> Shares:
    """L1, where one expert speaks of the whole vocabulary; L3, class by class."""
    boost_TE = _boosts(spoken)
    made_E = [
        offer(now, spoken, e, now.hint_class_TE[:, e] if scope is None else scope)
        for e, scope in enumerate(scope_E)
    ]
    log_q_TE = torch.stack([made.log_q_T for made in made_E], 1)
    active_TE = torch.stack([made.active_T for made in made_E], 1)
    class_TE = torch.stack([made.class_T for made in made_E], 1)
    won_TE = torch.zeros_like(boost_TE)
    for class_ in (EVERYWHERE, CONTROL, CONTINUES, STARTS):
        here_TE = torch.where(active_TE & (class_TE == class_), boost_TE, 0.0)
        best_T, boost_T = _chosen(spoken, here_TE, log_q_TE)
        is_best_TE = torch.arange(len(EXPERTS), device=best_T.device) == best_T[:, None]
        won_TE = torch.where(is_best_TE, boost_T[:, None], won_TE)

    def rule(expert: int, made: Offer, _: Spoken) -> torch.Tensor:
        return logit(made.log_q_T) + won_TE[:, expert]

    return mixed(now, spoken, scope_E, rule)


def _added(now: Shares, spoken: Spoken) -> Shares:
    """L2."""
    ones_T = torch.ones_like(now.mass_T3[:, 0])
    weight_TE = torch.stack([ones_T, *now.mass_T3[:, 1:].exp().unbind(1)], 1)
    boost_TE = _boosts(replace(spoken, confidence_TE=spoken.confidence_TE * weight_TE))

    def of(token: torch.Tensor) -> torch.Tensor:
        same = token[:, :, None] == spoken.token_TE[:, None, :]
        return torch.where(same, boost_TE[:, None, :], 0.0).sum(2)

    same_TEE = spoken.token_TE[:, :, None] == spoken.token_TE[:, None, :]
    first_TE = ~torch.tril(same_TEE, diagonal=-1).any(2)
    more_TE = now.hint_logp_TE.exp() * torch.expm1(of(spoken.token_TE))
    more_TE = torch.where(first_TE & (spoken.token_TE != NO_HINT), more_TE, 0.0)
    log_sum_T1 = torch.log1p(more_TE.sum(1, keepdim=True))
    return replace(now, logp_TK=now.logp_TK + of(now.token_TK) - log_sum_T1)


def published(now: Shares, spoken: Spoken) -> tuple[Shares, torch.Tensor]:
    """Return what the original credits, and the logarithm of its sum over the vocabulary, (T).

    For each class of the scored token the experts that speak for it choose one hint, and its normaliser is
    that of the whole vocabulary. As the hint differs from class to class, the sum is not 1: it is no
    distribution, see L4.
    """
    boost_TE = _boosts(spoken)
    credited_TK, sums = now.logp_TK, []
    for class_ in (CONTROL, CONTINUES, STARTS):
        speaks_E = torch.tensor([scope in (EVERYWHERE, class_) for scope in SCOPES])
        here_TE = torch.where(speaks_E.to(boost_TE.device), boost_TE, 0.0)
        best_T, boost_T = _chosen(spoken, here_TE, now.hint_logp_TE)
        chosen_T, at_T1 = best_T >= 0, best_T.clamp(min=0)[:, None]
        more_T = now.hint_logp_TE.gather(1, at_T1)[:, 0].exp() * torch.expm1(boost_T)
        more_T = torch.where(chosen_T, more_T, 0.0)
        hint_T1 = torch.where(chosen_T[:, None], spoken.token_TE.gather(1, at_T1), NO_HINT)
        raised_TK = now.logp_TK + boost_T[:, None] * (now.token_TK == hint_T1)
        raised_TK = raised_TK - torch.log1p(more_T)[:, None]
        credited_TK = torch.where(now.class_TK == class_, raised_TK, credited_TK)
        inside_T = chosen_T & (now.hint_class_TE.gather(1, at_T1)[:, 0] == class_)
        sums.append((now.mass_T3[:, class_].exp() + more_T * inside_T) / (1.0 + more_T))
    return replace(now, logp_TK=credited_TK), torch.stack(sums).sum(0).log()
