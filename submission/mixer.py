"""Mixing the experts' hints into the model's distribution: a distribution in, a distribution out.

A hint is a token and a rate: what one expert says of one position (experts.py). Its *scope* is the whole
vocabulary for a token expert; for a within-word expert the tokens that continue the open word; for a
word-start expert those that begin one. Inside its scope the hint's share q becomes r, and every other share
is multiplied by (1 - r) / (1 - q): so each scope keeps its mass, and the sum stays 1 whatever hint, scope
and r are. The experts do this one after the other, each on what the one before has left.

Which hint, which scope and which r is decided by the tokens before the position and the model's
distribution there. The token that is scored, and its class, are looked at only to pick its entry; a gate on
the class of the token itself would credit more than there is (docs/rules/norm.target.md).

All functions answer for any tokens that they are asked for: for the target alone they take a few numbers a
position, for the whole vocabulary they return the row, and both are the same code.

Shapes: T positions, K tokens asked about at each, E experts, V vocabulary; 3 classes: CONTROL, CONTINUES,
STARTS. All torch, float64, on any device; `logp` and `mass` are natural logarithms. Does not count, and
does not know a model: see native/counts.py and score.py. The rules that choose r are in designs.py. Source
of the idea of one hint that takes a share of its own: Mahoney 2005, "Adaptive weighing of context models
for lossless data compression".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self, TypeVar

import torch

CONTROL, CONTINUES, STARTS = range(3)
"""Classes of the next token: no part of a word, goes on with the open word, begins one."""
NO_HINT = -1
LARGEST_LOGIT = 30.0
EVERYWHERE = -1
"""The scope of token experts."""
LN_2 = 0.6931471805599453
P = TypeVar("P", bound="Positions")


class Positions:
    """Tensors whose first dimension is T, under names."""

    __slots__ = ()

    def part(self, wanted: slice) -> Self:
        """Return some of the positions."""
        return type(self)(*(getattr(self, one.name)[wanted] for one in fields(self)))  # type: ignore[arg-type]

    def on(self, device: torch.device) -> Self:
        """Return the same on another device."""
        return type(self)(*(getattr(self, one.name).to(device) for one in fields(self)))  # type: ignore[arg-type]


def joined(parts: Sequence[P]) -> P:
    """Return the positions of all parts, one part after the other."""
    names = [one.name for one in fields(parts[0])]  # type: ignore[arg-type]
    return type(parts[0])(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, slots=True)
class Spoken(Positions):
    """What the experts say of T positions: a function of the tokens before each alone."""

    token_TE: torch.Tensor
    """int64; NO_HINT where there is none."""
    rate_TE: torch.Tensor
    """0..1: how often hints with such evidence came true; anything where there is none."""
    confidence_TE: torch.Tensor
    """0..1: how often this hint came in its context, over how often the context was met."""
    open_T: torch.Tensor
    """bool: a word is open before the position."""


@dataclass(frozen=True, slots=True)
class Shares(Positions):
    """A distribution at T positions, as far as it is asked for."""

    token_TK: torch.Tensor
    """int64: the tokens asked about."""
    logp_TK: torch.Tensor
    hint_logp_TE: torch.Tensor
    """Of the hints; anything where there is none."""
    class_TK: torch.Tensor
    hint_class_TE: torch.Tensor
    mass_T3: torch.Tensor
    """Of each class; -inf where no token is in it."""


def class_of(piece_V: torch.Tensor, token: torch.Tensor, open_: torch.Tensor) -> torch.Tensor:
    """Return the class that each token has where a word is open or not.

    `piece_V` is each token's class where a word is open. Where none is, all but CONTROL begin one.
    """
    piece = piece_V[token.clamp(min=0)]
    return torch.where(open_ | (piece == CONTROL), piece, STARTS)


def shares(
    piece_V: torch.Tensor,
    spoken: Spoken,
    token_TK: torch.Tensor,
    logp_TK: torch.Tensor,
    hint_logp_TE: torch.Tensor,
    piece_mass_T3: torch.Tensor,
) -> Shares:
    """Return the model's distribution as the mixer takes it.

    `piece_mass_T3` is the logarithm of the sum of the probabilities of the tokens of each class in `piece_V`.
    """
    open_T1 = spoken.open_T[:, None]
    control_T, continues_T, starts_T = piece_mass_T3.unbind(1)
    joined_T = torch.logaddexp(continues_T, starts_T)
    empty_T = torch.full_like(control_T, -torch.inf)
    mass_T3 = torch.stack(
        [
            control_T,
            torch.where(spoken.open_T, continues_T, empty_T),
            torch.where(spoken.open_T, starts_T, joined_T),
        ],
        dim=1,
    )
    return Shares(
        token_TK=token_TK,
        logp_TK=logp_TK,
        hint_logp_TE=hint_logp_TE,
        class_TK=class_of(piece_V, token_TK, open_T1),
        hint_class_TE=class_of(piece_V, spoken.token_TE, open_T1),
        mass_T3=mass_T3,
    )


def logit(log_q: torch.Tensor) -> torch.Tensor:
    """Return ln(q / (1 - q)) of a logarithm, within +-LARGEST_LOGIT."""
    odds = log_q - torch.log1p(-log_q.exp())
    return odds.nan_to_num(nan=LARGEST_LOGIT).clamp(-LARGEST_LOGIT, LARGEST_LOGIT)


@dataclass(frozen=True, slots=True)
class Offer:
    """One expert's hint before it is mixed in: what a rule for r may look at."""

    log_q_T: torch.Tensor
    """Of the hint's share of its scope; 0 or less."""
    active_T: torch.Tensor
    """bool: there is a hint, it lies in its scope, and leaves something beside it there."""
    class_T: torch.Tensor
    """The scope: a class, or EVERYWHERE."""


