"""Empty the kernel's page cache of the files that cells see, before a process that must learn nothing.

Which pages of a read-only file are in memory can be asked (RWF_NOWAIT) or timed, and any reader brings pages
in: so one process could leave bits for the next in files that neither may write. Emptying takes that away,
but for pages that another process has mapped, which a reader cannot change. Root does it with one word to
the kernel; anybody else file by file, which takes seconds and is done only where it is asked for.

Not covered: caches below the kernel, of a disk or a host, which timing alone shows (docs/sandbox.md).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

Way = Literal["whole", "each", "none"]
WHOLE = Path("/proc/sys/vm/drop_caches")
CLEAN_PAGES = "1"


class PageCache:
    """What is emptied, and how."""

    def __init__(self, way: Way, paths: Iterable[Path]) -> None:
        """Take the files and folders that cells see."""
        self.way = way
        self._paths = tuple(paths)

    def empty(self) -> None:
        """Empty it; pages that are mapped or not yet written stay."""
        if self.way == "whole":
            with contextlib.suppress(OSError):
                WHOLE.write_text(CLEAN_PAGES)
        elif self.way == "each":
            for path in _files(self._paths):
                forget(path)


def choose(paths: Iterable[Path], *, thorough: bool) -> PageCache:
    """Return the way that works here; `thorough` asks for the slow one where the quick one does not."""
    paths = tuple(paths)
    probe = Path(os.__file__).with_name("this.py")
    ways: list[Way] = ["whole", "each"] if thorough else ["whole"]
    for way in ways:
        cache = PageCache(way, [probe])
        probe.read_bytes()
        cache.empty()
        if not is_cached(probe):
            return PageCache(way, paths)
    return PageCache("none", paths)


def forget(path: Path) -> None:
    """Let go of one file's pages; a file that cannot be opened has none that a cell could ask about."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def is_cached(path: Path) -> bool:
    """Return whether the first page of a file is in memory; yes where the kernel does not say.

    Asking may have the kernel read it: the answer is about the moment before.
    """
    with path.open("rb") as file:
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
    return True


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            for place, _, names in os.walk(path):
                yield from (Path(place, name) for name in names)
        else:
            yield path
