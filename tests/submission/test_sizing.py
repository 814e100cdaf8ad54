"""The size guard: whatever sizes and estimates do, the blob fits; well-behaved ones nearly fill the cap."""

import math
import random

import brotli
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from submission.sizing import ESTIMATES, LARGEST_FACTOR, entropy_bytes, fit

CAP = 100_000
SEARCH = 9
"""Blobs until the largest step is reached, as the docstring of `fit` promises."""
STEPS = st.floats(1e-4, 1.0)


class Maker:
    """Blobs of given sizes that say which step they are of, and a record of what was asked for."""

    def __init__(self, size):
        self.size = size
        self.blobs = {}
        self.steps = []

    def __call__(self, step):
        text = repr(step).encode()
        self.steps.append(step)
        self.blobs[step] = text.ljust(int(self.size(step)), b".")
        return self.blobs[step]

    @property
    def sizes(self):
        return [len(self.blobs[step]) for step in self.steps]


def gaussian(step, scale, weights=8 * CAP):
    """Return about the bytes of normal codes: the entropy of a rounded normal, smooth and falling to 0."""
    return weights / 8 * math.log2(1 + (4.13 * scale / step) ** 2) / 2


def wild(first, seed):
    """Return a size that jumps about, up to three times the cap, and is 0 from some coarse step on."""
    coarse = first * random.Random(seed).uniform(1, LARGEST_FACTOR)

    def size(step):
        return 0 if step >= coarse else random.Random(f"{seed} {step}").uniform(0, 3 * CAP)

    return size


LIES = st.sampled_from([0.0, -1.0, math.nan, math.inf, 1e-300, 1e300, 1.0, CAP]) | st.floats()
SHAPES = st.integers(0, 1 << 32).map(lambda seed: lambda first: wild(first, seed)) | st.floats(
    1e-3, 1e3
).map(lambda scale: lambda first: lambda step: gaussian(step, scale * first))


def check(made, make, *, first, tries):
    """Assert what always holds."""
    assert len(made.blob) <= CAP
    assert made.blob == make.blobs[made.step]
    assert made.blob.rstrip(b".") == repr(made.step).encode()
    assert made.tries == len(make.steps) == len(set(make.steps)) <= max(tries, SEARCH)
    assert make.steps[0] == first
    assert made.first_bytes == make.sizes[0]
    assert min(make.steps) >= first or made.first_bytes <= CAP
    assert f"{len(made.blob):,}" in made.gave_up
    assert f"{CAP:,}" in made.gave_up


@given(SHAPES, STEPS, STEPS, st.lists(LIES, min_size=1), st.integers(1, 8), st.floats(0, 0.5))
def test_whatever_sizes_and_estimates_do_it_fits(shape, step, smallest, lies, tries, slack):
    first = max(step, smallest)
    make = Maker(shape(first))
    rng = random.Random(0)
    made = fit(
        make,
        lambda step: rng.choice(lies),
        cap_bytes=CAP,
        step=step,
        smallest_step=smallest,
        tries=tries,
        slack=slack,
    )
    check(made, make, first=first, tries=tries)
    assert min(make.steps) >= smallest
    assert len(made.blob) == max(size for size in make.sizes if size <= CAP)


@given(st.floats(-3, 3), st.floats(-300, 300), st.floats(0.5, 2))
def test_an_estimate_that_bends_wrongly_costs_tries_alone(off, power, factor):
    first = 0.05 * 2.0**off
    rules = {"cap_bytes": CAP, "step": first, "smallest_step": 1e-4}

    def estimate(step):
        return factor * CAP * math.exp(min(600.0, power * math.log(step / first)))

    make = Maker(lambda step: gaussian(step, 0.024))
    check(fit(make, estimate, **rules), make, first=first, tries=6)
    make = Maker(lambda step: gaussian(step, 0.024))
    made = fit(make, estimate, tries=40, **rules)
    assert len(made.blob) >= 0.998 * CAP


@given(SHAPES, STEPS, st.lists(LIES, min_size=1))
def test_without_time_the_first_blob_that_fits_is_it(shape, step, lies):
    make = Maker(shape(step))
    rng = random.Random(0)
    made = fit(
        make,
        lambda step: rng.choice(lies),
        cap_bytes=CAP,
        step=step,
        smallest_step=step / 8,
        until_s=0.0,
        now=lambda: 1.0,
    )
    check(made, make, first=step, tries=1)
    assert min(make.sizes[:-1], default=CAP + 1) > CAP
    assert make.steps == sorted(make.steps)
    assert made.step == make.steps[-1]


