"""Every benchmark that a figure names can be started: nobody runs them each day."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = sorted(
    path.stem
    for path in (ROOT / "tests" / "benchmarks").glob("*.py")
    if '__name__ == "__main__"' in path.read_text() and path.stem != "null_scorer"
)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_says_how_it_is_used(name):
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{name}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: ")


def test_the_readme_names_no_benchmark_that_is_not_there():
    named = {
        word.split(".")[2].strip("`|")
        for word in (ROOT / "README.md").read_text("utf-8").split()
        if word.startswith("tests.benchmarks.")
    }
    assert named
    assert named <= set(BENCHMARKS)
