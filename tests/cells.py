"""Sandboxes for tests: what this machine offers, found out once, and the levels that work on it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from harness import packages
from harness.sandbox import sight
from harness.sandbox.cell import Limits, Sandbox
from harness.sandbox.mechanisms import LEVELS, Level, Mechanisms, probe

LIMITS = Limits(memory_bytes=2 << 30, processes=512, disk_bytes=1 << 30)


@cache
def mechanisms() -> Mechanisms:
    """What works here; tried once for all tests."""
    return probe()


@cache
def pinned(*wanted: str) -> packages.Pinned:
    """The installed packages that a requirement allows."""
    return packages.resolve(wanted, packages.search_path())


def sandbox(
    level: Level | None = None, *, entries: Iterable[Path] = (), limits: Limits = LIMITS
) -> Sandbox:
    """Return a sandbox of this level, or of the strongest that works here."""
    found = mechanisms()
    return Sandbox(
        mechanisms=found,
        level=level or found.level(),
        sight=sight.sight(entries),
        limits=limits,
    )


def skip_without(level: Level) -> None:
    """Skip a test where this machine cannot do it, and say why."""
    found = mechanisms()
    if found.level(level) != level:
        problem = found.bubblewrap_problem or found.seccomp_problem or "no Landlock here"
        pytest.skip(f"this machine has no {level}: {problem}")


each_level = pytest.mark.parametrize("level", LEVELS)
