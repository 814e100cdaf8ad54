import hashlib
import json
import lzma
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.data.text import TextDigest, TextWriter, read_text
from harness.errors import DataError


@given(
    documents=st.lists(st.text(max_size=30), max_size=8), suffix=st.sampled_from([".xz", ".jsonl"])
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_documents_come_back_exactly(tmp_path: Path, documents: list[str], suffix: str) -> None:
    shutil.rmtree(tmp_path / "t", ignore_errors=True)
    (tmp_path / "t").mkdir()
    path = tmp_path / "t" / f"text{suffix}"
    with TextWriter(path) as writer:
        for document in documents:
            writer.append(document)
    assert list(read_text(path)) == documents
    count = writer.digest.count()
    assert count.documents == len(documents)
    assert count.text_bytes == sum(len(document.encode()) for document in documents)
    raw = lzma.decompress(path.read_bytes()) if suffix == ".xz" else path.read_bytes()
    assert count.sha256 == hashlib.sha256(raw).hexdigest()
    assert [json.loads(line) for line in raw.split(b"\n")[:-1]] == documents


def test_boundaries_are_part_of_the_digest() -> None:
    digests = set()
    for documents in (["ab"], ["a", "b"], ["a\nb"], ["", "ab"]):
        digest = TextDigest()
        for document in documents:
            digest.add(document)
        digests.add(digest.count().sha256)
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'"a"\n7\n', "line 2 is not a JSON string"),
        (b'"a"\n"b\n', "line 2"),
        (b'"\xff"\n', "line 1"),
        (b'"\\ud800"\n', "line 1"),
        (b"[" * 100_000, "line 1"),
    ],
)
def test_what_is_not_a_text_is_refused(tmp_path: Path, raw: bytes, says: str) -> None:
    path = tmp_path / "val_text.xz"
    path.write_bytes(lzma.compress(raw))
    with pytest.raises(DataError, match=f"val_text.xz: {says}"):
        list(read_text(path))


@pytest.mark.parametrize("cut", [0, 5, 40])
def test_truncated_xz_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "val_text.xz"
    path.write_bytes(lzma.compress(b'"a"\n' * 1000)[:cut])
    with pytest.raises(DataError, match="build the data again"):
        list(read_text(path))
