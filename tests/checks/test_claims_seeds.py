import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import claims_copies, claims_seeds
from checks.contract import Status
from checks.published import Found, SeedClaim
from tests.checks.records import (
    SCORES_BPB,
    SEEDS,
    claimed,
    claims_of,
    found,
    honest_logs,
    record,
    score,
    with_claims,
)


def verdict(published):
    finding = claims_seeds.check(published)
    return finding.status, finding.evidence["outcomes"], finding.evidence["without_log"]


def nameless(*numbers):
    """Return the honest logs, of which some state no seed, neither inside nor by name."""
    return [
        dataclasses.replace(log, seed=Found(), seed_in_name=None, name=f"run_{'abc'[i]}.log")
        if i in numbers
        else log
        for i, log in enumerate(honest_logs())
    ]


@given(st.lists(st.integers(0, 99_999), min_size=3, max_size=3, unique=True), st.booleans())
def test_seeds_with_a_log_each_pass_whether_stated_or_named(seeds, stated):
    gone = {"seed_in_name": None} if stated else {"seed": Found()}
    logs = [dataclasses.replace(log, **gone) for log in honest_logs(seeds=seeds)]
    published = record(logs, claims_of(logs, seeds=tuple(seeds)))
    assert verdict(published) == (Status.PASS, [], [])
    assert claims_seeds.check(published).measured == 3


@given(st.lists(st.integers(1_000, 9_999), min_size=1, max_size=4, unique=True))
def test_each_claimed_seed_without_a_log_is_named(others):
    published = with_claims(seeds=(*SEEDS, *others))
    assert verdict(published) == (Status.FAIL, ["claimed_seed_without_log"], others)
    assert all(str(seed) in claims_seeds.check(published).message for seed in others)


def test_a_log_without_any_seed_may_be_that_of_a_claimed_one():
    logs = nameless(2)
    assert verdict(record(logs, claims_of(logs, seeds=SEEDS))) == (Status.NOT_RUN, [], [999])
    more = claims_of(logs, seeds=(*SEEDS, 1337))
    assert verdict(record(logs, more))[0] is Status.FAIL
    none = nameless(0, 1, 2)
    finding = claims_seeds.check(record(none, claims_of(none, seeds=SEEDS)))
    assert finding.status is Status.NOT_RUN
    assert finding.evidence["outcomes"] == ["seed_unknown"]
    assert finding.measured is None


def test_one_seed_behind_three_names():
    # PR #1812: seed42.log, seed314.log and seed999.log all state seed 1337.
    logs = [dataclasses.replace(log, seed=found(1337)) for log in honest_logs()]
    finding = claims_seeds.check(record(logs, claims_of(logs, seeds=SEEDS)))
    assert finding.status is Status.FAIL
    assert finding.evidence["outcomes"] == ["seed_repeated", "logged_seed_differs_from_file_name"]
    assert finding.message.startswith("3 of 3 runs state seed 1337; train.log:1 states seed 1337")
    assert finding.measured == 1


def test_a_score_claimed_of_another_seed_than_its_log_states():
    logs = honest_logs()
    per_seed = tuple(
        SeedClaim(seed=seed, val_bpb=claimed(value, "val_bpb").best, bpb_digits=8)
        for seed, value in zip((42, 314, 1000), SCORES_BPB, strict=True)
    )
    published = record(logs, claims_of(logs, seeds=(42, 314, 1000), per_seed=per_seed))
    assert verdict(published) == (Status.FAIL, ["claimed_seed_not_the_logged_one"], [])
    assert claims_seeds.check(published).message == (
        "seed 1000 is claimed for the score of train_seed999.log, which states seed 999"
    )


def test_no_log_and_no_run_are_not_run():
    claims = claims_of(honest_logs())
    assert verdict(record([], claims)) == (Status.NOT_RUN, ["no_log"], list(SEEDS))
    logs = [dataclasses.replace(log, scores=()) for log in honest_logs()]
    assert verdict(record(logs, claims)) == (Status.NOT_RUN, [], [])


