"""Copies that the judge makes and counts: the submission's folder before, the artifact after training.

Only regular files with one name are taken. Links, devices, sockets, pipes, hard links, sparse files and names
that escape are refused, each with a sentence. What is counted is the apparent size of every byte that crosses
into the scorer, the manifest included: it carries the scorer's command line and environment.

Never opens a file through a link, never interprets content. Does not decide whether the count is too high.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path, PurePosixPath

from checks.contract import Artifact, CountedFile
from harness.errors import JudgeError, UsageError
from harness.manifest import FILE_NAME, SKIPPED, Manifest, path_problem
from harness.sandbox.deletion import delete

CHUNK_BYTES = 1 << 20
MAX_FOLDER_FILES = 20_000
MAX_FOLDER_BYTES = 4 << 30


class Refused(Exception):
    """A file that the judge does not take; the text completes "<path> ..."."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The submission's folder as the judge copied it."""

    digest: str
    files: int
    size_bytes: int
    refused: dict[str, str] = field(default_factory=dict)
    """Names that were not copied because of what they are, each with the reason."""


def snapshot(folder: Path, into: Path) -> Snapshot:
    """Copy a submission's folder to INTO, which must not exist; links and devices are copied as nothing.

    Names that start with a dot, caches, and runs of this judge (the one that INTO belongs to included) are
    left out. Raises UsageError for a folder that is too large to be one submission, or cannot be read.
    """
    lines: list[str] = []
    refused: dict[str, str] = {}
    total = 0
    into.mkdir(parents=True)
    folder, own = folder.resolve(), into.parent.resolve()
    for path in _entries(folder, own):
        name = path.relative_to(folder).as_posix()
        if path_problem(name):
            continue
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            counted = take(folder, name, target, MAX_FOLDER_BYTES - total)
        except Refused as problem:
            # Not there for the submission; a declared one is named when the artifact is sealed.
            refused[name] = str(problem)
            continue
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}; make it readable") from None
        total += counted.size_bytes
        lines.append(f"{counted.sha256} {counted.size_bytes} {name}\n")
        if len(lines) > MAX_FOLDER_FILES:
            raise UsageError(
                f"{folder}: more than {MAX_FOLDER_FILES} files; keep a submission in a folder of its own"
            )
    return Snapshot(digest=_digest(lines), files=len(lines), size_bytes=total, refused=refused)


def digest_of(copied: Path) -> str:
    """Return the digest of a snapshot from the copy itself: equal to `Snapshot.digest` if nothing changed.

    Raises OSError where a file cannot be read.
    """
    return _digest(
        [
            f"{_sha256(path)} {path.stat().st_size} {path.relative_to(copied).as_posix()}\n"
            for path in copied.rglob("*")
            if path.is_symlink() or not path.is_dir()
        ]
    )


