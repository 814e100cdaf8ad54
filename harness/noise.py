"""What besides the submission may use the machine while a clock runs: for people who compare times.

Read from /proc, /sys and the driver's own listing; None where it was not found, never zero. Nothing here
enters a verdict: a slow machine is slow for the judge's clock too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import msgspec

from harness.clock import now_s, sleep

SLEEPS, SLEEP_S = 100, 0.001
LISTING_S = 5.0


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at one moment."""

    governors: tuple[str, ...]
    """Of the cores' clock speed, each once; empty where the system does not say."""
    load_1min: float
    cores: int
    overshoot_ms: float
    """How much later than asked the slowest one in a hundred sleeps of a millisecond ended."""
    swap_used_mb: float | None
    gpu_processes: tuple[str, ...] | None
    """Who computes on the GPUs, as the driver's tool says; None without one."""

    def remarks(self) -> list[str]:
        """Return what is worth a look before times are compared."""
        found = []
        slow = [name for name in self.governors if name != "performance"]
        if slow:
            found.append(
                f"the cores' governor is {', '.join(slow)}; set it to performance: "
                "cpupower frequency-set -g performance"
            )
        if self.load_1min > 0.5 * self.cores:
            found.append(
                f"load {self.load_1min:.1f} on {self.cores} cores; something else is running"
            )
        if self.overshoot_ms > 2.0:
            found.append(
                f"a sleep of 1 ms took up to {1.0 + self.overshoot_ms:.1f} ms; the cores are shared or busy"
            )
        if self.swap_used_mb:
            found.append(f"{self.swap_used_mb:.0f} MB are swapped out; memory was short")
        if self.gpu_processes:
            found.append(f"other GPU processes: {', '.join(self.gpu_processes)}; end them first")
        return found


def measure() -> Noise:
    """Look at the machine; takes about a fifth of a second."""
    return Noise(
        governors=_governors(),
        load_1min=round(os.getloadavg()[0], 2),
        cores=len(os.sched_getaffinity(0)),
        overshoot_ms=round(_overshoot_ms(), 3),
        swap_used_mb=_swap_used_mb(),
        gpu_processes=_gpu_processes(),
    )


def _governors() -> tuple[str, ...]:
    files = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return tuple(sorted({file.read_text().strip() for file in files}))


def _overshoot_ms() -> float:
    late = []
    for _ in range(SLEEPS):
        before = now_s()
        sleep(SLEEP_S)
        late.append(now_s() - before - SLEEP_S)
    return sorted(late)[SLEEPS - 2] * 1e3


def _swap_used_mb() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    sizes = {line.split(":")[0]: line.split()[1] for line in lines if ":" in line}
    if "SwapTotal" not in sizes:
        return None
    return (int(sizes["SwapTotal"]) - int(sizes["SwapFree"])) / 1e3


def _gpu_processes() -> tuple[str, ...] | None:
    program = shutil.which("nvidia-smi", path="/usr/bin:/usr/local/bin")
    if program is None:
        return None
    asked = ["--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader"]
    try:
        said = subprocess.run(
            [program, *asked], capture_output=True, text=True, timeout=LISTING_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return tuple(line.strip() for line in said.stdout.splitlines() if line.strip())