@given(
    st.floats(-3, 3),
    st.floats(0.03, 1.0),
    st.floats(0.8, 1.25),
    st.floats(-0.1, 0.1),
    st.floats(0, 0.1),
)
def test_well_behaved_sizes_nearly_fill_the_cap_in_six_tries(off, sigma, factor, drift, overhead):
    # `best` is the step whose blob is exactly the cap. The estimate is off by a factor that is not constant.
    best = 0.03
    weights = 8 * CAP / (gaussian(best, best / sigma, 8.0) + overhead)
    make = Maker(lambda step: gaussian(step, best / sigma, weights) + overhead * weights / 8)
    calls = []

    def estimate(step):
        calls.append(step)
        return factor * gaussian(step, best / sigma, weights) * (step / best) ** drift

    first = best * 2.0**off
    made = fit(make, estimate, cap_bytes=CAP, step=first, smallest_step=best / 100)
    check(made, make, first=first, tries=6)
    assert made.tries <= 6
    assert len(made.blob) >= 0.998 * CAP
    assert len(calls) == len(set(calls)) <= (ESTIMATES + 1) * made.tries


@given(st.floats(1.01, 8.0), st.floats(0.8, 1.25))
def test_an_estimate_off_by_a_constant_factor_needs_one_more_blob(off, factor):
    make = Maker(lambda step: gaussian(step, 0.1))
    cap = gaussian(0.05, 0.1)
    made = fit(
        make,
        lambda step: factor * gaussian(step, 0.1),
        cap_bytes=int(cap),
        step=0.05 / off,
        smallest_step=1e-4,
    )
    assert made.tries <= 2
    assert len(made.blob) >= 0.998 * cap


@given(st.integers(CAP + 1, 3 * CAP), STEPS)
def test_what_never_fits_is_an_error_with_the_smallest_size(floor, step):
    make = Maker(lambda at: floor + 1_000 * step / at)
    # The estimate says that a hair's breadth will do.
    steep = lambda at: CAP * (step / at) ** 60
    with pytest.raises(ValueError, match=r"cap of 100,000 bytes.*make the model smaller") as caught:
        fit(make, steep, cap_bytes=CAP, step=step, smallest_step=step, until_s=0.0)
    assert f"has {min(make.sizes):,}" in str(caught.value)
    assert len(make.steps) <= SEARCH
    assert make.steps[-1] == step * LARGEST_FACTOR


@pytest.mark.parametrize(("above", "below"), [(2.0, 0.5), (1.002, 0.01), (9.0, 0.99)])
def test_a_size_that_jumps_over_the_slack_ends_the_search(above, below):
    make = Maker(lambda step: CAP * (above if step < 0.3 else below))
    made = fit(make, lambda step: 1.0, cap_bytes=CAP, step=0.1, smallest_step=0.01, tries=10_000)
    assert made.step == pytest.approx(0.3)
    assert made.tries < 80
    assert "ran out" not in made.gave_up


def test_two_noisy_blobs_are_not_taken_for_a_trend():
    def size(step):
        noise = 1_000 if 0.1 < step < 0.105 else 0
        return 1.001 * CAP * (0.1 / step) ** 0.5 + noise

    make = Maker(size)
    rules = {"cap_bytes": CAP, "step": 0.1, "smallest_step": 0.1, "until_s": 0.0}
    made = fit(make, lambda step: step**-0.5, **rules)
    assert made.tries > 2
    assert made.step < 0.12


def test_the_finest_step_gives_up_nothing():
    make = Maker(lambda step: 332_617)
    made = fit(
        make, lambda step: 3e5, cap_bytes=1_000_000, step=0.001, smallest_step=0.001, until_s=0.0
    )
    assert made.tries == 1
    assert made.gave_up == (
        "nothing: 332,617 bytes at step 0.001, the finest asked for, 667,383 below the cap of 1,000,000"
    )


def test_a_step_that_fits_at_once_gives_up_nothing():
    made = fit(
        Maker(lambda step: 99_900), lambda step: 1.0, cap_bytes=CAP, step=0.1, smallest_step=0.01
    )
    assert made.gave_up == (
        "nothing: 99,900 bytes at step 0.1, as asked for, 100 below the cap of 100,000"
    )


