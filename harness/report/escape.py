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


_MARKUP = re.compile(
    r"""
    (?P<late> @ | \$ | \#(?=\d) | (?<=gh)-(?=\d) | (?<=www)\. | :(?=//) | :(?=(?!\d+:)[\w+-]+:|100:|1234:) )
    | (?P<commit> \b(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{7,40}\b )
    | (?P<early> [\\`*_\[\]#|<>~&] )
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What GitHub's Markdown acts on: `early` while it parses, which a backslash stops; `late` in the text that
comes out of it, where no backslash is left: mentions and addresses, formulas, issues (#1, GH-1), www.,
https:, :shortcodes: (of numbers, :100: and :1234: are some); and 7 to 40 hexadecimal digits, some of them
letters, which may be the id of a `commit`, of which each half could be one too."""

_LINE_START = re.compile(r"[-+=:](?![^\W_])|\d{1,9}(?=[.)](?:\s|$))|[ ]")
"""What may begin a list, a heading's underline, a table's rule, a line of code, or a command to a runner."""


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


def for_markdown(text: str, limit: int | None = None) -> str:
    """Return `text` as one line of GitHub's Markdown that shows exactly it, wherever it stands.

    It becomes no link, mention, reference, image, element, heading, list, table, code, formula or emoji. What
    is looked for after the parsing is taken out of its word by a <span>, as GitHub advises for its formulas:
    a backslash before @ does not keep anybody from being notified (github/markup, issue 1168). What may be
    the id of a commit is shown as code, which is not looked at. `limit` is in characters of the text; one of
    them becomes up to 14 bytes.
    """
    shown = _MARKUP.sub(_unmarked, visible(text, limit))
    start = _LINE_START.match(shown)
    if start is None:
        return shown
    begun, rest = start.group(), shown[start.end() :]
    if begun == " ":
        return f"&#32;{rest}"
    return f"{begun}\\{rest}" if begun.isdigit() else f"\\{begun}{rest}"


def _unmarked(match: re.Match[str]) -> str:
    found = match.group()
    if match["commit"]:
        return f"<code>{found}</code>"
    return f"<span>{found}</span>" if match["late"] else f"\\{found}"


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
