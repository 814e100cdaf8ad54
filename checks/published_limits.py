"""What the evidence of a published record is held against: one contest's limits, as numbers.

Filled by the judge from a ruleset and from the contest's table of tokenizers; nothing of it comes from a
record.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """A tokenizer of the contest: bytes of text a token, and the lengths of the stream that logs state."""

    name: str
    bytes_per_token: float
    val_tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Budgets, cap and constants.

    `ratio_tolerance` and `bytes_tolerance` are relative: how far bytes per token, and bytes of the text, may
    lie from the constants (published figures are rounded, the last window may go unscored).
    """

    name: str
    train_s: float
    train_grace_s: float
    score_s: float
    cap_bytes: int
    min_seeds: int
    gpus: int
    text_bytes: int
    tracks: tuple[str, str]
    """What the contest calls the track for records and the one for anything else."""
    tokenizers: tuple[Tokenizer, ...]
    ratio_tolerance: float = 0.004
    bytes_tolerance: float = 0.003
