"""A submission's folder read as the judge reads one: its manifest, a copy of its files, and whether both do.

Nothing raises for what the folder is; the records say it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from checks.submitted import Copied, Described
from harness import manifest
from harness.data.dataset import Dataset
from harness.errors import ManifestError, UsageError
from harness.fit import check_fit
from harness.manifest import Manifest
from harness.ruleset import Loaded
from harness.run import counted_tokenizer_bytes
from harness.sandbox.programs import resolve
from harness.seal import Snapshot, snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What reading a folder gave."""

    described: Described
    manifest: Manifest | None
    """None where it cannot be used."""
    text: str
    """Of the manifest, as far as it is text."""
    snapshot: Snapshot | None
    copied: Copied | None
    """None where there is no manifest to say what is declared."""
    names: frozenset[str]
    """Files of the copy."""


def read_folder(folder: Path, into: Path, rules: Loaded, data: Dataset | None) -> Folder:
    """Read a submission's folder and copy it to INTO, which must not exist.

    Raises JudgeError where the copy cannot be written.
    """
    mine, described = _described(folder, rules)
    taken, problem = None, ""
    try:
        taken = snapshot(folder, into)
    except UsageError as error:
        problem = _without(folder.resolve(), str(error))
    if taken is not None and manifest.FILE_NAME in taken.refused and not described.problem:
        reason = taken.refused[manifest.FILE_NAME]
        mine = None
        described = Described(problem=f"{manifest.FILE_NAME}: {reason}; make it a file of its own")
    names = frozenset(
        path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()
    )
    return Folder(
        described=described,
        manifest=mine,
        text=_text(folder),
        snapshot=taken,
        copied=None if mine is None else _copied(mine, into, rules, data, taken, problem),
        names=names,
    )


def _described(folder: Path, rules: Loaded) -> tuple[Manifest | None, Described]:
    try:
        mine = manifest.load(folder)
    except ManifestError as error:
        return None, Described(problem=_without(folder, str(error)))
    facts = {
        "name": mine.name,
        "code": len(mine.artifact.code),
        "outputs": len(mine.artifact.output),
    }
    try:
        check_fit(mine, rules.ruleset, folder)
    except UsageError as error:
        said = _without(folder, str(error))
        if isinstance(error, ManifestError) and _lacks_program(mine, folder):
            return mine, Described(**facts, missing_program=said)  # type: ignore[arg-type]
        return mine, Described(**facts, problem=said)  # type: ignore[arg-type]
    return mine, Described(**facts)  # type: ignore[arg-type]


def _lacks_program(mine: Manifest, folder: Path) -> bool:
    """Return whether a command starts a program of the system that is not on this one."""
    for command in (mine.train.command, mine.score.command):
        if "/" in command[0] and not PurePosixPath(command[0]).is_absolute():
            continue
        try:
            resolve(command, folder)
        except ManifestError:
            return True
    return False


def _copied(
    mine: Manifest,
    into: Path,
    rules: Loaded,
    data: Dataset | None,
    taken: Snapshot | None,
    problem: str,
) -> Copied:
    declared = [into / name for name in (*mine.artifact.code, manifest.FILE_NAME)]
    code = sum(path.stat().st_size for path in declared if path.is_file())
    tokenizer = 0 if data is None else counted_tokenizer_bytes(rules.ruleset, data)
    return Copied(
        files=0 if taken is None else taken.files,
        size_bytes=0 if taken is None else taken.size_bytes,
        refused=() if taken is None else tuple(sorted(taken.refused.items())),
        declared=mine.artifact.code,
        code_bytes=code + tokenizer,
        cap_bytes=rules.ruleset.bytes.cap_bytes,
        problem=problem,
    )


def _text(folder: Path) -> str:
    """Return the manifest's text, for line numbers alone; "" where it is none."""
    try:
        with (folder / manifest.FILE_NAME).open("rb") as file:
            return file.read(manifest.MAX_BYTES + 1).decode("utf-8", "replace")
    except OSError:
        return ""


def _without(folder: Path, sentence: str) -> str:
    """Return a sentence that names files as they stand in the folder: where it lies is of this machine."""
    shorter = sentence.removeprefix(f"{folder}: ")
    return re.sub(rf"(?<![\w./-]){re.escape(str(folder))}/", "", shorter)[:1000]
