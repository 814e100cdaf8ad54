"""The pinned environment: which installed packages a submission's processes may import, and where they lie.

A ruleset allows some packages; with what these require, as far as it is installed, they are all that is
visible beside the standard library. What a package consists of is what its installer wrote down in RECORD.
A package that is missing, or of a version the ruleset does not allow, is noted and stays invisible: a
submission that needs it fails by itself. Packages that a submission brings are not looked at here: they lie
in its artifact and are counted there.

Does not install anything, imports nothing of what it finds, and hashes nothing (harness.package_sums does).
"""

from __future__ import annotations

import csv
import json
import os
import posixpath
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from importlib.metadata import Distribution
from pathlib import Path
from typing import Literal, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.errors import JudgeError, RulesetError

OWN = "model-contest-harness"
"""This project's own distribution: no submission sees the judge, whoever requires it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An installed package that is visible."""

    name: str
    """Normalised: lower case, hyphens."""
    version: str
    requirement: str
    """What the ruleset says of it; "" where it was drawn in alone."""
    drawn_in_by: tuple[str, ...]
    """Visible packages that require it, sorted."""
    site: str
    """The folder it is installed in: absolute, without links."""
    record: str
    """Its RECORD, relative to `site`."""
    entries: tuple[str, ...]
    """Folders and files that make it up, relative to `site`, sorted: no deeper than is needed to show none
    that belongs to a package which is not visible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A package that was wanted and is not visible."""

    name: str
    requirement: str
    wanted_by: str
    """The package that requires it; "" for the ruleset."""
    state: Literal["absent", "wrong version", "editable", "unreadable"]
    version: str
    """The version that is installed; "" where none is, or none can be told."""

    def sentence(self) -> str:
        """Return what is the matter, in words."""
        who = self.wanted_by or "the ruleset"
        return {
            "absent": f"{self.name} is not installed; {who} asks for {self.requirement}",
            "wrong version": f"{self.name} {self.version} is installed; {who} asks for {self.requirement}",
            "editable": f"{self.name} lies elsewhere (an editable installation); install it from a wheel",
            "unreadable": f"{self.name}: its metadata or its list of files cannot be read; install it anew",
        }[self.state]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """All that a submission's processes may import beside the standard library and their own files."""

    packages: tuple[Package, ...]
    """Sorted by name."""
    missing: tuple[Missing, ...]
    """Sorted by name; optional extras that nobody asked for are not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Installed:
    """One distribution as it lies there; `files` is None where there is no RECORD to read."""

    dist: Distribution
    version: str
    site: str
    info: str
    files: tuple[str, ...] | None


class _Wish(NamedTuple):
    """That a package be there, in the words of whoever asks."""

    requirement: Requirement
    text: str
    by: str
    """The package that asks; "" for the ruleset."""

    @property
    def name(self) -> NormalizedName:
        return canonicalize_name(self.requirement.name)


def search_path() -> list[str]:
    """Return the folders of this interpreter's import path that hold installed packages, in its order."""
    return [entry for entry in sys.path if next(_metadata(entry), None)]


def resolve(wanted: Sequence[str], search: Sequence[str]) -> Pinned:
    """Return the installed packages that `wanted` allows, with all that these require.

    `wanted` are requirements in the form of PEP 508, of which markers are evaluated for this interpreter and
    extras count where they are named. `search` are folders, of which the first that holds a package decides.
    Versions are held against `wanted` alone: whether what is drawn in suits whoever requires it is the
    installer's business. Raises RulesetError where an item of `wanted` is no requirement, names an address,
    names this project, or a package a second time.
    """
    asked = _parse(wanted)
    installed = _installed(search)
    drawn, missing = _close(asked, installed)
    entries = _entries(installed, frozenset(drawn))
    requirement = {one.name: one.text for one in asked}
    packages = [
        Package(
            name=name,
            version=installed[name].version,
            requirement=requirement.get(name, ""),
            drawn_in_by=tuple(sorted(drawn[name])),
            site=installed[name].site,
            record=f"{installed[name].info}/RECORD",
            entries=entries[name],
        )
        for name in sorted(drawn)
    ]
    return Pinned(
        packages=tuple(packages), missing=tuple(missing[name] for name in sorted(missing))
    )


