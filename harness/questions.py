"""Which questions a challenge asks: drawn from a secret, in an order that reveals nothing too early.

Within a block, questions go by position; at one position by how much they reveal; the block's repeat comes
last. So the token at a position has never been shown when it is asked for. Asks nothing itself.

Array names: V vocabulary, N tokens of the stream.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from harness.draws import Draws
from harness.ruleset import Challenges

Stream = npt.NDArray[np.uint16]


class Ask(IntEnum):
    """Kinds of question, from the least to the most revealing at one position."""

    BLIND = 0
    TARGET = 1
    WHOLE = 2
    FUTURE = 3
    REPEAT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the questions are about."""

    stream_N: Stream
    credited_N: npt.NDArray[np.float64]
    """Credited nats, as they are on disk."""
    block_tokens: int
    vocab_size: int
    has_predict: bool
    token_classes_V: npt.NDArray[np.uint8] | None = None
    credited_s: float | None = None
    """What the credited pass took; a replay should not take longer."""


Plan = dict[int, list[tuple[int, Ask]]]
"""Block index -> questions in the order they are asked, as (position, kind)."""


def draw_plan(
    draws: Draws, subject: Subject, counts: Challenges, *, low: int, high: int, label: str
) -> Plan:
    """Draw the questions with positions in [low, high), block-aligned in `low`.

    Future questions need a token after them in their block; one drawn on a block's last token moves to the
    token before it, and is dropped in a block of a single token.
    """
    size, tokens = subject.block_tokens, len(subject.stream_N)
    wanted: list[tuple[int, Ask]] = []
    if subject.has_predict:
        wanted += [
            (k, Ask.BLIND) for k in draws.distinct(f"{label}/blind", counts.blind, low, high)
        ]
        wanted += [
            (k, Ask.TARGET) for k in draws.distinct(f"{label}/target", counts.target, low, high)
        ]
    else:
        wanted += [
            (k, Ask.WHOLE) for k in draws.distinct(f"{label}/whole", counts.target_whole, low, high)
        ]
    for k in draws.distinct(f"{label}/future", counts.future, low, high):
        end = min((k // size + 1) * size, tokens)
        position = k if k + 1 < end else k - 1
        if position >= k // size * size:
            wanted.append((position, Ask.FUTURE))
    first_block, last_block = low // size, -(-high // size)
    for block in draws.distinct(f"{label}/repeat", counts.repeat, first_block, last_block):
        wanted.append((min((block + 1) * size, tokens) - 1, Ask.REPEAT))
    plan: defaultdict[int, list[tuple[int, Ask]]] = defaultdict(list)
    for position, kind in sorted(set(wanted), key=lambda q: (q[1] is Ask.REPEAT, *q)):
        plan[position // size].append((position, kind))
    return dict(plan)
