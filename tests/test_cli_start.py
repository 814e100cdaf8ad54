"""`harness --help` answers at once: click alone, none of the heavy packages."""

import subprocess
import sys

import pytest

from tests.judged import ROOT, environment

HEAVY = {"numpy", "torch", "rich", "scipy", "msgspec", "sentencepiece", "brotli"}
LISTS = """
import sys
from harness.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


def loaded_by(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LISTS, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
        timeout=60,
    )
    assert done.returncode == 0
    assert "Usage: " in done.stdout or "version" in done.stdout
    return {name.split(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["check", "--help"],
        ["audit", "--help"],
        ["stats", "-h"],
        ["data", "--help"],
        ["report", "-h"],
        ["verify", "-h"],
        ["selftest", "-h"],
    ],
)
def test_help_loads_none_of_the_heavy_packages(arguments):
    loaded = loaded_by(*arguments)
    assert "click" in loaded
    assert not loaded & HEAVY


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "harness", "--version"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(),
    )
    assert done.stdout.startswith("harness, version ")
