"""gate.toml: where pull requests may add what, and by which rules; always read from the base, never the head.

    schema = 1
    folders = ["submissions", "records"]     # below these a pull request may add folders, and nothing else
    ruleset = "parameter-golf"               # a shipped one, or a TOML file of the base
    baselines = ""                           # earlier records, a TOML file of the base; "" is the shipped one
    records_required = ["claims.score"]      # audit findings that must be PASS; any FAIL breaks in any case
    max_folders = 4
    max_files = 1000
    max_bytes = 50000000

Every key may be left out, and the file as well.
"""

from __future__ import annotations

import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import msgspec

from harness import ruleset
from harness.audit import contest
from harness.errors import RulesetError
from harness.gate.repository import Repository
from harness.manifest import path_problem

FILE_NAME = "gate.toml"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the base allows."""

    schema: Literal[1] = 1
    folders: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("submissions", "records")
    ruleset: str = "parameter-golf"
    baselines: str = ""
    records_required: tuple[str, ...] = (
        "claims.json",
        "claims.score",
        "claims.seeds",
        "evidence.train",
        "evidence.bytes",
    )
    max_folders: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    """Each submission among them takes minutes of the job."""
    max_files: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=1 << 40)] = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything that a pull request is held against."""

    settings: Settings
    ruleset: ruleset.Loaded
    contest: contest.Contest


def rules_of(repository: Repository, base: str) -> Rules:
    """Return gate.toml at a commit, with the ruleset and the table that it names.

    Raises RulesetError, which names file and field.
    """
    text = repository.file(base, FILE_NAME)
    settings = Settings() if text is None else _parse(text)
    with tempfile.TemporaryDirectory(prefix="harness-gate-rules-") as name:
        folder = Path(name)
        return Rules(
            settings=settings,
            ruleset=_ruleset(repository, base, settings.ruleset, folder),
            contest=_contest(repository, base, settings.baselines, folder),
        )


def _parse(text: bytes) -> Settings:
    try:
        settings = msgspec.convert(tomllib.loads(text.decode()), Settings)
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, and what msgspec refuses
        known = ", ".join(Settings.__struct_fields__)
        raise RulesetError(f"{FILE_NAME} of the base: {error}; its keys are {known}") from None
    for folder in settings.folders:
        problem = path_problem(folder)
        if problem:
            raise RulesetError(f"{FILE_NAME} of the base: folders: {folder!r} {problem}")
    return settings


def _ruleset(repository: Repository, base: str, named: str, folder: Path) -> ruleset.Loaded:
    if not named.endswith(".toml"):
        return ruleset.load(named)
    taken = folder / "rules" / PurePosixPath(named).name
    _take(repository, base, named, taken, "ruleset")
    try:
        own = ruleset.parse(taken.read_text("utf-8"), named).stats.baseline
    except UnicodeDecodeError:
        raise RulesetError(f"{named} of the base: not UTF-8 text; give a TOML file") from None
    beside = str(PurePosixPath(named).parent / "baselines" / own)
    if own and PurePosixPath(own).name == own and repository.file(base, beside) is not None:
        _take(repository, base, beside, taken.parent / "baselines" / own, "ruleset")
    try:
        return ruleset.load(str(taken))
    except RulesetError as error:
        raise RulesetError(str(error).replace(str(taken), f"{named} of the base")) from None


def _contest(repository: Repository, base: str, named: str, folder: Path) -> contest.Contest:
    if not named:
        return contest.load()
    taken = folder / "table" / PurePosixPath(named).name
    _take(repository, base, named, taken, "baselines")
    try:
        return contest.load(baselines=taken)
    except RulesetError as error:
        raise RulesetError(str(error).replace(str(taken), f"{named} of the base")) from None


def _take(repository: Repository, base: str, path: str, target: Path, field: str) -> None:
    problem = path_problem(path)
    text = None if problem else repository.file(base, path)
    if text is None:
        reason = problem or "is not in the base; add it there, or name a shipped one"
        raise RulesetError(f"{FILE_NAME} of the base: {field}: {path!r} {reason}")
    target.parent.mkdir(parents=True)
    target.write_bytes(text)
