"""Documents out of a person's own text: a folder, a file, or xz of either.

`line` is one document a line, `blank` one between blank lines, `file` one a file. Lines end in a line
feed, or carriage return and line feed; no other character ends one (U+2028 does not). What separates
documents is not part of them, and everything else is kept as it is. Documents without any character are
left out.

In a folder, files are taken in the order of their paths; names that begin with a dot are left out. xz is
known by its first bytes, whatever the name; a .tar.xz is a folder, in the order of the archive.
"""

from __future__ import annotations

import lzma
import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from harness.errors import DataError

Documents = Literal["line", "file", "blank"]
XZ_MAGIC = b"\xfd7zXZ\x00"
TAR_SUFFIXES = (".tar.xz", ".txz")
MAX_DOCUMENT_BYTES = 32_000_000
"""A tokenizer holds a whole document in memory, some 100 bytes for each of its own."""


def read_documents(path: Path, mode: Documents) -> Iterator[str]:
    """Yield every document under `path` in a fixed order.

    Raises DataError with the file, and where in it, on what cannot be read, is not UTF-8 or is too long.
    """
    for origin, file in _files(path):
        # Here and not only in _files: what goes wrong while reading is raised where the reading is done.
        with _reading(origin):
            yield from _decoded(_split(file, mode, origin), origin)


def _files(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield each file of the text, open."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; give the path of a text with --text")
    if path.is_dir():
        found = sorted(_walk(path), key=lambda file: file.relative_to(path).as_posix())
        if not found:
            raise DataError(f"{path}: holds no files; give a folder with text in it")
    else:
        found = [path]
    for name in found:
        if name.name.endswith(TAR_SUFFIXES):
            yield from _archive(name)
        else:
            with _reading(str(name)), _open(name) as file:
                yield str(name), file


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: {error.strerror}; make it a readable folder")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(root) / name
            if not name.startswith(".") and file.is_file():
                yield file


def _archive(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the files of a .tar.xz one after another; nothing is unpacked to disk."""
    with _reading(str(path)), tarfile.open(path, "r|xz") as archive:
        for member in archive:
            hidden = any(part.startswith(".") and part != "." for part in member.name.split("/"))
            file = archive.extractfile(member) if member.isfile() and not hidden else None
            if file is not None:
                with file:
                    yield f"{path}:{member.name}", file


def _open(path: Path) -> IO[bytes]:
    """Open a file, through xz where its first bytes say so."""
    if not path.is_file():
        raise DataError(f"{path}: not a file; give a text file or a folder of them")
    with path.open("rb") as file:
        compressed = file.read(len(XZ_MAGIC)) == XZ_MAGIC
    return lzma.open(path, "rb") if compressed else path.open("rb")


@contextmanager
def _reading(origin: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one sentence."""
    try:
        yield
    except (lzma.LZMAError, EOFError, tarfile.TarError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it ends too early"
        raise DataError(
            f"{origin}: cannot be decompressed: {reason}; copy the file again"
        ) from None
    except OSError as error:
        raise DataError(f"{origin}: {error.strerror or error}; make it a readable file") from None


def _split(file: IO[bytes], mode: Documents, origin: str) -> Iterator[tuple[int, bytes]]:
    """Yield each document's offset in the file and its bytes."""
    if mode == "file":
        yield 0, _limited(file.read(MAX_DOCUMENT_BYTES + 1), 0, origin)
    elif mode == "line":
        for offset, line in _lines(file, origin):
            yield offset, _chomp(line)
    else:
        yield from _paragraphs(_lines(file, origin), origin)


def _lines(file: IO[bytes], origin: str) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while line := file.readline(MAX_DOCUMENT_BYTES + 3):
        yield offset, _limited(line, offset, origin)
        offset += len(line)


def _paragraphs(lines: Iterable[tuple[int, bytes]], origin: str) -> Iterator[tuple[int, bytes]]:
    """Yield runs of lines that are not empty, without the line end of the last."""
    start = size = 0
    run: list[bytes] = []
    for offset, line in lines:
        if _chomp(line):
            start = start if run else offset
            size = size + len(line) if run else len(line)
            run.append(line)
            if size > MAX_DOCUMENT_BYTES:
                raise _too_long(start, origin)
        elif run:
            yield start, _chomp(b"".join(run))
            run = []
    if run:
        yield start, _chomp(b"".join(run))


def _chomp(line: bytes) -> bytes:
    """Return the line without its line end, if it has one."""
    if line.endswith(b"\r\n"):
        return line[:-2]
    return line[:-1] if line.endswith(b"\n") else line


def _limited(document: bytes, offset: int, origin: str) -> bytes:
    if len(_chomp(document)) > MAX_DOCUMENT_BYTES:
        raise _too_long(offset, origin)
    return document


def _too_long(offset: int, origin: str) -> DataError:
    return DataError(
        f"{origin}: the document at byte {offset} is longer than {MAX_DOCUMENT_BYTES} bytes; "
        "say where documents end with --documents line, blank or file, or cut it"
    )


def _decoded(documents: Iterable[tuple[int, bytes]], origin: str) -> Iterator[str]:
    for number, (offset, document) in enumerate(documents, 1):
        if not document:
            continue
        try:
            yield document.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{origin}: byte {offset + error.start} (document {number}) is not UTF-8; "
                "convert the file to UTF-8 or leave it out"
            ) from None
