import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import claims_bytes, claims_code
from checks.contract import Status
from checks.published import Found, SeedClaim, Value
from tests.checks.records import claimed, claims_of, found, honest_logs, record, with_claims

SIZES = st.lists(st.integers(1_000, 16_000_000), min_size=3, max_size=3)


def counting(totals, code=1_000, **changes):
    return [
        dataclasses.replace(
            log,
            counted=found(total, file=log.name, line=7),
            codes=found(code, file=log.name, line=6, words="Code size"),
            **changes,
        )
        for log, total in zip(honest_logs(), totals, strict=True)
    ]


def claiming(claim, logs, key="bytes_total", more=None, **changes):
    claims = claims_of(logs, bytes_total=claimed(claim, key), **changes)
    return claims_bytes.check(record(logs, claims, **(more or {})))


def verdict(finding):
    return finding.status, finding.evidence["outcome"]


@given(SIZES, st.integers(0, 2))
def test_the_total_of_any_log_and_the_mean_of_all_are_agreed_to(totals, which):
    logs = counting(totals)
    for claim in (totals[which], round(sum(totals) / 3)):
        finding = claiming(claim, logs)
        assert verdict(finding) == (Status.PASS, "equals_a_log")
        assert (finding.measured, finding.limit) == (max(totals), claim)


@given(SIZES, st.integers(0, 16_000_000))
def test_any_other_size_fails_and_below_all_is_told_from_between(totals, claim):
    code = 0  # no code in the logs: nothing could be exchanged
    finding = claiming(claim, counting(totals, code))
    if claim in totals or abs(claim - sum(totals) / 3) < 1:
        assert finding.status is Status.PASS
    else:
        word = "below_every_log" if claim < min(totals) else "differs"
        assert verdict(finding) == (Status.FAIL, word)


def test_the_model_without_the_code_is_less_than_every_log_and_named():
    # PR #1412: bytes_total is the mean of the models; its logs have 16,054,963 to 16,059,704.
    logs = counting([16_054_963, 16_058_494, 16_059_704], 80_055)
    for claim in (15_974_908, 15_977_665):
        finding = claiming(claim, logs, bytes_code=Found())
        assert verdict(finding) == (Status.FAIL, "below_every_log")
        assert finding.message.endswith("; it is what they count without their code")


@pytest.mark.parametrize("key", ["artifact_bytes", "compressed_size_bytes", "artifact_bytes_mean"])
def test_a_key_that_does_not_say_total_may_be_of_the_model_alone(key):
    logs = counting([15_900_000] * 3, 60_000)
    finding = claiming(15_840_000, logs, key)
    assert verdict(finding) == (Status.PASS, "below_every_log")
    assert finding.message.endswith(
        ", what the logs count without the code: their totals are 15,900,000"
    )
    assert claiming(15_839_999, logs, key).status is Status.FAIL
    for total in ("bytes_total", "submission_size_bytes", "total_artifact_bytes"):
        assert claiming(15_840_000, logs, total).status is Status.FAIL
    silent = [dataclasses.replace(log, codes=Found()) for log in logs]
    assert claiming(15_840_000, silent, key).status is Status.PASS  # the claimed code
    assert claiming(15_840_000, silent, key, bytes_code=Found()).status is Status.FAIL


def sized(sizes, totals, key="seed_results.42.artifact_bytes", code=60_000, **changes):
    """Return the finding over sizes that are claimed of seeds alone."""
    logs = counting(totals, code, **changes)
    per_seed = tuple(
        SeedClaim(seed=log.own_seed, artifact_bytes=claimed(size, key).best)
        for log, size in zip(logs, sizes, strict=True)
        if size
    )
    claims = claims_of(logs, bytes_total=Found(), bytes_code=Found(), per_seed=per_seed)
    return claims_bytes.check(record(logs, claims))


TOTALS = (15_991_486, 15_990_916, 15_989_602)


