"""JSON of any shape as values with their lines, and what is nearly JSON."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.audit import json_lines
from harness.audit.json_lines import MAX_BYTES, Entry, JsonFile, read_json

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["val_bpb", "a", "//", "/*", ",}", "seeds"]
)
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | KEYS
)
TREES = st.recursive(
    PLAIN | st.lists(PLAIN, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(st.tuples(KEYS, inner), max_size=4).map(tuple)
    ),
    max_leaves=12,
)
"""Objects are tuples of pairs here, so that a key may come twice."""
OBJECTS = st.lists(st.tuples(KEYS, TREES), max_size=5).map(tuple)


class Printer:
    """Writes a tree with line breaks where it is told, and notes each key's line: a slow oracle."""

    def __init__(self, breaks: list[bool]) -> None:
        self.breaks = breaks
        self.line = 1
        self.entries: list[tuple[tuple[str, ...], Any, int]] = []

    def gap(self) -> str:
        if self.breaks and self.breaks.pop():
            self.line += 1
            return "\n"
        return ""

    def text(self, value: Any, path: tuple[str, ...]) -> str:
        if isinstance(value, tuple):
            first, parts = self.gap(), []
            for key, inner in value:
                before = self.gap()
                here, line = (*path, key), self.line
                self.entries.append((here, self.plain(inner), line))
                colon = f"{self.gap()}:{self.gap()}"
                parts.append(
                    f"{before}{json.dumps(key)}{colon}{self.text(inner, here)}{self.gap()}"
                )
            return "{" + first + ",".join(parts) + "}"
        if isinstance(value, list):
            parts = [self.gap() + self.text(item, (*path, f"#{i}")) for i, item in enumerate(value)]
            return "[" + ",".join(parts) + self.gap() + "]"
        return json.dumps(value)

    @staticmethod
    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return None if value else []
        if isinstance(value, list):
            return None if any(isinstance(item, list | tuple) for item in value) else value
        return value


def values(read: JsonFile) -> list[tuple[tuple[str, ...], Any, int]]:
    return [(entry.path, entry.value, entry.line) for entry in read.entries]


@given(data=st.binary(max_size=400) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read = read_json(data)
    assert read.strict or read.error
    for entry in read.entries:
        assert 0 < entry.line <= data.count(b"\n") + 1
        assert entry.digits >= 0


@given(tree=OBJECTS, breaks=st.lists(st.booleans(), max_size=60))
def test_each_key_has_its_line(tree: tuple[Any, ...], breaks: list[bool]) -> None:
    printer = Printer(breaks)
    read = read_json(printer.text(tree, ()).encode())
    assert read == JsonFile(read.entries, strict=True)
    assert values(read) == printer.entries


@given(tree=OBJECTS, breaks=st.lists(st.booleans(), max_size=60), lead=st.integers(0, 3))
def test_lines_are_the_same_in_what_had_to_be_mended(
    tree: tuple[Any, ...], breaks: list[bool], lead: int
) -> None:
    assume(tree)
    printer = Printer(breaks)
    printer.line += lead + 1
    body = printer.text(tree, ())
    comment = '// "a": 1\n' + "\n" * lead
    read = read_json(f"{comment}{body[:-1]},}}\nEOF".encode())
    assert (read.strict, read.mended) == (False, True)
    assert values(read) == printer.entries


@given(tree=OBJECTS.filter(bool))
def test_a_byte_order_mark_is_an_error_that_hides_nothing(tree: tuple[Any, ...]) -> None:
    printer = Printer([])
    read = read_json(printer.text(tree, ()).encode("utf-8-sig"))
    assert not read.strict
    assert not read.mended
    assert "byte order mark" in read.error
    assert values(read) == printer.entries


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("1.08120", 5),
        ("1", 0),
        ("-0.50", 2),
        ("1.5e-3", 4),
        ("10956e-4", 4),
        ("1.0956e1", 3),
        ("1e-999999999999", 400),
        ("12e3", 0),
        ("1.0812345678901234567", 19),
    ],
)
def test_decimals_are_counted_as_written(text: str, digits: int) -> None:
    assert read_json(f'{{"a": {text}}}'.encode()).entries == (
        Entry(("a",), float(text), digits, 1),
    )


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_for_numbers_are_no_json_and_no_numbers(word: str) -> None:
    read = read_json(f'{{"val_bpb": {word}, "b": 2}}'.encode())
    assert (read.strict, read.mended, read.error) == (False, False, f"{word} is no number of JSON")
    assert values(read) == [(("val_bpb",), None, 1), (("b",), 2, 1)]


