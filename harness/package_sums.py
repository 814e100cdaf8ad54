"""What the pinned packages' files hold, as SHA-256, and what changed between two such readings.

Stored per package: one digest over all its files, and single sums only of files whose sum the package's
RECORD does not state already. Torch has 12,000 files, and all but a few are what the installer wrote down;
so RECORD, itself among the single sums, serves as the list of the rest. Two stored readings are thus enough
to name every file that differs, and the comparison reads no file.

Byte code is kept apart. A file that Python compiled beside its source may appear during a run without anybody
meaning harm; one that changes may not. Only what has its source beside it counts as such: a .pyc elsewhere
is imported like any module, and one without a source may hold anything, so these are files like all others.

The standard library, the interpreter and shared libraries of the system are not part of it.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import posixpath
import re
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.errors import JudgeError
from harness.packages import Package, Pinned, record_rows

WORKERS = 2
SMALL_BYTES = 1 << 20
BATCH_FILES = 200
NAMED_FILES = 3
"""How many files a sentence names before it says how many more there are."""

BYTE_CODE = re.compile(rf"([^.]+)\.{sys.implementation.cache_tag}(?:\.opt-[12])?\.pyc(?:\.\d+)?")
"""Names that this interpreter gives to byte code; digits at the end while it is being written."""

GONE = ""
"""The sum of a file that RECORD lists and that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSums:
    """One package's files: names relative to the folder it is installed in, sums in hexadecimal."""

    version: str
    digest: str
    """Over name, size and sum of every file but byte code."""
    files: int
    size_bytes: int
    differing: dict[str, str]
    """Files that RECORD lists with another sum; GONE where they are not there."""
    unlisted: dict[str, str]
    """Files whose sum RECORD does not state: itself, links, and what somebody added."""
    byte_code: dict[str, str]
    """Compiled files that have their source beside them, with the first 16 bytes of their sums."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """All pinned packages' files at one moment."""

    digest: str
    """Over name, version and digest of every package."""
    packages: dict[str, PackageSums]


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    """Absolute."""
    name: str
    """Relative to the site folder."""
    owner: str
    mode: int
    size_bytes: int


def digest(pinned: Pinned) -> Sums:
    """Return the sums of every file of every pinned package, as they are now.

    Regular files by content; links by their text and the content of the file they lead to; anything else by
    its kind alone. Empty folders, times and modes are not part of it. A file that goes while it is being read
    counts as gone. Raises JudgeError where one cannot be read.
    """
    stated = {one.name: _stated(one) for one in pinned.packages}
    found: dict[str, dict[str, tuple[_File, str]]] = {one.name: {} for one in pinned.packages}
    files = _files(pinned, stated)
    for file, total in _sum(files):
        if total != GONE:
            found[file.owner][file.name] = (file, total)
    packages = {
        one.name: _package(one, stated[one.name], found[one.name]) for one in pinned.packages
    }
    whole = "".join(f"{name} {one.version} {one.digest}\n" for name, one in packages.items())
    return Sums(digest=_hex(whole), packages=packages)


def changed(before: Sums, after: Sums) -> list[str]:
    """Return a sentence for every package whose files are not what they were; none where all are.

    Byte code counts where it changed, not where it appeared (`compiled_since`) or went. Where RECORD itself
    changed, files that were changed to match it are not named.
    """
    found = []
    for name in sorted(before.packages.keys() | after.packages.keys()):
        old, new = before.packages.get(name), after.packages.get(name)
        if old is None or new is None:
            found.append(f"{name}: {'appeared' if old is None else 'vanished'}")
            continue
        notes = _differences(old, new)
        if not notes and old.digest != new.digest:
            notes = {"its files": "changed, which of them cannot be told"}
        if notes:
            # Where RECORD itself differs, what else is said may follow from that alone.
            order = sorted(notes, key=lambda file: (not file.endswith(".dist-info/RECORD"), file))
            listed = [f"{file}: {notes[file]}" for file in order]
            more = len(listed) - NAMED_FILES
            tail = [f"and {more} more"] if more > 0 else []
            found.append(f"{name} {old.version}: {'; '.join(listed[:NAMED_FILES] + tail)}")
    return found


def compiled_since(before: Sums, after: Sums) -> list[str]:
    """Return the byte code that appeared beside its source, sorted.

    Python runs it in place of the source, and nothing shows who wrote it: where another process could write
    to the packages, it is not to be trusted.
    """
    return sorted(
        file
        for name, new in after.packages.items()
        if name in before.packages
        for file in new.byte_code.keys() - before.packages[name].byte_code.keys()
    )


def _differences(old: PackageSums, new: PackageSums) -> dict[str, str]:
    notes = {}
    for file in old.differing.keys() | new.differing.keys():
        # Absent from either means: as RECORD states it.
        was, now = old.differing.get(file), new.differing.get(file)
        if was != now:
            notes[file] = {(False, True): "appeared", (True, False): "vanished"}.get(
                (was != GONE, now != GONE), "changed"
            )
    for file in old.unlisted.keys() | new.unlisted.keys():
        if file not in new.unlisted:
            notes[file] = "vanished"
        elif file not in old.unlisted:
            notes[file] = "appeared"
        elif old.unlisted[file] != new.unlisted[file]:
            notes[file] = "changed"
    for file in old.byte_code.keys() & new.byte_code.keys():
        if old.byte_code[file] != new.byte_code[file]:
            notes[file] = "changed"
    return notes


