"""Where a submission's programs are looked for, and the one that a command names."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import ManifestError

PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
"""The submission's PATH: the judge's own interpreter first, so that `python` means that one."""


def resolve(command: Sequence[str], cwd: Path) -> list[str]:
    """Return the command with its program as an absolute path.

    Raises ManifestError where there is no such program.
    """
    program = command[0]
    if "/" in program:
        found = str(cwd / program) if (cwd / program).is_file() else None
    else:
        found = shutil.which(program, path=PATH)
    if found is None:
        raise ManifestError(
            f"command {program!r}: no such program; `python` is the judge's interpreter"
        )
    return [found, *command[1:]]