@pytest.mark.parametrize(
    ("sizes", "status", "word"),
    [
        (TOTALS, Status.PASS, "equals_a_log"),
        ([TOTALS[0]] * 3, Status.PASS, "equals_a_log"),  # one number for all, the largest
        ([TOTALS[0] - 60_000] * 3, Status.PASS, "equals_a_log"),  # the same, of the model alone
        ([total - 60_000 for total in TOTALS], Status.PASS, "equals_a_log"),
        ((15_991_486, None, 15_989_602), Status.PASS, "equals_a_log"),
        ([TOTALS[2]] * 3, Status.FAIL, "below_every_log"),
        ((15_000_000, *TOTALS[1:]), Status.FAIL, "below_every_log"),
        ((15_999_000, *TOTALS[1:]), Status.FAIL, "differs"),
    ],
)
def test_sizes_of_seeds_are_held_against_the_logs_of_those_seeds(sizes, status, word):
    assert verdict(sized(sizes, TOTALS)) == (status, word)


def test_the_message_names_the_seed_whose_size_is_another():
    finding = sized((15_000_000, *TOTALS[1:]), TOTALS)
    assert finding.message == (
        "submission.json:3 claims 15,000,000 bytes of seed 42 (seed_results.42.artifact_bytes); "
        "its log states 15,991,486"
    )
    assert (finding.measured, finding.limit) == (15_990_916 + 570, 15_990_916)


def test_sizes_of_seeds_called_totals_are_with_code_and_none_is_compared_without_a_total():
    models = [total - 60_000 for total in TOTALS]
    assert sized(models, TOTALS, "per_seed_total_artifact_bytes.42").status is Status.FAIL
    without = counting(TOTALS)
    per_seed = (SeedClaim(seed=42, artifact_bytes=claimed(1_500_000, "artifact_bytes").best),)
    logs = [dataclasses.replace(log, counted=Found()) for log in without]
    claims = claims_of(logs, bytes_total=Found(), per_seed=per_seed)
    finding = claims_bytes.check(record(logs, claims))
    assert verdict(finding) == (Status.NOT_RUN, None)
    assert finding.message.endswith("1 seed; no total of seed 42 is read from the logs")
    lines = {"counted_kind": "artifact_line"}
    larger = [total + 50_000 for total in TOTALS]
    assert sized(larger, TOTALS, code=0, **lines).status is Status.NOT_RUN


def test_a_script_trimmed_after_the_run_changes_the_total_by_as_much():
    logs = counting([15_884_843] * 3, 60_906)
    code = claimed(58_509, "bytes_code")
    finding = claiming(15_882_446, logs, bytes_code=code)
    assert verdict(finding) == (Status.PASS, "below_every_log")
    assert finding.message.endswith(
        "as train_seed42.log:7 does (15,884,843) with the claimed 58,509 bytes of code for its 60,906"
    )
    assert claiming(15_882_445, logs, bytes_code=code).status is Status.FAIL


def test_an_artifact_line_may_be_without_code():
    logs = counting([15_762_406, 15_870_797, 15_648_800], 0, counted_kind="artifact_line")
    assert verdict(claiming(15_991_282, logs)) == (Status.NOT_RUN, "differs")
    assert verdict(claiming(15_600_000, logs)) == (Status.FAIL, "below_every_log")
    assert claiming(15_870_797, logs).status is Status.PASS


def test_a_total_that_is_not_here_is_not_accused():
    logs = counting([15_985_432, 15_983_433, 15_990_000])
    logs[2] = dataclasses.replace(logs[2], counted=Found())
    of_seed = SeedClaim(seed=999, artifact_bytes=claimed(15_989_637, "bytes").best)
    assert claiming(15_989_637, logs, per_seed=(of_seed,)).status is Status.NOT_RUN
    other = dataclasses.replace(of_seed, seed=42)
    assert claiming(15_989_637, logs, per_seed=(other,)).status is Status.FAIL
    mean = {"key": "artifact_bytes_mean", "seeds": (42, 314, 999, 1)}
    assert claiming(15_000_000, logs, **mean).status is Status.NOT_RUN
    assert claiming(15_000_000, logs, **(mean | {"seeds": (42,)})).status is Status.FAIL


