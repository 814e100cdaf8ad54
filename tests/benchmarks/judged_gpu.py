"""A whole judged run on one GPU, and the same artifact scored on a second text.

    python -m tests.benchmarks.judged_gpu --data WIKI [--also FINEWEB] [--seeds 1337] [--out runs]

Lays out the preset `h100`, runs `harness run` on it with tests/benchmarks/h100.toml (300 s to train, 300 s to
score, 16,000,000 bytes), and prints the judge's own table, the trainer's log and, for --also, the nats
that a fresh scorer credits to that folder's validation text. Ends with the judge's exit code. Without a
GPU it says so and ends with status 2. Both folders must have been built with the same tokenizer (`harness
data build --tokenizer`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from harness.commands.run import PASSED
from harness.conduct import context_of, isolate
from harness.data.dataset import open_dataset
from harness.launch import Quiet
from harness.phases import score
from harness.run import Run
from submission.folder import lay_out
from tests.judged import ROOT

RULES = Path(__file__).with_name("h100.toml")


def judged(options: argparse.Namespace) -> int:
    """Run the judge as a user would; return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        mine = Path(folder, "mine")
        lay_out("h100", mine)
        command = [sys.executable, "-m", "harness", "run", str(mine), "--seeds", options.seeds]
        command += ["--data", str(options.data), "--ruleset", str(RULES), "--out", str(options.out)]
        return subprocess.run(command, check=False).returncode


def elsewhere(run: Run, seed: int, folder: Path) -> str:
    """Score the sealed artifact on another data folder's validation text; return a line."""
    data = open_dataset(folder)
    passed = {name: os.environ[name] for name in PASSED if name in os.environ}
    context = context_of(run, Quiet(), passed, isolate(run, "namespaces", passed))
    nats = run.seed_folder(seed) / "nats-elsewhere.f64"
    scored = score(
        context,
        seed=seed,
        sealed=run.seed_folder(seed) / "sealed",
        work=run.seed_folder(seed) / "work",
        logs=run.seed_folder(seed) / "logs" / "elsewhere",
        stream_N=data.val.load_tokens(),
        nats=nats,
    )
    if not nats.exists():
        return f"{data.name}: {scored.score.outcome} {scored.score.detail}"
    mean = np.fromfile(nats).mean()
    return (
        f"{data.name}, seed {seed}: {mean:.6f} nats/token over {data.val.tokens:,} tokens in "
        f"{scored.score.wall_s:.1f} s"
    )


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--also", type=Path)
    parser.add_argument("--seeds", default="1337")
    parser.add_argument("--out", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU here: this run needs one")
        return 2
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    status = judged(options)
    if not any(options.out.glob("*/run.json")):
        return status
    newest = max(options.out.glob("*/run.json"), key=lambda path: path.stat().st_mtime).parent
    for log in sorted(newest.glob("seeds/*/logs/train.stdout")):
        print(f"--- {log.relative_to(newest)}")
        print("\n".join(log.read_text("utf-8", "replace").splitlines()[-16:]), flush=True)
    if options.also is not None:
        run = Run(newest)
        for seed in run.plan.seeds:
            print(elsewhere(run, seed, options.also), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
