"""In which line of submission.toml something stands, for what refers to it; 0 where that cannot be told.

By the text alone: the readers of TOML keep no lines. A table written in an unusual way is not found, and the
file then stands for itself.
"""

from __future__ import annotations

import re

_AT = re.compile(r"at `\$\.?([^`]*)`")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")
_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_FIELD = re.compile(
    r"(?<![\w.])((?:train|score|artifact)\.[a-z_]+|package|name|schema|authors|summary)\b"
)
MAX_CHARACTERS = 2_000
"""Of a sentence that are looked at: it may quote what somebody wrote."""
_QUOTED = re.compile(r"'([^']{1,255})'")


def line_of(text: str, field: str) -> int:
    """Return the line, from 1, of a dotted field such as "score.predict", or of its table; 0 for neither."""
    *tables, key = field.split(".")
    wanted, here, header = ".".join(tables), "", 0
    for number, line in enumerate(text.split("\n"), 1):
        table = _table(line)
        if table is not None:
            here = table
            if here in (wanted, field):
                header = header or number
            if here == field:
                return number
        elif here == wanted and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
        elif not here and tables and re.match(rf"\s*{re.escape(field)}\s*=", line):
            return number  # score.block_tokens = 1, at the top
        elif not here and tables and re.match(rf"\s*{re.escape(tables[0])}\s*=\s*\{{", line):
            header = header or number  # an inline table
    return header


def line_in(text: str, problem: str) -> int:
    """Return the line that a sentence about the manifest is about, from 1; 0 where that cannot be told."""
    problem = problem[:MAX_CHARACTERS]
    said = _LINE.search(problem)
    if said:
        return min(int(said[1]), text.count("\n") + 1)
    at, unknown = _AT.search(problem), _UNKNOWN.search(problem)
    path = re.sub(r"\[[^\]]*\]", "", at[1]) if at else ""
    if unknown:
        return line_of(text, f"{path}.{unknown[1]}".lstrip("."))
    if path:
        return line_of(text, path)
    field = _FIELD.search(problem)
    if field is None:
        return 0
    first = line_of(text, field[1])
    return _quoted_below(text, first, problem[field.end() :]) or first


def _table(line: str) -> str | None:
    """Return the name of the table that a line begins, or None where it begins none."""
    inside, closed, rest = line.strip().removeprefix("[").partition("]")
    if not line.lstrip().startswith("[") or not closed or rest.strip()[:1] not in ("", "#"):
        return None
    return "".join(inside.split()).replace('"', "").replace("'", "")


def _quoted_below(text: str, first: int, problem: str) -> int:
    """Return the line, from `first` on, that has the first name quoted in a sentence; 0 where none has."""
    quoted = _QUOTED.search(problem)
    if quoted is None or not first:
        return 0
    for number, line in enumerate(text.split("\n")[first - 1 :], first):
        if number > first and _table(line) is not None:
            return 0
        if f'"{quoted[1]}"' in line or f"'{quoted[1]}'" in line:
            return number
    return 0