def test_packed_weights_in_the_folder_are_a_lower_bound_and_a_checkpoint_is_none():
    totals = [15_900_000] * 3
    for name, status in (
        ("final_model.int8.ptz", Status.FAIL),
        ("model.int6.br", Status.FAIL),
        ("final_model.pt", Status.PASS),
        ("logs.tar.xz", Status.PASS),
    ):
        more = {"artifacts": (Value(15_900_001, name, 0),)}
        finding = claiming(15_900_000, counting(totals), more=more)
        assert finding.status is status
    lies = {"artifacts": (Value(15_900_000, "a.ptz", 0),)}
    assert claiming(15_900_000, counting(totals), more=lies).status is Status.PASS


def test_no_claim_and_no_total_are_not_run():
    assert verdict(claims_bytes.check(with_claims(bytes_total=Found()))) == (Status.NOT_RUN, None)
    logs = [dataclasses.replace(log, counted=Found()) for log in honest_logs()]
    claims = claims_of(honest_logs())
    assert verdict(claims_bytes.check(record(logs, claims))) == (Status.NOT_RUN, None)


def test_another_size_claimed_elsewhere_is_named():
    logs = counting([15_882_813] * 3)
    both = found(15_925_701, 15_799_020, file="submission.json", line=34, words="artifact_bytes")
    finding = claims_bytes.check(record(logs, claims_of(logs, bytes_total=both)))
    assert finding.message == (
        "submission.json:34 claims 15,799,020 bytes (artifact_bytes), less than every log: "
        "15,882,813; line 34 claims 15,925,701 (artifact_bytes)"
    )


# claims.code


def coded(claim, scripts, logged=(60_000,)):
    logs = [
        dataclasses.replace(log, codes=found(*logged, words="Code size")) for log in honest_logs()
    ]
    files = tuple(Value(size, name, 0) for name, size in scripts.items())
    claims = claims_of(logs, bytes_code=claimed(claim, "bytes_code"))
    return claims_code.check(record(logs, claims, scripts=files))


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_script_log_and_all_source_files_are_agreed_to_and_nothing_else_is(script, other, claim):
    files = {"train_gpt.py": script, "ngram.c": other}
    for honest in (script, script + other, 60_000):
        assert coded(honest, files).status is Status.PASS
    finding = coded(claim, files)
    right = claim in (script, other, script + other, 60_000)
    assert finding.status is (Status.PASS if right else Status.FAIL)
    assert finding.limit == claim


def test_a_claim_that_a_log_counted_passes_and_names_another_script():
    finding = coded(60_000, {"train_gpt.py": 61_234})
    assert finding.message.endswith("as train.log:1 does; train_gpt.py on disk has 61,234")
    assert finding.measured == 61_234


def test_what_else_lies_there_is_listed():
    # #1412: 74 bytes of train_gpt.py run a second file of 80,055.
    finding = coded(74, {"train_gpt.py": 74, "real.py": 80_055})
    assert finding.status is Status.PASS
    assert finding.message.endswith(
        "as train_gpt.py has (1 more source file: 80,055 bytes) on disk"
    )
    assert (
        "(1 more source file: 80,055 bytes)"
        in coded(9, {"train_gpt.py": 74, "real.py": 80_055}).message
    )


@pytest.mark.parametrize("scripts", [{}, {"submission.py": 143}])
def test_without_the_script_a_log_does_not_settle_it(scripts):
    finding = coded(58_509, scripts, (60_906, 47_686))
    assert finding.status is Status.NOT_RUN
    assert finding.message.endswith(
        "; the logs count 47,686, 60,906; there is no train_gpt.py to settle it"
    )
