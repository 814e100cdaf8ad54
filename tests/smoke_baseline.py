"""Measure the baseline of the `smoke` ruleset: the reference submission with its n-gram mixer switched off.

`python -m tests.smoke_baseline [--seeds 101,102,103,104,105] [--out FILE]` runs it through the judge and
writes harness/rulesets/baselines/smoke.toml. So the smoke run asks a real question: is the mixer, added
to the same model trained in the same way, worth at least 0.005 nats per token?
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from harness import ruleset, verdict
from harness.commands.baseline import refuse_invalid, render
from harness.commands.show import Lines
from harness.conduct import conduct
from harness.data.embedded import embedded
from harness.run import Run

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "harness" / "rulesets" / "baselines" / "smoke.toml"
SWITCH = "SUBMISSION_MIXER"


def without_mixer(folder: Path) -> Path:
    """Copy the reference submission to FOLDER with the mixer switched off in its manifest."""
    copy = folder / "submission"
    shutil.copytree(ROOT / "submission", copy, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = copy / "submission.toml"
    text = manifest.read_text("utf-8")
    head, section, tail = text.partition("[score]\n")
    assert "env = { " in tail, "the reference submission's manifest has no env in its [score] table"
    tail = tail.replace("env = { ", f'env = {{ {SWITCH} = "0", ', 1)
    manifest.write_text(head + section + tail, "utf-8")
    return copy


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="101,102,103,104,105")
    parser.add_argument("--out", type=Path, default=TARGET)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = Run.create(
            root=folder / "runs",
            submission=without_mixer(folder),
            rules=ruleset.load("smoke"),
            data=embedded(folder / "data"),
            seeds=tuple(int(seed) for seed in options.seeds.split(",")),
            baseline_text=None,
        )
        conduct(run, Lines(), {})
        report = verdict.report(run)
    refuse_invalid(report)
    source = f"python -m tests.smoke_baseline --seeds {options.seeds}"
    text = render(report, "reference without its mixer", source=source)
    options.out.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
