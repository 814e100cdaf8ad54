"""submission.toml: every path stays in its folder, no two files share a place, every command can start."""

from __future__ import annotations

import posixpath
import re

from harness import manifest
from harness.errors import ManifestError
from tests.fuzz import toml

WORDS = toml.words(manifest.Manifest, manifest.Train, manifest.ArtifactFiles, manifest.ScoreCommand)
NAME_BYTES = 255
"""Longest name of one file that Linux takes."""


def one(data: bytes) -> bool:
    read = toml.parsed(manifest.parse, ManifestError, data)
    if read is None:
        return False
    toml.comes_back(read)
    _stays_inside(read)
    for phase in (read.train, read.score):
        _can_start(phase.command, phase.env)
    assert 1 <= read.score.block_tokens <= 1 << 24
    return True


def _stays_inside(read: manifest.Manifest) -> None:
    places = [read.code_place(name) for name in read.artifact.code] + list(read.artifact.output)
    assert len(set(places)) == len(places), "two files at one place"
    for place in places:
        assert posixpath.normpath(posixpath.join("/in/side", place)) == f"/in/side/{place}"
        assert all(0 < len(part.encode()) <= NAME_BYTES for part in place.split("/"))
        assert place.isprintable()
        assert "\\" not in place
        assert not any(other.startswith(f"{place}/") for other in places), "a file as a folder"
    for name in read.artifact.code:
        assert not any(part.startswith(".") for part in name.split("/")), "a name never copied"


def _can_start(command: tuple[str, ...], env: dict[str, str]) -> None:
    assert command
    assert all(command)
    for variable in env:
        assert re.match(r"(?!HARNESS_)[A-Za-z_]\w*\Z", variable, re.ASCII)
    texts = [*command, *env, *env.values()]
    assert not any("\0" in text for text in texts)
    assert sum(len(text.encode()) for text in texts) <= 16_384
