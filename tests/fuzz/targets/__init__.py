"""One reader of untrusted bytes a module, each with `one` and `WORDS`.

`one(data)` gives the bytes to the reader and returns whether it took them. It raises only where the reader
broke its promise: another exception than the documented one, or a value that it should have refused.
`WORDS` are pieces of the format that a mutation by chance would not find.
"""

from __future__ import annotations

from importlib import import_module
from typing import Literal, Protocol, cast

NAMES = (
    "attestation",
    "baseline",
    "dataset",
    "frames",
    "manifest",
    "published",
    "records",
    "report",
    "result",
    "ruleset",
    "sdk_frames",
    "shard",
)

MAX_BYTES = 1 << 14
"""Longest input; whatever is written to a socket must fit its buffer."""


def refused(error: Exception, about: str) -> Literal[False]:
    """Check that a refusal says which file it is about; return False, what `one` answers then."""
    assert str(error).startswith(about), f"a message that does not begin with {about}: {error}"
    return False


class Target(Protocol):
    """What each module of this package has."""

    WORDS: tuple[bytes, ...]

    def one(self, data: bytes) -> bool:
        """Return whether the reader took the bytes; raise where it broke its promise."""
        ...


def target(name: str) -> Target:
    """Import a target and what it reads with."""
    return cast(Target, import_module(f"{__name__}.{name}"))
