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
BIGRAM = ROOT / "tests" / "submissions" / "bigram"
QUICK = ROOT / "tests" / "rulesets" / "quick.toml"


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
    shutil.copytree(BIGRAM, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "submission.toml"
    text = path.read_text()
    for old, new in replaced.items():
        lines = [new if line.split(" =")[0] == old else line for line in text.splitlines()]
        text = "\n".join(lines) + "\n"
    path.write_text(text)
    return folder
