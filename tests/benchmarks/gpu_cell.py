"""What a cell costs on a GPU, and whether it leaves anything in the GPU's memory.

    python -m tests.benchmarks.gpu_cell [--level namespaces] [--fill-gib 60]

Runs the same torch program bare and in a cell, in turn, and prints for each the time to import torch and to
open the device, the rate of a product of two bfloat16 matrices of 8,192 rows, and the time of a first
torch.compile. Then one cell fills the GPU's memory with a pattern and ends, and the next one allocates as
much and counts the bytes that still hold it. Ends with status 2 where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import packages
from harness.clock import Deadline
from harness.sandbox.cell import Sandbox
from harness.sandbox.mechanisms import LEVELS
from tests.benchmarks.in_cell import python, sandbox
from tests.benchmarks.tables import show

WORK = """
import json, time
started = time.perf_counter()
import torch
imported = time.perf_counter()
torch.zeros(1, device="cuda")
opened = time.perf_counter()
a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
for _ in range(3):
    a @ a
torch.cuda.synchronize()
begun = time.perf_counter()
for _ in range(20):
    a @ a
torch.cuda.synchronize()
done = time.perf_counter()
torch.compile(lambda x: (x * 2 + 1).relu().sum())(torch.ones(1000, device="cuda")).item()
print(json.dumps({
    "import_torch_s": imported - started,
    "open_device_s": opened - imported,
    "product_tflops": 20 * 2 * 8192**3 / (done - begun) / 1e12,
    "first_compile_s": time.perf_counter() - done,
}))
"""
FILL = """
import torch
kept = [torch.full((1 << 30,), 0x5A, dtype=torch.uint8, device="cuda") for _ in range({gib})]
torch.cuda.synchronize()
print({gib})
"""
COUNT = """
import torch
kept = [torch.empty(1 << 30, dtype=torch.uint8, device="cuda") for _ in range({gib})]
print(sum(int((part == 0x5A).sum()) for part in kept))
"""


def run(box: Sandbox, pinned: packages.Pinned, code: str) -> Any:
    """Run Python code in a cell and return the JSON that it prints."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        root.chmod(0o711)
        own = root / "own"
        own.mkdir()
        with python(box, pinned, ["-c", code], own, root / "log") as (tree, _):
            tree.wait_gone(Deadline(300.0))
        if tree.exit_status != 0:
            raise SystemExit((root / "log.stderr").read_text("utf-8", "replace")[-2000:])
        return json.loads((root / "log.stdout").read_text())


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.gpu_cell", description=__doc__
    )
    parser.add_argument("--level", choices=LEVELS, default="namespaces")
    parser.add_argument("--fill-gib", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    box, pinned = sandbox("parameter-golf", options.level)
    if not box.sight.gpus:
        print("no GPU here: this needs one")
        return 2
    bare = replace(box, level="bare")
    run(bare, pinned, WORK)  # so that neither of the two that count reads torch from the disk
    result = {each.level: run(each, pinned, WORK) for each in (bare, box)}
    filled = run(box, pinned, FILL.format(gib=options.fill_gib))
    left = run(box, pinned, COUNT.format(gib=options.fill_gib))
    show({**result, "filled_gib": filled, "bytes_left_for_the_next": left}, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
