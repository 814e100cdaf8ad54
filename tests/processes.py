"""Which processes carry a marker: how tests find what a killed tree left behind."""

from __future__ import annotations

import os
from pathlib import Path

from harness.clock import Deadline, sleep


def carrying(marker: str) -> list[int]:
    """Return the living processes whose environment or command line holds `marker`, this one excepted."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                # A zombie has neither.
                said = b"".join(
                    Path(f"/proc/{name}/{file}").read_bytes() for file in ("environ", "cmdline")
                )
            except OSError:
                continue
            if marker.encode() in said:
                found.append(int(name))
    return found


def all_gone(marker: str, *, in_s: float = 10.0) -> bool:
    """Wait until no process carries `marker`; return whether that came to pass."""
    patience = Deadline(in_s)
    while carrying(marker):
        if patience.passed:
            return False
        sleep(0.01)
    return True


def appear(marker: str, count: int, *, in_s: float = 10.0) -> bool:
    """Wait until at least `count` processes carry `marker`; return whether that came to pass."""
    patience = Deadline(in_s)
    while len(carrying(marker)) < count:
        if patience.passed:
            return False
        sleep(0.01)
    return True
