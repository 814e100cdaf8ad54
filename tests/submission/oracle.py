"""The slow oracle of the mixing rules: plain Python floats, one position at a time, the whole vocabulary.

Written after what the rules say, not after submission/designs.py: probabilities instead of logarithms, loops
instead of tensors. `published` is the rule of contest pull request #1302, L4 that rule divided by its sum.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

from submission.mixer import CONTINUES, CONTROL, STARTS
from tests.submission.drawn import Case

TOKEN, WITHIN, WORD = range(3)
GATE, BOOST = (0.80, 0.45, 0.65), (2.625, 0.75, 0.75)
SPEAK_FOR = {CONTROL: [TOKEN], CONTINUES: [TOKEN, WITHIN], STARTS: [TOKEN, WORD]}


@dataclass
class Place:
    """One position."""

    p: list[float]
    """Of each token."""
    classes: list[int]
    """Of each token, as the next one."""
    hints: list[int | None]
    confidence: list[float]
    rate: list[float]

    def mass(self, class_: int) -> float:
        return math.fsum(p for p, own in zip(self.p, self.classes, strict=True) if own == class_)

    def class_of_hint(self, expert: int) -> int | None:
        hint = self.hints[expert]
        return None if hint is None else self.classes[hint]

    def passes(self, expert: int, weight: float = 1.0) -> bool:
        return self.hints[expert] is not None and self.confidence[expert] * weight >= GATE[expert]


def places(case: Case) -> list[Place]:
    """Return each position of a case."""
    spoken = case.spoken
    return [
        Place(
            p=row_V.exp().tolist(),
            classes=class_V.tolist(),
            hints=[None if hint < 0 else hint for hint in spoken.token_TE[t].tolist()],
            confidence=spoken.confidence_TE[t].tolist(),
            rate=spoken.rate_TE[t].tolist(),
        )
        for t, (row_V, class_V) in enumerate(zip(case.logp_TV, case.class_TV(), strict=True))
    ]


def tilt(p: float, boost: float, is_hint: bool, q: float) -> float:
    """Return p e^(boost, for the hint) / Z."""
    return p * (math.exp(boost) if is_hint else 1.0) / (1.0 + q * (math.exp(boost) - 1.0))


def choose(place: Place, experts: list[int], q: dict[int, float]) -> tuple[int, float] | None:
    """Return the hint that these experts agree upon, and its boost: the first with the greatest gain."""
    gated = [expert for expert in experts if place.passes(expert)]
    if not gated:
        return None

    def gain(expert: int) -> float:
        boost = BOOST[expert]
        return place.confidence[expert] * boost - math.log(1 + q[expert] * (math.exp(boost) - 1))

    best = gated[0]
    for expert in gated[1:]:
        if gain(expert) > gain(best):
            best = expert
    agreeing = sum(place.hints[expert] == place.hints[best] for expert in gated)
    return place.hints[best], BOOST[best] + (0.5 if agreeing >= 2 else 0.0)


def published(place: Place, speak_for: dict[int, list[int]] = SPEAK_FOR) -> list[float]:
    """Return what each token would be credited: its own class says who speaks."""
    q = {e: place.p[hint] for e, hint in enumerate(place.hints) if hint is not None}
    credited = []
    for token, (p, class_) in enumerate(zip(place.p, place.classes, strict=True)):
        found = choose(place, speak_for[class_], q)
        if found is not None:
            hint, boost = found
            p = tilt(p, boost, token == hint, place.p[hint])
        credited.append(p)
    return credited


def l1(place: Place) -> list[float]:
    return published(place, {class_: [TOKEN] for class_ in SPEAK_FOR})


def l2(place: Place) -> list[float]:
    boosts: dict[int, float] = defaultdict(float)
    weights = 1.0, place.mass(CONTINUES), place.mass(STARTS)
    for expert, hint in enumerate(place.hints):
        if place.passes(expert, weights[expert]):
            boosts[hint] += BOOST[expert]
    z = 1.0 + math.fsum(place.p[hint] * (math.exp(boost) - 1) for hint, boost in boosts.items())
    return [p * math.exp(boosts.get(token, 0.0)) / z for token, p in enumerate(place.p)]


def l3(place: Place) -> list[float]:
    row = list(place.p)
    for class_, speakers in SPEAK_FOR.items():
        mass = place.mass(class_)
        inside = [expert for expert in speakers if place.class_of_hint(expert) == class_]
        if not inside or not mass:
            continue
        q = {expert: place.p[place.hints[expert]] / mass for expert in inside}
        found = choose(place, inside, q)
        if found is None:
            continue
        hint, boost = found
        for token, p in enumerate(place.p):
            if place.classes[token] == class_:
                row[token] = tilt(p, boost, token == hint, place.p[hint] / mass)
    return row


def l4(place: Place) -> list[float]:
    credited = published(place)
    return [p / math.fsum(credited) for p in credited]


def logit(p: float, beside: float | None = None) -> float:
    """Return ln(p / (1 - p)) within +-30; `beside` is 1 - p where it is better known."""
    beside = 1.0 - p if beside is None else beside
    if p <= 0.0 or beside <= 0.0:
        return -30.0 if p <= 0.0 else 30.0
    return max(-30.0, min(30.0, math.log(p) - math.log(beside)))


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


@dataclass
class InTurn:
    """L5 and L6: one expert after the other, each inside its scope, and on what the one before has left."""

    place: Place
    row: list[float] = field(default_factory=list)
    doubts: int = 0
    """How often a last digit decided on a bin, or on whether there is anything beside a hint."""

    def __post_init__(self) -> None:
        self.row = list(self.place.p)

    def scope(self, expert: int, class_: int | None) -> list[int]:
        """Return the tokens of the scope; none where the hint is not among them, or all there is."""
        hint = self.place.hints[expert]
        tokens = [
            token for token, own in enumerate(self.place.classes) if class_ is None or own == class_
        ]
        beside = math.fsum(self.row[token] for token in tokens if token != hint)
        self.doubts += hint in tokens and beside < 1e-13 * (self.row[hint] + beside)
        return tokens if hint in tokens and beside > 0.0 else []

    def share(self, expert: int, scope: list[int]) -> tuple[float, float]:
        """Return the hint's share of the scope, and the rest."""
        hint = self.place.hints[expert]
        mass = math.fsum(self.row[token] for token in scope)
        beside = math.fsum(self.row[token] for token in scope if token != hint)
        return self.row[hint] / mass, beside / mass

    def settle(self, expert: int, scope: list[int], logit_r: float) -> None:
        """Give the hint the share r of its scope, but do not let the rest grow more than twofold."""
        hint = self.place.hints[expert]
        mass = math.fsum(self.row[token] for token in scope)
        _, beside = self.share(expert, scope)
        rest = min(sigmoid(-logit_r), 2.0 * beside)
        r = sigmoid(logit_r) if rest < 2.0 * beside else 1.0 - rest
        for token in scope:
            self.row[token] *= rest / beside
        self.row[hint] = r * mass


