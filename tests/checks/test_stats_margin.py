"""stats.margin: properties, the contest's own figures, scipy and a slow integral as oracles.

`python -m tests.checks.test_stats_margin` prints the figures of docs/decisions/0004-statistics.md.
"""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from checks import stats_margin
from checks.contract import Baseline, Margin, SeedScore, Status

PR1019 = (1.88276292, 1.88156874, 1.88220393)
SLIDING = (1.87595330, 1.87342257, 1.87626598)  # PR #1302
NGRAM = tuple(1.68845365 * bpb for bpb in (1.10826554, 1.10680980, 1.10846117))  # PR #1302
PR1307 = (1.87679853, 1.87239786, 1.87233216, 1.87531400)

# Scores on a grid of 1e-5 nats: close enough to collide, far enough apart for scipy to trust its variances.
NATS = st.integers(180_000, 200_000).map(lambda grid: grid / 1e5)
SAMPLES = st.lists(NATS, min_size=2, max_size=6)
BASELINES = st.lists(NATS, min_size=1, max_size=6)
MARGINS = st.builds(
    Margin,
    test=st.sampled_from(["welch", "one-sample"]),
    margin_nats=st.sampled_from([0.001, 0.005, 0.02]),
    margin_in_null=st.booleans(),
    alpha=st.sampled_from([0.01, 0.25]),
    min_seeds=st.integers(2, 4),
)


def margin(test="welch", margin_nats=0.005, margin_in_null=True, alpha=0.01, min_seeds=3):
    return Margin(
        test=test,
        margin_nats=margin_nats,
        margin_in_null=margin_in_null,
        alpha=alpha,
        min_seeds=min_seeds,
    )


def baseline(nats=PR1019, bytes_per_token=2.5, text_sha256=None):
    return Baseline(
        name="PR #1019",
        nats_per_token=tuple(nats),
        seeds=tuple(range(len(nats))),
        bytes_per_token=bytes_per_token,
        text_sha256=text_sha256,
    )


def scores(nats, bytes_per_token=2.5, tokens=1_000_000):
    return [
        SeedScore(
            seed=seed,
            sum_nats=value * tokens,
            tokens=tokens,
            text_bytes=round(tokens * bytes_per_token),
        )
        for seed, value in enumerate(nats)
    ]


def check(nats, base=PR1019, question=None, **more):
    return stats_margin.check(
        scores(nats), baseline(base), question or margin(**more), text_sha256=None
    )


def reading(nats, base, test, margin_nats):
    """Return the one reading asked for, however it is ordered."""
    result = stats_margin.compare(nats, base, margin(test, margin_nats or 0.005))
    return next(r for r in result.readings if (r.test, r.margin_nats) == (test, margin_nats))


# Properties.


@given(SAMPLES, BASELINES, MARGINS)
def test_the_status_follows_from_p_alpha_and_the_number_of_seeds(nats, base, question):
    finding = check(nats, base, question)
    readings = finding.evidence["comparison"]["readings"]
    null = question.margin_nats if question.margin_in_null else 0.0
    assert (readings[0]["test"], readings[0]["margin_nats"]) == (question.test, null)
    p = readings[0]["p"]
    if p is None or len(nats) < question.min_seeds:
        assert finding.status is Status.NOT_RUN
        assert finding.measured is None
    else:
        assert finding.status is (Status.PASS if p < question.alpha else Status.FAIL)
        assert (finding.measured, finding.limit, finding.unit) == (p, question.alpha, "p")


@given(SAMPLES, BASELINES, MARGINS)
def test_evidence_is_json_without_nan_or_infinity(nats, base, question):
    finding = check(nats, base, question)
    for record in (finding.evidence, finding.power):
        assert json.loads(json.dumps(record, allow_nan=False)) == record


@given(SAMPLES, BASELINES, MARGINS, st.data())
def test_the_order_of_seeds_does_not_matter(nats, base, question, data):
    first = stats_margin.compare(nats, base, question)
    second = stats_margin.compare(
        data.draw(st.permutations(nats)), data.draw(st.permutations(base)), question
    )
    assert first.readings == second.readings
    assert first.seeds_needed == second.seeds_needed