def test_a_step_that_had_to_grow_is_named():
    make = Maker(lambda step: 17_102_113 if step < 0.0411 else 15_981_220)
    made = fit(
        make,
        lambda step: 17_102_113 * (0.0323 / step) ** 0.284,
        cap_bytes=16_000_000,
        step=0.0323,
        smallest_step=0.001,
    )
    assert made.first_bytes == 17_102_113
    assert made.gave_up == (
        f"the step had to grow from 0.0323 to {made.step:.4g} ({100 * (made.step / 0.0323 - 1):.0f} % "
        "coarser) to bring 17,102,113 bytes to 15,981,220 of 16,000,000"
    )


def test_a_step_that_could_shrink_is_named():
    make = Maker(lambda step: 6_000 / step)
    made = fit(
        make, lambda step: 7_000 / step, cap_bytes=CAP, step=0.12, smallest_step=0.01, slack=0.01
    )
    assert made.step == pytest.approx(0.06, rel=0.01)
    assert made.gave_up.startswith(
        "nothing: the step could shrink from 0.12 to 0.0603 (50 % finer)"
    )


def test_what_stays_unused_is_said():
    sizes = {"cap_bytes": CAP, "step": 0.1, "smallest_step": 0.01}
    for more, why in (({"tries": 1}, "tries"), ({"until_s": 0.0}, "time")):
        made = fit(Maker(lambda step: 60_000), lambda step: 1.0, **sizes, **more)
        assert made.gave_up.endswith(f"; 40,000 bytes stay unused because {why} ran out")


def test_a_blob_that_would_not_be_ready_in_time_is_not_begun():
    clock = [0.0]
    make = Maker(lambda step: 1_000 / step)

    def slow(step):
        clock[0] += 10.0
        return make(step)

    for until_s, expected in ((19.0, 1), (21.0, 2)):
        clock[0], make.steps = 0.0, []
        made = fit(
            slow,
            lambda step: 1.0,
            cap_bytes=CAP,
            step=0.1,
            smallest_step=1e-4,
            until_s=until_s,
            now=lambda: clock[0],
        )
        assert made.tries == expected
        assert clock[0] <= until_s


def test_a_refinement_never_goes_below_the_smallest_step():
    make = Maker(lambda step: 100.0)
    made = fit(make, lambda step: 100.0, cap_bytes=CAP, step=0.5, smallest_step=0.3)
    assert make.steps == [0.5, 0.3]
    assert made.tries == 2
    assert made.gave_up == (
        "nothing: the step could shrink from 0.5 to 0.3, the finest asked for (40 % finer), which "
        "brings 100 bytes to 100 of 100,000"
    )


@pytest.mark.parametrize(
    "bad", [{"step": 0.0}, {"step": math.nan}, {"smallest_step": -1.0}, {"slack": 1.0}]
)
def test_arguments_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="out of range"):
        fit(
            Maker(lambda step: 1),
            lambda step: 1.0,
            **{"cap_bytes": CAP, "step": 0.1, "smallest_step": 0.1, **bad},
        )


@given(hnp.arrays(np.int8, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)))
def test_entropy_is_that_of_the_histogram(codes):
    _, counts = np.unique(codes, return_counts=True)
    expected = codes.size * scipy.stats.entropy(counts, base=2) / 8 if codes.size else 0.0
    assert entropy_bytes(codes) == pytest.approx(expected, abs=1e-9)
    assert entropy_bytes(codes) >= 0


def test_entropy_of_many_codes_is_about_what_brotli_needs():
    rng = np.random.default_rng(0)
    codes = np.rint(rng.normal(size=(3, 500_000)) * 4.9).clip(-31, 31).astype(np.int8)
    _, counts = np.unique(codes, return_counts=True)
    bits = scipy.stats.entropy(counts, base=2)
    assert entropy_bytes(codes) == pytest.approx(codes.size * bits / 8)
    small = codes[0, :300_000]
    assert len(brotli.compress(small.tobytes())) == pytest.approx(entropy_bytes(small), rel=0.02)


def test_entropy_of_constants_is_nothing_and_of_other_types_refused():
    assert entropy_bytes(np.full((3, 7), -5, np.int8)) == 0.0
    assert entropy_bytes(np.zeros((0, 7), np.int8)) == 0.0
    assert entropy_bytes(np.array([[1, -1]], np.int8)[:, ::-1]) == 0.25
    with pytest.raises(ValueError, match="int8"):
        entropy_bytes(np.zeros(3, np.int16))
