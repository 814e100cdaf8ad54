"""Files of any bytes as lines: encodings, progress bars, terminals, and what is no text or too much of it."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from harness.audit import text
from harness.audit.text import LINE_CHARACTERS, LogText, decode, read

LINES = st.lists(
    st.text(
        st.characters(
            exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="\u200b\ufeff"
        ),
        max_size=30,
    ),
    max_size=8,
)
on_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(folder: Path, data: bytes, name: str = "train.log") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def of_bytes(data: bytes) -> LogText:
    return LogText(data, "utf-8", len(data))


@on_tmp_path
@given(data=st.binary(max_size=2000))
def test_any_bytes_are_lines_or_a_problem(tmp_path: Path, data: bytes) -> None:
    found = read(written(tmp_path, data))
    lines = list(found.numbered())
    assert found.size_bytes == len(data)
    assert not (lines and found.problem)
    assert sum(len(line) for _, line in lines) <= len(data)
    assert [number for number, _ in lines] == sorted(number for number, _ in lines)
    assert not any(re.search(r"[\x00-\x08\n\r\x1b\x7f\ufeff]", line) for _, line in lines)


@on_tmp_path
@given(
    lines=LINES,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    closed=st.booleans(),
)
def test_lines_come_back_with_their_numbers(
    tmp_path: Path, lines: list[str], encoding: str, ending: str, closed: bool
) -> None:
    data = (ending.join(lines) + ending * closed).encode(encoding)
    found = read(written(tmp_path, data))
    assert found.encoding == (encoding if data else "utf-8")
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert [(n, line) for n, line in found.numbered() if line] == [
        (n, line) for n, line in enumerate(lines, 1) if line
    ]


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be"])
def test_wide_text_is_known_without_a_mark(tmp_path: Path, name: str) -> None:
    found = read(written(tmp_path, "seed: 42\nval_bpb: 1.08\n".encode(name)))
    assert found.encoding == name
    assert list(found.numbered()) == [(1, "seed: 42"), (2, "val_bpb: 1.08")]


def test_the_byte_order_of_wide_text_is_that_of_its_mark() -> None:
    assert decode(codecs.BOM_UTF16_BE + "né".encode("utf-16-be")) == ("né", "utf-16")


def test_bytes_of_another_encoding_are_replaced_and_said(tmp_path: Path) -> None:
    found = read(written(tmp_path, "durée\nval_bpb: 1.08\n".encode("latin-1")))
    assert found.encoding == "utf-8, with errors"
    assert list(found.numbered()) == [(1, "dur\ufffde"), (2, "val_bpb: 1.08")]


@pytest.mark.parametrize(
    ("line", "states"),
    [
        ("10%\r50%\r100% done", ["10%", "50%", "100% done"]),
        ("\x1b[32mval_bpb\x1b[0m: 1.\x1b[1m08\x1b[0m", ["val_bpb: 1.08"]),
        ("val\x1b[m\x1b[K_bpb: 1", ["val_bpb: 1"]),
        ("10%\x1b[1G50%\x1b[2A60%", ["10%", "50%", "60%"]),
        ("\x1b]0;title\x07seed: 1", ["seed: 1"]),
        ("\x1b]8;;http://x\x1b\\seed\x1b]8;;\x1b\\: 1", ["seed: 1"]),
        ("\ufeffseed\u200b: 1\x00", ["seed: 1"]),
        ("a\tb", ["a\tb"]),
    ],
)
def test_of_a_terminal_what_it_shows_is_read(line: str, states: list[str]) -> None:
    found = list(of_bytes(f"first\n{line}\nlast\n".encode()).numbered())
    assert found == [(1, "first"), *((2, state) for state in states), (3, "last")]


def test_of_a_long_progress_bar_each_state_is_read_to_a_length() -> None:
    bar = "\r".join(f"{percent}%" + "#" * 100 for percent in range(100))
    found = list(of_bytes(f"{bar}\rval_bpb: 1.08\n{'x' * 9000}\n".encode()).numbered())
    assert len(found) == 102
    assert found[100] == (1, "val_bpb: 1.08")
    assert found[101] == (2, "x" * LINE_CHARACTERS)


@pytest.mark.parametrize(
    "data",
    [bytes(range(256)) * 300, b"\0" * 70_000, os.urandom(70_000), b"\x7fELF\2\1\1" + b"\0\1" * 900],
    ids=["all bytes", "zeros", "noise", "program"],
)
def test_what_is_no_text_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    found = read(written(tmp_path, data))
    assert found.problem == "not text: too many control characters"
    assert list(found.numbered()) == []


@on_tmp_path
@given(
    lines=LINES.filter(lambda lines: sum(map(len, lines)) > 3),
    wide=st.booleans(),
    window=st.integers(8, 64),
)
@example(lines=["né" * 20], wide=False, window=9)
@example(lines=["abcd", "efgh", "ijkl"], wide=True, window=16)
def test_of_a_long_file_whole_lines_of_both_ends_are_read(
    tmp_path: Path, lines: list[str], wide: bool, window: int
) -> None:
    data = "".join(f"{line}\n" for line in lines).encode("utf-16" if wide else "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "WINDOW_BYTES", window)
        found = read(written(tmp_path, data))
    if found.problem:
        return  # short windows of odd characters may look like no text
    assert found.skipped_bytes == max(0, len(data) - 2 * window)
    assert bool(found.skipped_bytes) == (found.sha256 == "")
    assert not found.encoding.endswith("errors")
    for number, line in found.numbered():
        if found.encoding == ("utf-16" if wide else "utf-8") and not line.count("\ufffd"):
            assert line == [*lines, None][number - 1 if number > 0 else len(lines) + number]


def test_the_lines_of_an_end_count_from_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "WINDOW_BYTES", 20)
    found = read(written(tmp_path, b"".join(b"line %04d\n" % n for n in range(100))))
    assert list(found.numbered()) == [(1, "line 0000"), (2, "line 0001"), (-1, "line 0099")]
    assert found.skipped_bytes == 960


def test_two_gigabytes_cost_no_more_than_two_windows(tmp_path: Path) -> None:
    path = written(tmp_path, b"seed: 42\n" * 1000)
    os.truncate(path, 2 << 30)
    with path.open("r+b") as file:
        file.seek((2 << 30) - 30)
        file.write(b"\nfinal val_bpb: 1.0812\n")
        file.truncate()
    tracemalloc.start()
    try:
        found = read(path)
        last = [(number, line) for number, line in found.numbered() if line][-1]
        assert tracemalloc.get_traced_memory()[1] < 6 * text.WINDOW_BYTES
    finally:
        tracemalloc.stop()
    assert last == (-1, "final val_bpb: 1.0812")
    assert found.skipped_bytes > 1 << 30


@pytest.mark.parametrize("piece", [b"x", b"\xf0\x9f\x98\x80", b"val_bpb: 1.0 \r"])
def test_a_hundred_megabytes_in_one_line_cost_no_more(tmp_path: Path, piece: bytes) -> None:
    path = written(tmp_path, b"")
    with path.open("wb") as file:
        for _ in range(100):
            file.write(piece * ((1 << 20) // len(piece)))
    tracemalloc.start()
    try:
        found = read(path)
        assert sum(len(line) for _, line in found.numbered()) == 0
        assert tracemalloc.get_traced_memory()[1] < 6 * text.WINDOW_BYTES
    finally:
        tracemalloc.stop()


def test_a_wide_character_does_not_make_a_whole_log_wide(tmp_path: Path) -> None:
    """A str with one emoji takes four bytes a character."""
    data = "step 1 \N{GRINNING FACE}\n".encode() + b"step 2 of many\n" * 400_000
    path = written(tmp_path, data)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read(path).numbered()) == 400_001
        assert tracemalloc.get_traced_memory()[1] < 2 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["link", "pipe", "device", "folder", "nothing", "name"])
def test_what_is_no_regular_file_is_never_opened(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.log"
    if kind == "link":
        path.symlink_to(written(tmp_path, b"seed: 1\n", "other.log"))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "name":
        path = tmp_path / "a\0b"
    monkeypatch.setattr(os, "open", lambda *args: pytest.fail(f"opened {args}"))
    found = read(path)
    assert found.problem
    assert list(found.numbered()) == []


def test_a_file_that_may_not_be_read_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, b"seed: 1\n")

    def refuse(*args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert read(path).problem == "cannot be read (Permission denied)"
