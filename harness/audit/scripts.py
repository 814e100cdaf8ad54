"""A record's scripts, read and handed to the advisory look; what they hold is never run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from checks.published import Value
from harness.audit.folder import read_start
from harness.audit.model import SourceNote
from harness.audit.source import look

MAX_BYTES = 8 << 20
"""Of a script; a longer one is no script, and is cut there."""

_READ = re.compile(r"\.(?:py|c|cc|cpp|cu|h|cuh)$", re.I)


def look_at(
    folder: Path, scripts: Sequence[Value[int]]
) -> tuple[tuple[SourceNote, ...], tuple[Value[str], ...]]:
    """Return the notes on a folder's scripts, and a sentence for each that could not be looked at."""
    read = [
        (s.file, read_start(folder / s.file, MAX_BYTES)) for s in scripts if _READ.search(s.file)
    ]
    found = look([(name, data) for name, data in read if data is not None])
    lost = [Value("cannot be read", name, 0) for name, data in read if data is None]
    notes = tuple(
        SourceNote(
            id=one.note.id,
            file=one.file,
            layer="" if one.layer == one.file else one.layer,
            line=one.note.line,
            text=one.note.text,
            message=one.note.message,
            behind=one.note.behind,
        )
        for one in found.notes
    )
    return notes, (*lost, *(Value(said, ".", 0) for said in found.unread))