def of_seeds(logs, *values, digits=8, **changes):
    """Return what is claimed of these logs, with a score of each seed."""
    per_seed = tuple(
        SeedClaim(seed=log.own_seed, val_bpb=claimed(value, "val_bpb").best, bpb_digits=digits)
        for log, value in zip(logs, values, strict=True)
    )
    return record(logs, claims_of(logs, per_seed=per_seed, **changes))


def test_a_score_claimed_of_a_seed_that_its_log_does_not_state():
    logs = honest_logs()
    forged = of_seeds(logs, 1.0501, 1.1122, SCORES_BPB[2], digits=4)
    assert verdict(forged) == (Status.FAIL, ["claimed_score_not_the_logged_one"], [])
    assert claims_seeds.check(forged).message == (
        "seed 42 is claimed at 1.0501; its log states 1.08123456; "
        "seed 314 is claimed at 1.1122; its log states 1.08098765"
    )
    swapped = of_seeds(logs, *SCORES_BPB[1:], SCORES_BPB[0])
    assert verdict(swapped)[0] is Status.FAIL
    assert verdict(of_seeds(logs, *SCORES_BPB))[0] is Status.PASS
    assert verdict(of_seeds(logs, 1.0812, 1.0809, 1.0816, digits=4))[0] is Status.PASS
    # Another score of the same log: which one a seed's field is of, its key does not say.
    assert verdict(of_seeds(logs, *(round(v + 0.001, 8) for v in SCORES_BPB)))[0] is Status.PASS


def test_a_score_of_a_seed_is_not_accused_twice_nor_without_its_log():
    logs = honest_logs()
    # Of these logs is no headline, and claims.score says so.
    missed = of_seeds(logs, 1.05, 1.06, 1.07, val_bpb=claimed(1.06, "val_bpb"))
    assert verdict(missed)[0] is Status.PASS
    silent = dataclasses.replace(logs[2], scores=())
    per_seed = (SeedClaim(seed=999, val_bpb=claimed(1.05, "v").best, bpb_digits=5),)
    published = record([*logs[:2], silent], claims_of(logs[:2], per_seed=per_seed, seeds=SEEDS))
    assert verdict(published)[0] is Status.PASS


@pytest.mark.parametrize(
    ("names", "claim", "status"),
    [
        ((1, 2, 3), (1337, 42, 2025), Status.PASS),
        ((0, 1, 2), (), Status.PASS),
        ((1, 2, 4), (1337, 42, 2025), Status.FAIL),
        ((1, 2, 3), (1, 2, 3), Status.FAIL),  # claimed as seeds, they are none
    ],
)
def test_numbers_that_count_the_files_are_no_seeds(names, claim, status):
    logs = [
        dataclasses.replace(log, name=f"seed{name}.log", seed_in_name=name, seed=found(seed))
        for log, name, seed in zip(honest_logs(), names, (1337, 42, 2025), strict=True)
    ]
    finding = claims_seeds.check(record(logs, claims_of(logs, seeds=claim)))
    assert finding.status is status
    words = ["logged_seed_differs_from_file_name"] if status is Status.FAIL else []
    assert finding.evidence["outcomes"] == words


def test_a_file_numbered_by_its_own_seed_makes_the_numbers_seeds():
    logs = [
        dataclasses.replace(log, name=f"seed{name}.log", seed_in_name=name, seed=found(seed))
        for log, name, seed in zip(honest_logs(), (1, 2, 3), (1, 2, 7), strict=True)
    ]
    assert verdict(record(logs, claims_of(logs, seeds=())))[0] is Status.FAIL


# claims.copies


def copied(seed_in_name, *, seed=None, digest="one", changed=False):
    """Return the finding over two logs, the second a copy of the first, of seed 42 by its name."""
    more = (score(1.2, name="a"), score(1.1, name="b"))
    one = dataclasses.replace(honest_logs()[0], sha256="one", seed=Found())
    one = dataclasses.replace(one, scores=(*more, *one.scores))
    other = dataclasses.replace(
        one,
        name="other.log",
        sha256=digest,
        seed_in_name=seed_in_name,
        seed=Found() if seed is None else found(seed),
    )
    if changed:
        scores = (*other.scores[:-1], score(1.08123455))
        other = dataclasses.replace(other, scores=scores)
    return claims_copies.check(record([one, other], claims_of([one])))