@pytest.mark.parametrize("text", ["1e999", "-1e999", "9" * 40, "[1e999]", "1.5e308"])
def test_numbers_beyond_all_use_are_none(text: str) -> None:
    value = read_json(f'{{"a": {text}}}'.encode()).entries[0].value
    assert value in (None, [None])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ('{"a": 1, /* "b": 2, */ "c": "// no comment"}', [("a", 1), ("c", "// no comment")]),
        ('{"a": ",}", "b": [1, 2,],}', [("a", ",}"), ("b", [1, 2])]),
        ("cat > submission.json <<'EOF'\n{\"a\": 1}\nEOF\n", [("a", 1)]),
        ('{"a": 1} // it is done', [("a", 1)]),
        ('{"a": 1, "a": 2}', [("a", 1), ("a", 2)]),
    ],
)
def test_what_is_nearly_json_is_read(data: str, found: list[tuple[str, Any]]) -> None:
    assert [(entry.path[0], entry.value) for entry in read_json(data.encode()).entries] == found


def test_a_comment_leaves_its_lines_behind() -> None:
    data = b'{"a": 1, // "x": 2,\n/* "y": 3,\n\n*/ "b": "// no comment",\n"c": 4}'
    assert values(read_json(data)) == [(("a",), 1, 1), (("b",), "// no comment", 4), (("c",), 4, 5)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[1]",
        b"null",
        b'"a"',
        b"{",
        b"}{",
        b'{"a"',
        b"\xff\xfe",
        b"// {",
        b'{"a": 01}',
        b"{'a': 1}",
    ],
)
def test_what_is_none_says_why(data: bytes) -> None:
    read = read_json(data)
    assert not read.strict
    assert read.error
    assert read.entries == ()


def test_half_a_surrogate_pair_can_be_written_again() -> None:
    for entry in read_json(rb'{"\ud800": "\udc00", "b": ["\ud800"]}').entries:
        said = f"{entry.path}{entry.value}".encode()
        assert b"?" in said


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":'])
@pytest.mark.parametrize("depth", [40, 450, 100_000])
def test_depth_is_bounded_and_what_follows_keeps_its_line(opening: str, depth: int) -> None:
    closing = opening.replace("[", "]").replace('{"a":', "}")[::-1]
    data = '{"deep": ' + opening * depth + "1" + closing * depth + ',\n"val_bpb": 1.08}'
    read = read_json(data.encode())
    if depth > 450:
        assert read.error
        return
    assert read.entries[-1] == Entry(("val_bpb",), 1.08, 2, 2)
    assert max(len(entry.path) for entry in read.entries) <= json_lines.MAX_DEPTH


@pytest.mark.parametrize(
    "data",
    [
        b"{" + b",".join(b'"%d":1' % n for n in range(1_000_000)) + b"}",
        b"{" + b",".join(b'"%d":1' % n for n in range(95_000)) + b"}",
        b'{"a":[' + b"{}," * 100_000 + b"{}]}",
        b'{"a":[' + b"1," * 500_000 + b"1]}",
        b'{"a":[' + b'{"b":1},' * 60_000 + b"1]}",
    ],
    ids=["too large", "many keys", "many empty objects", "a long list", "many objects"],
)
def test_much_is_cut_or_refused(data: bytes) -> None:
    tracemalloc.start()
    try:
        read = read_json(data)
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()
    assert len(read.entries) <= json_lines.MAX_VALUES
    if len(data) > MAX_BYTES:
        assert read == JsonFile((), strict=False, error="larger than 1,048,576 bytes; not read")
    elif b'"b"' in data or b'"9"' in data:
        assert "not all are read" in read.error


@pytest.mark.parametrize(
    "junk", ["/*", "//", '"', '\\"', '"\\', "/* *", ", ", ",\n", "{", "[", " ", "\n", '"a":', "*/"]
)
def test_junk_beside_the_object_takes_time_in_proportion(junk: str) -> None:
    """Each would take minutes where a pattern went over it once for each of its beginnings."""
    for data in ('{"a": 1,}' + junk * 200_000, junk * 200_000 + '{"a": 1,}'):
        read_json(data.encode()[: MAX_BYTES - 1])
