"""A JSON file as a flat list of its values, each with its path, its digits as written and its line.

`submission.json` is written by hand: byte order marks, comments, commas after the last value, words before
and after the braces. What strict JSON refuses is read again with those taken away, and `error` says so.
Nothing raises for what a file holds; depth, size and number of values are bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from harness.audit.text import decimals, decode

MAX_BYTES = 1 << 20
MAX_VALUES = 20_000
MAX_DEPTH = 32
MAX_ITEMS = 10_000
"""Of one list of plain values."""

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\[^\n])*+"|[{}\[\],:]|[^\s{}\[\],:"]+|\n')
# An unclosed string ends with its line: it is matched once, not tried again from each quote in it.
_COMMENT = re.compile(r'("(?:[^"\\\n]|\\[^\n])*+"?)|//[^\n]*|/\*(?:[^*]|\*(?!/))*+(?:\*/)?')
_TRAILING = re.compile(r'("(?:[^"\\\n]|\\[^\n])*+"?)|,(?=\s*[}\]])')


@dataclass(frozen=True, slots=True)
class Entry:
    """One value that is no object: a number, a word, true, false, null, or a list of those.

    `path` has the keys that lead to it; objects of a list are numbered. `digits` counts the decimals of a
    number as written. `replaced` says that the same key is given again further down: every parser takes
    the last one.
    """

    path: tuple[str, ...]
    value: Any
    digits: int
    line: int
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class JsonFile:
    """What was read.

    `strict` says whether JSON's own rules allow the file, `error` what they object to, or what was left out;
    `mended` that something had to be taken away to read it, so that nobody else's reader would agree on what
    it says.
    """

    entries: tuple[Entry, ...]
    strict: bool
    error: str = ""
    mended: bool = False


class Decimal(float):
    """A number that remembers how many decimals it was written with."""

    __slots__ = ("digits",)
    digits: int


class _Pair(tuple[str, Any]):
    """A key and its value; objects are lists of these, so that a key given twice is seen twice."""

    __slots__ = ()


class _NoObject(list[Any]):
    """An object without keys, which is no list either."""


def read_json(data: bytes) -> JsonFile:
    """Return the values of a file, or none and why."""
    if len(data) > MAX_BYTES:
        return JsonFile((), False, f"larger than {MAX_BYTES:,} bytes; not read")
    text, encoding = decode(data)
    tree, error = _parse(text)
    if not error and encoding != "utf-8":
        error = f"the file is {encoding}; JSON is UTF-8 without a byte order mark"
    strict, mended = not error, False
    if tree is None:
        mended = True
        begin, end = text.find("{"), text.rfind("}") + 1
        # Lines are counted in what is parsed, so what is taken away leaves its lines behind.
        text = "\n" * text.count("\n", 0, max(begin, 0)) + text[max(begin, 0) : end]
        text = _COMMENT.sub(lambda m: m[1] or "\n" * m[0].count("\n"), text)
        text = _TRAILING.sub(lambda m: m[1] or "", text)
        tree, second = _parse(text)
        if tree is None:
            return JsonFile((), False, error or second)
    if not _is_object(tree) and not isinstance(tree, _NoObject):
        return JsonFile((), False, error or "the file holds no object at its top")
    entries, complete = _flatten(tree, _key_lines(text))
    if not complete:
        error = error or f"more than {MAX_VALUES:,} values or {MAX_DEPTH} levels; not all are read"
    return JsonFile(tuple(_marked(entries)), strict, error, mended)


def _parse(text: str) -> tuple[Any, str]:
    """Return the tree, or None; and what strict JSON objects to."""
    words: list[str] = []
    try:
        tree = json.loads(
            text,
            object_pairs_hook=lambda pairs: [_Pair(pair) for pair in pairs] or _NoObject(),
            parse_float=decimal,
            parse_int=lambda digits: int(digits) if len(digits) <= 30 else None,
            parse_constant=words.append,
        )
    except (ValueError, RecursionError) as error:
        return None, str(error) or type(error).__name__
    return tree, f"{words[0]} is no number of JSON" if words else ""


def decimal(text: str) -> Decimal:
    """Return a number with its decimals as written; ValueError where it is none."""
    value = Decimal(text)
    value.digits = decimals(text)
    return value


def _flatten(tree: list[Any], lines: list[int]) -> tuple[list[Entry], bool]:
    """Return the values and whether they are all.

    Every key is walked, kept or not, so that keys and lines stay in step.
    """
    found: list[Entry] = []
    complete = True
    number = -1
    stack: list[tuple[Iterator[Any], tuple[str, ...]]] = [(iter(tree), ())]
    while stack:
        items, path = stack[-1]
        item = next(items, None)
        if item is None:
            stack.pop()
            continue
        here, value = path, item
        if isinstance(item, _Pair):
            number += 1
            here = (*path, _shown(item[0])) if len(path) <= MAX_DEPTH else path
            value = item[1]
            # A key of an object has no value of its own, but an entry, for those who look for the key.
            keep = len(found) < MAX_VALUES and len(here) <= MAX_DEPTH
            complete = complete and keep
            if keep:
                line = lines[number] if number < len(lines) else 0
                found.append(Entry(here, _plain(value), getattr(value, "digits", 0), line))
        if _is_object(value):
            stack.append((iter(value), here))
        elif isinstance(value, list) and any(isinstance(inner, list) for inner in value):
            # None ends an iteration; plain values of a list with objects in it are nobody's.
            inside = [(f"#{i}", inner) for i, inner in enumerate(value) if isinstance(inner, list)]
            stack.extend(
                (iter(inner if _is_object(inner) else [inner]), (*here, name)[: MAX_DEPTH + 1])
                for name, inner in reversed(inside)
                if inner
            )
    return found, complete


def _marked(entries: list[Entry]) -> list[Entry]:
    """Return the values, those marked whose key, or an object around them, is given again further down."""
    later: set[tuple[str, ...]] = set()
    found = []
    for entry in reversed(entries):
        path = entry.path
        # The key of an object stands before what lies in it, so one that was seen is another of that name.
        again = any(path[:length] in later for length in range(1, len(path) + 1))
        found.append(replace(entry, replaced=True) if again else entry)
        later.add(path)
    return found[::-1]


def _is_object(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], _Pair)


def _plain(value: Any) -> Any:
    """Return a value that is no object; infinite numbers, and lists within lists, as None."""
    if isinstance(value, list):
        if _is_object(value) or any(isinstance(item, list) for item in value):
            return None
        # In a list each number keeps its decimals; a single one has them in its entry.
        return [item if _is_finite(item) else _plain(item) for item in value[:MAX_ITEMS]]
    if isinstance(value, float):
        return float(value) if _is_finite(value) else None
    return _shown(value) if isinstance(value, str) else value


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and abs(value) < 1e300


def _shown(text: str) -> str:
    """Return a text that can be written again: half of a surrogate pair cannot."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _key_lines(text: str) -> list[int]:
    """Return the line of each key; they stand in the text in the order of the tree."""
    lines: list[int] = []
    line = 1
    last = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            line += 1
        elif token == ":" and last:
            lines.append(last)
            last = 0
        else:
            last = line if token[0] == '"' else 0
    return lines
