"""What the run ran on: processor, memory, GPUs, versions; None where it was not found, never zero.

Read from /proc and from package metadata: nothing is imported, nothing started.
"""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from harness.report.model import Machine

PACKAGES = ("numpy", "torch", "brotli", "sentencepiece", "scipy", "msgspec")


def describe() -> Machine:
    """Return the facts of this machine."""
    memory = memory_bytes()
    return Machine(
        system=f"{platform.system()} {platform.release()}",
        cpu=_cpu(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=None if memory is None else round(memory / 1e9, 1),
        gpus=_gpus(),
        python=platform.python_version(),
        packages=_versions(),
    )


def memory_bytes() -> int | None:
    """Return the machine's memory in bytes, or None."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _cpu() -> str | None:
    return _field(Path("/proc/cpuinfo"), "model name")


def _gpus() -> tuple[str, ...]:
    # The driver's own listing; reading it needs neither NVML nor a context on the device.
    found = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return tuple(_field(path, "Model") or "NVIDIA GPU, model not stated" for path in found)


def _field(path: Path, name: str) -> str | None:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == name and value.strip():
            return value.strip()
    return None


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
