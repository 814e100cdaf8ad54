import io
import lzma
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data import source
from harness.data.source import read_documents
from harness.errors import DataError

LINE = st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=12)
QUICK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@given(lines=st.lists(LINE, max_size=6), end=st.sampled_from(["\n", "\r\n"]), last=st.booleans())
@QUICK
def test_a_line_is_a_document(tmp_path: Path, lines: list[str], end: str, last: bool) -> None:
    path = tmp_path / "text"
    data = (end.join(lines) + (end if last else "")).encode()
    expected = [line for line in lines if line]
    path.write_bytes(data)
    assert list(read_documents(path, "line")) == expected
    path.write_bytes(lzma.compress(data))
    assert list(read_documents(path, "line")) == expected


@given(
    paragraphs=st.lists(st.lists(LINE.filter(bool), min_size=1, max_size=3), max_size=4),
    gap=st.integers(1, 3),
)
@QUICK
def test_blank_lines_end_documents(tmp_path: Path, paragraphs: list[list[str]], gap: int) -> None:
    path = tmp_path / "text"
    documents = ["\n".join(lines) for lines in paragraphs]
    path.write_bytes(("\n" + ("\n" * (gap + 1)).join(documents)).encode())
    assert list(read_documents(path, "blank")) == documents


@given(text=st.text(min_size=1))
@QUICK
def test_a_file_is_kept_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "text").write_bytes(text.encode())
    assert list(read_documents(tmp_path / "text", "file")) == [text]


def test_other_line_ends_end_no_line(tmp_path: Path) -> None:
    line = "a\u2028b\x85c\x0bd\x0ce\rf"
    (tmp_path / "text").write_text(line + "\n", encoding="utf-8", newline="")
    assert list(read_documents(tmp_path / "text", "line")) == [line]


def folder_of_texts(folder: Path) -> None:
    (folder / "b" / ".git").mkdir(parents=True)
    (folder / "b" / "2.txt").write_text("two\n")
    (folder / "b.txt").write_bytes(lzma.compress(b"three\n"))
    (folder / "a.txt").write_text("one\n")
    (folder / ".hidden").write_bytes(b"\xff")
    (folder / "b" / ".git" / "x").write_bytes(b"\xff")


def test_a_folder_is_read_in_order(tmp_path: Path) -> None:
    folder_of_texts(tmp_path / "t")
    assert list(read_documents(tmp_path / "t", "line")) == ["one", "three", "two"]


def test_an_archive_is_a_folder(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "t.tar.xz", "w:xz") as archive:
        for name, data in (
            ("t/b", b"two\n"),
            ("t/a", b"one\n"),
            ("t/.x", b"\xff"),
            ("./c", b"three"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("t/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert list(read_documents(tmp_path / "t.tar.xz", "line")) == ["two", "one", "three"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.txt", b"good\nb\xffd\n", r"a.txt: byte 6 \(document 2\) is not UTF-8"),
        ("a.txt", lzma.compress(b"good\nb\xffd\n"), r"a.txt: byte 6 \(document 2\)"),
        ("a.xz", lzma.compress(b"good\n" * 100)[:50], "a.xz: cannot be decompressed"),
        ("a.tar.xz", b"no archive", "a.tar.xz: cannot be decompressed"),
        ("a.tar.xz", lzma.compress(b"no archive"), "a.tar.xz: cannot be decompressed"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=says):
        list(read_documents(tmp_path / name, "line"))


def test_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        list(read_documents(tmp_path / "none", "line"))
    with pytest.raises(DataError, match="holds no files"):
        list(read_documents(tmp_path, "line"))


@pytest.mark.parametrize("mode", ["line", "blank", "file"])
def test_a_document_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: source.Documents
) -> None:
    monkeypatch.setattr(source, "MAX_DOCUMENT_BYTES", 10)
    (tmp_path / "fits").write_bytes(b"0123456789")
    assert list(read_documents(tmp_path / "fits", mode)) == ["0123456789"]
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    (tmp_path / "long").write_bytes(b"01234\n6789\n" if mode == "blank" else b"01234567890")
    with pytest.raises(DataError, match="document at byte 0 is longer than 10 bytes"):
        list(read_documents(tmp_path / "long", mode))
