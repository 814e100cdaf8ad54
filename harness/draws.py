"""Positions and tokens drawn from a secret: the same secret gives the same draws on every machine.

Draws come from SHAKE-256 over the secret and a label, read as 64-bit little-endian numbers modulo the range,
so that anybody can repeat them from the published secret without this project's random generator. The bias of
the modulo is below range / 2**64.

Does not choose how many: the ruleset does.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator


def new_secret() -> str:
    """Return 128 fresh random bits in hexadecimal, from the operating system."""
    return secrets.token_hex(16)


class Draws:
    """An endless supply of numbers for one secret; each label has a stream of its own."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def numbers(self, label: str) -> Iterator[int]:
        """Yield 64-bit numbers for `label`."""
        page = 0
        while True:
            block = hashlib.shake_256(f"{self._secret}/{label}/{page}".encode()).digest(1024)
            for at in range(0, 1024, 8):
                yield int.from_bytes(block[at : at + 8], "little")
            page += 1

    def below(self, label: str, limit: int) -> int:
        """Return one number in [0, limit)."""
        return next(self.numbers(label)) % limit

    def distinct(self, label: str, count: int, low: int, high: int) -> list[int]:
        """Return up to `count` distinct numbers in [low, high), ascending; fewer if the range is smaller."""
        size = high - low
        if count >= size:
            return list(range(low, high))
        chosen: set[int] = set()
        numbers = self.numbers(label)
        while len(chosen) < count:
            chosen.add(low + next(numbers) % size)
        return sorted(chosen)

    def shuffled(self, label: str, items: list[int]) -> list[int]:
        """Return the items in a drawn order (Fisher and Yates)."""
        order = list(items)
        numbers = self.numbers(label)
        for last in range(len(order) - 1, 0, -1):
            other = next(numbers) % (last + 1)
            order[last], order[other] = order[other], order[last]
        return order