def l6(place: Place, weights: tuple[tuple[float, float, float], ...]) -> list[float]:
    turn = InTurn(place)
    for expert, class_ in enumerate((None, CONTINUES, STARTS)):
        scope = turn.scope(expert, class_)
        if scope:
            bias, of_q, of_rate = weights[expert]
            raw = bias + of_q * logit(*turn.share(expert, scope))
            raw += of_rate * logit(place.rate[expert])
            turn.settle(expert, scope, max(-40.0, min(40.0, raw)))
    return turn.row


Spoke = tuple[int, int, tuple[int, int]]
"""An expert, the class it spoke of, and the bin of its share and confidence."""


class L5:
    """L5, which learns: `true` and `seen` hold what was counted of each expert, share and confidence."""

    def __init__(self) -> None:
        self.true: dict[tuple[int, int, int], int] = defaultdict(int)
        self.seen: dict[tuple[int, int, int], int] = defaultdict(int)

    def __call__(self, place: Place) -> list[float]:
        return self._walk(place)[0]

    def doubtful(self, place: Place) -> bool:
        """Return whether a last digit decides on a bin, or on whether there is anything beside a hint."""
        return self._walk(place)[2] > 0

    def learn(self, block: list[tuple[Place, int]]) -> None:
        """Count how the hints of a block fared; all of it is predicted before any is counted."""
        met = []
        for place, target in block:
            for expert, class_, bin_ in self._walk(place)[1]:
                if place.classes[target] == class_:
                    met.append(((expert, *bin_), place.hints[expert] == target))
        for bin_, right in met:
            self.seen[bin_] += 1
            self.true[bin_] += right

    def _walk(self, place: Place) -> tuple[list[float], list[Spoke], int]:
        turn, spoke = InTurn(place), []
        for expert, own in enumerate((place.class_of_hint(TOKEN), CONTINUES, STARTS)):
            scope = turn.scope(expert, own) if own is not None else []
            if not scope:
                continue
            q, beside = turn.share(expert, scope)
            place_of_q = max(-8.0, min(8.0, logit(q, beside)))
            bin_ = round(place_of_q) + 8, round(10 * place.confidence[expert])
            turn.doubts += abs(place_of_q % 1 - 0.5) < 1e-9
            spoke.append((expert, own, bin_))
            true, seen = self.true[expert, *bin_], self.seen[expert, *bin_]
            turn.settle(expert, scope, logit((true + 20 * q) / (seen + 20)))
        return turn.row, spoke, turn.doubts