@given(SAMPLES, BASELINES, MARGINS, st.floats(-1, 1), st.floats(0.5, 2))
def test_shift_and_scale_leave_t_and_p_alone(nats, base, question, shift, scale):
    assume(len(set(nats)) > 1)
    moved = stats_margin.compare(
        [scale * (x + shift) for x in nats],
        [scale * (x + shift) for x in base],
        dataclasses.replace(question, margin_nats=scale * question.margin_nats),
    )
    for one, other in zip(
        stats_margin.compare(nats, base, question).readings, moved.readings, strict=True
    ):
        assert one.undefined == other.undefined
        if one.t is not None:
            assert other.t == pytest.approx(one.t, rel=1e-6, abs=1e-6)
            assert other.df == pytest.approx(one.df, rel=1e-6)
            assert other.p == pytest.approx(one.p, rel=1e-5, abs=1e-12)


@given(SAMPLES, BASELINES, MARGINS, st.floats(0, 0.05), st.floats(1e-6, 0.05))
def test_a_larger_margin_is_never_easier(nats, base, question, low_nats, more_nats):
    ps = [
        stats_margin.compare(nats, base, dataclasses.replace(question, margin_nats=at)).readings
        for at in (low_nats, low_nats + more_nats)
    ]
    for easy, hard in zip(*ps, strict=True):
        if easy.p is not None and easy.test == hard.test and easy.margin_nats <= hard.margin_nats:
            assert hard.p >= easy.p
            assert hard.t >= easy.t


@given(SAMPLES, BASELINES, MARGINS, st.integers(1, 2000))
def test_better_scores_never_lose_a_pass(nats, base, question, gain):
    better = [x - gain / 1e5 for x in nats]
    if check(nats, base, question).status is Status.PASS:
        assert check(better, base, question).status is Status.PASS


@given(SAMPLES, BASELINES, MARGINS)
def test_the_interval_agrees_with_the_test_of_no_improvement(nats, base, question):
    """A two-sided 95% interval that excludes 0 is a one-sided p below 2.5%, on either side."""
    result = stats_margin.compare(nats, base, question)
    none_at_all = next(r for r in result.readings[:2] if r.margin_nats == 0)
    if none_at_all.p is not None and abs(none_at_all.p - 0.025) > 1e-6:
        assert (result.improvement_ci[0] > 0) == (none_at_all.p < 0.025)


@given(SAMPLES, BASELINES, MARGINS)
def test_the_sufficient_improvement_is_where_p_meets_alpha(nats, base, question):
    result = stats_margin.compare(nats, base, question)
    if result.sufficient_nats is not None:
        shift = result.sufficient_nats - result.improvement_nats
        assume(abs(shift) > 1e-9)
        moved = stats_margin.compare([x - shift for x in nats], base, question)
        assert moved.readings[0].p == pytest.approx(question.alpha, rel=1e-4)
        assert (result.readings[0].p < question.alpha) == (shift < 0)


# Oracles.


@given(SAMPLES, st.lists(NATS, min_size=2, max_size=6), st.sampled_from([0.0, 0.005]))
def test_welch_is_scipys(nats, base, margin_nats):
    assume(len(set(nats)) > 1 and len(set(base)) > 1)
    ours = reading(nats, base, "welch", margin_nats)
    theirs = stats.ttest_ind(
        np.array(nats) + margin_nats, base, equal_var=False, alternative="less"
    )
    assert ours.t == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-6)
    assert ours.df == pytest.approx(theirs.df, rel=1e-6)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-5, abs=1e-14)


@given(SAMPLES, BASELINES, st.sampled_from([0.0, 0.005]))
def test_one_sample_is_scipys(nats, base, margin_nats):
    assume(len(set(nats)) > 1)
    ours = reading(nats, base, "one-sample", margin_nats)
    theirs = stats.ttest_1samp(nats, np.mean(base) - margin_nats, alternative="less")
    assert ours.t == pytest.approx(theirs.statistic, rel=1e-6, abs=1e-6)
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-5, abs=1e-14)
    interval = theirs.confidence_interval  # one-sided; the two-sided one has its own quantile
    assert interval(0.975).high == pytest.approx(
        stats_margin.describe(nats).ci[1]
        - np.mean(base)
        + margin_nats
        + (np.mean(base) - margin_nats)
    )


