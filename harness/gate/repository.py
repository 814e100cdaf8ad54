"""What a repository holds at a commit, read as objects: nothing is checked out, nothing is executed.

Git is run with its hooks, external diffs, replacements and lazy fetches off, and no path of a head is ever
given to it: contents are asked for by object id. Paths are bytes, as git stores them.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from harness.errors import JudgeError, UsageError

TIMEOUT_S = 300.0
CHUNK_BYTES = 1 << 20
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.allow=never",
    # In CI the checkout often belongs to another user than the judge.
    "safe.directory=*",
)
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between two commits; `mode` and `blob` are those of the newer one."""

    path: bytes
    status: str
    """"A" added, "M" modified, "D" deleted, "T" of another type."""
    mode: str
    """"100644", "100755", "120000" (a link), "160000" (a submodule), "000000" where it is gone."""
    blob: str

    @property
    def shown(self) -> str:
        """Return the path as text; bytes that are not UTF-8 appear as their escapes."""
        return shown(self.path)


class Repository:
    """A repository on this machine, read only."""

    def __init__(self, folder: Path) -> None:
        """Open the repository that `folder` lies in.

        Raises UsageError where there is none, or no git.
        """
        self._folder = folder
        if not folder.is_dir():
            raise UsageError(f"--repo {folder}: no such folder; name a git repository")
        self._ask(
            "rev-parse",
            "--git-dir",
            problem=f"--repo {folder}: not a git repository; name one",
        )

    def commit(self, ref: str, option: str) -> str:
        """Return the full id of the commit that a name stands for; `option` names it in errors.

        Raises UsageError where it names none.
        """
        found = self._ask(
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{ref}^{{commit}}",
            problem=f"{option} {ref!r}: no such commit here; fetch it, with its history (fetch-depth: 0)",
        )
        commit = found.decode("utf-8", "replace").strip()
        if _COMMIT.fullmatch(commit) is None:
            raise UsageError(f"{option} {ref!r}: does not name one commit; give a branch or an id")
        return commit

    def merge_base(self, base: str, head: str) -> str:
        """Return the commit from which the head went its own way.

        Raises UsageError where the two have no history in common here, or parted more than once: what a
        merge of them changes is then not what the head changed since any one commit.
        """
        found = self._ask(
            "merge-base",
            "--all",
            base,
            head,
            problem="--base and --head have no commit in common here; fetch their history (fetch-depth: 0)",
        )
        commits = found.decode().split()
        if len(commits) != 1:
            raise UsageError(
                f"--head: left --base at {len(commits)} commits at once, by merges that cross; "
                "rebase it onto the base"
            )
        return commits[0]

    def changes(self, older: str, newer: str, *, most: int) -> list[Change]:
        """Return the paths that differ, in git's order; a renamed file is one deleted and one added.

        No more than `most` are read: a few trees that name one another can be millions of paths.
        """
        arguments = self._command(
            ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", older, newer)
        )
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=_environment()) as git:
            assert git.stdout is not None
            found = list(islice(_changes(_fields(git.stdout)), most))
            cut = len(found) == most
            git.kill() if cut else git.wait()
        if git.returncode != 0 and not cut:
            raise JudgeError(f"git diff-tree ended with status {git.returncode}")
        return found

    def paths(self, commit: str) -> frozenset[bytes]:
        """Return every path of a commit, folders included."""
        listed = self._ask("ls-tree", "-r", "-t", "-z", "--full-tree", "--name-only", commit)
        return frozenset(filter(None, listed.split(b"\0")))

    def file(self, commit: str, path: str) -> bytes | None:
        """Return the contents of a file at a commit, or None where there is none; `path` is trusted."""
        done = self._run(("cat-file", "blob", f"{commit}:{path}"))
        return done.stdout if done.returncode == 0 else None

    def sizes(self, blobs: Iterable[str]) -> dict[str, int]:
        """Return the sizes of objects in bytes.

        Raises JudgeError where one is not here.
        """
        wanted = sorted(set(blobs))
        if not wanted:
            return {}
        done = self._run(("cat-file", "--batch-check"), "".join(f"{b}\n" for b in wanted).encode())
        sizes = {}
        for line in done.stdout.decode().splitlines():
            name, kind, *rest = line.split(" ")
            if kind != "blob" or not rest:
                raise JudgeError(f"object {name} is {kind}; fetch the head with all its files")
            sizes[name] = int(rest[0])
        if done.returncode != 0 or len(sizes) != len(wanted):
            raise JudgeError(f"git cat-file ended with status {done.returncode}")
        return sizes

    def export(self, files: Sequence[tuple[str, Path]]) -> None:
        """Write objects to new files; the folders are made, and nothing that exists is written to.

        Raises JudgeError where an object is not here, OSError where a file cannot be written.
        """
        if not files:
            return
        arguments = self._command(("cat-file", "--batch"))
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()
        ) as git:
            assert git.stdin is not None
            assert git.stdout is not None
            try:
                for blob, target in files:
                    git.stdin.write(f"{blob}\n".encode())
                    git.stdin.flush()
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("xb") as file:
                        _copy_object(git.stdout, file, blob)
            finally:
                git.stdin.close()
                git.kill()

    def _ask(self, *arguments: str, problem: str = "") -> bytes:
        done = self._run(arguments)
        if done.returncode == 0:
            return done.stdout
        if problem:
            raise UsageError(problem)
        said = done.stderr.decode("utf-8", "replace").strip().split("\n")[-1][:300]
        raise JudgeError(f"git {arguments[0]} ended with status {done.returncode}: {said}")

    def _run(
        self, arguments: Sequence[str], given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self._command(arguments),
                input=given,
                capture_output=True,
                env=_environment(),
                timeout=TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError:
            raise UsageError("git is not installed; install it") from None
        except (OSError, ValueError) as error:  # an argument that no program can be given
            raise UsageError(f"git {arguments[0]} cannot be asked that: {error}") from None
        except subprocess.TimeoutExpired:
            raise JudgeError(f"git {arguments[0]} took more than {TIMEOUT_S:g} s") from None

    def _command(self, arguments: Sequence[str]) -> list[str]:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        return ["git", "-C", str(self._folder), *settings, *arguments]


def shown(path: bytes) -> str:
    """Return a path as text; bytes that are not UTF-8 appear as their escapes."""
    return path.decode("utf-8", "backslashreplace")


def _environment() -> dict[str, str]:
    """Return the judge's environment without what would turn git to another repository or program."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, **_ENVIRONMENT}


def _fields(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what NULs end in a stream."""
    left = b""
    while chunk := stream.read(CHUNK_BYTES):
        *whole, left = (left + chunk).split(b"\0")
        yield from whole


def _changes(fields: Iterator[bytes]) -> Iterator[Change]:
    """Read `git diff-tree --raw -z`: ":oldmode newmode oldid newid status NUL path NUL", again and again."""
    for facts in fields:
        _, mode, _, blob, status = facts.decode().split(" ")
        yield Change(path=next(fields), status=status[:1], mode=mode, blob=blob)


def _copy_object(stream: IO[bytes], file: IO[bytes], blob: str) -> None:
    head = stream.readline().decode().split(" ")
    if len(head) != 3 or head[1] != "blob":
        raise JudgeError(f"object {blob} is not here; fetch the head with all its files")
    left = int(head[2])
    while left:
        chunk = stream.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise JudgeError(f"git ended within object {blob}")
        file.write(chunk)
        left -= len(chunk)
    stream.read(1)  # a line feed ends each object
