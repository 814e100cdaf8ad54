"""submission.toml: what a submission is, how it trains, what it hands to its scorer.

A manifest chooses nothing that the ruleset decides: no budget, no tolerance, no data. Unknown keys are
refused. Paths are relative, made of plain names, and never leave the folder they belong to.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import msgspec

from harness.errors import ManifestError

FILE_NAME = "submission.toml"

SKIPPED = frozenset({"__pycache__", "node_modules"})
"""Folders of a submission that are never copied; neither is anything whose name starts with a dot."""
MAX_BYTES = 64 << 10
"""Most bytes of the file: more than any submission needs, and few enough to read from a stranger."""
MAX_LINE_DOTS = 256
"""Most dots of one line: tomllib keeps every beginning of a dotted key, gigabytes for one of 80 kB."""
MAX_START_BYTES = 16 << 10
"""Most bytes of one command line with its environment: a kernel takes 128 KiB as one argument."""

Argument = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Command = Annotated[tuple[Argument, ...], msgspec.Meta(min_length=1, max_length=256)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Train(_Section, frozen=True):
    """How to train: one command, started in a copy of the folder."""

    command: Command
    env: dict[str, str] = msgspec.field(default_factory=dict)
    loopback: bool = False
    """Whether its processes talk to one another over TCP on 127.0.0.1, as torchrun's do."""


class ArtifactFiles(_Section, frozen=True):
    """What crosses into the scorer: every byte of it is counted."""

    code: tuple[str, ...]
    """Files of the submission's folder."""
    output: tuple[str, ...] = ()
    """Files that the train phase leaves in its output folder."""


class ScoreCommand(_Section, frozen=True):
    """How to score: one command, started in the sealed artifact."""

    command: Command
    block_tokens: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
    predict: bool = True
    """Whether the scorer answers `predict`; the ruleset may require it."""
    env: dict[str, str] = msgspec.field(default_factory=dict)
    loopback: bool = False


class Trial(_Section, frozen=True):
    """What `harness check` and `harness gate` should know; nothing of it matters in a run."""

    gpu: bool = False
    """Whether nothing can be tried without a GPU: where there is none, the session is left out."""


class Manifest(_Section, frozen=True):
    """A submission, as it describes itself."""

    schema: Literal[1]
    name: Name
    train: Train
    artifact: ArtifactFiles
    score: ScoreCommand
    package: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """Folder name under which the code is laid down, so that `python -m NAME.train` finds it."""
    authors: tuple[Name, ...] = ()
    summary: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    check: Trial = Trial()

    def code_place(self, name: str) -> str:
        """Return where a code file lies in the sealed artifact; output lies at the top, by its own name."""
        return f"{self.package}/{name}" if self.package else name