def integrated_tail(t, df, steps=20_000):
    """Return P(T <= t) by Simpson's rule over the density, which owes scipy nothing.

    With x = sqrt(df) tan(a) the density becomes a power of cos(a) on a finite range.
    """
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(math.pi)
    a = np.linspace(-math.pi / 2, math.atan(t / math.sqrt(df)), steps + 1)
    values = math.exp(log_scale) * np.cos(a) ** (df - 1)
    weights = np.ones(steps + 1)
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    return float((a[1] - a[0]) / 3 * (weights @ values))


@given(st.floats(-30, 5), st.floats(1, 60))
def test_the_tail_is_the_integral_of_the_density(t, df):
    assert float(stats_margin.lower_tail(t, df)) == pytest.approx(
        integrated_tail(t, df), rel=1e-5, abs=1e-9
    )


@given(SAMPLES, BASELINES, MARGINS)
def test_the_number_of_seeds_needed_is_found_one_by_one_too(nats, base, question):
    result = stats_margin.compare(nats, base, question)
    assume(result.readings[0].p is not None)
    gain = result.improvement_nats - result.readings[0].margin_nats

    def p_with(n):
        """The test's formula written out for n seeds with the same mean and variance."""
        own, other = result.sample.std**2 / n, (result.baseline.std or 0.0) ** 2 / len(base)
        if question.test == "one-sample":
            return stats.t.cdf(-gain / math.sqrt(own), n - 1)
        last = other**2 / (len(base) - 1) if other else 0.0
        df = (own + other) ** 2 / (own**2 / (n - 1) + last)
        return stats.t.cdf(-gain / math.sqrt(own + other), df)

    reached = result.readings[0].p < question.alpha
    start = max(question.min_seeds, 2 if reached else len(nats))
    p_values = {n: p_with(n) for n in range(start, 41)}
    # At alpha itself the last digit decides, and the two formulas need not share it.
    assume(all(abs(p - question.alpha) > 1e-9 for p in p_values.values()))
    first = next((n for n, p in p_values.items() if p < question.alpha), None)
    if first is not None or (result.seeds_needed or 41) <= 40:
        assert result.seeds_needed == first
    if gain <= 0:
        assert result.seeds_note.startswith("no number of seeds helps while the improvement")
    elif result.seeds_needed is None:
        assert result.seeds_note.startswith("no number of seeds up to 10,000")


def false_passes(own_std, n, baseline_n, test, alpha, runs=100_000, seed=20261123):
    """Return how often H0 is rejected where it is just true; the baseline's deviation is 1."""
    draw = np.random.default_rng(seed)
    x_RS = draw.normal(-0.005, own_std, (runs, n))
    y_RS = draw.normal(0.0, 1.0, (runs, baseline_n))
    own = x_RS.std(axis=1, ddof=1)
    if test == "welch":
        centre_R = y_RS.mean(axis=1)
        error, df = stats_margin.welch(own, n, y_RS.std(axis=1, ddof=1), baseline_n)
    else:
        # "fixed": the baseline's mean is exact; "one-sample": it is itself an average of seeds.
        centre_R = y_RS.mean(axis=1) if test == "one-sample" else 0.0
        error, df = own / math.sqrt(n), n - 1
    t_R = (x_RS.mean(axis=1) - centre_R + 0.005) / error
    return float((stats_margin.lower_tail(t_R, df) < alpha).mean())


@pytest.mark.parametrize("alpha", [0.01, 0.25])
def test_under_the_null_false_passes_stay_near_alpha(alpha):
    noise = 4 * math.sqrt(alpha * (1 - alpha) / 100_000)  # four standard errors of the simulation
    assert abs(false_passes(1.0, 3, 3, "fixed", alpha) - alpha) < noise
    for own_std in (1.0, 2.0):
        assert false_passes(own_std, 3, 3, "welch", alpha) < alpha + noise
    # Welch's degrees of freedom are an approximation: this is how far it has been seen to go at 3 against 3.
    assert false_passes(10.0, 3, 3, "welch", alpha) < 1.6 * alpha