def view(pinned: Pinned, folder: Path) -> None:
    """Make `folder` an import path that shows the pinned packages alone, by symbolic links.

    One link an entry; where an entry lies deeper than the top, its parents are folders of their own. Anybody
    may read them. Raises JudgeError where `folder` holds something already, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise JudgeError(f"{folder}: is not empty; the view of the packages needs its own")
        folder.chmod(0o755)
        for package in pinned.packages:
            for entry in package.entries:
                link = folder / entry
                for parent in reversed(link.relative_to(folder).parents[:-1]):
                    (folder / parent).mkdir(exist_ok=True)
                    (folder / parent).chmod(0o755)
                if not link.is_symlink():  # else two packages share it
                    link.symlink_to(Path(package.site) / entry)
    except OSError as error:
        raise JudgeError(f"{folder}: {error.strerror}; make room for the run's files") from None


def readable(pinned: Pinned) -> list[Path]:
    """Return what a process has to be able to read for these packages: absolute paths, sorted, each once."""
    return sorted({Path(one.site) / entry for one in pinned.packages for entry in one.entries})


def record_rows(text: str) -> Iterator[tuple[str, str]]:
    """Yield the files below the site folder that a RECORD lists, each with the digest stated for it, or "".

    The digest is as written: an algorithm, "=", base64. Programs (../../../bin/x), absolute names and byte
    code, which pip lists and others do not, are left out.
    """
    for row in csv.reader(text.splitlines()):
        name = posixpath.normpath(row[0]) if row and row[0] else ".."
        if not (
            name.startswith(("../", "/")) or name in ("..", ".") or "__pycache__" in name.split("/")
        ):
            yield name, row[1] if len(row) > 1 else ""


def _parse(wanted: Sequence[str]) -> list[_Wish]:
    found: dict[str, _Wish] = {}
    for text in wanted:
        try:
            one = _Wish(Requirement(text), text, "")
        except InvalidRequirement as error:
            reason = str(error).splitlines()[0]
            raise RulesetError(f"packages: {text!r} is no requirement: {reason}") from None
        if one.requirement.url is not None:
            raise RulesetError(
                f"packages: {text!r} names an address; state versions, such as 'numpy>=2'"
            )
        if one.name == OWN:
            raise RulesetError(f"packages: {text!r} is the judge itself; leave it out")
        if one.requirement.marker is not None and not one.requirement.marker.evaluate():
            continue
        if one.name in found:
            raise RulesetError(f"packages: {one.name!r} is named twice; name it once")
        found[one.name] = one
    return list(found.values())


def _metadata(folder: str) -> Iterator[Path]:
    """Yield the metadata of what is installed in a folder, sorted; what pip left half removed is none."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")) and not name.startswith("~"):
            yield Path(folder) / name


def _installed(search: Iterable[str]) -> dict[NormalizedName, _Installed]:
    found: dict[NormalizedName, _Installed] = {}
    for folder in search:
        for info in _metadata(folder):
            dist = Distribution.at(info)
            facts = HeaderParser().parsestr(_read(dist, "METADATA", "PKG-INFO", "") or "")
            name = canonicalize_name(str(facts["Name"] or ""))
            if name and name not in found:
                found[name] = _Installed(
                    dist=dist,
                    version=str(facts["Version"] or ""),
                    site=os.path.realpath(folder),
                    info=info.name,
                    files=_listed(dist),
                )
    return found


def _read(dist: Distribution, *names: str) -> str | None:
    """Return the first file that a distribution holds; "" stands for one that is itself a file."""
    try:
        return next((text for name in names if (text := dist.read_text(name))), None)
    except (OSError, UnicodeDecodeError):
        return None


def _listed(dist: Distribution) -> tuple[str, ...] | None:
    record = _read(dist, "RECORD")
    try:
        return None if record is None else tuple(name for name, _ in record_rows(record))
    except csv.Error:
        return None