def seal(
    manifest: Manifest,
    *,
    code: Path,
    refused: Mapping[str, str],
    output: Path,
    into: Path,
    cap_bytes: int,
    tokenizer_bytes: int,
) -> Artifact:
    """Copy what the manifest declares into INTO, read-only, and count it.

    `code` is the judge's copy of the submission's folder and `refused` what was not copied into it;
    `output` is what the train phase left. Code lands under the manifest's package name, output at the
    top. Nothing larger than four caps is copied. Refusals are sentences in the record, never exceptions.
    """
    into.mkdir(parents=True)
    files: list[CountedFile] = []
    refusals: list[str] = []
    wanted = [(name, code, "code", manifest.code_place(name)) for name in manifest.artifact.code]
    wanted += [(name, output, "output", name) for name in manifest.artifact.output]
    for name, source, origin, place in wanted:
        target = into / place
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if origin == "code":
                _recall(refused, name)
            counted = take(source, name, target, 4 * cap_bytes)
        except (Refused, OSError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else str(problem)
            refusals.append(f"{origin} {name}: {reason}")
            continue
        files.append(
            CountedFile(
                path=place, size_bytes=counted.size_bytes, sha256=counted.sha256, origin=origin
            )
        )
    files.append(_manifest_bytes(code))
    _make_read_only(into)
    return Artifact(
        files=tuple(files),
        tokenizer_bytes=tokenizer_bytes,
        refusals=tuple(refusals),
        digest=digest_of_files(files),
    )


def digest_of_files(files: Iterable[CountedFile]) -> str:
    """Return the digest of a sealed artifact from what was counted: `Artifact.digest`."""
    return _digest([f"{f.sha256} {f.size_bytes} {f.path}\n" for f in files])


def verify(artifact: Artifact, sealed: Path) -> None:
    """Check that the sealed copy is still what was counted, and that nothing lies beside it.

    Raises JudgeError where a file differs or appeared: something wrote to the judge's own folder.
    """
    expected = {file.path: file.sha256 for file in artifact.files if file.origin != "manifest"}
    for name, digest in expected.items():
        path = sealed / name
        if not path.is_file() or path.is_symlink() or _sha256(path) != digest:
            raise JudgeError(
                f"{path}: no longer what was sealed; a scorer must not write to its own folder"
            )
    folders = {str(folder) for name in expected for folder in PurePosixPath(name).parents}
    for path in sealed.rglob("*"):
        if path.relative_to(sealed).as_posix() not in expected.keys() | folders:
            raise JudgeError(
                f"{path}: was not sealed; a scorer must write to TMPDIR, not to its own folder"
            )


def take(root: Path, name: str, target: Path, most_bytes: int) -> CountedFile:
    """Copy ROOT/name to TARGET without following any link on the way; return its size and digest.

    Raises Refused for anything but a regular, dense file with one name and at most `most_bytes` bytes,
    OSError where it cannot be read, JudgeError where the copy cannot be written.
    """
    descriptor = _open_beneath(root, PurePosixPath(name))
    try:
        facts = os.fstat(descriptor)
        _refuse_odd(facts, descriptor)
        if facts.st_size > most_bytes:
            raise Refused(f"is {facts.st_size} bytes, far more than the cap; it was not copied")
        digest, size = hashlib.sha256(), 0
        with _own(target):
            out = target.open("xb", buffering=0)
        with out:
            while chunk := os.read(descriptor, CHUNK_BYTES):
                size += len(chunk)
                if size > most_bytes:
                    raise Refused("grew while it was being copied")
                digest.update(chunk)
                with _own(target):
                    _write_all(out, chunk)
            if facts.st_mode & 0o100:
                os.fchmod(out.fileno(), 0o755)  # a program stays one
    finally:
        os.close(descriptor)
    return CountedFile(path=name, size_bytes=size, sha256=digest.hexdigest(), origin="")


@contextmanager
def _own(target: Path) -> Iterator[None]:
    """Turn a failure to write into the judge's: a full disk is no finding about a submission."""
    try:
        yield
    except OSError as error:
        raise JudgeError(f"{target}: {error.strerror}; make room for the judge's copy") from None


def _write_all(out: FileIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[out.write(view) :]


def _open_beneath(root: Path, name: PurePosixPath) -> int:
    """Open a file below `root`, refusing links at every step, `root` included; returns a descriptor."""
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for part in name.parts[:-1]:
            inner = _open_at(part, os.O_RDONLY | os.O_DIRECTORY, directory)
            os.close(directory)
            directory = inner
        # O_NONBLOCK: a named pipe must not make the judge wait for a writer.
        return _open_at(name.parts[-1], os.O_RDONLY | os.O_NONBLOCK, directory)
    finally:
        os.close(directory)


def _open_at(part: str, flags: int, directory: int) -> int:
    try:
        kind = os.stat(part, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        raise Refused("is not there") from None
    if stat.S_ISLNK(kind):
        raise Refused("is a symbolic link")
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise Refused("is not a regular file")
    return os.open(part, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)


def _refuse_odd(facts: os.stat_result, descriptor: int) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise Refused("is not a regular file")
    if facts.st_nlink != 1:
        raise Refused("has several names (hard links)")
    # A hole found before the end is a sparse file; file systems that cannot tell answer the size.
    if facts.st_size and os.lseek(descriptor, 0, os.SEEK_HOLE) < facts.st_size:
        raise Refused("is sparse")
    os.lseek(descriptor, 0, os.SEEK_SET)


def _recall(refused: Mapping[str, str], name: str) -> None:
    """Name a link as a link: in the judge's copy it is merely absent."""
    for part in (name, *map(str, PurePosixPath(name).parents)):
        if part in refused:
            raise Refused(refused[part])


def _entries(folder: Path, own: Path) -> Iterator[Path]:
    """Yield every file, and every link to a folder, that may belong to a submission."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        kept = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in SKIPPED and not _is_run(here / name, own)
        )
        links = [name for name in kept if (here / name).is_symlink()]
        folders[:] = [name for name in kept if name not in links]
        for name in sorted([*files, *links]):
            if not name.startswith("."):
                yield here / name


def _is_run(folder: Path, own: Path) -> bool:
    return folder == own or all((folder / name).is_file() for name in ("run.json", "ruleset.toml"))


def _manifest_bytes(code: Path) -> CountedFile:
    path = code / FILE_NAME
    return CountedFile(
        path=FILE_NAME, size_bytes=path.stat().st_size, sha256=_sha256(path), origin="manifest"
    )


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _make_read_only(root: Path) -> None:
    for place, _, files in os.walk(root, topdown=False):
        for name in files:
            path = Path(place) / name
            path.chmod(0o555 if path.stat().st_mode & 0o100 else 0o444)
            os.utime(path, (0, 0))
        os.utime(place, (0, 0))
        Path(place).chmod(0o555)


def remove(folder: Path) -> None:
    """Delete a folder, read-only parts included; what is not there is fine.

    Raises JudgeError where something of it stays.
    """
    try:
        delete(folder)
    except OSError as error:
        raise JudgeError(f"{folder}: {error.strerror}; delete it by hand") from None
