"""Muon against a singular value decomposition, AdamW against torch's own, the schedule's backstop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from submission.model import GPT
from submission.optimiser import (
    AdamW,
    Muon,
    Optimiser,
    OptimiserConfig,
    base_rates,
    orthogonalise,
)
from submission.parallel import World
from submission.presets import RECORD
from submission.schedule import Schedule, momentum
from tests.submission.tiny import MODEL


@pytest.mark.parametrize("shape", [(2, 24, 24), (3, 16, 40), (1, 40, 16)])
def test_orthogonalise_is_near_the_polar_factor(shape):
    torch.manual_seed(0)
    g_NRC = torch.randn(shape)
    got_NRC = orthogonalise(g_NRC)
    u, s, vh = torch.linalg.svd(g_NRC, full_matrices=False)
    got_s = torch.linalg.svdvals(got_NRC)
    # The same singular vectors: only the singular values differ, and they lie near 1.
    core = u.mT @ got_NRC @ vh.mT
    assert (core - torch.diag_embed(torch.diagonal(core, dim1=1, dim2=2))).abs().max() < 1e-3
    kept = s > 0.02 * s.max()
    assert ((got_s > 0.5) & (got_s < 1.3))[kept].all()


def test_orthogonalise_ignores_scale_and_keeps_zero():
    g_NRC = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(orthogonalise(g_NRC), orthogonalise(1000 * g_NRC), atol=1e-4)
    assert not orthogonalise(torch.zeros(1, 4, 4)).any()


ALONE = World(device=torch.device("cpu"))
ONE = torch.ones(())


def muon_of(bank, rates, config=None):
    return Muon([bank], [rates], config or OptimiserConfig(muon_decay=0.0), ALONE)


def stepped(muon, factor=1.0, scale=ONE):
    muon.exchange()
    muon.square_norm()
    muon.step(factor, scale)


def test_muon_moves_each_slice_at_its_own_rate():
    """What the original's split rate did not: there the factor cancels in the normalisation."""
    bank = torch.nn.Parameter(torch.zeros(2, 8, 8))
    generator = torch.Generator().manual_seed(2)
    bank.grad = torch.randn(8, 8, generator=generator).expand(2, 8, 8).clone()
    stepped(muon_of(bank, [0.1, 0.3]), 0.5)
    assert torch.allclose(bank[1], 3 * bank[0])
    moved = bank[0].norm().item()
    assert moved == pytest.approx(0.05 * orthogonalise(bank.grad[:1]).norm().item(), rel=1e-5)


def test_scaling_a_gradient_before_muon_changes_nothing():
    """The defect itself, as the reason for the rate at the update."""
    generator = torch.Generator().manual_seed(2)
    grad = torch.randn(1, 8, 8, generator=generator)
    moved = []
    for scale in (1.0, 0.025 / 0.03):
        bank = torch.nn.Parameter(torch.zeros(1, 8, 8))
        bank.grad = scale * grad
        stepped(muon_of(bank, [0.03]))
        moved.append(bank.detach())
    assert torch.allclose(*moved, atol=1e-5)


def test_split_rates_follow_the_layers():
    model = GPT(MODEL)
    config = OptimiserConfig(muon_rate_early=0.025, muon_rate_late=0.03)
    rates = base_rates(dict(model.named_parameters()), 5, config)
    layers = [0.025, 0.025, 0.03, 0.03, 0.03]
    assert rates["qo"] == rates["kv"] == layers * 2
    assert rates["up"] == rates["down"] == layers
    assert rates["embedding"] == [config.table_rate]
    assert rates["smear_gate"] == [config.other_rate]


def test_muon_decay_and_stretch():
    config = OptimiserConfig(muon_decay=0.5)
    bank = torch.nn.Parameter(torch.ones(1, 8, 2))
    muon = muon_of(bank, [0.1], config)
    bank.grad = torch.zeros(1, 8, 2)
    stepped(muon)
    assert torch.allclose(bank, torch.full((1, 8, 2), 0.95))
    bank.grad = torch.randn(1, 8, 2)
    before = bank.detach().clone()
    stepped(muon)
    moved = (before * 0.95 - bank).norm().item()
    # The stretch is sqrt(rows / columns) = 2.
    assert moved == pytest.approx(0.1 * 2.0 * orthogonalise(bank.grad).norm().item(), rel=1e-3)


def test_the_gradient_is_clipped_as_one_over_all_weights():
    """AdamW's first moments are the clipped gradient times 1 - beta1."""
    model = GPT(MODEL)
    torch.manual_seed(0)
    model.reset()
    optimiser = Optimiser(model, OptimiserConfig(clip=0.3), ALONE)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    wanted = 0.3 / norm * model.smear_gate.grad
    optimiser.step(1.0)
    at = [p is model.smear_gate for p in optimiser._replicated].index(True)
    assert torch.allclose(optimiser._adamw._first[at], 0.1 * wanted, rtol=1e-4)


