"""What the name of a logged score says: from before quantising or after, the end of a log, or a part alone.

Trainers name their scores as they like ("DIAGNOSTIC post_ema", "final_int6_sliding_window"); these are the
words that they share. Does not catch: a score under another one's name.
"""

from __future__ import annotations

import re

from checks.published import Score

_BEFORE = re.compile(r"pre[-_ ]?quant|post[-_ ](?:ema|swa)|diagnostic|\bema\b", re.IGNORECASE)
_AFTER = re.compile(
    r"(?<!pre)(?<!pre[-_ ])quanti[sz]ed|int\d|round-?trip|zlib|lzma|zstd|brotli", re.IGNORECASE
)
_FINAL = re.compile(rf"{_AFTER.pattern}|final|sliding|ttt|legal", re.IGNORECASE)
_PART = re.compile(
    rf"{_BEFORE.pattern}|diag|averaging|delta|gain|ppm_only|nn_only|nn_byte|llm|unpaid|proxy|previous|control"
    r"|early|smoke|model_\b|baseline",
    re.IGNORECASE,
)
_DIFFERENCE = re.compile(r"gain|delta", re.IGNORECASE)


def is_before_quantising(name: str) -> bool:
    """Say whether a score is of weights before they were quantised."""
    return _BEFORE.search(name) is not None and not _AFTER.search(name)


def is_final(score: Score) -> bool:
    """Say whether a score is one that a log ends with, of the artifact as it is submitted."""
    named = _FINAL.search(score.name) is not None and not is_before_quantising(score.name)
    return named and not score.validation


def is_of_something_else(name: str) -> bool:
    """Say whether a name suggests another thing than the artifact: earlier weights, one part, a quote.

    A suggestion, to choose between scores by: "diagnostic quantized" is of the artifact all the same.
    """
    return _PART.search(name) is not None


def is_a_difference(name: str) -> bool:
    """Say whether a score is no score but the difference of two."""
    return _DIFFERENCE.search(name) is not None