def offer(now: Shares, spoken: Spoken, expert: int, scope: int | torch.Tensor) -> Offer:
    """Return an expert's hint as a share of its scope: a class, EVERYWHERE, or a tensor (T) of them."""
    class_T = torch.as_tensor(scope, device=now.mass_T3.device).expand(len(now.mass_T3))
    everywhere_T = class_T == EVERYWHERE
    mass_T = now.mass_T3.gather(1, class_T.clamp(min=0)[:, None])[:, 0]
    mass_T = torch.where(everywhere_T, 0.0, mass_T)
    log_q_T = (now.hint_logp_TE[:, expert] - mass_T).clamp(max=0.0)
    inside_T = everywhere_T | (now.hint_class_TE[:, expert] == class_T)
    given_T = spoken.token_TE[:, expert] != NO_HINT
    active_T = given_T & inside_T & (mass_T > -torch.inf) & (log_q_T.exp() < 1.0)
    return Offer(torch.where(active_T, log_q_T, -1.0), active_T, class_T)


def settle(
    now: Shares, spoken: Spoken, expert: int, made: Offer, logit_r_T: torch.Tensor
) -> Shares:
    """Return the distribution after the hint's share of its scope became r = sigmoid(logit_r_T).

    What lies beside a hint grows at most twofold, r >= 2q - 1: a share that is nearly all is known only to
    the rounding of the sum, and to give most of it away would multiply that rounding.
    """
    log_q_T, active_T = made.log_q_T, made.active_T
    beside_T = torch.log1p(-log_q_T.exp())
    log_r_T = torch.nn.functional.logsigmoid(logit_r_T)
    log_rest_T = torch.nn.functional.logsigmoid(-logit_r_T)
    too_low_T = log_rest_T - beside_T > LN_2
    log_rest_T = torch.where(too_low_T, beside_T + LN_2, log_rest_T)
    log_r_T = torch.where(too_low_T, torch.log1p(-log_rest_T.exp()), log_r_T)
    factor_T = torch.where(active_T, log_rest_T - beside_T, 0.0)
    everywhere_T = made.class_T == EVERYWHERE
    mass_T = now.mass_T3.gather(1, made.class_T.clamp(min=0)[:, None])[:, 0]
    hit_T = log_r_T + torch.where(everywhere_T, 0.0, mass_T)
    hint_T = spoken.token_TE[:, expert]

    def moved(token: torch.Tensor, class_: torch.Tensor, logp: torch.Tensor) -> torch.Tensor:
        inside = everywhere_T[:, None] | (class_ == made.class_T[:, None])
        scaled = torch.where(inside, logp + factor_T[:, None], logp)
        is_hint = active_T[:, None] & (token == hint_T[:, None])
        return torch.where(is_hint, hit_T[:, None], scaled)

    return replace(
        now,
        logp_TK=moved(now.token_TK, now.class_TK, now.logp_TK),
        hint_logp_TE=moved(spoken.token_TE, now.hint_class_TE, now.hint_logp_TE),
        mass_T3=_masses(now, expert, made, log_r_T, factor_T),
    )


def _masses(
    now: Shares, expert: int, made: Offer, log_r_T: torch.Tensor, factor_T: torch.Tensor
) -> torch.Tensor:
    """Return the classes' masses after a hint took its share of everything; of one class, they stay."""
    whole_T = made.active_T & (made.class_T == EVERYWHERE)
    own_T = now.hint_class_TE[:, expert]
    scaled_T3 = now.mass_T3 + factor_T[:, None]
    own_mass_T = now.mass_T3.gather(1, own_T[:, None])[:, 0]
    # The rest of the hint's own class; not below 0, where the hint is all of it.
    rest_T = (own_mass_T.exp() - made.log_q_T.exp()).clamp(min=0.0).log() + factor_T
    joined_T = torch.logaddexp(log_r_T, rest_T)
    is_own_T3 = torch.arange(3, device=own_T.device) == own_T[:, None]
    mixed_T3 = torch.where(is_own_T3, joined_T[:, None], scaled_T3)
    return torch.where(whole_T[:, None], mixed_T3, now.mass_T3)


Rule = Callable[[int, Offer, Spoken], torch.Tensor]
"""Which logit of r an expert's offer gets: a function of expert, offer and what was said."""


def mixed(now: Shares, spoken: Spoken, scope_E: Sequence[int | None], rule: Rule) -> Shares:
    """Return the distribution after each expert in turn took its hint's share.

    `scope_E` holds each expert's scope; None stands for the class of the hint itself.
    """
    for expert, scope in enumerate(scope_E):
        within = now.hint_class_TE[:, expert] if scope is None else scope
        made = offer(now, spoken, expert, within)
        now = settle(now, spoken, expert, made, rule(expert, made, spoken))
    return now
