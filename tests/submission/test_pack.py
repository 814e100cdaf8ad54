"""Packing: bit-exact there and back, the same on any number of cores; nothing but its own bytes accepted."""

import hashlib
import json
import struct
import tracemalloc
from unittest import mock

import brotli
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from submission import pack as module
from submission.pack import DTYPES, CorruptBlobError, pack, shuffle, unpack, unshuffle

ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
)
META = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans())
NAMED = st.dictionaries(st.text(max_size=8), ARRAYS, max_size=4)
SIZES = struct.Struct("<II")
MEGABYTE = 1 << 20


def assert_same(back, arrays):
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()


def forge(body, chunk_bytes=None, chunks=None, body_bytes=None, lengths=None):
    """Return a blob whose digest is right, whatever the rest says."""
    chunks = [brotli.compress(body)] if chunks is None else chunks
    body_bytes = len(body) if body_bytes is None else body_bytes
    lengths = [len(chunk) for chunk in chunks] if lengths is None else lengths
    sizes = SIZES.pack(body_bytes, body_bytes if chunk_bytes is None else chunk_bytes)
    rest = b"".join([sizes, struct.pack(f"<{len(lengths)}I", *lengths), *chunks])
    return b"SPK2" + hashlib.blake2b(rest, digest_size=8).digest() + rest


def body_of(head, data=b""):
    raw = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<I", len(raw)) + raw + data


