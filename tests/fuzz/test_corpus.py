"""Every input of the corpora, and mutations of them, through the readers; without atheris."""

from __future__ import annotations

import importlib.util
import math
import struct
import tracemalloc
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from checks import ORDER
from tests.fuzz import __main__ as command
from tests.fuzz.targets import MAX_BYTES, NAMES, target

CORPUS = command.CORPUS
FILES = {
    name: sorted(path for path in (CORPUS / name).glob("*") if path.is_file()) for name in NAMES
}
ALL = [
    pytest.param(name, path, id=f"{name}-{path.name}")
    for name, paths in FILES.items()
    for path in paths
]
MAX_FILES, MAX_CORPUS_BYTES = 60, 100_000
ALLOCATED_BYTES = 80 << 20
"""A little more than the longest block, which a submission makes room for when its judge announces one."""


@cache
def inputs(name: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in FILES[name])


@pytest.mark.parametrize(("name", "path"), ALL)
def test_an_input_is_read_or_refused(name: str, path: Path) -> None:
    assert target(name).one(path.read_bytes()) in (True, False)


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_has_what_is_taken_and_what_is_refused(name: str) -> None:
    """A corpus whose inputs all come to the same tests half of a reader."""
    assert {target(name).one(data) for data in inputs(name)} == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_is_small_and_says_nothing_twice(name: str) -> None:
    assert len(inputs(name)) <= MAX_FILES
    assert sum(map(len, inputs(name))) <= MAX_CORPUS_BYTES
    assert len(set(inputs(name))) == len(inputs(name))
    assert max(map(len, inputs(name))) <= MAX_BYTES


def test_every_corpus_has_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(NAMES)


@st.composite
def mutations(draw: st.DrawFn, name: str) -> bytes:
    """An input of the corpus with bytes changed, a piece cut out, or a piece of another one put in."""
    data = bytearray(draw(st.sampled_from(inputs(name))))
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted(draw(st.integers(0, len(data))) for _ in range(2))
        how = draw(st.sampled_from(["flip", "set", "cut", "end", "splice", "word", "repeat"]))
        if how == "flip" and data:
            data[start % len(data)] ^= 1 << draw(st.integers(0, 7))
        elif how == "set" and data:
            data[start % len(data)] = draw(st.integers(0, 255))
        elif how == "cut":
            del data[start : min(end, start + 40)]
        elif how == "end":
            del data[end:]
        elif how == "splice":
            other = draw(st.sampled_from(inputs(name)))
            at = draw(st.integers(0, len(other)))
            data[start:end] = other[at : at + draw(st.integers(0, 200))]
        elif how == "word":
            data[start:start] = draw(st.sampled_from(target(name).WORDS))
        elif how == "repeat":
            data[start:start] = bytes(data[start : min(end, start + 40)]) * draw(st.integers(1, 20))
    return bytes(data[:MAX_BYTES])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_mutation_is_read_or_refused(name: str, data: st.DataObject) -> None:
    assert target(name).one(data.draw(mutations(name))) in (True, False)


def allocated(name: str, data: bytes) -> int:
    """Return the most bytes that reading took at once, numpy's included."""
    one = target(name).one
    one(data)  # what is imported and cached on first use is not the input's doing
    tracemalloc.start()
    try:
        one(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES)
def test_no_input_makes_a_reader_take_much_memory(name: str) -> None:
    for path, data in zip(FILES[name], inputs(name), strict=True):
        assert allocated(name, data) < ALLOCATED_BYTES, path.name


@pytest.mark.parametrize("bits", [24, 32, 40, 63, 64])
@pytest.mark.parametrize("kind", [17, 18, 19, 20])
def test_a_length_alone_makes_the_judge_allocate_nothing(kind: int, bits: int) -> None:
    head = struct.pack("<4sHHQ", b"HRN1", kind, 0, (1 << bits) - 1)
    for question in range(5):
        assert allocated("frames", bytes([question]) + head) < 1 << 20


def raised_by(name: str, data: bytes) -> Exception | None:
    try:
        target(name).one(data)
    except Exception as error:
        return error
    return None


BROKEN = [
    ("manifest", "harness.manifest.path_problem", lambda name: None, AssertionError),
    ("manifest", "harness.manifest._check_places", lambda manifest, origin: None, AssertionError),
    ("manifest", "harness.manifest._check_starts", lambda manifest, origin: None, AssertionError),
    ("manifest", "harness.manifest.RecursionError", KeyError, RecursionError),
    ("ruleset", "harness.ruleset.UNREADABLE", (KeyError,), ValueError),
    ("ruleset", "harness.ruleset.ORDER", ("norm.sun", *ORDER), AssertionError),
    ("baseline", "harness.ruleset.UNREADABLE", (ValueError,), RecursionError),
    ("baseline", "harness.ruleset.set", list, AssertionError),
    ("shard", "harness.data.shards.check_tokens", lambda *shard: None, AssertionError),
    ("shard", "harness.data.shards.VERSION", 2, AssertionError),
    ("dataset", "harness.data.record.path_problem", lambda name: None, AssertionError),
    ("dataset", "harness.data.dataset._verify", lambda *file: None, AssertionError),
    ("frames", "harness.session.MAX_NATS", math.inf, AssertionError),
    ("frames", "harness.sdk.MAGIC", b"HRN2", AssertionError),
    ("sdk_frames", "harness.sdk._MAX_PAYLOAD_BYTES", 1 << 64, (MemoryError, ValueError)),
    ("sdk_frames", "harness.sdk._tokens", lambda payload: payload.view("<u4"), ValueError),
    ("records", "harness.journal.UnicodeDecodeError", KeyError, UnicodeDecodeError),
    ("published", "harness.audit.json_lines.RecursionError", KeyError, RecursionError),
    ("published", "harness.audit.json_lines._shown", lambda text: text, UnicodeEncodeError),
    ("published", "harness.audit.json_lines.MAX_DEPTH", 99, AssertionError),
    ("published", "harness.audit.log.MAX_SCORES", 1 << 30, AssertionError),
    ("report", "harness.report.versions.UnicodeDecodeError", KeyError, UnicodeDecodeError),
    ("result", "harness.report.versions.UnicodeDecodeError", KeyError, UnicodeDecodeError),
]


@pytest.mark.parametrize(
    ("name", "place", "worse", "raised"), BROKEN, ids=[place for _, place, _, _ in BROKEN]
)
def test_a_reader_that_got_worse_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    place: str,
    worse: object,
    raised: type[Exception] | tuple[type[Exception], ...],
) -> None:
    """Some input of the corpus, not of any mutation, shows the difference."""
    target(name)
    monkeypatch.setattr(place, worse, raising=False)
    assert any(isinstance(raised_by(name, data), raised) for data in inputs(name))


def test_without_atheris_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match=r"atheris is not installed; pip install -e '\.\[fuzz\]'"):
        command.main(["manifest"])
