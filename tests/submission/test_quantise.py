"""Quantising: the stated error, for every finite weight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from submission.quantise import (
    SMALLEST_SCALE,
    dequantise_rows,
    dequantise_state,
    quantise_rows,
    quantise_state,
)

WEIGHTS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=3, max_side=6),
    elements=st.floats(-1000, 1000, width=32),
)


@given(WEIGHTS, st.integers(2, 8))
def test_error_is_at_most_half_a_step(weight_RC, bits):
    codes_RC, scale_R = quantise_rows(weight_RC, bits)
    limit = 2 ** (bits - 1) - 1
    assert codes_RC.dtype == np.int8
    assert np.abs(codes_RC.astype(int)).max() <= limit
    step_R = scale_R.astype(np.float64)
    error_RC = np.abs(weight_RC - codes_RC * step_R[..., None])
    assert (error_RC <= 0.5 * step_R[..., None] * (1 + 1e-12)).all()
    wanted_R = np.abs(weight_RC.astype(np.float64)).max(-1) / limit
    assert (step_R <= np.maximum(wanted_R * (1 + 2**-10), SMALLEST_SCALE)).all()


@given(WEIGHTS)
def test_codes_survive_a_second_round(weight_RC):
    once_RC = dequantise_rows(*quantise_rows(weight_RC, 8))
    twice_RC = dequantise_rows(*quantise_rows(once_RC, 8))
    step_R = quantise_rows(weight_RC, 8)[1].astype(np.float64)
    assert (np.abs(twice_RC - once_RC) <= step_R[..., None]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e9])
def test_weights_that_diverged_are_refused(bad):
    with pytest.raises(ValueError, match="diverged"):
        quantise_rows(np.array([[1.0, bad]]), 8)
    with pytest.raises(ValueError, match="diverged"):
        quantise_state({"x": np.array([bad])}, bits=8, smallest=1)


def test_state_keeps_its_names_shapes_and_order_of_kinds():
    rng = np.random.default_rng(0)
    state = {
        "bank": rng.normal(size=(3, 8, 8)).astype(np.float32),
        "table": rng.normal(size=(16, 8)).astype(np.float32),
        "gain": rng.normal(size=8).astype(np.float32),
        "small": rng.normal(size=(2, 2)).astype(np.float32),
    }
    stored = quantise_state(state, bits=6, smallest=64)
    assert set(stored) == {
        "bank.codes", "bank.scales", "table.codes", "table.scales", "gain.plain", "small.plain"
    }  # fmt: skip
    assert np.abs(stored["bank.codes"]).max() == 31
    assert np.abs(stored["table.codes"]).max() == 31
    back = dequantise_state(stored)
    for name, weight in state.items():
        assert back[name].shape == weight.shape
        assert np.abs(back[name] - weight).max() < 0.06


def test_an_array_without_its_partner_is_refused():
    codes_RC, scale_R = quantise_rows(np.ones((2, 2)), 8)
    for stored in ({"a.codes": codes_RC}, {"a.scales": scale_R}, {"a": codes_RC}):
        with pytest.raises(ValueError, match="partner"):
            dequantise_state(stored)
