"""A spoilt data folder differs from the sound one in what was asked for, and in nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.contract import Status
from checks.score_bytes import check
from harness.data.dataset import open_dataset
from harness.data.recount import count_text
from harness.data.text import read_text
from harness.errors import DataError
from harness.selftest import spoken
from harness.selftest.corpus import Data
from harness.selftest.spoil import changed_tokens, spoil


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    pytest.importorskip("sentencepiece")
    return spoken.make(tmp_path_factory.mktemp("spoken") / "data")


@pytest.fixture
def spoilt(sound, tmp_path):
    def make(**wanted):
        spoil(sound, tmp_path / "data", Data(set="spoken", **wanted))
        return open_dataset(tmp_path / "data")

    return make


def test_the_sound_set_is_sound_small_and_has_bytes(sound):
    text = count_text(sound)
    assert check(text, "identity").status is Status.PASS
    assert 8_000 < sound.val.tokens < 15_000
    assert sound.train.tokens > sound.val.tokens
    kinds = np.bincount(sound.token_classes_V[sound.val.load_tokens()], minlength=4)
    assert kinds.min() > 0


def test_nothing_asked_for_changes_nothing_but_what_need_not_be_stated(sound, spoilt):
    data = spoilt()
    for split in ("train", "val"):
        assert getattr(data, split).sha256 == getattr(sound, split).sha256
    assert data.text.text_bytes == sound.text.text_bytes
    assert data.text.decoded_bytes is None
    assert count_text(data) == count_text(sound)


def test_replaced_text_is_counted_as_it_is_stored(sound, spoilt):
    data = spoilt(text_replaced=((" ", "  "), ("a", "")))
    before, after = (list(read_text(each.val_text)) for each in (sound, data))
    assert after == [text.replace(" ", "  ").replace("a", "") for text in before]
    text = count_text(data)
    assert text.text_bytes == sum(len(document.encode()) for document in after)
    assert text.decoded_bytes == sound.text.text_bytes
    assert check(text, "identity").status is Status.FAIL


@pytest.mark.parametrize("factor", [0.5, 0.9999, 1.0001, 1.17])
def test_stated_bytes_are_found_out(spoilt, factor):
    with pytest.raises(DataError, match=r"text\.text_bytes is \d+, but \d+ were counted"):
        count_text(spoilt(stated_bytes_factor=factor))


def test_dropped_tokens_decode_to_less(sound, spoilt):
    data = spoilt(dropped_val_tokens=3)
    assert data.val.tokens == sound.val.tokens - 3
    text = count_text(data)
    assert text.text_bytes == sound.text.text_bytes > text.decoded_bytes
    assert text.differing_documents == 1


def test_dropped_documents_are_missed(sound, spoilt):
    last = sound.val.tokens - np.flatnonzero(sound.val.load_tokens() == sound.bos_id)[-1]
    data = spoilt(dropped_val_tokens=int(last))
    assert data.val.documents == sound.val.documents - 1
    with pytest.raises(DataError, match="do not hold as many documents as the text"):
        count_text(data)


def test_reversed_documents_are_the_same_bytes_and_other_documents(sound, spoilt):
    text = count_text(spoilt(reversed_documents=True))
    assert text.decoded_bytes == text.text_bytes == sound.text.text_bytes
    assert text.differing_documents == sound.val.documents


@pytest.mark.parametrize("count", [1, 400])
def test_edited_tokens_do_not_fit_their_digest(spoilt, count):
    with pytest.raises(DataError, match=r"val\.shards\[0\]: SHA-256 is"):
        spoilt(edited_val_tokens=count)


@given(st.lists(st.lists(st.integers(2, 9), max_size=5), min_size=1, max_size=6), st.integers(0, 4))
def test_documents_are_reversed_whole(documents, dropped):
    stream = [token for document in documents for token in [1, *document]]
    wanted = [token for document in documents[::-1] for token in [1, *document]]
    made = changed_tokens(
        np.array(stream, dtype=np.uint16),
        1,
        Data(reversed_documents=True, dropped_val_tokens=dropped or None),
    )
    assert made.tolist() == wanted[: len(wanted) - dropped]
