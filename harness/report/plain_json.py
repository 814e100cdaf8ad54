"""Records as JSON that every reader takes: sorted keys, UTF-8, no NaN, no halves of surrogate pairs."""

from __future__ import annotations

import math
from typing import Any

import msgspec


def encode(record: msgspec.Struct) -> bytes:
    """Return a record as JSON: keys sorted, two spaces, a line feed at the end.

    Halves of surrogate pairs, which names of files may hold and UTF-8 may not, appear as their escapes.
    Raises ValueError for NaN and infinity, which JSON cannot hold.
    """
    plain = msgspec.to_builtins(record, order="sorted")
    refuse_what_json_cannot_hold(plain)
    try:
        text = msgspec.json.encode(plain)
    except UnicodeEncodeError:
        text = msgspec.json.encode(_escaped(plain))
    return msgspec.json.format(text, indent=2) + b"\n"


def refuse_what_json_cannot_hold(value: Any) -> None:
    """Raise ValueError for a NaN or an infinity anywhere in builtin values."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} in a record; a reader let it through")
    inner = (
        value.values()
        if isinstance(value, dict)
        else value
        if isinstance(value, list | tuple)
        else ()
    )
    for item in inner:
        refuse_what_json_cannot_hold(item)


def for_log(text: str) -> str:
    """Return JSON with the same values in which no string is a command to the runner of a CI job.

    Those look for ##[ and ##vso[ anywhere in a line of standard output; JSON has ## inside strings alone.
    """
    return text.replace("##", r"#\u0023")


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list | tuple) else value
