"""Which folders a pull request adds, and which of its changes are not its to make.

A submission is the topmost new folder with a submission.toml, a record the topmost with a submission.json;
one may lie in the other, or be both. All that is added beneath belongs to it. Everything else is a trespass.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from checks import gate_scope, gate_size
from checks.contract import Finding, Status
from checks.gate_scope import Trespass
from harness.gate.repository import Change, Repository, shown
from harness.gate.settings import Settings
from harness.manifest import FILE_NAME as MANIFEST

Kind = Literal["submission", "record"]
MARKS: dict[Kind, str] = {"submission": MANIFEST, "record": "submission.json"}
"""The file that makes a folder what it is."""
MAX_PART_BYTES = 255
"""Of one part of a path: what the file systems of this world take."""
MAX_PATH_BYTES = 1024
MOST_LISTED = 20
"""Times as many paths as may change are listed and counted; beyond, they are only said to be many."""
MOST_SHOWN = 160
"""Characters of a path that a message shows."""
_REGULAR = ("100644", "100755")
_RESERVED = re.compile(
    r"|\.|\.\.|\.git[. ]*|git~[0-9]+|.*[. ]|(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.I | re.S
)
"""Parts of a path that mean something else to git, or to a file system of some kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One added folder, as one of the two things that it may be."""

    kind: Kind
    path: bytes
    files: tuple[Change, ...]

    @property
    def name(self) -> str:
        """Return the folder's path as text."""
        return shown(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a pull request changes: the findings on it, and the folders to judge."""

    findings: tuple[Finding, ...]
    units: tuple[Unit, ...]
    """Empty where the change is too large to be looked at."""

    @property
    def empty(self) -> bool:
        """Return whether nothing was added and nothing else is wrong: there is nothing to judge."""
        return not self.units and all(f.status is not Status.FAIL for f in self.findings)


def scope_of(
    repository: Repository, settings: Settings, *, base: str, merge_base: str, head: str
) -> Scope:
    """Return what the head changes since it left the base, held against the base's settings."""
    most = MOST_LISTED * settings.max_files
    changes = repository.changes(merge_base, head, most=most)
    few = len(changes) <= settings.max_files
    total = None
    if few:
        sizes = repository.sizes(c.blob for c in changes if c.mode in _REGULAR)
        total = sum(sizes[c.blob] for c in changes if c.mode in _REGULAR)
    standing = repository.paths(base) | repository.paths(merge_base)
    trespasses, units = divide(changes, settings.folders, standing)
    size = gate_size.check(
        folders=len({unit.path for unit in units}),
        files=len(changes),
        size_bytes=total,
        max_folders=settings.max_folders,
        counted=len(changes) < most,
        max_files=settings.max_files,
        max_bytes=settings.max_bytes,
    )
    scope = gate_scope.check(
        trespasses, added=[unit.name for unit in units], folders=settings.folders
    )
    return Scope(findings=(scope, size), units=tuple(units) if size.status is Status.PASS else ())


def divide(
    changes: Sequence[Change], folders: Sequence[str], standing: Set[bytes]
) -> tuple[list[Trespass], list[Unit]]:
    """Return what is not the pull request's to change, and the folders that it adds.

    `folders` are those below which it may add, `standing` every path of the base.
    """
    roots = [folder.encode() + b"/" for folder in folders]
    marked = {kind: _marked(changes, roots, name.encode()) for kind, name in MARKS.items()}
    known = _folded(standing)
    seen: dict[str, bytes] = {}
    trespasses: list[Trespass] = []
    files: dict[tuple[bytes, Kind], list[Change]] = {}
    for change in changes:
        above = _above(change.path)
        tops = {kind: next((f for f in above if f in marked[kind]), None) for kind in MARKS}
        homes: list[tuple[bytes, Kind]] = [(f, kind) for kind, f in tops.items() if f is not None]
        problem = _problem(change, [f for f, _ in homes], roots, standing, folders)
        problem = problem or _collision(change.path, known, seen)
        if problem:
            trespasses.append(Trespass(path=_named(change.shown), problem=problem))
            continue
        for home in homes:
            files.setdefault(home, []).append(change)
    units = [
        Unit(kind=kind, path=path, files=tuple(own)) for (path, kind), own in sorted(files.items())
    ]
    return trespasses, units


def _marked(changes: Sequence[Change], roots: Sequence[bytes], mark: bytes) -> set[bytes]:
    """Return the folders strictly below a root in which a file of the name `mark` is added."""
    added = (change.path.rpartition(b"/") for change in changes if change.status == "A")
    return {
        folder
        for folder, _, name in added
        if name == mark and any(folder.startswith(root) and folder != root[:-1] for root in roots)
    }


def _named(path: str) -> str:
    """Return a path for a message: a long one without its middle, or what is wrong with it would be cut."""
    if len(path) <= MOST_SHOWN:
        return path
    return f"{path[: MOST_SHOWN // 2]}...{path[-MOST_SHOWN // 4 :]}"


def _above(path: bytes) -> list[bytes]:
    """Return the folders above a path, the topmost first."""
    parts = path.split(b"/")[:-1]
    return [b"/".join(parts[: depth + 1]) for depth in range(len(parts))]


def _problem(
    change: Change,
    homes: Sequence[bytes],
    roots: Sequence[bytes],
    standing: Set[bytes],
    folders: Sequence[str],
) -> str:
    """Return what is wrong with a change, or ""."""
    name = _name_problem(change.path)
    if name:
        return name
    if change.status != "A":
        does = {"D": "is deleted", "T": "is changed into something else"}
        return f"{does.get(change.status, 'is changed')}; it stands on the base"
    if not any(change.path.startswith(root) for root in roots):
        allowed = ", ".join(f"{folder}/" for folder in folders)
        return f"is outside {allowed}, where folders may be added"
    if not homes:
        marks = " or ".join(MARKS.values())
        return f"belongs to no submission or record: no {marks} is added above it"
    if any(home in standing for home in homes):
        return "is added to a folder that stands on the base; add a folder of its own"
    within = next((f for f in _above(change.path) if _is_home(f, standing)), None)
    if within is not None:
        return f"lies in {_named(shown(within))}, which is somebody's on the base; add a folder beside it"
    if change.mode not in _REGULAR:
        kind = {"120000": "a symbolic link", "160000": "a submodule"}
        return f"is {kind.get(change.mode, 'not a file')}; add regular files alone"
    return ""


def _is_home(folder: bytes, standing: Set[bytes]) -> bool:
    return any(folder + b"/" + mark.encode() in standing for mark in MARKS.values())


def _folded(paths: Iterable[bytes]) -> dict[str, bytes]:
    """Return the paths by what a file system that folds case and composes letters takes them for."""
    return {_fold(path): path for path in paths}


def _fold(path: bytes) -> str:
    return unicodedata.normalize("NFC", path.decode("utf-8", "backslashreplace")).casefold()


def _collision(path: bytes, known: Mapping[str, bytes], seen: dict[str, bytes]) -> str:
    """Return what else a path would be taken for, or "", and take note of it.

    Only folders and files of one spelling may meet: of two spellings one overwrites the other somewhere.
    """
    for each in (*_above(path), path):
        other = known.get(_fold(each)) or seen.setdefault(_fold(each), each)
        if other != each:
            return f"is {_named(shown(other))} to file systems that fold names; rename it"
    return ""


def _name_problem(path: bytes) -> str:
    parts = path.split(b"/")
    if len(path) > MAX_PATH_BYTES or max(map(len, parts)) > MAX_PART_BYTES:
        longest = max(map(len, parts))
        return f"has a name of {longest:,} bytes in a path of {len(path):,}; use a short one"
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return "has a name that is not UTF-8; rename it"
    if not text.isprintable() or any(c in '\\:*?"<>|' for c in text):
        return "has characters that are refused; use a plain name"
    if any(_RESERVED.fullmatch(part) for part in text.split("/")):
        return "has a part that no path may have; rename it"
    return ""
