import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import evidence_bytes, evidence_seeds
from checks.contract import Status
from checks.evidence_bytes import ALL_SOURCE, AS_IT_LIES, PLAIN
from checks.published import Found, Value
from tests.checks.records import (
    LIMITS,
    claimed,
    claims_of,
    found,
    honest_logs,
    logged,
    record,
    score,
    with_logs,
)

CAP = LIMITS.cap_bytes
TOTALS = st.lists(st.integers(0, 2 * CAP), min_size=3, max_size=3)


def counting(*totals, codes=(), scripts=None, **changes):
    """Return the finding over logs of these totals; codes are (bytes, words of the line)."""
    values = tuple(Value(size, "train.log", 6, words) for size, words in codes)
    logs = [
        dataclasses.replace(
            log, counted=found(total, file=log.name, line=7), codes=Found(values), **changes
        )
        for log, total in zip(honest_logs(), totals, strict=False)
    ]
    files = tuple(Value(size, name, 0) for name, size in (scripts or {}).items())
    return evidence_bytes.check(record(logs, scripts=files), LIMITS)


@given(TOTALS)
def test_the_largest_logged_total_is_held_against_the_cap(totals):
    finding = counting(*totals)
    outcome = "over" if max(totals) > CAP else "within"
    assert finding.evidence["outcome"] == outcome
    assert finding.status is (Status.FAIL if outcome == "over" else Status.PASS)
    assert (finding.measured, finding.limit, finding.unit) == (max(totals), CAP, "bytes")


def test_the_cap_itself_passes_and_one_byte_over_fails():
    assert counting(CAP).status is Status.PASS
    finding = counting(CAP + 1)
    assert finding.status is Status.FAIL
    assert finding.message == "train_seed42.log:7: 16,000,001 bytes of 16,000,000"


@given(
    st.integers(200_000, CAP),
    st.integers(1, 90_000),
    st.integers(1, 90_000),
    st.integers(1, 90_000),
)
def test_each_way_of_counting_code_exchanges_the_code_that_was_counted(total, plain, small, script):
    codes = ((plain, "Code size (uncompressed)"), (small, "Code size (compressed)"))
    files = {"train_gpt.py": script, "ngram.c": 7}
    finding = counting(total, codes=codes, scripts=files)
    assert finding.evidence["ways"] == {
        "as logged": total,
        PLAIN: total - small + plain,
        AS_IT_LIES: total - small + script,
        ALL_SOURCE: total - small + script + 7,
    }
    plain_only = counting(total, codes=codes[:1], scripts=files)
    assert PLAIN not in plain_only.evidence["ways"]
    assert plain_only.evidence["ways"][AS_IT_LIES] == total - plain + script


def test_the_logs_own_number_decides_and_other_ways_are_named():
    # PR #1855: 15,907,550 as counted, 16,033,980 with the script that it ships.
    codes = ((157_000, "Code size (uncompressed)"), (31_000, "Code size (compressed)"))
    finding = counting(15_907_550, codes=codes, scripts={"train_gpt.py": 157_430})
    assert finding.status is Status.PASS
    assert "; with train_gpt.py as it lies: 16,033,980, over" in finding.message
    assert "with the code uncompressed: 16,033,550, over" in finding.message
    within = counting(15_000_000, codes=codes, scripts={"train_gpt.py": 157_430})
    assert "over" not in within.message


def test_a_line_of_the_model_alone_and_several_totals_are_named():
    alone = counting(15_000_000, counted_kind="artifact_line")
    assert alone.message.endswith("(the line says '': code may be missing)")
    several = with_logs(counted=found(15_985_889, 15_884_843))
    finding = evidence_bytes.check(several, LIMITS)
    assert finding.status is Status.PASS
    assert finding.message.endswith("(the logs have several totals: 15,884,843, 15,985,889)")


def totalling(*sizes):
    """Return the finding over logs that state these totals: (bytes, words of the line)."""
    values = tuple(Value(size, "train.log", 6 + i, words) for i, (size, words) in enumerate(sizes))
    finding = evidence_bytes.check(with_logs(counted=Found(values)), LIMITS)
    return finding.status, finding.evidence["outcome"], finding.message


@pytest.mark.parametrize("first", [False, True])
def test_totals_on_both_sides_of_the_cap_settle_nothing(first):
    sizes = [(16_900_000, "Total submission size int6+lzma"), (15_900_000, "Total submission size")]
    status, outcome, message = totalling(*(sizes[::-1] if first else sizes))
    assert (status, outcome) == (Status.NOT_RUN, "over" if first else "within")
    listed = "15,900,000, 16,900,000" if first else "16,900,000, 15,900,000"
    assert message.endswith(f"; the log states several ({listed}); which one counts cannot be told")
    assert totalling((16_900_000, "a"), (16_800_000, "b"))[:2] == (Status.FAIL, "over")


