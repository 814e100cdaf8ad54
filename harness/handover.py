"""Train data as open descriptors, made before the clock starts and handed over when it does.

Each shard is copied into a sealed, read-only memory file: it has no path that would lead to the validation
data beside it, nobody can write to it, and it is gone with its last descriptor. Data that would take more
than a quarter of the memory is handed over as descriptors of the files themselves, and `Handover.hidden`
says so.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.errors import DataError
from harness.sdk import MAX_FILES

COPY_BYTES = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class _Handed:
    name: str
    descriptor: int
    size_bytes: int


class Handover:
    """Open files for one train phase; leaving the `with` block closes the judge's copies."""

    def __init__(self, shards: Sequence[Path], tokenizer: Path | None, memory_bytes: int) -> None:
        """Open the files, copied into memory where they fit.

        Raises DataError for more files than one message carries.
        """
        paths = [*shards, *([] if tokenizer is None else [tokenizer])]
        if len(paths) > MAX_FILES:
            raise DataError(
                f"{len(paths)} train files, but one message carries {MAX_FILES}; build larger shards"
            )
        self._shards = len(shards)
        total = sum(path.stat().st_size for path in paths)
        self.hidden = total <= memory_bytes // 4
        self._files = [_copied(path) if self.hidden else _opened(path) for path in paths]

    def __enter__(self) -> Self:
        """Return the hand-over."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close this side's descriptors."""
        for file in self._files:
            os.close(file.descriptor)

    @property
    def descriptors(self) -> list[int]:
        """Return what travels with the `data` frame."""
        return [file.descriptor for file in self._files]

    def facts(self) -> dict[str, Any]:
        """Return the part of the `data` frame that describes the files."""
        return {
            "files": [{"name": f.name, "size_bytes": f.size_bytes} for f in self._files],
            "shards": self._shards,
        }


def _copied(path: Path) -> _Handed:
    memory = os.memfd_create(path.name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with path.open("rb") as source:
            size = os.fstat(source.fileno()).st_size
            while os.sendfile(memory, source.fileno(), None, COPY_BYTES):
                pass
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
        reading = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(memory)
    return _Handed(name=path.name, descriptor=reading, size_bytes=size)


def _opened(path: Path) -> _Handed:
    return _Handed(
        name=path.name,
        descriptor=os.open(path, os.O_RDONLY | os.O_CLOEXEC),
        size_bytes=path.stat().st_size,
    )
