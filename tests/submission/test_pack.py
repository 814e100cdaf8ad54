"""Packing: bit-exact there and back, and nothing but its own bytes accepted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from submission.pack import DTYPES, CorruptBlobError, pack, shuffle, unpack, unshuffle

ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0))
)
META = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans())


@given(st.dictionaries(st.text(max_size=8), ARRAYS, max_size=4), META)
def test_round_trip_is_bit_exact(arrays, meta):
    back, back_meta = unpack(pack(arrays, meta, quality=1))
    assert list(back) == list(arrays)
    assert back_meta == meta
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()


@given(ARRAYS)
def test_shuffle_is_a_transposition_of_bytes(array):
    assert unshuffle(shuffle(array), array.dtype, array.shape).tobytes() == array.tobytes()
    plain, size = array.tobytes(), array.itemsize
    assert shuffle(array) == b"".join(plain[byte::size] for byte in range(size))


def test_big_endian_and_strided_arrays_come_back_little_and_whole():
    array = np.arange(12, dtype=">i4").reshape(3, 4)[:, ::2]
    (back,) = unpack(pack({"a": array}, {}))[0].values()
    assert back.dtype.str == "<i4"
    assert (back == array).all()


BLOB = pack({"a": np.arange(200, dtype=np.float16), "b": np.ones((3, 5), np.int8)}, {"x": 1})


@given(st.integers(0, len(BLOB) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(position, change):
    bad = bytearray(BLOB)
    bad[position] ^= change
    with pytest.raises(CorruptBlobError):
        unpack(bytes(bad))


@given(st.integers(0, len(BLOB) - 1))
def test_any_truncation_is_refused(length):
    with pytest.raises(CorruptBlobError):
        unpack(BLOB[:length])


@pytest.mark.parametrize(
    "entries",
    [
        [{"name": "a", "dtype": "|O", "shape": [1]}],
        [{"name": "a", "dtype": "|i1", "shape": [-1]}],
        [{"name": "a", "dtype": "|i1", "shape": [True]}],
        [{"name": "a", "dtype": "|i1", "shape": [1 << 40]}],
        [{"name": "a", "dtype": "|i1"}],
        [{"name": "a", "dtype": "|i1", "shape": [3]}],
        [],
    ],
)
def test_a_header_that_does_not_fit_its_bytes_is_refused(entries):
    # A blob whose digest is right but whose header lies: four bytes of data follow it.
    import hashlib
    import json
    import struct

    import brotli

    head = json.dumps({"meta": {}, "arrays": entries}).encode()
    packed = brotli.compress(struct.pack("<I", len(head)) + head + b"abcd")
    digest = hashlib.blake2b(packed, digest_size=8).digest()
    with pytest.raises(CorruptBlobError):
        unpack(b"SPK1" + digest + packed)


def test_dtypes_outside_the_list_are_not_packed():
    with pytest.raises(ValueError, match="dtype"):
        pack({"a": np.array(["text"])}, {})
