"""Which challenged positions lie furthest from what was credited, and the text around them.

A pure function of the answers, the stream and the tokenizer, which are all the judge's own: the same
evidence on the same data gives the same positions. How far an answer lies is what `checks` compares; nothing
is decided here.

Does not show: repeats, which say how noisy a scorer is, and sums that are not 1; `repro.score` and `norm.sum`
name their worst.

Array names: N tokens of the stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from checks.agreement import Gap
from checks.contract import Challenge, Tolerances
from checks.norm_target import worst_substitute
from checks.order_blind import blind_gaps
from harness.data.dataset import Dataset
from harness.data.tokenizers import load_tokenizer
from harness.errors import DataError, JudgeError
from harness.questions import Stream
from harness.report.model import WorstPosition

MOST = 12
"""Positions shown of a seed."""
BEFORE, AFTER = 12, 4
"""Tokens of the stream shown around a position."""

Piece = Callable[[int], str]
"""Returns the text of one token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One comparison, of the token that it was about; None is the one at the position."""

    question: Literal["blind", "future", "target"]
    gap: Gap
    substitute: int | None = None

    @property
    def order(self) -> tuple[float, int, str]:
        """Return what sorts the furthest first; equal ones by position, so that the order is always one."""
        return -abs(self.gap.nats), self.gap.position, self.question


def worst_positions(
    challenge: Challenge, stream_N: Stream, limits: Tolerances, piece: Piece | None
) -> tuple[WorstPosition, ...]:
    """Return the comparisons of largest absolute gap, infinite ones first, at most MOST.

    A question at a position is listed once. Without `piece` there are token numbers and no text. Raises
    JudgeError where an answer is about a position that the stream does not have.
    """
    if any(not 0 <= asked.gap.position < len(stream_N) for asked in _asked(challenge, limits)):
        raise JudgeError("challenge.json: asks about a position that the stream does not have")
    chosen: dict[tuple[str, int], _Asked] = {}
    for asked in sorted(_asked(challenge, limits), key=lambda asked: asked.order):
        chosen.setdefault((asked.question, asked.gap.position), asked)
        if len(chosen) == MOST:
            break
    return tuple(_shown(asked, stream_N, piece) for asked in chosen.values())


def _asked(challenge: Challenge, limits: Tolerances) -> Iterator[_Asked]:
    for gap in blind_gaps(challenge, limits):
        # Without `predict`, what a blind row would have said is worked out from substitution.
        yield _Asked(question="blind" if challenge.has_predict else "target", gap=gap)
    for future in challenge.future:
        credited = future.worst_credited_nats
        gap = Gap(
            position=future.worst_position,
            credited=credited,
            answer=credited + future.worst_gap_nats,
        )
        yield _Asked(question="future", gap=gap)
    for target in challenge.target:
        worst = worst_substitute(target)
        if worst is not None:
            token, gap = worst
            substitute = None if token == target.token else token
            yield _Asked(question="target", gap=gap, substitute=substitute)


def _shown(asked: _Asked, stream_N: Stream, piece: Piece | None) -> WorstPosition:
    gap = asked.gap
    first = max(gap.position - BEFORE, 0)
    tokens = [int(token) for token in stream_N[first : gap.position + AFTER + 1]]
    token = tokens[gap.position - first] if asked.substitute is None else asked.substitute
    return WorstPosition(
        position=gap.position,
        question=asked.question,
        token=token,
        piece=None if piece is None else piece(token),
        credited_nats=gap.credited,
        answered_nats=gap.answer,
        gap_nats=gap.nats if math.isfinite(gap.nats) else None,
        first=first,
        tokens=tuple(tokens),
        pieces=() if piece is None else tuple(map(piece, tokens)),
    )


class Quotes:
    """The validation stream and its tokenizer, read when the first position is to be shown."""

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def worst(self, challenge: Challenge | None, limits: Tolerances) -> tuple[WorstPosition, ...]:
        """Return the worst positions of a seed; none where nothing was asked."""
        if challenge is None:
            return ()
        return worst_positions(challenge, self._stream, limits, self._piece)

    @cached_property
    def _stream(self) -> Stream:
        return self._data.val.load_tokens()

    @cached_property
    def _piece(self) -> Piece | None:
        """Return the tokenizer's pieces, or None where there is none that can be read here.

        Numbers say the same: a report does not fail for want of a library that only shows text.
        """
        if self._data.tokenizer is None:
            return None
        try:
            tokenizer = load_tokenizer(self._data.tokenizer.path)
        except DataError:
            return None
        return tokenizer.piece if tokenizer.vocab_size >= self._data.vocab_size else None
