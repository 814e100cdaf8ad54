"""Muon against a singular value decomposition, AdamW against torch's own, the schedule's backstop."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from submission.optimiser import AdamW, Muon, OptimiserConfig, Schedule, orthogonalise


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


def test_muon_moves_each_slice_at_its_own_rate():
    config = OptimiserConfig(muon_decay=0.0)
    bank = torch.nn.Parameter(torch.zeros(2, 8, 8))
    muon = Muon([bank], [[0.1, 0.3]], config)
    bank.grad = (
        torch.randn(8, 8, generator=torch.Generator().manual_seed(2)).expand(2, 8, 8).clone()
    )
    muon.step(0.5)
    assert torch.allclose(bank[1], 3 * bank[0])
    moved = bank[0].norm().item()
    assert moved == pytest.approx(0.05 * orthogonalise(bank.grad[:1]).norm().item(), rel=1e-5)


def test_muon_decay_and_stretch():
    config = OptimiserConfig(muon_decay=0.5)
    bank = torch.nn.Parameter(torch.ones(1, 8, 2))
    muon = Muon([bank], [[0.1]], config)
    bank.grad = torch.zeros(1, 8, 2)
    muon.step(1.0)
    assert torch.allclose(bank, torch.full((1, 8, 2), 0.95))
    bank.grad = torch.randn(1, 8, 2)
    before = bank.detach().clone()
    muon.step(1.0)
    moved = (before * 0.95 - bank).norm().item()
    # The stretch is sqrt(rows / columns) = 2.
    assert moved == pytest.approx(0.1 * 2.0 * orthogonalise(bank.grad).norm().item(), rel=1e-3)


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
        mine.step(1.0)
        reference.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


@given(st.integers(1, 500), st.floats(0.001, 1.0), st.integers(1, 400))
def test_schedule_by_count_is_blind_to_a_fast_clock(steps, step_s, warmdown):
    schedule = Schedule(steps=steps, warmdown_steps=warmdown)
    plenty_s = 10 * steps * step_s
    for step in range(steps + 1):
        left = schedule.remaining(step, step * step_s, plenty_s)
        assert left == steps - step
    assert schedule.factor(0.0) == 0.0


@given(st.floats(0.01, 3.0), st.floats(0.0, 30.0), st.integers(1, 50))
def test_schedule_ends_inside_the_time_and_warmed_down(step_s, budget_s, warmdown):
    schedule = Schedule(steps=10_000, warmdown_steps=warmdown)
    clock_s, step, factors = 0.0, 0, []
    while (left := schedule.remaining(step, clock_s, budget_s - clock_s)) >= 1.0:
        factors.append(schedule.factor(left))
        clock_s += step_s
        step += 1
    # The first step is a leap in the dark; after it the pace is known and the budget is kept.
    assert clock_s <= max(budget_s, step_s) + 1e-6
    assert np.all(np.diff(factors[1:]) <= 1e-9)
    if len(factors) > warmdown + 2:
        assert factors[-1] <= 2.5 / warmdown
