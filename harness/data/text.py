"""The documents of a split as text: JSON strings, one a line, in xz.

A line break inside a document is an escape in its line, so that boundaries are exact whatever the text holds.
The digest of a text is the SHA-256 of these lines before compression: `xz -dc val_text.xz | sha256sum`. Its
size is the UTF-8 bytes of the documents themselves, without separators.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from harness.errors import DataError

PRESET = 6
"""Of xz: nine times the time of preset 0, and what a validation text of megabytes still bears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCount:
    """How much text there was, and its digest."""

    documents: int
    text_bytes: int
    sha256: str


class TextDigest:
    """Counts and hashes documents in order; the same whatever container they came from."""

    def __init__(self) -> None:
        """Start with no document."""
        self._hash = hashlib.sha256()
        self._documents = 0
        self._text_bytes = 0

    def add(self, document: str) -> bytes:
        """Count one document and return its line."""
        line = json.dumps(document, ensure_ascii=False).encode() + b"\n"
        self._hash.update(line)
        self._documents += 1
        self._text_bytes += len(document.encode())
        return line

    def count(self) -> TextCount:
        """Return what was counted so far."""
        return TextCount(
            documents=self._documents, text_bytes=self._text_bytes, sha256=self._hash.hexdigest()
        )


def _create(path: Path) -> IO[bytes]:
    return lzma.open(path, "xb", preset=PRESET) if path.suffix == ".xz" else path.open("xb")


class TextWriter:
    """Writes documents to a new file, xz where its name ends in .xz; a context manager."""

    def __init__(self, path: Path) -> None:
        """Create the file."""
        self.digest = TextDigest()
        self._path = path
        try:
            self._file = _create(path)
        except OSError as error:
            raise DataError(
                f"{path}: {error.strerror}; choose a place that can be written"
            ) from None

    def append(self, document: str) -> None:
        """Write one document."""
        try:
            self._file.write(self.digest.add(document))
        except OSError as error:
            raise DataError(
                f"{self._path}: {error.strerror}; free some space or write elsewhere"
            ) from None

    def __enter__(self) -> TextWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise DataError(
                f"{self._path}: {error.strerror}; free some space or write elsewhere"
            ) from None


def read_text(path: Path) -> Iterator[str]:
    """Yield the documents of a file that `TextWriter` wrote.

    Raises DataError with file, line and remedy where it is anything else.
    """
    number = 0
    try:
        with lzma.open(path, "rb") if path.suffix == ".xz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                document = json.loads(line)
                if not isinstance(document, str):
                    raise DataError(
                        f"{path}: line {number} is not a JSON string; build the data again"
                    )
                document.encode()
                yield document
    except (lzma.LZMAError, EOFError) as error:
        raise DataError(f"{path}: after line {number}: {error}; build the data again") from None
    except (ValueError, RecursionError) as error:  # JSON, UTF-8, lone surrogates
        raise DataError(f"{path}: line {number or 1}: {error}; build the data again") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; make it a readable file") from None
