import dataclasses
import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from checks import claims_ratio
from checks.contract import Status
from checks.published import Found
from tests.checks.records import (
    CASEOPS,
    LIMITS,
    SP1024,
    SP8192,
    bits,
    claims_of,
    found,
    honest_logs,
    record,
    score,
)

KNOWN = (SP8192, CASEOPS, SP1024)


def judged(*ratios, tokens=None, text_bytes=None, losses=True):
    """Return the finding over runs of these ratios."""
    logs = []
    for log, ratio in zip(honest_logs()[: len(ratios)], ratios, strict=True):
        value = log.scores[-1].val_bpb
        loss = value * math.log(2) * ratio if losses else None
        one = score(value, val_loss=loss, place="x", text_bytes=text_bytes)
        logs.append(dataclasses.replace(log, scores=(one,), val_tokens=tokens or Found()))
    return claims_ratio.check(record(logs, claims_of(logs, val_loss=Found())), LIMITS)


def verdict(finding):
    return finding.status, finding.evidence["outcome"]


@given(bits, st.sampled_from(KNOWN), st.floats(-0.0039, 0.0039))
def test_every_tokenizer_gives_the_same_text_at_any_score(value, tokenizer, off):
    ratio = tokenizer.bytes_per_token * (1 + off)
    logs = [
        dataclasses.replace(
            log,
            scores=(score(value, val_loss=value * math.log(2) * ratio, place="x"),),
            val_tokens=found(*tokenizer.val_tokens[:1]),
        )
        for log in honest_logs()[:1]
    ]
    finding = claims_ratio.check(record(logs), LIMITS)
    assert verdict(finding) == (Status.PASS, "canonical_bytes")
    assert finding.limit == LIMITS.text_bytes


@given(st.floats(0.1, 20), st.integers(1_000, 200_000_000))
def test_another_length_of_text_fails_at_any_ratio(ratio, tokens):
    share = ratio * tokens / LIMITS.text_bytes
    assume(abs(share - 1) > 0.0031)
    usual = [t for t in KNOWN if tokens in t.val_tokens]
    assume(not any(abs(ratio / t.bytes_per_token - 1) < 0.0041 for t in usual))
    finding = judged(ratio, tokens=found(tokens))
    assert verdict(finding) == (Status.FAIL, "other_bytes")
    assert finding.measured == pytest.approx(ratio * tokens)


def test_a_new_tokenizer_over_the_whole_text_passes():
    assert verdict(judged(2.8800, tokens=found(52_458_333))) == (Status.PASS, "canonical_bytes")


@pytest.mark.parametrize(
    ("ratio", "tokens", "words"),
    [
        (
            3.727 * 1.177,
            40_540_160,
            "1.177 times that of 8192-token SentencePiece, as where leading",
        ),
        (3.157 * 1.0895, 47_851_520, "as where case sentinels are counted as bytes"),
        (3.727 * 1.041, 40_540_160, "as where byte fallback is counted as three bytes"),
        (3.727, 9_662_464, "(8192-token SentencePiece): 24% of it"),
        (3.0997, 9_662_464, "the validation text has 151.08: 20% of it"),
        (3.9589, 49_999_872, "131% of it: another text, or bytes counted more than once"),
        (3.727 * 1.01, 40_540_160, "or scores of two different things"),
    ],
)
def test_the_published_errors_are_told_apart(ratio, tokens, words):
    finding = judged(ratio, tokens=found(tokens))
    assert verdict(finding) == (Status.FAIL, "other_bytes")
    assert words in finding.message


@given(st.sampled_from(KNOWN), st.floats(-0.0039, 0.0039))
def test_without_tokens_a_known_ratio_passes(tokenizer, off):
    finding = judged(tokenizer.bytes_per_token * (1 + off))
    assert verdict(finding) == (Status.PASS, "canonical_ratio")
    assert finding.unit == "bytes/token"


def test_without_tokens_an_unknown_ratio_may_be_a_new_tokenizers():
    finding = judged(2.8800, 2.8801, 2.8799)
    assert verdict(finding) == (Status.NOT_RUN, "other_ratio")
    assert "0.912 times that of 8192-token CaseOps" in finding.message
    assert finding.message.endswith("tokens are not stated, so it may be a new one's")


def test_runs_of_one_score_have_one_ratio():
    # PR #1323: losses of 0.9176, 0.8876 and 0.9476 beside one and the same bits per byte.
    finding = judged(1.1769, 1.1388, 1.2153)
    assert verdict(finding) == (Status.FAIL, "other_ratio")
    assert finding.message.endswith(
        "the runs have 1.1388 to 1.2153, and one tokenizer has one ratio"
    )


def test_a_byte_has_no_leading_space_to_count():
    assert "spaces" not in judged(1.177, 1.177).message


def test_tokens_stated_in_several_ways_are_each_tried():
    several = found(62_021_760, 62_021_632)
    finding = judged(2.4079, tokens=several)
    assert verdict(finding) == (Status.FAIL, "other_ratio")
    assert "over 62,021,760 or 62,021,632 tokens they are 149.34 MB" in finding.message
    assert judged(2.88, tokens=found(52_458_333, 1_000)).status is Status.NOT_RUN
    assert judged(2.436, tokens=several).status is Status.PASS


def test_a_mixture_that_states_its_bytes_is_judged_by_them():
    for size, status in ((151_080_000, Status.PASS), (10_980_000, Status.FAIL)):
        for finding in (
            judged(1.0, text_bytes=size, losses=False, tokens=found(1)),
            judged(2.88, text_bytes=size),
        ):
            assert finding.status is status
            assert finding.measured == size
    assert judged(1.0, text_bytes=10_980_000, losses=False).message.endswith(": 7% of it")


def test_the_worst_run_decides():
    logs = honest_logs()
    logs[1] = dataclasses.replace(logs[1], val_tokens=found(9_662_464))
    assert claims_ratio.check(record(logs), LIMITS).status is Status.FAIL
    unknown = dataclasses.replace(logs[2], val_tokens=Found())
    honest = [honest_logs()[0], unknown]
    assert claims_ratio.check(record(honest), LIMITS).status is Status.PASS


def test_runs_without_a_loss_are_not_run():
    assert verdict(judged(1.0, losses=False)) == (Status.NOT_RUN, None)
