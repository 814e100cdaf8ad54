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
    assert finding.message == "2 logs, none a copy of another"


def test_two_equal_scores_are_no_copy_and_rounded_ones_never_are():
    logs = [
        dataclasses.replace(log, scores=(score(1.2, name="a"), score(1.1))) for log in honest_logs()
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