def _close(
    asked: Iterable[_Wish], installed: Mapping[NormalizedName, _Installed]
) -> tuple[dict[NormalizedName, set[str]], dict[str, Missing]]:
    """Return the visible packages, each with those that draw it in, and the missing ones."""
    drawn: dict[NormalizedName, set[str]] = {}
    missing: dict[str, Missing] = {}
    done: set[tuple[str, str]] = set()
    # First in, first out: what the ruleset asks for itself is judged before anything draws it in.
    queue = deque(asked)
    while queue:
        wish = queue.popleft()
        name = wish.name
        if name == OWN or name in missing:
            continue
        if name not in drawn:
            gap = _gap(wish, installed.get(name))
            if gap is not None:
                missing[name] = gap
                continue
            drawn[name] = set()
        drawn[name] |= {wish.by} - {""}
        for extra in sorted({"", *wish.requirement.extras}):
            if (name, extra) not in done:
                done.add((name, extra))
                queue.extend(_requires(installed[name].dist, name, extra, missing))
    return drawn, missing


def _requires(
    dist: Distribution, name: str, extra: str, missing: dict[str, Missing]
) -> Iterator[_Wish]:
    """Yield what a package requires here; a line that cannot be read goes to `missing`."""
    for text in dist.requires or ():
        try:
            one = Requirement(text)
        except InvalidRequirement:
            missing[text] = Missing(
                name=text, requirement=text, wanted_by=name, state="unreadable", version=""
            )
            continue
        if one.marker is None or one.marker.evaluate({"extra": extra}):
            yield _Wish(one, text, name)


def _gap(wish: _Wish, found: _Installed | None) -> Missing | None:
    state: Literal["absent", "editable", "unreadable", "wrong version"]
    if found is None:
        state = "absent"
    elif _is_editable(found):
        state = "editable"
    elif found.files is None or not found.version:
        state = "unreadable"
    elif wish.by or _allows(wish.requirement, found.version):
        return None
    else:
        state = "wrong version"
    return Missing(
        name=wish.name,
        requirement=wish.text,
        wanted_by=wish.by,
        state=state,
        version=found.version if found else "",
    )


def _allows(requirement: Requirement, version: str) -> bool:
    try:
        # What is installed was chosen by somebody: a pre-release inside the range is inside it.
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False


def _is_editable(found: _Installed) -> bool:
    """Return whether the files lie elsewhere, by what the installer noted (PEP 610) or by its hook."""
    try:
        noted = json.loads(found.dist.read_text("direct_url.json") or "{}")
    except ValueError:
        noted = {}
    folder = noted.get("dir_info") if isinstance(noted, dict) else None
    if isinstance(folder, dict) and folder.get("editable") is True:
        return True
    return any(name.startswith("__editable__") for name in found.files or ())


def _entries(
    installed: Mapping[NormalizedName, _Installed], visible: frozenset[NormalizedName]
) -> dict[NormalizedName, tuple[str, ...]]:
    """Return what makes each visible package up: the topmost folders that are wholly visible, or files.

    Packages share folders (nvidia/, google/). Where all that share one are visible, it is one entry; where
    one is not, its neighbours are shown file by file as far down as it reaches.
    """
    claims: defaultdict[str, set[tuple[str, bool]]] = defaultdict(set)
    for name, one in installed.items():
        for file in one.files or ():
            for path in _prefixes(file):
                claims[path].add((one.site, name in visible))

    def is_clear(path: str, site: str) -> bool:
        # A visible package of another site folder needs the name too: one link cannot lead to both.
        return all(place == site and seen for place, seen in claims[path] if place == site or seen)

    found = {}
    for name in visible:
        one = installed[name]
        shown = {
            next((path for path in _prefixes(file) if is_clear(path, one.site)), file)
            for file in one.files or ()
        }
        shown |= {code for path in shown if (code := _byte_code(path))}
        found[name] = tuple(sorted(path for path in shown if (Path(one.site) / path).exists()))
    return found


def _prefixes(file: str) -> Iterator[str]:
    """Yield a/b/c's "a", "a/b", "a/b/c"."""
    end = file.find("/")
    while end != -1:
        yield file[:end]
        end = file.find("/", end + 1)
    yield file


def _byte_code(path: str) -> str | None:
    """Return where a module that is shown by itself has its byte code: compiling it costs every process."""
    folder, name = posixpath.split(path)
    if not name.endswith(".py"):
        return None
    compiled = f"{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
    return posixpath.join(folder, "__pycache__", compiled)