@pytest.mark.parametrize(("digest", "how"), [("one", "byte by byte"), ("two", "in every score")])
def test_one_log_under_two_seeds_fails(digest, how):
    finding = copied(314, digest=digest)
    assert (finding.status, finding.measured) == (Status.FAIL, 1)
    assert finding.message == f"other.log is train_seed42.log, {how}"
    assert copied(42, seed=314, digest="two").status is Status.FAIL


def test_one_log_under_two_names_fails_whatever_seed_it_states():
    one = honest_logs()[0]
    other = dataclasses.replace(one, name="train_seed314.log", seed_in_name=314)
    assert claims_copies.check(record([one, other])).status is Status.FAIL


@pytest.mark.parametrize("seed_in_name", [42, None])
def test_a_copy_under_the_same_seed_or_under_none_is_named_in_a_pass(seed_in_name):
    finding = copied(seed_in_name)
    assert (finding.status, finding.measured) == (Status.PASS, 0)
    assert finding.message == "other.log is train_seed42.log, byte by byte"


def test_a_score_that_differs_in_the_last_digit_makes_another_run():
    finding = copied(314, digest="two", changed=True)
    assert finding.message == "2 logs, none a copy of another here"


@pytest.mark.parametrize(
    ("digits", "more", "status"),
    [
        (8, (), Status.FAIL),
        (7, (), Status.PASS),  # equal by chance
        (8, (score(1.2, name="baseline"),), Status.FAIL),
        (8, (score(1.2, name="other"),), Status.PASS),
    ],
)
def test_one_score_to_eight_decimals_is_enough_where_all_of_one_name_are_equal(
    digits, more, status
):
    # The usual trainer logs two exact scores: a copy whose seed was changed has no more to be known by.
    logs = [
        dataclasses.replace(
            log,
            scores=(
                score(1.12345678, bpb_digits=digits),
                *(
                    dataclasses.replace(one, val_bpb=1.2 + i / 1e6 * (one.name == "other"))
                    for one in more
                ),
            ),
        )
        for i, log in enumerate(honest_logs())
    ]
    finding = claims_copies.check(record(logs))
    assert finding.status is status
    assert ("none a copy" in finding.message) is (status is Status.PASS)


def test_equal_scores_of_one_stated_seed_are_a_rerun_whatever_the_names():
    logs = [dataclasses.replace(log, seed=found(42)) for log in honest_logs()]
    logs = [dataclasses.replace(log, scores=(score(1.12345678),)) for log in logs]
    finding = claims_copies.check(record(logs))
    assert (finding.status, finding.measured) == (Status.PASS, 0)
    assert "in every score" in finding.message
    assert "none" not in finding.message


def test_a_score_that_two_logs_quote_is_no_copy():
    quoted = score(1.12345678, name="baseline")
    logs = [
        dataclasses.replace(log, scores=(quoted, score(1.1 + i / 100, name=f"run {i}")))
        for i, log in enumerate(honest_logs())
    ]
    assert claims_copies.check(record(logs, None)).status is Status.PASS


def test_few_or_rounded_equal_scores_are_no_copy():
    logs = [
        dataclasses.replace(
            log,
            scores=(score(1.2, name="a", bpb_digits=6), score(1.1, name="final", bpb_digits=6)),
        )
        for log in honest_logs()
    ]
    assert claims_copies.check(record(logs)).status is Status.PASS
    coarse = tuple(score(value, name=str(value), bpb_digits=4) for value in (1.2, 1.1, 1.0))
    logs = [dataclasses.replace(log, scores=coarse) for log in honest_logs()]
    assert claims_copies.check(record(logs)).status is Status.PASS


def test_parts_of_one_file_share_its_digest_and_are_no_copies():
    logs = [
        dataclasses.replace(log, name=f"all.log#lines{i}-{i + 9}", sha256="one", seed_in_name=None)
        for i, log in enumerate(honest_logs())
    ]
    assert claims_copies.check(record(logs)).status is Status.PASS


def test_logs_without_a_score_are_nothing_to_compare():
    logs = [dataclasses.replace(log, scores=()) for log in honest_logs()]
    assert claims_copies.check(record(logs, None)).status is Status.NOT_RUN