def refused(blob):
    """Return the sentence with which a blob is refused, and the memory in bytes that this took."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptBlobError, match="export again") as caught:
            unpack(blob, workers=2)
        return str(caught.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@given(NAMED, META, st.integers(40, 400))
def test_round_trip_is_bit_exact_over_any_number_of_chunks(arrays, meta, chunk_bytes):
    back, back_meta = unpack(pack(arrays, meta, quality=1, workers=1, chunk_bytes=chunk_bytes))
    assert back_meta == meta
    assert_same(back, arrays)


@settings(max_examples=50)
@given(NAMED, st.integers(40, 200))
def test_neither_bytes_nor_arrays_depend_on_the_number_of_threads(arrays, chunk_bytes):
    alone, three = (
        pack(arrays, {"a": 1}, quality=1, workers=workers, chunk_bytes=chunk_bytes)
        for workers in (1, 3)
    )
    assert alone == three
    for workers in (1, 3):
        assert_same(unpack(alone, workers=workers)[0], arrays)


@given(NAMED)
def test_round_trip_is_bit_exact_with_any_matrix_by_columns(arrays):
    with mock.patch.object(module, "_better_by_columns", lambda array: array.ndim >= 2):
        blob = pack(arrays, {}, quality=1, workers=1)
    assert_same(unpack(blob)[0], arrays)


@given(ARRAYS)
def test_shuffle_is_a_transposition_of_bytes(array):
    assert unshuffle(shuffle(array), array.dtype, array.shape).tobytes() == array.tobytes()
    plain, size = array.tobytes(), array.itemsize
    assert shuffle(array) == b"".join(plain[byte::size] for byte in range(size))


def test_real_chunks():
    rng = np.random.default_rng(0)
    arrays = {
        "codes": np.rint(rng.normal(size=(2, 700, 1100)) * 4.9).astype(np.int8),
        "scales": rng.normal(size=(700_000,)).astype(np.float16),
    }
    blob = pack(arrays, {}, quality=1, workers=3)
    assert blob == pack(arrays, {}, quality=1, workers=1)
    body_bytes, chunk_bytes = SIZES.unpack_from(blob, 12)
    assert chunk_bytes == module.CHUNK_BYTES
    assert body_bytes > 2 * chunk_bytes
    assert_same(unpack(blob)[0], arrays)


def test_big_endian_and_strided_arrays_come_back_little_and_whole():
    array = np.arange(12, dtype=">i4").reshape(3, 4)[:, ::2]
    (back,) = unpack(pack({"a": array}, {}))[0].values()
    assert back.dtype.str == "<i4"
    assert (back == array).all()


@pytest.mark.parametrize("turned", [False, True])
def test_codes_are_laid_down_along_the_axis_that_keeps_its_scale(turned):
    rng = np.random.default_rng(0)
    scales_R = 4.9 * np.exp(0.5 * rng.normal(size=(1, 200, 1)))
    codes = np.rint(rng.normal(size=(1, 200, 400)) * scales_R).clip(-31, 31).astype(np.int8)
    codes = codes.swapaxes(1, 2) if turned else codes
    blob = pack({"codes": codes}, {})
    assert_same(unpack(blob)[0], {"codes": codes})
    with mock.patch.object(module, "_better_by_columns", return_value=not turned):
        other = pack({"codes": codes}, {})
    assert len(blob) < 0.98 * len(other)


BLOB = pack(
    {"a": np.arange(200, dtype=np.float16), "b": np.ones((3, 5), np.int8)},
    {"x": 1},
    chunk_bytes=150,
)


@given(st.integers(0, len(BLOB) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(position, change):
    bad = bytearray(BLOB)
    bad[position] ^= change
    with pytest.raises(CorruptBlobError, match="export again"):
        unpack(bytes(bad))


@given(st.integers(0, len(BLOB) - 1))
def test_any_truncation_is_refused(length):
    with pytest.raises(CorruptBlobError, match="export again"):
        unpack(BLOB[:length])


@given(st.binary(min_size=1, max_size=9))
def test_anything_behind_the_end_is_refused(more):
    with pytest.raises(CorruptBlobError, match="export again"):
        unpack(BLOB + more)


@given(st.binary(max_size=80))
def test_anything_with_the_right_digest_is_refused_with_a_sentence(rest):
    with pytest.raises(CorruptBlobError, match="export again"):
        unpack(b"SPK2" + hashlib.blake2b(rest, digest_size=8).digest() + rest)


def entry(**changes):
    return {"name": "a", "dtype": "|i1", "shape": [4], "by_columns": False, **changes}


def test_a_forged_blob_that_tells_the_truth_is_accepted():
    body = body_of({"meta": {}, "arrays": [entry()]}, b"abcd")
    assert unpack(forge(body))[0]["a"].tobytes() == b"abcd"
    half = len(body) // 2 + 1
    halves = [brotli.compress(body[:half]), brotli.compress(body[half:])]
    assert unpack(forge(body, half, halves))[0]["a"].tobytes() == b"abcd"


@pytest.mark.parametrize(
    "entries",
    [
        [entry(dtype="|O", shape=[1])],
        [entry(dtype=["|i1"])],
        [entry(shape=[-1])],
        [entry(shape=[True])],
        [entry(shape=[1 << 40])],
        [entry(shape=[0, 1 << 90])],
        [entry(shape=[1 << 4000] * 9)],
        [entry(shape=[1] * 99 + [4])],
        [entry(shape=4)],
        [entry(shape=[3])],
        [entry(by_columns=True)],
        [entry(name=["a"])],
        [{"name": "a", "dtype": "|i1"}],
        ["a"],
        [],
        None,
    ],
)
def test_a_header_that_does_not_fit_its_bytes_is_refused(entries):
    _, peak = refused(forge(body_of({"meta": {}, "arrays": entries}, b"abcd")))
    assert peak < MEGABYTE


@pytest.mark.parametrize("head", [b"[1]", b"{", b"[" * 100_000, b"\xff", b"{}", b"7"])
def test_a_header_that_is_no_header_is_refused(head):
    refused(forge(body_of(head, b"abcd")))


BODY = body_of({"meta": {}, "arrays": []})
ZEROS = brotli.compress(bytes(64 * MEGABYTE), quality=5)
HUGE = (1 << 32) - 1


@pytest.mark.parametrize(
    ("blob", "says"),
    [
        (forge(BODY, chunk_bytes=0), "0 bytes"),
        (forge(BODY, body_bytes=HUGE, chunk_bytes=1), "4,294,967,295 chunks"),
        (forge(BODY, body_bytes=HUGE, chunk_bytes=HUGE), "4,294,967,295 bytes holds"),
        (forge(BODY, body_bytes=len(BODY) + 1), "holds fewer or more"),
        (forge(BODY, body_bytes=len(BODY) - 1), "holds fewer or more"),
        (forge(BODY, body_bytes=0, chunk_bytes=9, lengths=[], chunks=[]), "unpack_from"),
        (forge(BODY, lengths=[HUGE]), "end at 4,294,967,3"),
        (forge(BODY, lengths=[3]), "end at 15 of"),
        (forge(BODY, chunks=[brotli.compress(BODY)] * 2, lengths=[9]), "end at"),
        (forge(BODY, chunks=[brotli.compress(BODY) + b"xx"]), "decoder"),
        (forge(BODY, chunks=[brotli.compress(BODY)[:-1]]), "holds fewer or more"),
        (forge(BODY, chunks=[b""]), "holds fewer or more"),
        (forge(BODY, chunks=[b"\xff" * 40]), "decoder"),
        (forge(BODY, chunks=[ZEROS]), "holds fewer or more"),
        (forge(BODY, chunk_bytes=10, chunks=[ZEROS] * -(-len(BODY) // 10)), "fewer or more"),
    ],
    ids=lambda value: value if isinstance(value, str) else "blob",
)
def test_sizes_that_lie_are_refused_and_take_no_memory(blob, says):
    sentence, peak = refused(blob)
    assert says in sentence
    assert peak < MEGABYTE


def test_dtypes_outside_the_list_are_not_packed():
    with pytest.raises(ValueError, match="dtype"):
        pack({"a": np.array(["text"])}, {})


def test_what_the_sizes_cannot_state_is_not_packed(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_BODY_BYTES", 100)
    with pytest.raises(ValueError, match="too many for one blob"):
        pack({"a": np.zeros(100)}, {})
