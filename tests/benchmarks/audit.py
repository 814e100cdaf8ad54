"""How long `harness audit` takes over many record folders, whole command, and how much memory.

    python -m tests.benchmarks.audit [--records FOLDER] [--folders 500] [--repeats 3] [--json]

Lays out that many folders in a temporary place: copies of the records under --records by turns, or, without
it, made-up records of the usual size (three logs of 60 KB each). Runs the command as a user does, standard
output to a file, and prints medians: seconds, folders a second, MB of text a second, and the largest resident
set of the command's processes. Compare figures of one run only.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness.audit.discovery import find_folders
from harness.clock import Stopwatch
from tests.benchmarks.tables import show


def lay_out(place: Path, count: int, records: Path | None) -> int:
    """Make `count` record folders and return the bytes of all their files."""
    models = list(find_folders([records])) if records else [made_up(place / "model")]
    for index in range(count):
        model = models[index % len(models)]
        shutil.copytree(model, place / "records" / f"{index:05}_{model.name}"[:200])
    return sum(path.stat().st_size for path in (place / "records").rglob("*") if path.is_file())


def made_up(folder: Path) -> Path:
    """Write a record of three seeds: logs with 600 lines of training and the usual final lines."""
    folder.mkdir(parents=True)
    for seed in (1337, 42, 2025):
        bpb = 1.11 + seed * 1e-7
        steps = "".join(
            f"step:{step}/20000 train_loss:2.1 train_time:{step * 90}ms step_avg:90.00ms\n"
            for step in range(0, 6600, 11)
        )
        text = (
            f"val_loader:shards tokens:62021632\nworld_size:8\nseed:{seed}\n{steps}"
            "stopping_early: wallclock_cap train_time:594000ms step:6600/20000\n"
            "Total submission size int6+brotli: 15900000 bytes\n"
            f"final_int6_sliding_window_exact val_loss:{bpb * 1.68849:.8f} val_bpb:{bpb:.8f}\n"
        )
        (folder / f"train_seed{seed}.log").write_text(text)
    (folder / "submission.json").write_text(
        json.dumps(
            {"name": "made up", "date": "2026-04-01", "val_bpb": 1.1101, "seeds": [1337, 42, 2025]}
        )
    )
    return folder


def once(records: Path, out: Path) -> tuple[float, float]:
    """Run the command and return its seconds and the largest resident set so far of any child, in MB."""
    watch = Stopwatch()
    command = [
        sys.executable,
        "-m",
        "harness",
        "audit",
        str(records),
        "--format",
        "json",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"the command failed: {done.stderr[-500:]}")
    return watch.elapsed_s, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def measure(folders: int, repeats: int, records: Path | None) -> dict[str, Any]:
    """Return medians over `repeats` runs of the command."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        size = lay_out(place, folders, records)
        runs = [once(place / "records", place / "audit.json") for _ in range(repeats)]
        took_s = statistics.median(seconds for seconds, _ in runs)
        return {
            "folders": folders,
            "text_mb": size / 1e6,
            "median_s": took_s,
            "folders_a_second": folders / took_s,
            "mb_a_second": size / 1e6 / took_s,
            "largest_process_mb": max(mb for _, mb in runs),
            "result_mb": (place / "audit.json").stat().st_size / 1e6,
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
        }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=Path, help="record folders to copy by turns")
    parser.add_argument("--folders", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.folders, options.repeats, options.records)
    show(found, as_json=options.json)


if __name__ == "__main__":
    main()
