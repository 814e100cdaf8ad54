"""How long `harness check` takes, whole command, and what of it is processor time.

    python -m tests.benchmarks.check [SUBMISSION ...] [--repeats 5] [--json]

Without a SUBMISSION, the reference and the bigram of tests/submissions, on the embedded corpus with the
ruleset `smoke`. Runs the command as a user does, standard output and error to files, and prints medians:
seconds from its start to its end, processor seconds of it and all of its processes, and the largest resident
set among them. The load beside says how far the machine was its own. A command that does not pass ends the
benchmark with status 1.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness.clock import Stopwatch
from tests.benchmarks.tables import show
from tests.judged import ROOT, SUBMISSIONS, environment

DEFAULT = (ROOT / "submission", SUBMISSIONS / "bigram")


def once(submission: Path, scratch: Path) -> tuple[float, float]:
    """Run the command; return its seconds, and the processor seconds of all of its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    watch = Stopwatch()
    with (scratch / "out").open("wb") as out, (scratch / "err").open("wb") as err:
        status = subprocess.run(
            [sys.executable, "-m", "harness", "check", str(submission), "--json"],
            stdout=out,
            stderr=err,
            cwd=scratch,
            env=environment(),
            check=False,
        ).returncode
    took_s, after = watch.elapsed_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        print((scratch / "err").read_text("utf-8", "replace")[-2000:], file=sys.stderr)
        raise SystemExit(f"{submission}: the command ended with status {status}")
    return took_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(submission: Path, repeats: int) -> dict[str, Any]:
    """Return medians over `repeats` runs of the command."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [once(submission, Path(folder)) for _ in range(repeats)]
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "submission": submission.name,
        "median_s": statistics.median(seconds for seconds, _ in runs),
        "slowest_s": max(seconds for seconds, _ in runs),
        "processor_s": statistics.median(used for _, used in runs),
        "largest_process_mb": peak_kb / 1024,
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("submissions", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for submission in options.submissions or DEFAULT:
        show(measure(submission.resolve(), options.repeats), as_json=options.json)


if __name__ == "__main__":
    main()
