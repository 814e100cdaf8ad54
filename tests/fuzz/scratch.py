"""A folder for what targets write: made on first use, deleted with the process."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path


@cache
def _made() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fuzz-", ignore_cleanup_errors=True)


def scratch() -> Path:
    """Return the folder."""
    return Path(_made().name)
