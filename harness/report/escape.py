r"""Untrusted text made harmless, visibly: one function a destination.

Names, messages and evidence carry words of the submission. Nothing is dropped: a character that would act
instead of being read (a terminal escape, a direction mark, a NUL) appears as its Python escape, `\x1b`,
so that a reader sees that it was there. Cutting says how long the text was.

Does not catch: letters that merely look like others (Cyrillic a for Latin a).
"""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby

_ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of characters that act: controls, format marks, lone surrogates, line separators."""

_STACK = 4
"""Combining marks allowed on one letter; Thai and Vietnamese need at most three."""

_DOUBLED = re.compile(r"[:#](?=[:#])")
"""What runners of CI look for on standard output: ::error::, ##[error], ##vso[, ##teamcity[."""

_SAID = 40
"""Characters kept from which a cut also says how long the text was; labels are too short for that."""

_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

_HTML = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;", "`": "&#x60;"}
)


def for_terminal(text: str, limit: int | None = None) -> str:
    """Return `text` as one line for a terminal or the log of a CI job.

    No character of the result moves a cursor, changes a colour or turns the direction of writing, and no
    part of it, wherever it is wrapped, reads as a command to a CI runner. `limit` is in characters.
    """
    return _DOUBLED.sub(lambda match: _escaped(match.group()), visible(text, limit))


def for_html(text: str, limit: int | None = None) -> str:
    """Return `text` for element content and for quoted attribute values of HTML and SVG.

    `limit` is in characters of the text, before any of them becomes an entity.
    """
    return visible(text, limit).translate(_HTML)


def visible(text: str, limit: int | None = None) -> str:
    """Return `text` with every acting character written as an escape, cut after `limit` characters.

    The result holds no control, format mark, surrogate or line break, and no letter carries more than
    four combining marks, beyond which they would cover the lines around them.
    """
    kept = text if limit is None or len(text) <= limit else text[: max(limit, 0)]
    # Most text is plain: it is returned as it came, without a look at each character.
    safe = kept if kept.isascii() and kept.isprintable() else _neutralised(kept)
    if len(kept) == len(text):
        return safe
    return f"{safe}… ({len(text):,} characters)" if len(kept) >= _SAID else f"{safe}…"


def _neutralised(text: str) -> str:
    parts = []
    for stacked, run in groupby(text, _combines):
        letters = list(run)
        if stacked:
            parts += letters[:_STACK]
            parts += [_escaped(letter) for letter in letters[_STACK:]]
        else:
            parts += [_NAMED.get(c) or (_escaped(c) if _acts(c) else c) for c in letters]
    return "".join(parts)


def _combines(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me")


def _acts(character: str) -> bool:
    return unicodedata.category(character) in _ACTING


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
