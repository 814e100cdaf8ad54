"""A submission's folder for another preset: this package's code with a manifest of its own.

    python -m submission.folder h100 mine && harness run mine --data DATA --ruleset RULES
    python -m submission.folder record mine --gpus 8

The manifest differs in its name, the preset, the command that starts one process a GPU, and the size of
blocks. Does not train.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from submission.presets import PRESETS

BLOCK_TOKENS = 131_072
"""Of presets that are scored on a GPU: some seconds of work, so that a block costs the judge nothing."""


def manifest(text: str, preset: str, gpus: int) -> str:
    """Return the manifest in `text`, that of `smoke`, for another preset and number of GPUs."""
    changes = [('name = "reference"', f'name = "reference-{preset}"')]
    changes += [('SUBMISSION_PRESET = "smoke"', f'SUBMISSION_PRESET = "{preset}"')]
    if preset != "smoke":
        changes += [("block_tokens = 1024", f"block_tokens = {BLOCK_TOKENS}")]
    if gpus > 1:
        launch = f'"torch.distributed.run", "--standalone", "--nproc-per-node={gpus}"'
        alone = 'command = ["python", "-m", "submission.train"]'
        together = f'command = ["python", "-m", {launch}, "-m", "submission.train"]'
        changes += [(alone, f"{together}\nloopback = true")]
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"the manifest does not have {old} exactly once; write it by hand")
        text = text.replace(old, new)
    return text


def lay_out(preset: str, out: Path, gpus: int = 1) -> None:
    """Write the folder; `out` must not exist.

    Raises ValueError for an unknown preset, FileExistsError where `out` exists.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset {preset!r} is unknown; use one of {', '.join(PRESETS)}")
    here = Path(__file__).parent
    out.mkdir(parents=True)
    for source in sorted(here.glob("*.py")):
        shutil.copy(source, out / source.name)
    text = (here / "submission.toml").read_text("utf-8")
    (out / "submission.toml").write_text(manifest(text, preset, gpus), "utf-8")


def main() -> int:
    """Lay out what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m submission.folder", description=__doc__)
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--gpus", type=int, default=1, help="processes that train, one a GPU")
    options = parser.parse_args()
    try:
        lay_out(options.preset, options.out, options.gpus)
    except (OSError, ValueError) as error:
        print(f"{options.out}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