def test_the_total_of_the_raw_weights_before_it_does_not_unsettle_the_packed_one():
    raw = (67_285_889, "Total submission size")
    packed = (15_884_843, "Total submission size int8+zlib")
    assert totalling(raw, packed)[:2] == (Status.PASS, "within")
    assert totalling(raw, (16_884_843, packed[1]))[:2] == (Status.FAIL, "over")
    # Not where it comes last, is little more, or the line says that nothing is packed.
    assert totalling(packed, raw)[0] is Status.NOT_RUN
    assert totalling((16_900_000, raw[1]), packed)[0] is Status.NOT_RUN
    assert totalling(raw, (15_884_843, "Total size (uncompressed)"))[0] is Status.NOT_RUN


def test_one_log_over_the_cap_decides_whatever_another_says():
    logs = honest_logs()
    over = [found(16_900_000, 15_000_000), found(16_100_000), found(15_000_000)]
    logs = [dataclasses.replace(log, counted=one) for log, one in zip(logs, over, strict=True)]
    finding = evidence_bytes.check(record(logs), LIMITS)
    assert (finding.status, finding.measured) == (Status.FAIL, 16_100_000)


def test_no_total_is_not_run():
    finding = evidence_bytes.check(with_logs(counted=Found()), LIMITS)
    assert (finding.status, finding.evidence) == (Status.NOT_RUN, {"outcome": None})


# evidence.seeds


def seeded(published):
    finding = evidence_seeds.check(published, LIMITS)
    return finding.status, finding.evidence["outcomes"], finding.measured


@given(st.lists(st.integers(0, 9), min_size=1, max_size=5))
def test_distinct_seeds_are_counted_whatever_the_number_of_runs(seeds):
    logs = [
        logged(seed, score(1.08 + i * 1e-4), name=f"run_{i}.log") for i, seed in enumerate(seeds)
    ]
    distinct = len(set(seeds))
    enough = distinct >= LIMITS.min_seeds
    outcomes = [] if enough else ["fewer_than_3_seeds"]
    status = Status.PASS if enough else Status.FAIL
    assert seeded(record(logs)) == (status, outcomes, distinct)


def test_a_stated_seed_is_believed_before_the_name():
    logs = [dataclasses.replace(log, seed=found(1337)) for log in honest_logs()]
    assert seeded(record(logs)) == (Status.FAIL, ["fewer_than_3_seeds"], 1)


@pytest.mark.parametrize(
    ("which", "outcome"), [(1, "best_run_reported"), (2, "one_run_of_several_reported")]
)
def test_one_run_of_several_that_lie_here_is_a_choice(which, outcome):
    logs = honest_logs()
    value = logs[which].scores[-1].val_bpb
    claims = claims_of(logs, val_bpb=claimed(value, "val_bpb"), bpb_digits=8)
    published = record(logs, claims)
    assert seeded(published) == (Status.FAIL, ["fewer_than_3_seeds", outcome], 1)
    assert "of several runs that are here" in evidence_seeds.check(published, LIMITS).message


def test_the_non_record_track_asks_for_no_number_of_seeds():
    non_record = {"track": Value("non-record", ".", 0)}
    one = record(honest_logs()[:1], **non_record)
    assert seeded(one) == (Status.NOT_RUN, ["fewer_than_3_seeds"], 1)
    assert seeded(record(**non_record)) == (Status.PASS, [], 3)


def test_further_seeds_that_the_claim_leaves_out_are_named_and_no_fault():
    logs = honest_logs((1.08, 1.081, 1.082, 1.11, 1.12), (42, 314, 999, 5, 7))
    published = record(logs, claims_of(logs[:3]))
    assert seeded(published) == (Status.PASS, [], 3)
    assert evidence_seeds.check(published, LIMITS).message == (
        "3 distinct seeds of 3; 2 more logs state this score: seeds 5, 7; the mean with them is 1.0946"
    )
    four = record(logs[:4], claims_of(logs[:3]))
    assert evidence_seeds.check(four, LIMITS).message.endswith(
        "; 1 more log states this score: seed 5; the mean with it is 1.0883"
    )
    assert "more log" not in evidence_seeds.check(record(logs), LIMITS).message


def test_no_runs_are_not_run():
    assert seeded(record([], claims_of(honest_logs()))) == (Status.NOT_RUN, [], None)
