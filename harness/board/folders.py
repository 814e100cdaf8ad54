"""Which runs there are, and which of them are what they claim: what the board is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.attest import signing
from harness.attest.regrading import read_plan_of
from harness.attest.verification import verify
from harness.board.model import Key, LeftOut
from harness.errors import HarnessError, UsageError
from harness.report.model import Report

RUN = "run.json"
DEEPEST = 4
"""Levels of folders that are looked into below the one that was named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A run whose report is what its evidence gives, and which a key signed if any was given."""

    place: str
    report: Report
    signed_by: tuple[Key, ...]
    train_text_sha256: str | None
    """Of the text that it was trained on; None where nobody counted it."""


def find(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return every run folder at or below the paths with a name for it, in order of names, each once.

    Links are not followed below a path, and folders whose name begins with a dot are left alone. Raises
    UsageError for a path that is no folder, or has no run in it.
    """
    found: dict[Path, str] = {}
    for path in paths:
        if not path.is_dir():
            kind = "not a folder" if path.exists() else "no such folder"
            raise UsageError(f"{path}: {kind}; name run folders, or a folder of them")
        below = [(folder, _name(folder, path)) for folder in _runs(path, DEEPEST)]
        if not below:
            raise UsageError(f"{path}: no run in there; a run's folder has a {RUN}")
        for folder, name in below:
            found.setdefault(folder.resolve(), name)
    return list(found.items())


def _runs(folder: Path, deeper: int) -> Iterator[Path]:
    if (folder / RUN).is_file():
        yield folder
        return
    if not deeper:
        return
    try:
        below = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}; make it readable") from None
    for entry in below:
        if entry.is_dir() and not entry.is_symlink():
            yield from _runs(entry, deeper - 1)


def _name(folder: Path, given: Path) -> str:
    """Return a folder as it was named, without what stands before: a page names no path of the machine."""
    top = given.resolve().name
    return top if folder == given else f"{top}/{folder.relative_to(given)}"


def keys_of(files: Sequence[Path]) -> tuple[Key, ...]:
    """Return the keys that were given.

    Raises UsageError for a file that is no public key, before anything else is read.
    """
    return tuple(Key(file=f.name, keyid=signing.public_key(f).keyid) for f in files)


def check(
    folders: Sequence[tuple[Path, str]], files: Sequence[Path], data: Path | None
) -> tuple[list[Verified], list[LeftOut]]:
    """Verify every run; what does not verify, or cannot be, is left out with the reason."""
    keys = {key.keyid: key for key in keys_of(files)}
    kept, left_out = [], []
    for folder, place in folders:
        try:
            found = verify(folder, files, data)
            report = found.report
            if found.ok:
                train = read_plan_of(folder).data_digests.get("train_text")
                signers = tuple(keys[keyid] for keyid in found.signed_by if keyid in keys)
                kept.append(
                    Verified(place=place, report=report, signed_by=signers, train_text_sha256=train)
                )
                continue
            reason = f"not verified: {found.message}"
        except HarnessError as error:
            left_out.append(_unread(place, folder, str(error)))
            continue
        except Exception as error:
            # One stranger's folder may not take the board from the others.
            said = f"the judge failed on it: {type(error).__name__}: {error}"
            left_out.append(_unread(place, folder, said[:500]))
            continue
        left_out.append(
            LeftOut(place=place, name=report.submission.name, run_id=report.run_id, reason=reason)
        )
    return kept, left_out


def _unread(place: str, folder: Path, reason: str) -> LeftOut:
    said = reason.replace(str(folder), place)
    return LeftOut(place=place, name=None, run_id=None, reason=f"not verified: {said}")
