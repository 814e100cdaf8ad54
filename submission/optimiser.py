"""Muon for stacked matrices, AdamW for everything else, and the learning-rate schedule.

Shapes: N matrices of one bank, R rows, C columns.
Does not average weights over time, clip gradients or talk to other processes.

AdamW is a dozen lines here because torch.optim loads the compiler stack with its first optimiser, which
costs a small run more than its training does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

NEWTON_SCHULZ = (3.4445, -4.775, 2.0315)
"""Coefficients of the quintic; Jordan et al. 2024, "Muon" (kellerjordan.github.io/posts/muon)."""


@dataclass(kw_only=True, slots=True, frozen=True)
class OptimiserConfig:
    """Learning rates and decays; rates are multiplied by the schedule's factor at each step."""

    muon_rate_early: float = 0.025
    """Of the first half of the layers, rounded down."""
    muon_rate_late: float = 0.030
    muon_momentum: float = 0.99
    muon_momentum_start: float = 0.92
    momentum_warmup_steps: int = 1500
    muon_decay: float = 0.04
    table_rate: float = 0.035
    """Of embeddings and other tables that are looked up."""
    other_rate: float = 0.025
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    adam_decay: float = 0.04


@dataclass(kw_only=True, slots=True, frozen=True)
class Schedule:
    """When training ends: after a number of steps, or earlier if the clock says so."""

    steps: int
    """Steps to make if there is time for them."""
    warmdown_steps: int
    """The learning rate falls linearly to 0 over the last this many."""

    def remaining(self, step: int, elapsed_s: float, remaining_s: float) -> float:
        """Return how many steps are left after `step` of them took `elapsed_s`; 0 or less means stop.

        On a machine that is fast enough this is steps - step and the clock leaves no trace.
        """
        by_count = float(self.steps - step)
        if step == 0 or elapsed_s <= 0.0:
            return by_count if remaining_s > 0.0 else 0.0
        return min(by_count, remaining_s * step / elapsed_s)

    def factor(self, remaining: float) -> float:
        """Return the multiple of the base rates, 0..1, with `remaining` steps to go."""
        return max(0.0, min(1.0, remaining / self.warmdown_steps))


def orthogonalise(g_NRC: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return, matrix by matrix, about U V^T of the thin SVD U S V^T.

    Singular values come out within about 0.65..1.25, except those below about 1e-3 of the Frobenius norm,
    which need more steps. A zero matrix stays zero. Floating type of the input. Source: as NEWTON_SCHULZ.
    """
    a, b, c = NEWTON_SCHULZ
    tall = g_NRC.shape[1] > g_NRC.shape[2]
    x_NRC = g_NRC.mT if tall else g_NRC
    x_NRC = x_NRC / (x_NRC.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram_NRR = x_NRC @ x_NRC.mT
        x_NRC = a * x_NRC + (b * gram_NRR + c * (gram_NRR @ gram_NRR)) @ x_NRC
    return x_NRC.mT if tall else x_NRC


class Muon:
    """Momentum whose update is orthogonalised; one learning rate for each matrix of each bank.

    `banks` are parameters of shape (N, R, C); `rates` has a list of N base rates for each bank. The rate acts
    on the update and in the decay, after the orthogonalisation, which would cancel any scale before it.
    """

    def __init__(
        self,
        banks: Sequence[torch.nn.Parameter],
        rates: Sequence[Sequence[float]],
        config: OptimiserConfig,
    ) -> None:
        self._banks = list(banks)
        self._config = config
        self._rates = [
            torch.tensor(rate, device=bank.device).view(-1, 1, 1)
            for bank, rate in zip(banks, rates, strict=True)
        ]
        self._momentum = [torch.zeros_like(bank) for bank in banks]
        self._step = 0

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Update every bank from its gradient, which stays as it is."""
        config = self._config
        warm = min(1.0, self._step / max(1, config.momentum_warmup_steps))
        mu = config.muon_momentum_start + warm * (config.muon_momentum - config.muon_momentum_start)
        self._step += 1
        for bank, rates_N11, buffer in zip(self._banks, self._rates, self._momentum, strict=True):
            if bank.grad is None:
                continue
            buffer.mul_(mu).add_(bank.grad)
            update_NRC = orthogonalise(bank.grad + mu * buffer)
            rate_N11 = factor * rates_N11
            stretch = max(1.0, bank.shape[1] / bank.shape[2]) ** 0.5
            bank.mul_(1.0 - rate_N11 * config.muon_decay).sub_(stretch * rate_N11 * update_NRC)


class AdamW:
    """Adam with decoupled weight decay; one base rate for each parameter.

    Source: Loshchilov and Hutter 2019 (arXiv:1711.05101), algorithm 2.
    """

    def __init__(
        self,
        parameters: Sequence[torch.nn.Parameter],
        rates: Sequence[float],
        config: OptimiserConfig,
    ) -> None:
        self._pairs = list(zip(parameters, rates, strict=True))
        self._config = config
        self._first = [torch.zeros_like(parameter) for parameter in parameters]
        self._second = [torch.zeros_like(parameter) for parameter in parameters]
        self._step = 0

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Update every parameter from its gradient, which stays as it is."""
        config = self._config
        self._step += 1
        correction1 = 1.0 - config.beta1**self._step
        correction2 = 1.0 - config.beta2**self._step
        moments = zip(self._pairs, self._first, self._second, strict=True)
        for (parameter, base_rate), first, second in moments:
            if parameter.grad is None:
                continue
            rate = factor * base_rate
            first.lerp_(parameter.grad, 1.0 - config.beta1)
            second.lerp_(parameter.grad.square(), 1.0 - config.beta2)
            spread = (second / correction2).sqrt_().add_(config.epsilon)
            parameter.mul_(1.0 - rate * config.adam_decay)
            parameter.addcdiv_(first, spread, value=-rate / correction1)