def _package(
    one: Package, stated: Mapping[str, str], found: Mapping[str, tuple[_File, str]]
) -> PackageSums:
    differing = {name: GONE for name in stated if name not in found}
    unlisted: dict[str, str] = {}
    byte_code: dict[str, str] = {}
    lines: list[str] = []
    size_bytes = 0
    for name, (file, total) in sorted(found.items()):
        if _source(name) in found:
            byte_code[name] = total[:32]
            continue
        lines.append(f"{name}\0{file.size_bytes}\0{total}\n")
        size_bytes += file.size_bytes
        if not stated.get(name):
            unlisted[name] = total
        elif stated[name] != total:
            differing[name] = total
    return PackageSums(
        version=one.version,
        digest=_hex("".join(lines)),
        files=len(lines),
        size_bytes=size_bytes,
        differing=dict(sorted(differing.items())),
        unlisted=unlisted,
        byte_code=byte_code,
    )


def _stated(one: Package) -> dict[str, str]:
    """Return the files that a package's RECORD lists, with the sums it states, "" where it states none."""
    path = Path(one.site) / one.record
    try:
        rows = list(record_rows(path.read_text("utf-8")))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(str(path), error) from None
    except (UnicodeDecodeError, csv.Error):
        raise JudgeError(f"{path}: is no list of files any more; install {one.name} anew") from None
    return {name: _decoded(stated) for name, stated in rows}


def _decoded(stated: str) -> str:
    kind, _, text = stated.partition("=")
    if kind != "sha256":
        return ""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
    except ValueError:
        return ""


def _files(pinned: Pinned, stated: Mapping[str, Mapping[str, str]]) -> list[_File]:
    """Return every file once; one that packages share belongs to the first that lists it."""
    owners: dict[str, str] = {}
    for one in reversed(pinned.packages):
        owners.update((f"{one.site}/{name}", one.name) for name in stated[one.name])
    found: dict[str, _File] = {}
    for one in pinned.packages:
        for entry in one.entries:
            top = f"{one.site}/{entry}"
            # A folder may be shown through a link: then what it leads to is what is imported.
            below = _below(top) if Path(top).is_dir() else _walk(top)
            for path, facts in below:
                owner = owners.get(path) or owners.get(_source(path), one.name)
                name = path.removeprefix(f"{one.site}/")
                found.setdefault(path, _File(path, name, owner, facts.st_mode, facts.st_size))
    return list(found.values())


def _walk(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file at or below a path, links unfollowed; what goes meanwhile is left out."""
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(facts.st_mode):
        yield from _below(path)
    else:
        yield path, facts


def _below(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unreadable(folder, error) from None
    for name in names:
        yield from _walk(f"{folder}/{name}")


def _source(name: str) -> str:
    """Return the source whose byte code has this name, or "" where it is no such name."""
    folder, file = posixpath.split(name)
    above, last = posixpath.split(folder)
    match = BYTE_CODE.fullmatch(file) if last == "__pycache__" else None
    return posixpath.join(above, f"{match[1]}.py") if match else ""


def _sum(files: Sequence[_File]) -> Iterator[tuple[_File, str]]:
    """Yield the files with their sums, in any order.

    Large ones first and small ones in batches: a thread that asks for one small file at a time waits longer
    for the interpreter's lock than it computes.
    """
    order = sorted(files, key=lambda file: -file.size_bytes)
    large = sum(file.size_bytes > SMALL_BYTES for file in order)
    batches = [[file] for file in order[:large]]
    batches += [
        order[first : first + BATCH_FILES] for first in range(large, len(order), BATCH_FILES)
    ]
    with ThreadPoolExecutor(WORKERS) as pool:
        for batch, sums in zip(batches, pool.map(_sum_batch, batches), strict=True):
            yield from zip(batch, sums, strict=True)


def _sum_batch(files: Sequence[_File]) -> list[str]:
    return [_sum_one(file) for file in files]


def _sum_one(file: _File) -> str:
    try:
        if stat.S_ISREG(file.mode):
            return _content(file.path, file.size_bytes, os.O_NOFOLLOW)
        if stat.S_ISLNK(file.mode):
            path = Path(file.path)
            content = _content(file.path, path.stat().st_size, 0) if path.is_file() else ""
            return _hex(f"link {path.readlink()}\0{content}")
        return _hex(f"kind {stat.S_IFMT(file.mode)}")
    except FileNotFoundError:
        return GONE
    except OSError as error:
        raise _unreadable(file.path, error) from None


def _content(path: str, size_bytes: int, flags: int) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    with open(descriptor, "rb", buffering=0) as source:  # noqa: PTH123
        if size_bytes <= SMALL_BYTES:
            return hashlib.sha256(source.readall()).hexdigest()
        return hashlib.file_digest(source, "sha256").hexdigest()


def _unreadable(path: str, error: OSError) -> JudgeError:
    return JudgeError(f"{path}: {error.strerror}; the judge has to read what it pins")


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
