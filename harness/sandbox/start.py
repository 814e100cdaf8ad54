"""What a submission's process starts with: its environment variables, and folders that are its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.sandbox.programs import PATH
from harness.sandbox.sight import DEVICES


def environment(home: Path, temporary: Path, passed: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of a submission's process.

    `passed` holds the few variables of the machine that the judge hands on (GPU visibility, library paths).
    Compile caches live under the phase's own TMPDIR: they start empty and go with it.
    """
    return {
        **passed,
        "PATH": PATH,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "USER": "submission",
        "LOGNAME": "submission",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "XDG_CACHE_HOME": str(temporary / "cache"),
        "TORCHINDUCTOR_CACHE_DIR": str(temporary / "inductor"),
        "TRITON_CACHE_DIR": str(temporary / "triton"),
        "CUDA_CACHE_PATH": str(temporary / "cuda"),
    }


def touch_devices(gpus: Iterable[Path]) -> None:
    """Set the times of the device files that cells see to now, as anybody may who would leave a number."""
    for path in (*(Path("/dev") / name for name in (*DEVICES, "tty")), *gpus):
        with contextlib.suppress(OSError):
            os.utime(path)


def own_folder(folder: Path, policy: Mapping[str, Any]) -> None:
    """Give a folder and all in it to the cell's user, closed to every other; links are not followed.

    Does nothing where the cell has no user of its own.
    """
    user = policy["cell"]["user"]
    if user is None:
        return
    for place, folders, files in os.walk(folder):
        os.chown(place, user, user, follow_symlinks=False)
        for name in (*folders, *files):
            os.chown(os.path.join(place, name), user, user, follow_symlinks=False)  # noqa: PTH118
    folder.chmod(0o700)
