"""A submission's folder as a trial found it: what was taken, what it imports, how far its scorer got.

Names, modules and reasons may be anybody's words: show them escaped. This module imports nobody and decides
nothing.

Does not catch: anything by itself.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What submission.toml says, as far as it could be read."""

    name: str = ""
    code: int = 0
    """Code files that it declares."""
    outputs: int = 0
    problem: str = ""
    """Why it cannot be used, with the remedy: one sentence; "" where it can."""
    missing_program: str = ""
    """Why a command cannot be started on this machine; "" where both can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What came of the judge's copy of a folder."""

    files: int = 0
    size_bytes: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    """(name, reason): the reason completes "<name> ...". Sorted by name."""
    declared: tuple[str, ...] = ()
    """Names that artifact.code lists."""
    code_bytes: int = 0
    """Of the declared code, of the manifest, and of a tokenizer that is counted."""
    cap_bytes: int = 0
    problem: str = ""
    """Why there is no copy at all; "" where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What could be read of one command: the file that it starts, or why that cannot be told."""

    command: str
    """"train" or "score"."""
    words: str
    """The command line."""
    unread: str = ""
    """Why its imports are not known, completing "<command>.command ..."; "" where they were read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """One import, or one file, that does not resolve, or cannot be seen to."""

    command: str
    file: str
    """Relative to the submission's folder."""
    line: int
    message: str
    """What is the matter, without the place."""
    certain: bool
    """Whether the command is sure to fail for it: nothing but reading can be wrong about it."""
    remedy: str = ""
    """The command that makes it resolve, where the ruleset allows it and this machine lacks it; else ""."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imports:
    """What the two commands import, as far as it can be read."""

    started: tuple[Started, ...]
    files: int
    """Files that were read, each once."""
    modules: int
    """Different modules that resolved."""
    doubtful: tuple[Doubtful, ...]
    """In the order in which they would be met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How far the judged session of a trial came."""

    reached: str = ""
    """The last phase that ended as it should: setup, train, seal, load, score or challenge; or ""."""
    why_not: str = ""
    """Why it went no further: one clause; "" where it was gone through."""
    fault: bool = False
    """Whether it was the judge that failed."""
    weights: str = "untrained"
    """"untrained" or "given"."""
    tokens: int = 0
    questions: int = 0
    """Challenges that were answered."""
