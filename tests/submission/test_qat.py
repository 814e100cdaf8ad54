"""Soft rounding: continuous, between the identity and rounding, and alive inside a compiled graph."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from submission.qat import SoftRound, sharpness, soft_round
from tests.submission.tiny import random_model

NUMBERS = st.floats(-40.0, 40.0)
ALPHAS = st.floats(0.01, 64.0)


def rounded(z, alpha):
    return soft_round(torch.tensor(z, dtype=torch.float64), torch.tensor(alpha)).numpy()


@given(NUMBERS, ALPHAS)
def test_it_stays_between_its_integers_and_keeps_them(z, alpha):
    low = math.floor(z)
    value = float(rounded(z, alpha))
    assert low - 1e-6 <= value <= low + 1 + 1e-6
    assert float(rounded(float(low), alpha)) == pytest.approx(low, abs=1e-6)


@given(st.integers(-40, 40), ALPHAS)
def test_it_is_continuous_where_the_published_formula_jumps(n, alpha):
    below, above = rounded([n - 1e-9, n + 1e-9], alpha)
    assert abs(above - below) < 1e-6
    # floor(z) + sigmoid(alpha (frac(z) - 1/2)) jumps by tanh(alpha / 4) - 1.
    published = [
        math.floor(z) + 1 / (1 + math.exp(-alpha * (z - math.floor(z) - 0.5)))
        for z in (n - 1e-9, n + 1e-9)
    ]
    assert published[1] - published[0] == pytest.approx(1 - math.tanh(alpha / 4), abs=1e-3)


@given(st.lists(NUMBERS, min_size=2, max_size=20), ALPHAS)
def test_it_never_falls(values, alpha):
    assert (np.diff(rounded(sorted(values), alpha)) >= -1e-6).all()


@given(NUMBERS)
def test_it_tends_to_the_identity_and_to_rounding(z):
    assert float(rounded(z, 0.001)) == pytest.approx(z, abs=1e-4)
    if abs(z - math.floor(z) - 0.5) > 0.1:
        assert float(rounded(z, 100.0)) == pytest.approx(round(z), abs=1e-3)


@given(st.lists(NUMBERS, min_size=1, max_size=30), st.floats(0.001, 64.0))
def test_gradients_are_finite_and_average_to_one_between_integers(values, alpha):
    z = torch.tensor(values, requires_grad=True)
    soft_round(z, torch.tensor(alpha)).sum().backward()
    assert torch.isfinite(z.grad).all()
    grid = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    grid.requires_grad_()
    soft_round(grid, torch.tensor(alpha)).sum().backward()
    assert float(grid.grad.mean()) == pytest.approx(1.0, abs=0.02)


def test_off_it_changes_no_bit():
    weight = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(SoftRound(6)(weight), weight)


def test_the_grid_is_the_quantisers():
    """Sharp rounding gives what rounding to nearest stores, at rows' own steps and at the smallest one."""
    from submission.export import nearest

    weight = torch.randn(2, 6, 50, generator=torch.Generator().manual_seed(1))
    weight[0, 0] *= 10.0
    for smallest in (0.0, 0.1):
        rounding = SoftRound(6)
        rounding.set(alpha=1e4, smallest_step=smallest)
        codes, scale = nearest(weight, 6, smallest)
        stored = codes.float() * scale.float()[..., None]
        # The stored scale is a float16: what lies beside a threshold may fall on its other side.
        near = torch.isclose(rounding(weight), stored, rtol=2e-3, atol=1e-3)
        assert near.float().mean() > 0.99


def test_a_row_of_zeros_stays_zero():
    rounding = SoftRound(6)
    rounding.set(alpha=4.0)
    weight = torch.zeros(1, 2, 3, requires_grad=True)
    out = rounding(weight)
    out.sum().backward()
    assert not out.any()
    assert torch.isfinite(weight.grad).all()


def test_set_keeps_the_step_it_was_given():
    rounding = SoftRound(6)
    rounding.set(alpha=2.0, smallest_step=0.5)
    rounding.set(alpha=3.0)
    assert (float(rounding.alpha), float(rounding.smallest_step)) == (3.0, 0.5)
    assert rounding.state_dict() == {}


def test_sharpness_runs_from_first_to_last():
    assert [sharpness(factor, 0.2, 1.0, 16.0) for factor in (0.3, 0.2, 0.1, 0.0)] == [1, 1, 8.5, 16]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, in its compiler
def test_alpha_moves_the_output_of_a_compiled_graph():
    """The published switch was a Python attribute, which compiling folds away: it never ran."""
    rounding = SoftRound(6)

    def eager(weight_NRC, x_NC):
        return torch.einsum("nrc,nc->nr", rounding(weight_NRC), x_NC).square().sum()

    graph = torch.compile(eager, dynamic=False)
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(2, 8, 16, generator=generator).requires_grad_()
    x = torch.randn(2, 16, generator=generator)
    seen = [graph(weight, x).item()]
    assert seen[0] == pytest.approx(eager(weight, x).item(), rel=1e-4)
    for alpha in (1.0, 4.0, 16.0):
        rounding.set(alpha=alpha, smallest_step=0.3)
        value = graph(weight, x)
        (gradient,) = torch.autograd.grad(value, weight)
        (wanted,) = torch.autograd.grad(eager(weight, x), weight)
        assert value.item() == pytest.approx(eager(weight, x).item(), rel=1e-4)
        assert torch.isfinite(gradient).all()
        assert torch.allclose(gradient, wanted, rtol=1e-3, atol=1e-3)
        seen.append(value.item())
    assert len({round(value, 3) for value in seen}) == 4


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_alpha_is_an_input_of_the_whole_model_s_graph():
    """Traced as torch.compile traces it, run without generated code: what can be folded would be."""
    model = random_model()
    model.rounding = SoftRound(6)
    graph = torch.compile(model.loss, dynamic=False, backend="aot_eager")
    ids = torch.arange(17)[None]
    losses = []
    for alpha in (None, 1.0, 16.0):
        if alpha is not None:
            model.rounding.set(alpha=alpha, smallest_step=0.2)
        losses.append(graph(ids[:, :-1], ids[:, 1:]).item())
        assert losses[-1] == pytest.approx(model.loss(ids[:, :-1], ids[:, 1:]).item(), rel=1e-4)
    assert len({round(loss, 5) for loss in losses}) == 3
    torch._dynamo.reset()
