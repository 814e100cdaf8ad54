"""The command line as a process of its own, and submissions for it, small and quick."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import harness

ROOT = Path(harness.__file__).parents[1]
SUBMISSIONS = ROOT / "tests" / "submissions"
QUICK = ROOT / "harness" / "selftest" / "quick.toml"
BASELINE = """
schema = 1
name = "to beat"
date = "2026-01-01"
source = "a test"
seeds = [1, 2, 3]
nats_per_token = [{}, {}, {}]
bytes_per_token = {}
tokens = 10001
tokenizer_sha256 = ""
val_text_sha256 = ""
"""
"""A baseline file, but for its three scores and its bytes per token."""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment in which the judge finds this project, however it was installed."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **(extra or {})}


def judge(*arguments: object, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `harness ARGUMENTS` to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(env),
        timeout=120,
    )


def command(*arguments: object) -> list[str]:
    """Return the command line of `harness ARGUMENTS`."""
    return [sys.executable, "-m", "harness", *map(str, arguments)]


def bigram(folder: Path, **replaced: str) -> Path:
    """Copy the forty-line bigram to FOLDER, with some lines of its manifest replaced."""
    return _copy("bigram", folder, replaced)


def uniform(folder: Path, **replaced: str) -> Path:
    """Copy the submission that starts in milliseconds, with some lines of its manifest replaced."""
    return _copy("uniform", folder, replaced)


def _copy(name: str, folder: Path, replaced: Mapping[str, str]) -> Path:
    shutil.copytree(SUBMISSIONS / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "submission.toml"
    lines = path.read_text().splitlines()
    for field, new in replaced.items():
        assert any(line.split(" =")[0] == field for line in lines)
        lines = [new if line.split(" =")[0] == field else line for line in lines]
    path.write_text("\n".join(lines) + "\n")
    return folder
