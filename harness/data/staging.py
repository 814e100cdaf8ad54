"""A folder that appears whole or not at all: built beside its place, then renamed into it.

A build that was killed leaves a hidden sibling folder `.NAME.building-*`; the next build of the same folder
removes it. Live builds hold a lock on theirs, so two at once do not disturb each other and the first wins.

Does not protect against a power cut between the last write and the disk; the digests find that.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.data.record import FILE_NAME
from harness.errors import DataError


@contextmanager
def staged(out: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder that becomes `out` when the block ends without an error.

    An `out` that is there and not empty is refused; with `force`, a data folder there is replaced, anything
    else still refused. Raises DataError.
    """
    check_target(out, force=force)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder, lock = _reserve(out)
    except OSError as error:
        raise DataError(
            f"{error.filename or out}: {error.strerror}; choose an --out that can be written"
        ) from None
    try:
        yield folder
        _publish(folder, out, force)
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def check_target(out: Path, *, force: bool = False) -> None:
    """Raise DataError unless `out` is absent, empty, or with `force` a data folder."""
    try:
        taken = out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir())))
    except OSError as error:
        raise DataError(f"{out}: {error.strerror}; choose an --out that can be written") from None
    if not taken:
        return
    if not force:
        raise DataError(f"{out}: is there already and not an empty folder; choose another --out")
    if out.is_symlink() or not (out / FILE_NAME).is_file():
        raise DataError(
            f"{out}: is not a data folder, so --force does not replace it; choose another --out"
        )


def _reserve(out: Path) -> tuple[Path, int]:
    """Remove what killed builds left, then make a new locked folder beside `out`."""
    with _locked(out.parent):
        for stale in out.parent.glob(f".{_escaped(out.name)}.building-*"):
            # A lock that cannot be taken belongs to a live build.
            with suppress(OSError):
                descriptor = os.open(stale, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(stale, ignore_errors=True)
                finally:
                    os.close(descriptor)
        folder = out.parent / f".{out.name}.building-{secrets.token_hex(6)}"
        folder.mkdir()
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        with suppress(OSError):  # a file system without locks: nothing is cleaned up there either
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return folder, lock


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, so that nobody cleans up between another's mkdir and flock."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _publish(folder: Path, out: Path, force: bool) -> None:
    check_target(out, force=force)
    old = out.parent / f".{out.name}.building-{secrets.token_hex(6)}"
    try:
        if force and out.exists():
            out.rename(old)
        folder.rename(out)
    except OSError as error:
        if old.exists():
            old.rename(out)
        raise DataError(f"{out}: {error.strerror}; choose another --out") from None
    shutil.rmtree(old, ignore_errors=True)


def _escaped(name: str) -> str:
    """Return a file name with the characters that mean something to glob made plain."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
