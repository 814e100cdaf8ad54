"""What a run has done, on disk: atomic results and an append-only list of events.

A step is finished when its result file is there, and the file is there only when it is whole: written beside,
flushed to the disk, renamed. A judge killed at any instant leaves either the result or nothing, so a resumed
run repeats nothing that was finished. The journal tells the story for people and tests; nothing is decided
by it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from harness.clock import utc_now
from harness.errors import JudgeError, UsageError

T = TypeVar("T")


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` at `path`: whole and on the disk, or not at all.

    Raises OSError, with whatever was at `path` before still there.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        publish(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def publish(beside: Path, path: Path) -> None:
    """Rename a finished file into place and make the name durable."""
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_record(path: Path, record: object) -> None:
    """Store a record as JSON, atomically.

    Raises ValueError on NaN or infinity: json refuses what msgspec would turn into null in silence.
    """
    text = json.dumps(msgspec.to_builtins(record), allow_nan=False, sort_keys=True)
    write_atomically(path, text.encode() + b"\n")


def read_record(path: Path, kind: type[T]) -> T | None:
    """Return the record at `path`, or None where it was never finished.

    Raises JudgeError where the file is there but is not such a record.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JudgeError(f"{path}: {error}; delete the file to have its step run again") from None


class Journal:
    """Append-only events of one run; holds the run's lock while it is open."""

    def __init__(self, folder: Path) -> None:
        """Open FOLDER/journal.jsonl and lock it.

        Raises UsageError where another judge is at work in the folder, or it cannot be written to.
        """
        try:
            self._file = (folder / "journal.jsonl").open("ab", buffering=0)
        except OSError as error:
            raise UsageError(f"{folder}: {error.strerror}; make it writable") from None
        self._end_last_line = _is_cut_off(folder / "journal.jsonl")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UsageError(
                f"{folder}: another judge is at work on this run; wait for it or stop it"
            ) from None

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the lock."""
        self._file.close()

    def write(self, event: str, **facts: Any) -> None:
        """Append one event and flush it to the disk."""
        line = json.dumps({"utc": utc_now(), "event": event, **facts}, allow_nan=False)
        self._file.write(b"\n" * self._end_last_line + line.encode() + b"\n")
        self._end_last_line = False
        os.fsync(self._file.fileno())


def events(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a run; a line that was cut off by a kill is left out."""
    try:
        lines = (folder / "journal.jsonl").read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line)
            if isinstance(event, dict) and "event" in event:
                found.append(event)
    return found


def _is_cut_off(path: Path) -> bool:
    """Return whether a kill left a last line without its end."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read(1) not in (b"", b"\n")