def test_the_simulation_uses_the_formula_of_the_check():
    own = stats_margin.describe(SLIDING)
    base = stats_margin.describe(PR1019)
    error, df = stats_margin.welch(own.std, 3, base.std, 3)
    found = reading(SLIDING, PR1019, "welch", 0.005)
    assert (own.mean - base.mean + 0.005) / float(error) == pytest.approx(found.t)
    assert float(df) == pytest.approx(found.df)


# The contest's own figures: SUBMISSION.md section 11 and RULES.md section 2 of the design papers.


def test_the_sliding_losses_of_pr1302():
    sample = stats_margin.describe(SLIDING)
    assert f"{sample.mean:.8f} {sample.std:.8f}" == "1.87521395 0.00155924"
    welch = reading(SLIDING, PR1019, "welch", 0.005)
    assert f"{welch.t:.3f} {welch.df:.2f} {welch.p:.4f}" == "-2.038 2.57 0.0746"
    rounded = reading(SLIDING, (1.8822,), "one-sample", 0.005)  # published against 1.8772
    assert f"{rounded.t:.3f} {rounded.df:g} {rounded.p:.4f}" == "-2.206 2 0.0791"


def test_the_ngram_scores_of_pr1302():
    sample = stats_margin.describe(NGRAM)
    assert f"{sample.mean:.8f} {sample.std:.8f}" == "1.87054578 0.00152343"
    welch = reading(NGRAM, PR1019, "welch", 0.005)
    assert f"{welch.t:.3f} {welch.df:.2f} {welch.p:.5f}" == "-7.020 2.60 0.00466"
    rounded = reading(NGRAM, (1.8822,), "one-sample", 0.005)
    assert rounded.t == pytest.approx(-7.566, abs=1e-3)
    assert f"{rounded.p:.5f}" == "0.00851"


def test_without_the_margin_the_sliding_losses_pass():
    assert f"{reading(SLIDING, (1.8822,), 'one-sample', 0.0).p:.4f}" == "0.0081"
    assert f"{reading(SLIDING, PR1019, 'welch', 0.0).p:.4f}" == "0.0045"
    assert check(SLIDING).status is Status.FAIL
    assert check(SLIDING, margin_in_null=False).status is Status.PASS


def test_pr1307_turns_on_the_null_hypothesis():
    assert f"{reading(PR1307, PR1019, 'welch', 0.0).p:.7f}" == "0.0017853"
    harder = reading(PR1307, PR1019, "welch", 0.005)
    assert f"{harder.t:.3f} {harder.df:.2f} {harder.p:.4f}" == "-2.558 3.56 0.0352"
    assert check(PR1307).status is Status.FAIL
    assert check(PR1307, margin_in_null=False).status is Status.PASS


def test_pr1179_from_its_mean_and_deviation():
    mean, std = 1.875084, 0.001066
    found = reading((mean - std, mean, mean + std), PR1019, "one-sample", 0.005)
    assert f"{found.t:.2f} {found.p:.3f}" == "-3.40 0.038"


def test_the_message_gives_both_readings():
    assert check(SLIDING).message == (
        "0.00696 nats per token better than PR #1019 (1.87521 against 1.88218; 3 seeds, deviation "
        "0.00156). Welch's test: p = 0.0746 for H0 “better by no more than 0.005”, p = 0.00447 for H0 "
        "“no better at all”; the ruleset wants p < 0.01 for the first. At this mean and deviation 8 seeds "
        "would reach it"
    )


def test_p_is_written_with_the_digits_it_takes_to_see_its_side_of_alpha():
    p = check(SLIDING).measured
    for alpha, status in ((p * (1 - 1e-7), Status.FAIL), (p * (1 + 1e-7), Status.PASS)):
        finding = check(SLIDING, alpha=alpha)
        assert finding.status is status
        written = float(finding.message.split("p = ")[1].split(" ")[0])
        assert (written < alpha) == (p < alpha)


