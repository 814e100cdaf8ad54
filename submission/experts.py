"""The n-gram experts: what they count, how large their tables are, and what they say of a block.

The counting is native/counts.py's. `say` changes nothing; `accept` makes a block history. Shapes as in
mixer.py. Does not mix: see mixer.py and designs.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from native.counts import (
    BUCKET_BYTES,
    EXPERTS,
    Counts,
    Hints,
    check_contexts,
    parse_context,
    share,
)
from submission.designs import DESIGNS
from submission.mixer import Spoken
from submission.pieces import Pieces

Tokens = npt.NDArray[np.integer]
PUBLISHED = ("token:15", "within:0", "word:3")
"""The contexts of contest pull request #1302."""
SHARE_BYTES = 3
"""For each token of the stream: 24 for eight shares, where each token may meet a new context of 16."""
SMALLEST_SHARE = 1 << 15


@dataclass(kw_only=True, slots=True, frozen=True)
class MixerConfig:
    """Which contexts the experts have and by which design they are mixed in."""

    design: str = "L6"
    contexts: tuple[str, ...] = PUBLISHED
    """Each as "expert:length", an expert's from the longest down; see native.counts.Counts."""
    most_table_bytes: int = 2_000_000_000
    """For all tables together; less where the stream is short."""

    def __post_init__(self) -> None:
        """Refuse contexts and designs that there are not."""
        if self.design not in DESIGNS:
            raise ValueError(f"design {self.design!r} is unknown; use one of {', '.join(DESIGNS)}")
        check_contexts(self.contexts)
        least = BUCKET_BYTES * sum(share(context) for context in self.contexts)
        if isinstance(self.most_table_bytes, bool) or not isinstance(self.most_table_bytes, int):
            raise ValueError(f"most_table_bytes {self.most_table_bytes!r} is not a whole number")
        if self.most_table_bytes < least:
            raise ValueError(
                f"most_table_bytes {self.most_table_bytes}; these contexts need {least} at least"
            )


def table_bytes(contexts: Sequence[str], tokens: int, most: int) -> int:
    """Return what the tables for a stream of that length may take."""
    shares = sum(share(context) for context in contexts)
    return min(most, max(tokens * SHARE_BYTES, SMALLEST_SHARE) * shares)


class Experts:
    """The state of all experts over one stream of about `tokens` tokens, asked `block_tokens` at most."""

    def __init__(
        self, config: MixerConfig, pieces: Pieces, *, tokens: int, block_tokens: int
    ) -> None:
        self._as_counted = config.design != "L6"
        self.counts = Counts(
            config.contexts,
            pieces.tables(),
            table_bytes=table_bytes(config.contexts, tokens, config.most_table_bytes),
            block_tokens=block_tokens,
        )

    def say(self, block_T: Tokens, first: int = 0, device: torch.device | str = "cpu") -> Spoken:
        """Return what they say of the positions first .. len(block_T): one more than there are tokens."""
        hints = self.counts.look(block_T, first)
        if self._as_counted:
            return as_counted(hints, self.counts.contexts, device)
        return spoken(hints, device)

    def accept(self, block_T: Tokens) -> None:
        """Make the block history; costs almost nothing after `say` of the same block."""
        self.counts.accept(block_T)


def spoken(hints: Hints, device: torch.device | str = "cpu") -> Spoken:
    """Return the experts' hints and rates, as L6 takes them."""
    return Spoken(
        token_TE=_moved(hints.token_XT, device).long(),
        rate_TE=_moved(hints.rate_XT, device).double(),
        confidence_TE=torch.zeros(hints.rate_XT.T.shape, dtype=torch.float64, device=device),
        open_T=_moved(hints.open_T, device).bool(),
    )


def as_counted(hints: Hints, contexts: Sequence[str], device: torch.device | str = "cpu") -> Spoken:
    """Return the most frequent token in each expert's longest context, and its share, for L1 to L5."""
    positions = hints.token_XT.shape[1]
    token_XT = np.full((len(EXPERTS), positions), -1, dtype=np.int64)
    confidence_XT = np.zeros((len(EXPERTS), positions))
    named = [parse_context(context)[0] for context in contexts]
    for x, expert in enumerate(EXPERTS):
        if expert in named:
            longest = named.index(expert)
            token_XT[x] = hints.top_CT[longest]
            confidence_XT[x] = hints.top_count_CT[longest] / np.maximum(hints.met_CT[longest], 1)
    return Spoken(
        token_TE=_moved(token_XT, device),
        rate_TE=torch.zeros((positions, len(EXPERTS)), dtype=torch.float64, device=device),
        confidence_TE=_moved(confidence_XT, device),
        open_T=_moved(hints.open_T, device).bool(),
    )


def _moved(array_XT: npt.NDArray[np.generic], device: torch.device | str) -> torch.Tensor:
    """Return a copy on the device, positions first."""
    return torch.from_numpy(array_XT.T.copy()).to(device)
