"""What each token adds to a word: tables from which the counts follow words without decoding a string.

A word is the text of its pieces joined, lower case, without the characters of STRIPPED at its ends. Lower
case is taken piece by piece; a piece that is a part of a character stays as it is. Inside a word, spaces
and punctuation stand.

Shapes: V vocabulary; 3: leading stripped characters, core, trailing stripped characters. A piece without a
core has all its text in the first. Does not know a tokenizer: see submission/pieces.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

STRIPPED = b" .,:;!?()[]{}<>\"'`"
STARTS, BOUNDARY = 1, 2
"""Bits of a token's kind."""
BASE = 0xC2B2AE3D27D4EB4F
"""Of the words' polynomial hash: odd."""
_MASK = (1 << 64) - 1


class TokenTables(NamedTuple):
    """Per token: its kind, and of each of its three parts the hash and the power of the base."""

    kind_V: npt.NDArray[np.uint8]
    hash_V3: npt.NDArray[np.uint64]
    power_V3: npt.NDArray[np.uint64]


def token_tables(
    texts: Sequence[bytes], starts: Sequence[bool], boundary: Sequence[bool]
) -> TokenTables:
    """Return the tables of a vocabulary.

    `texts` holds each token's UTF-8 without the mark of a word's start, b"" for control tokens; `starts`
    says which tokens begin a word wherever they stand, `boundary` which belong to no word. Raises
    ValueError where the three are not of one length, 1 .. 65,536.
    """
    if not 1 <= len(texts) == len(starts) == len(boundary) <= 65_536:
        raise ValueError(
            f"{len(texts)} texts, {len(starts)} starts and {len(boundary)} boundaries; "
            "give one of each for 1 to 65,536 tokens"
        )
    kind_V = np.array(starts, np.uint8) * STARTS | np.array(boundary, np.uint8) * BOUNDARY
    parts = [split(text) for text in texts]
    hash_V3 = np.array([[_hash(part) for part in three] for three in parts], dtype=np.uint64)
    power_V3 = np.array(
        [[pow(BASE, len(part), 1 << 64) for part in three] for three in parts], dtype=np.uint64
    )
    return TokenTables(kind_V.astype(np.uint8), hash_V3, power_V3)


def split(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Return a piece's leading stripped characters, its core and its trailing ones, in lower case."""
    with suppress(UnicodeDecodeError):  # a part of a character
        text = text.decode("utf-8").lower().encode("utf-8")
    right = text.rstrip(STRIPPED)
    if not right:
        return text, b"", b""
    core = right.lstrip(STRIPPED)
    return right[: len(right) - len(core)], core, text[len(right) :]


def _hash(text: bytes) -> int:
    total = 0
    for byte in text:
        total = (total * BASE + byte + 1) & _MASK
    return total