def test_without_muon_adamw_has_the_banks():
    model = GPT(MODEL)
    torch.manual_seed(0)
    model.reset()
    before = model.up.detach().clone()
    optimiser = Optimiser(model, OptimiserConfig(muon=False, adam_decay=0.0), ALONE)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step(1.0)
    # The first step of Adam is the rate, whatever the gradient.
    rate = 0.1 * (2 * 0.025 + 3 * 0.03) / 5
    assert torch.allclose(before - model.up, torch.full_like(before, rate), rtol=1e-3)


def test_muon_follows_its_formula_over_steps():
    config = OptimiserConfig(muon_momentum_start=0.5, muon_momentum=0.9, momentum_warmup_steps=4)
    generator = torch.Generator().manual_seed(5)
    bank = torch.nn.Parameter(torch.randn(2, 6, 4, generator=generator))
    mine, buffer = bank.detach().clone(), torch.zeros(2, 6, 4)
    muon = muon_of(bank, [0.1, 0.2], config)
    rate = torch.tensor([0.1, 0.2]).view(2, 1, 1)
    for number, scale in enumerate((1.0, 0.25, 1.0, 0.5, 1.0, 1.0)):
        bank.grad = torch.randn(2, 6, 4, generator=generator)
        gradient, mu = scale * bank.grad, 0.5 + min(1.0, number / 4) * 0.4
        buffer = mu * buffer + gradient
        update = 1.5**0.5 * orthogonalise(gradient + mu * buffer)
        mine = mine * (1 - 0.7 * rate * 0.04) - 0.7 * rate * update
        stepped(muon, 0.7, torch.tensor(scale))
    assert torch.allclose(bank, mine, atol=1e-5)


def test_record_has_the_constants_of_the_original():
    config = RECORD.optimiser
    assert (config.muon_rate_early, config.muon_rate_late, config.muon_decay) == (0.025, 0.03, 0.04)
    assert (config.muon_momentum_start, config.muon_momentum) == (0.92, 0.99)
    assert (config.momentum_warmup_steps, config.clip, config.adam_decay) == (1500, 0.3, 0.04)
    assert (config.beta1, config.beta2, config.epsilon) == (0.9, 0.95, 1e-8)
    assert (RECORD.batch_windows, RECORD.ema_decay, RECORD.qat.start) == (384, 0.997, 0.15)
    rates = base_rates(dict(GPT(MODEL).named_parameters()), 5, config)
    looked_up = {name for name, rate in rates.items() if rate == [0.035]}
    assert looked_up == {"embedding", "bigram_table", "value_table"}


def test_momentum_warms_up():
    assert [momentum(step, 0.9, 1.0, 4) for step in (0, 2, 4, 9)] == [0.9, 0.95, 1.0, 1.0]


def test_adamw_follows_torch():
    config = OptimiserConfig(adam_decay=0.1, beta1=0.8, beta2=0.9)
    ours = torch.nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4))
    theirs = torch.nn.Parameter(ours.detach().clone())
    mine = AdamW([ours], [0.02], config)
    reference = torch.optim.AdamW([theirs], lr=0.02, betas=(0.8, 0.9), eps=1e-8, weight_decay=0.1)
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        gradient = torch.randn(3, 4, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step(1.0, ONE)
        reference.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


@given(st.integers(1, 500), st.floats(0.001, 1.0), st.floats(0.01, 1.0))
def test_schedule_by_count_is_blind_to_a_fast_clock(steps, step_s, warmdown):
    schedule = Schedule(steps=steps, warmdown=warmdown)
    plenty_s = 10 * steps * step_s
    for step in range(steps + 1):
        left = schedule.remaining(step, step * step_s, plenty_s)
        assert left == steps - step
        wanted = min(1.0, left / (warmdown * steps))
        assert schedule.factor(step, left) == pytest.approx(wanted, abs=1e-6)


@given(st.floats(0.01, 3.0), st.floats(0.0, 30.0), st.floats(0.05, 1.0))
def test_schedule_ends_inside_the_time_and_warmed_down(step_s, budget_s, warmdown):
    schedule = Schedule(steps=10_000, warmdown=warmdown)
    clock_s, step, factors = 0.0, 0, []
    while (left := schedule.remaining(step, clock_s, budget_s - clock_s)) >= 1.0:
        factors.append(schedule.factor(step, left))
        clock_s += step_s
        step += 1
    # The first step is a leap in the dark; after it the pace is known and the budget is kept.
    assert clock_s <= max(budget_s, step_s) + 1e-6
    assert np.all(np.diff(factors[1:]) <= 1e-9)
    if step > 4:
        assert factors[-1] <= min(1.0, 2.5 / (warmdown * step))


@pytest.mark.parametrize("values", [(0, 0.5), (3, 0.0), (3, 1.5)])
def test_schedules_that_are_none_are_refused(values):
    with pytest.raises(ValueError, match="warmdown"):
        Schedule(steps=values[0], warmdown=values[1])