# Refusals.


def test_without_two_seeds_there_is_no_verdict():
    assert check(()).status is Status.NOT_RUN
    finding = check((1.8,))
    assert finding.status is Status.NOT_RUN
    assert finding.message.startswith("1 seed has no interval")
    assert finding.evidence["own_std"] is None
    assert stats_margin.describe((1.8,)).ci is None


def test_too_few_seeds_for_the_ruleset_are_not_run_however_good():
    finding = check((1.5, 1.5001), min_seeds=3)
    assert finding.status is Status.NOT_RUN
    assert finding.message.startswith("2 seeds, the ruleset asks for 3. ")
    assert finding.evidence["comparison"]["readings"][0]["p"] < 0.01


def test_no_baseline_or_another_text_is_not_run():
    seeds = scores(SLIDING)
    finding = stats_margin.check(seeds, None, margin(), text_sha256="a")
    assert finding.status is Status.NOT_RUN
    assert finding.evidence["own_mean"] == pytest.approx(1.87521395)
    other = baseline(text_sha256="b")
    finding = stats_margin.check(seeds, other, margin(), text_sha256="a")
    assert finding.status is Status.NOT_RUN
    assert "another text" in finding.message
    for theirs, ours, same in (("a", "a", True), ("a", None, None), (None, "a", None)):
        finding = stats_margin.check(
            seeds, baseline(text_sha256=theirs), margin(), text_sha256=ours
        )
        assert finding.status is Status.FAIL
        assert finding.evidence["same_text"] is same


def test_identical_seeds_leave_the_one_sample_test_undefined_and_not_welchs():
    same = (1.87, 1.87, 1.87)
    finding = check(same, test="one-sample")
    assert finding.status is Status.NOT_RUN
    assert "identical" in finding.message
    assert finding.power["seeds_needed"] is None
    finding = check(same)
    assert finding.status is Status.PASS
    assert "3 seeds, all the same" in finding.message
    comparison = finding.evidence["comparison"]
    assert comparison["sample"]["ci"] is None
    assert comparison["readings"][0]["df"] == pytest.approx(2)
    assert comparison["readings"][2]["undefined"]
    both = check(same, (1.9, 1.9, 1.9))
    assert both.status is Status.NOT_RUN
    assert "and so are the baseline's" in both.message


def test_seven_equal_seeds_have_no_rounding_deviation():
    sample = stats_margin.describe([1.1] * 7)
    assert (sample.mean, sample.std) == (1.1, 0.0)


def test_a_baseline_of_one_value_allows_the_one_sample_test_alone():
    assert check(SLIDING, (1.9,)).status is Status.NOT_RUN
    assert check(SLIDING, (1.9,), test="one-sample").status is Status.PASS


def test_a_t_that_no_number_holds_is_refused():
    finding = check((5e-310, 6e-310, 5e-310), (1.9,), test="one-sample")
    assert finding.status is Status.NOT_RUN
    assert "too small" in finding.message


