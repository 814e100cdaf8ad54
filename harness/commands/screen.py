"""The console that every command prints on.

NO_COLOR, set to anything, means that no escape sequence is printed at all, bold and dim included; rich alone
would leave those. A pipe, a file and TERM=dumb get none either.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def plain() -> bool:
    """Return whether the user asked for no escape sequences, or the terminal knows none."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "").lower() in (
        "dumb",
        "unknown",
    )


def screen(*, width: int | None = None, to_file: bool = False) -> Console:
    """Return a console on standard output that takes words as they are; for a file, one without colours."""
    from rich.console import Console

    return Console(
        file=io.StringIO() if to_file else None,
        width=width,
        force_terminal=False if to_file else None,
        highlight=False,
        markup=False,
        emoji=False,
        color_system=None if plain() else "auto",
    )
