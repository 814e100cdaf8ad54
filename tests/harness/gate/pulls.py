"""Repositories with a base and pull requests, as git objects: any name, any mode, without a checkout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

LINK, SUBMODULE, FILE = "120000", "160000", "100644"
ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    "GIT_CONFIG_GLOBAL": os.devnull,
}

Files = Mapping[str | bytes, bytes | tuple[str, bytes] | None]
"""Path -> contents, (mode, contents), or None to take it away."""


class Pulls:
    """A bare repository in which commits are made without a working tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._git("init", "--quiet", "--bare", ".")
        # What a runner of CI has: names that a checkout could not hold must not be refused here first.
        self._git("config", "core.protectHFS", "false")
        self._git("config", "core.protectNTFS", "false")

    def merge(self, branch: str, files: Files, first: str, second: str) -> str:
        """Commit a merge of two that has the first one's files, changed."""
        return self.commit(branch, files, parent=first, second=second)

    def commit(
        self, branch: str, files: Files, *, parent: str | None = None, second: str | None = None
    ) -> str:
        """Commit changes to a parent's files; return the id of the commit that the branch now names."""
        entries: dict[bytes, tuple[str, str]] = {}
        if parent is not None:
            listed = self._git("ls-tree", "-r", "-z", "--full-tree", parent)
            for line in filter(None, listed.split(b"\0")):
                facts, path = line.split(b"\t", 1)
                mode, _, blob = facts.decode().split(" ")
                entries[path] = (mode, blob)
        wanted: list[tuple[bytes, str, bytes]] = []
        for name, given in files.items():
            path = name.encode() if isinstance(name, str) else name
            if given is None:
                del entries[path]
                continue
            mode, contents = given if isinstance(given, tuple) else (FILE, given)
            wanted.append((path, mode, contents))
        blobs = self._blobs({contents for _, mode, contents in wanted if mode != SUBMODULE})
        for path, mode, contents in wanted:
            entries[path] = (mode, contents.decode() if mode == SUBMODULE else blobs[contents])
        tree = self._tree(entries)
        parents = [word for each in (parent, second) if each for word in ("-p", each)]
        commit = self._git("commit-tree", tree, *parents, "-m", branch).decode().strip()
        self._git("update-ref", f"refs/heads/{branch}", commit)
        return commit

    def _blobs(self, contents: set[bytes]) -> dict[bytes, str]:
        found = {}
        for each in contents:
            found[each] = self._git("hash-object", "-w", "--stdin", given=each).decode().strip()
        return found

    def _tree(self, entries: Mapping[bytes, tuple[str, str]]) -> str:
        """Write nested trees with mktree, which takes names that an index would refuse."""
        below: dict[bytes, dict[bytes, tuple[str, str]]] = {}
        lines = []
        for path, (mode, blob) in entries.items():
            top, slash, rest = path.partition(b"/")
            if slash:
                below.setdefault(top, {})[rest] = (mode, blob)
            else:
                kind = "commit" if mode == SUBMODULE else "blob"
                lines.append(f"{mode} {kind} {blob}\t".encode() + path)
        for name, inner in below.items():
            lines.append(f"040000 tree {self._tree(inner)}\t".encode() + name)
        given = b"".join(line + b"\0" for line in lines)
        return self._git("mktree", "-z", "--missing", given=given).decode().strip()

    def _git(self, *arguments: str, given: bytes = b"") -> bytes:
        return subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            input=given,
            stdout=subprocess.PIPE,
            check=True,
            env={**os.environ, **ENVIRONMENT},
        ).stdout


def folder_files(folder: Path, under: str) -> dict[str | bytes, bytes | tuple[str, bytes] | None]:
    """Return a folder's files as they would be added below UNDER."""
    return {
        f"{under}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