def with_deviation(n, mean, std):
    """Return an even number of values with exactly this mean and sample deviation."""
    step = std * math.sqrt((n - 1) / n)
    return (mean - step, mean + step) * (n // 2)


def test_few_baseline_seeds_can_make_any_number_too_few():
    """Against two noisy seeds of a baseline Welch's p rises again: 6 seeds reach what 40 do not."""
    base = with_deviation(2, 1.9, 0.001)
    few = check(with_deviation(6, 1.895, 0.003), base, margin_in_null=False)
    many = check(with_deviation(40, 1.895, 0.003), base, margin_in_null=False)
    assert (few.status, few.power["seeds_needed"]) == (Status.PASS, 6)
    assert (many.status, many.power["seeds_needed"]) == (Status.FAIL, None)
    assert many.message.endswith("would reach p < 0.01: the baseline has only 2")


def test_records_that_cannot_be_of_one_run_are_errors():
    good = scores(SLIDING)
    bad = {
        "more than once": [good[0], good[0]],
        "same text": [good[0], dataclasses.replace(good[1], tokens=5)],
        "0 bytes": [dataclasses.replace(good[0], text_bytes=0)],
        "nan nats": [dataclasses.replace(good[0], sum_nats=math.nan)],
    }
    for says, seeds in bad.items():
        finding = stats_margin.check(seeds, baseline(), margin(), text_sha256=None)
        assert finding.status is Status.ERROR
        assert says in finding.message
    for wrong in (math.inf, 0.0, -1.9):
        finding = check(SLIDING, (1.9, wrong))
        assert finding.status is Status.ERROR
        assert finding.message.startswith("PR #1019: ")


def test_an_unknown_test_is_refused():
    with pytest.raises(ValueError, match="student"):
        check(SLIDING, test="student")


# Tokenizers.


@given(st.floats(1.5, 6), SAMPLES)
def test_another_tokenizer_is_compared_through_bytes(bytes_per_token, nats):
    """The same nats for the same bytes are the same score, however the bytes are cut into tokens."""
    own = scores(nats, bytes_per_token=2.5)
    recut = [
        dataclasses.replace(s, tokens=max(1, round(s.text_bytes / bytes_per_token))) for s in own
    ]
    base = baseline()
    direct, basis = stats_margin.exchange(own, base)
    assert basis == "per token"
    converted, basis = stats_margin.exchange(recut, base)
    ratio = (recut[0].text_bytes / recut[0].tokens) / base.bytes_per_token
    assert (basis == "per token") == (abs(ratio - 1) <= stats_margin.SAME_TOKENIZER)
    assert converted == pytest.approx(direct, rel=1.0001 * stats_margin.SAME_TOKENIZER)
    if basis == "through bytes":
        assert converted == pytest.approx(direct, rel=1e-12)


def test_a_published_rate_of_few_digits_is_still_the_same_tokenizer():
    own = scores(SLIDING, bytes_per_token=2.43592)
    found, basis = stats_margin.exchange(own, baseline(bytes_per_token=2.436))
    assert basis == "per token"
    assert found == pytest.approx(SLIDING, rel=1e-12)


def test_the_message_says_when_bytes_were_the_measure():
    finding = stats_margin.check(
        scores(SLIDING, bytes_per_token=3.727), baseline(), margin(), text_sha256=None
    )
    assert "compared through bytes" in finding.message
    assert finding.evidence["basis"] == "through bytes"


def test_deviations_too_small_for_numbers_are_undefined():
    tiny = [5e-324, 1e-323, 1.5e-323, 5e-324, 5e-324, 1e-323]
    for test, own, other in (("one-sample", tiny, [1.0, 1.1]), ("welch", [1e-323, 5e-324], tiny)):
        found = stats_margin.compare(own, other, margin(test=test))
        assert found.readings[0].p is None
        assert found.readings[0].undefined


def print_figures():
    """Print the tables of docs/decisions/0004-statistics.md."""
    for name, nats in (("sliding", SLIDING), ("n-gram", NGRAM), ("PR #1307", PR1307)):
        for test in ("welch", "one-sample"):
            for margin_nats in (0.005, 0.0):
                r = reading(nats, PR1019, test, margin_nats)
                print(
                    f"{name:9s} {test:10s} {margin_nats:5g}: t {r.t:.3f} df {r.df:.2f} p {r.p:.5f}"
                )
        print(
            f"{name:9s} seeds needed: {stats_margin.compare(nats, PR1019, margin()).seeds_needed}"
        )
    print("false passes at the null, alpha 0.01; own deviation as a multiple of the baseline's")
    for test, n, baseline_n in (
        ("fixed", 3, 3),
        ("one-sample", 3, 3),
        ("welch", 2, 3),
        ("welch", 3, 3),
        ("welch", 5, 3),
        ("welch", 10, 3),
        ("welch", 30, 3),
        ("welch", 30, 2),
        ("welch", 5, 5),
        ("welch", 10, 10),
    ):
        rates = [false_passes(own, n, baseline_n, test, 0.01) for own in (0.1, 0.3, 1, 3, 10)]
        print(f"{test:10s} {n:2d} against {baseline_n:2d}: " + " ".join(f"{x:.4f}" for x in rates))


if __name__ == "__main__":
    print_figures()
