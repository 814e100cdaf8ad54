"""What isolation costs: starting a process, checking packages, emptying the page cache.

    python -m tests.benchmarks.sandbox [--repeats 15] [--json]

Starts the same empty Python program as a bare process, as a tree with a keeper, and in a cell of each level
that works here, in turn, and prints medians and what each costs more than the bare process, all in
milliseconds from the call until the process is gone. A cell's part is its own control group, namespaces or
Landlock, and the filter; what is laid out to import is measured apart. Compare figures of one run only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import package_sums, packages, ruleset
from harness.cell_trial import try_cell
from harness.clock import Deadline, Stopwatch
from harness.isolation import limits_of, page_cache_of
from harness.launch import importable
from harness.process import running
from harness.sandbox import sight
from harness.sandbox.cell import Folders, Sandbox
from harness.sandbox.mechanisms import LEVELS, probe
from tests.benchmarks.tables import show

NOTHING = [sys.executable, "-I", "-S", "-c", "pass"]


def bare(_: Path) -> None:
    """Start the program and wait for it."""
    subprocess.run(NOTHING, check=True, env={})


def in_cell(sandbox: Sandbox) -> Callable[[Path], None]:
    """Return what starts the program in a cell and waits until all of it is gone."""

    def start(folder: Path) -> None:
        own = folder / "own"
        own.mkdir(parents=True)
        folders = Folders(cwd=own, writable=(own,), private=(own,))
        with running(sandbox, NOTHING, {}, folders, logs=folder / "log") as (tree, _):
            tree.wait_gone(Deadline(60.0))
        assert tree.exit_status == 0

    return start


def median_ms(call: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call in milliseconds."""
    times = []
    for _ in range(repeats):
        watch = Stopwatch()
        call()
        times.append(watch.elapsed_s * 1e3)
    return statistics.median(times)


def measure(repeats: int) -> dict[str, Any]:
    """Return medians in milliseconds."""
    rules = ruleset.load("smoke").ruleset
    found = probe()
    pinned = packages.resolve(rules.environment.packages, packages.search_path())
    seen, limits = sight.sight(packages.readable(pinned)), limits_of(rules)
    works = [level for level in LEVELS if found.level(level) == level]
    cells = {
        level: Sandbox(mechanisms=found, level=level, sight=seen, limits=limits) for level in works
    }
    starts = {"process": bare, **{level: in_cell(cell) for level, cell in cells.items()}}
    times: dict[str, list[float]] = {name: [] for name in starts}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        root.chmod(0o711)
        for number in range(repeats):
            for name, start in starts.items():  # in turn, so that all meet the same noise
                watch = Stopwatch()
                start(root / f"{name}-{number}")
                times[name].append(watch.elapsed_s * 1e3)
        medians = {name: statistics.median(found) for name, found in times.items()}
        best = cells[works[0]]
        cache = page_cache_of(best, thorough=True)
        numbers = iter(range(10_000))
        return {
            "start_ms": medians,
            "more_than_a_process_ms": {name: medians[name] - medians["process"] for name in cells},
            "once_a_run_ms": {
                "probe": median_ms(probe, 3),
                "trial": median_ms(lambda: try_cell(best), 3),
            },
            "once_a_phase_ms": {
                "import_folder": median_ms(
                    lambda: importable(root / f"import-{next(numbers)}", pinned, ("native",)), 5
                ),
            },
            "twice_a_seed_ms": {"hash_packages": median_ms(lambda: package_sums.digest(pinned), 3)},
            "packages_bytes": sum(
                one.size_bytes for one in package_sums.digest(pinned).packages.values()
            ),
            "before_each_scorer_ms": {f"page_cache_{cache.way}": median_ms(cache.empty, 3)},
        }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sandbox", description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    show(measure(options.repeats), as_json=options.json)


if __name__ == "__main__":
    main()
