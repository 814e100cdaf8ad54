from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import score_bytes
from checks.contract import Status, TextBytes

MODES = st.sampled_from(["identity", "tokenizer"])
COUNTS = st.integers(1, 8)
TEXTS = st.builds(
    TextBytes,
    text_bytes=COUNTS,
    decoded_bytes=COUNTS,
    normalised_bytes=COUNTS,
    differing_documents=st.integers(0, 2),
    documents=COUNTS,
)


def text(text_bytes=1000, decoded=1000, normalised=1000, differing=0, documents=10):
    return TextBytes(
        text_bytes=text_bytes,
        decoded_bytes=decoded,
        normalised_bytes=normalised,
        differing_documents=differing,
        documents=documents,
    )


@given(TEXTS, MODES)
def test_passes_exactly_when_the_tokens_decode_to_the_text(record, mode):
    goal = record.text_bytes if mode == "identity" else record.normalised_bytes
    lossless = mode == "tokenizer" or record.normalised_bytes == record.text_bytes
    whole = record.decoded_bytes == goal and record.differing_documents == 0
    finding = score_bytes.check(record, mode)
    assert finding.status is (Status.PASS if whole and lossless else Status.FAIL)
    assert (finding.measured, finding.limit, finding.unit) == (record.decoded_bytes, goal, "bytes")


@given(TEXTS)
def test_what_identity_passes_the_tokenizer_reading_passes_too(record):
    if score_bytes.check(record, "identity").status is Status.PASS:
        assert score_bytes.check(record, "tokenizer").status is Status.PASS


@given(TEXTS, MODES, st.sampled_from(["decoded_bytes", "normalised_bytes", "differing_documents"]))
def test_an_uncounted_number_is_named_and_nothing_is_judged(record, mode, missing):
    finding = score_bytes.check(replace(record, **{missing: None}), mode)
    assert finding.status is Status.NOT_RUN
    assert missing in finding.message
    assert "tokenizer" in finding.message


@pytest.mark.parametrize("mode", ["identity", "tokenizer"])
def test_an_empty_text_is_not_run(mode):
    assert score_bytes.check(text(documents=0), mode).status is Status.NOT_RUN
    assert score_bytes.check(text(0, 0, 0), mode).status is Status.NOT_RUN


def test_the_doubled_space_shows_its_factor():
    """Contest PRs #1687 to #1734 counted 4.386 bytes a token where the text has 3.727."""
    finding = score_bytes.check(text(3_727_000, 4_386_000, 3_727_000), "identity")
    assert finding.status is Status.FAIL
    assert "4,386,000 bytes, +659,000 against the text's 3,727,000" in finding.message
    assert "1.1768" in finding.message


def test_a_lossy_normaliser_passes_as_tokenizer_and_is_reported():
    record = text(1000, 980, 980)
    finding = score_bytes.check(record, "tokenizer")
    assert finding.status is Status.PASS
    assert "1,000 bytes by -20 (-2.000%)" in finding.message
    assert finding.evidence["normalised_minus_text_bytes"] == -20
    assert score_bytes.check(record, "identity").status is Status.FAIL


def test_equal_sums_with_differing_documents_fail():
    """Two documents exchanged have the right number of bytes and are not the text."""
    for mode in ("identity", "tokenizer"):
        finding = score_bytes.check(text(differing=2), mode)
        assert finding.status is Status.FAIL
        assert "2 of 10 documents" in finding.message


def test_an_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="nfkc"):
        score_bytes.check(text(), "nfkc")