def load(folder: Path) -> Manifest:
    """Read FOLDER/submission.toml and check that the code files it names are there.

    Raises ManifestError with the file, the field and the remedy.
    """
    path = folder / FILE_NAME
    if folder.is_file():
        raise ManifestError(f"{folder}: is a file; name the folder that it lies in")
    try:
        with path.open("rb") as file:  # it may be a link to something without an end
            data = file.read(MAX_BYTES + 1)
        _refuse_long(len(data), str(path))
        text = data.decode()
    except FileNotFoundError:
        raise ManifestError(
            f"{path}: no such file; a submission is a folder with a {FILE_NAME}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ManifestError(f"{path}: {reason}; make it a readable text file") from None
    manifest = parse(text, str(path))
    for name in manifest.artifact.code:
        if not (folder / name).is_file():
            raise ManifestError(
                f"{path}: artifact.code names {name!r}, but {folder / name} is not a file; "
                "add the file or correct the name"
            )
    return manifest


def parse(text: str, origin: str) -> Manifest:
    """Return the manifest in `text`; `origin` names it in errors.

    Raises ManifestError.
    """
    _refuse_long(len(text.encode("utf-8", "surrogatepass")), origin)
    if any(line.count(".") > MAX_LINE_DOTS for line in text.split("\n")):
        raise ManifestError(f"{origin}: more than {MAX_LINE_DOTS} dots in one line; break the line")
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # TOML, a number too long, nested too deep
        raise ManifestError(f"{origin}: not TOML: {error}") from None
    try:
        manifest = msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as error:
        raise ManifestError(f"{origin}: {error}{_suggest(str(error))}") from None
    package = manifest.package
    problem = path_problem(package) if package.isidentifier() else "is not a Python name; use one"
    if package and problem:
        raise ManifestError(f"{origin}: package {package!r} {problem}")
    _check_paths(manifest, origin)
    _check_places(manifest, origin)
    _check_starts(manifest, origin)
    return manifest


def _refuse_long(size_bytes: int, origin: str) -> None:
    if size_bytes > MAX_BYTES:
        raise ManifestError(f"{origin}: more than {MAX_BYTES} bytes; put what is long into a file")


def _check_paths(manifest: Manifest, origin: str) -> None:
    for field in ("code", "output"):
        seen: set[str] = set()
        for name in getattr(manifest.artifact, field):
            problem = path_problem(name)
            if field == "code" and not problem and not copied(name):
                problem = "is never copied; use a name without a leading dot, outside caches"
            if problem:
                raise ManifestError(f"{origin}: artifact.{field}: {name!r} {problem}")
            if name in seen:
                raise ManifestError(
                    f"{origin}: artifact.{field}: {name!r} is named twice; name it once"
                )
            seen.add(name)


def copied(name: str) -> bool:
    """Return whether a file of the submission's folder is copied: no dot names, no caches."""
    parts = PurePosixPath(name).parts
    return not any(part.startswith(".") or part in SKIPPED for part in parts)


def _check_places(manifest: Manifest, origin: str) -> None:
    """Refuse two files at one place of the artifact, and a file where another needs a folder."""
    places = {manifest.code_place(name): f"code {name!r}" for name in manifest.artifact.code}
    for name in manifest.artifact.output:
        if name in places:
            raise ManifestError(
                f"{origin}: artifact.output: {name!r} would lie where {places[name]} does; rename one"
            )
        places[name] = f"output {name!r}"
    for place, what in places.items():
        for folder in PurePosixPath(place).parents:
            if str(folder) in places:
                raise ManifestError(
                    f"{origin}: artifact: {what} needs a folder where {places[str(folder)]} "
                    "would lie; rename one"
                )


def _check_starts(manifest: Manifest, origin: str) -> None:
    for field, phase in (("train", manifest.train), ("score", manifest.score)):
        for variable in phase.env:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable) or variable.startswith(
                "HARNESS_"
            ):
                raise ManifestError(
                    f"{origin}: {field}.env: {variable!r} is not a name a submission may set; rename it"
                )
        texts = [*phase.command, *phase.env, *phase.env.values()]
        if any("\0" in text for text in texts):
            raise ManifestError(f"{origin}: {field}: a NUL character in command or env; remove it")
        if sum(len(text.encode()) for text in texts) > MAX_START_BYTES:
            raise ManifestError(
                f"{origin}: {field}: command and env take more than {MAX_START_BYTES} bytes; "
                "put what is long into a file"
            )


def path_problem(name: str) -> str | None:
    """Return what is wrong with a declared path, or None: relative, inside, plain and printable."""
    path = PurePosixPath(name)
    if not name or name != str(path):
        return "is not a plain path; write it as folder/file, without ./ or doubled slashes"
    if path.is_absolute() or ".." in path.parts or name == ".":
        return "leaves its folder; name a file inside it"
    if "\\" in name or not name.isprintable() or len(name.encode()) > 255:
        return "has characters that are refused, or is too long; use a short plain name"
    return None


def _suggest(message: str) -> str:
    """Return a hint for an unknown field: its nearest known name."""
    found = re.search(r"unknown field `([^`]*)`", message)
    if not found:
        return ""
    sections = (Manifest, Train, ArtifactFiles, ScoreCommand, Trial)
    known = sorted({name for section in sections for name in section.__struct_fields__})
    near = difflib.get_close_matches(found[1], known, n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; known fields are {', '.join(known)}"
