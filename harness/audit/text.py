"""The text of a log, whatever it is: encodings, byte order marks, junk, and logs larger than memory.

Nothing here raises for what a file holds. A log is read whole up to twice WINDOW_BYTES; of a longer one the
beginning and the end are read, which hold what the audit looks for, and the record says what was left out.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

WINDOW_BYTES = 8 << 20
"""Read from the beginning, and from the end, of a long log."""
LINE_CHARACTERS = 4096
"""Of a longer line, which is no log line, the rest is not looked at."""

_ACTING = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b\ufeff]"
)
"""Colours and other escapes of terminals, which stand in the middle of words, and what cannot be seen."""
_MOVING = re.compile(r"\x1b\[\d*[A-H]|\x1b\[\d+;\d+[Hf]|\x1b[78DEM]")
"""What moves the cursor: what follows is written over what came before, as after a carriage return."""
_STATE = re.compile(rb"[^\r]+")
_CONTROLS = tuple(chr(code) for code in (*range(1, 7), *range(14, 27)))
_JUNK_FRACTION = 0.05
"""Of control characters in the first 64 KiB, from which a file is no text."""
_MOST_DECIMALS = 400
_UNREADABLE_FRACTION = 0.3
"""The same for bytes that are no UTF-8; words of an older encoding stay well below it."""


@dataclass(frozen=True, slots=True)
class LogText:
    """What was read of one file, and what has to be said of it.

    `data` is the file, or its beginning, as UTF-8 without byte order mark; `tail` the end of a long one.
    `sha256` is of the whole file and empty for a long one. `problem` is "" or why there are no lines.
    """

    data: bytes = field(repr=False)
    encoding: str
    size_bytes: int
    sha256: str = ""
    skipped_bytes: int = 0
    tail: bytes = field(default=b"", repr=False)
    problem: str = ""

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield (line number, line), without terminal escapes; of progress bars each state is a line.

        Of a long file's end the numbers are not known and count from the end instead: -1 is the last line.
        """
        yield from _numbered(self.data, 1)
        if self.tail:
            yield from _numbered(self.tail, -self.tail.count(b"\n") - (self.tail[-1:] != b"\n"))


def _numbered(data: bytes, first: int) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(io.BytesIO(data), first):
        if len(raw) > LINE_CHARACTERS:
            # The last state of a progress bar is the one that counts: cut each of them, not the line.
            for match in _STATE.finditer(raw):
                end = min(match.end(), match.start() + LINE_CHARACTERS)
                cut = raw[match.start() : end].decode(errors="replace").rstrip("\n")
                for state in _states(cut):
                    yield number, state
            continue
        line = raw.decode(errors="replace").rstrip("\r\n") if raw != b"\n" else ""
        if line.isprintable():
            yield number, line
            continue
        for state in _states(line):
            yield number, state


def _states(line: str) -> Iterator[str]:
    """Yield what a terminal shows of one line, state after state."""
    if "\x1b" in line:
        line = _MOVING.sub("\r", line)
    for state in line.split("\r"):
        yield _ACTING.sub("", state)


def read(path: Path) -> LogText:
    """Return the text of a regular file; links, pipes and devices are refused with a `problem`."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):  # opening alone may wake a device
            return _nothing("not a regular file")
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return _nothing("not a regular file")
            size = status.st_size
            if size <= 2 * WINDOW_BYTES:
                return _whole(file.read(size), size)
            head = file.read(WINDOW_BYTES)
            file.seek(size - WINDOW_BYTES)
            return _ends(head, file.read(WINDOW_BYTES), size)
    except OSError as error:
        return _nothing(f"cannot be read ({error.strerror})")
    except ValueError:
        return _nothing("cannot be read (no such name)")


def decode(data: bytes) -> tuple[str, str]:
    """Return text and encoding: by byte order mark, else UTF-16 where every second byte is 0, else UTF-8.

    Bytes that are no UTF-8 become U+FFFD and the encoding "utf-8, with errors".
    """
    name, start = encoding_of(data)
    if name.startswith("utf-16"):
        return _utf16(data, name, start), name
    try:
        return data[start:].decode(), name
    except UnicodeDecodeError:
        return data[start:].decode(errors="replace"), f"{name}, with errors"


def encoding_of(data: bytes) -> tuple[str, int]:
    """Return which encoding a file's beginning is in, and the length of its byte order mark."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", 3
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", 2
    even, odd = data[:4096:2], data[1:4096:2]
    if len(odd) >= 8:
        for name, text, zeros in (("utf-16-le", even, odd), ("utf-16-be", odd, even)):
            if zeros.count(0) > 0.7 * len(zeros) > text.count(0):
                return name, 0
    return "utf-8", 0


def _utf16(data: bytes, name: str, start: int) -> str:
    if name == "utf-16":
        name = "utf-16-be" if data.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"
    return data[start:].decode(name, "replace")


def decimals(number: str) -> int:
    """Return how many decimals a number is written with; 10956e-4 has four, as 1.0956 has."""
    mantissa, _, exponent = number.lower().partition("e")
    # No power of ten beyond this is a float.
    moved = int(exponent[:6]) if exponent[-1:].isdigit() else 0
    return min(max(len(mantissa.partition(".")[2]) - moved, 0), _MOST_DECIMALS)


def _is_utf8(data: bytes) -> bool:
    """Say whether bytes are UTF-8, in pieces: one character of four bytes makes the whole text as wide."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), 1 << 16):
            decoder.decode(data[start : start + (1 << 16)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_junk(data: bytes) -> bool:
    # A log on a disk that failed, or set aside in advance, ends in zeros: they alone make no program.
    sample = data[: 1 << 16].replace(b"\0", b"").decode(errors="replace")
    controls = sum(sample.count(control) for control in _CONTROLS)
    return (
        (not sample and bool(data))
        or controls > _JUNK_FRACTION * len(sample)
        or sample.count("\ufffd") > _UNREADABLE_FRACTION * len(sample)
    )


def _as_utf8(data: bytes, name: str, start: int) -> bytes:
    if name.startswith("utf-16"):
        return _utf16(data, name, start).encode(errors="replace")
    return data[start:] if start else data


def _whole(raw: bytes, size: int) -> LogText:
    name, start = encoding_of(raw)
    data = _as_utf8(raw, name, start)
    if _is_junk(data):
        return LogText(b"", "binary", size, problem="not text: too many control characters")
    said = name if name.startswith("utf-16") or _is_utf8(data) else f"{name}, with errors"
    return LogText(data, said, size, hashlib.sha256(raw).hexdigest())


def _ends(head: bytes, tail: bytes, size: int) -> LogText:
    """Return the whole lines of a long log's beginning and end."""
    name, start = encoding_of(head)
    skipped = size - len(head) - len(tail)
    if name.startswith("utf-16"):
        big = head.startswith(codecs.BOM_UTF16_BE) or name == "utf-16-be"
        tail = (
            tail[(size - len(tail)) % 2 :]
            .decode("utf-16-be" if big else "utf-16-le", "replace")
            .encode(errors="replace")
        )
    data = _as_utf8(head, name, start)
    if _is_junk(data):
        return LogText(b"", "binary", size, problem="not text: too many control characters")
    data = data[: data.rfind(b"\n") + 1]
    said = name if name.startswith("utf-16") or _is_utf8(data) else f"{name}, with errors"
    cut = tail.find(b"\n") + 1
    return LogText(data, said, size, "", skipped, tail[cut:] if cut else b"")


def _nothing(problem: str) -> LogText:
    return LogText(b"", "", 0, problem=problem)
