"""Muon for stacked matrices, AdamW for everything else, over any number of ranks.

Shapes: N matrices of one bank, R rows, C columns.
Does not decide rates over time (schedule.py) nor average weights (average.py).

AdamW is a dozen lines here because torch.optim loads the compiler stack with its first optimiser, which
costs a small run more than its training does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from submission.model import BANKS, GPT
from submission.parallel import World
from submission.schedule import momentum

NEWTON_SCHULZ = (3.4445, -4.775, 2.0315)
"""Coefficients of the quintic; Jordan et al. 2024, "Muon" (kellerjordan.github.io/posts/muon)."""
TABLES = frozenset({"embedding", "bigram_table", "value_table"})


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
    muon: bool = True
    """Off: AdamW updates the matrices as well, at a tenth of their rate."""
    table_rate: float = 0.035
    """Of embeddings and other tables that are looked up."""
    other_rate: float = 0.025
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    adam_decay: float = 0.04
    clip: float = 0.3
    """Largest norm of the whole gradient, taken after the average over ranks; 0 leaves it as it is."""


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
        gram_NRR = torch.baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=b, alpha=c)
        x_NRC = torch.baddbmm(x_NRC, gram_NRR, x_NRC, beta=a)
    return x_NRC.mT if tall else x_NRC


class Muon:
    """Momentum whose update is orthogonalised; one learning rate for each matrix of each bank.

    `banks` are parameters of shape (N, R, C); `rates` has a list of N base rates for each bank. The rate acts
    on the update and in the decay, after the orthogonalisation, which would cancel any scale before it. Each
    rank keeps the momentum of its share of the matrices and orthogonalises those alone. On a GPU gradients
    travel and are orthogonalised in bfloat16.
    """

    def __init__(
        self,
        banks: Sequence[torch.nn.Parameter],
        rates: Sequence[Sequence[float]],
        config: OptimiserConfig,
        world: World,
    ) -> None:
        # Largest first: its exchange takes longest, and the others follow in its shadow.
        pairs = sorted(zip(banks, rates, strict=True), key=lambda pair: -pair[0].numel())
        self._banks = [bank for bank, _ in pairs]
        self._rates = [
            torch.tensor(rate, device=bank.device).view(-1, 1, 1) for bank, rate in pairs
        ]
        self._config = config
        self._world = world
        self._type = torch.bfloat16 if world.device.type == "cuda" else torch.float32
        self._momentum = [torch.zeros_like(bank[: self._part(bank)]) for bank in self._banks]
        self._shares: list[torch.Tensor] = []
        self._waiting: list[object] = []
        self._step = 0

    def _part(self, bank: torch.Tensor) -> int:
        return -(-len(bank) // self._world.size)

    @torch.no_grad()
    def exchange(self) -> None:
        """Start to average the gradients over ranks, each rank receiving its share."""
        pairs = [self._world.own_share(bank.grad.to(self._type)) for bank in self._banks]
        self._shares = [share for share, _ in pairs]
        self._waiting = [work for _, work in pairs]

    @torch.no_grad()
    def square_norm(self) -> torch.Tensor:
        """Return the squared norm of the averaged gradients, summed over ranks: a scalar tensor."""
        for work in self._waiting:
            if work is not None:
                work.wait()
        total = torch.zeros((), device=self._world.device)
        for share in self._shares:
            total += torch.linalg.vector_norm(share, dtype=torch.float32).square()
        return self._world.total_(total)

    @torch.no_grad()
    def step(self, factor: float, scale: torch.Tensor) -> None:
        """Update every bank from its averaged gradient times `scale`, at `factor` times its rates."""
        config = self._config
        mu = momentum(
            self._step,
            config.muon_momentum_start,
            config.muon_momentum,
            config.momentum_warmup_steps,
        )
        self._step += 1
        in_flight = []
        for bank, share, buffer in zip(self._banks, self._shares, self._momentum, strict=True):
            gradient = share.float() * scale
            buffer.mul_(mu).add_(gradient)
            update_NRC = orthogonalise(gradient.add_(buffer, alpha=mu).to(self._type))
            # The next bank is worked out while this one's updates travel.
            in_flight.append(self._world.gather(update_NRC, len(bank)))
        for bank, rates_N11, (update_NRC, work) in zip(
            self._banks, self._rates, in_flight, strict=True
        ):
            if work is not None:
                work.wait()
            rate_N11 = factor * rates_N11
            stretch = max(1.0, bank.shape[1] / bank.shape[2]) ** 0.5
            bank.mul_(1.0 - rate_N11 * config.muon_decay)
            bank.sub_(stretch * rate_N11 * update_NRC)
        self._shares, self._waiting = [], []


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
    def step(self, factor: float, scale: torch.Tensor) -> None:
        """Update every parameter from its gradient times `scale`, at `factor` times its rate."""
        config = self._config
        self._step += 1
        correction1 = 1.0 - config.beta1**self._step
        correction2 = 1.0 - config.beta2**self._step
        moments = zip(self._pairs, self._first, self._second, strict=True)
        for (parameter, base_rate), first, second in moments:
            gradient = parameter.grad * scale
            rate = factor * base_rate
            first.lerp_(gradient, 1.0 - config.beta1)
            second.lerp_(gradient.square_(), 1.0 - config.beta2)
            spread = (second / correction2).sqrt_().add_(config.epsilon)
            parameter.mul_(1.0 - rate * config.adam_decay)
            parameter.addcdiv_(first, spread, value=-rate / correction1)


class Optimiser:
    """Both of them over one model: averages gradients over ranks, clips their common norm, steps."""

    def __init__(self, model: GPT, config: OptimiserConfig, world: World) -> None:
        parameters = dict(model.named_parameters())
        rates = base_rates(parameters, model.config.layers, config)
        banks = {name: parameters.pop(name) for name in BANKS if config.muon}
        self._muon = Muon([*banks.values()], [rates[name] for name in banks], config, world)
        self._replicated = list(parameters.values())
        self._adamw = AdamW(
            self._replicated, [sum(rates[name]) / len(rates[name]) for name in parameters], config
        )
        self._clip = config.clip
        self._world = world

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Update every weight from the gradients of this rank's share of the batch, which are used up."""
        self._muon.exchange()
        gradients = [parameter.grad for parameter in self._replicated]
        self._world.average_(gradients)
        norms = [torch.linalg.vector_norm(gradient) for gradient in gradients]
        norm = (torch.stack(norms).square().sum() + self._muon.square_norm()).sqrt()
        # Kept on the device: to look at it would make the processor wait for the GPU at each step.
        scale = (self._clip / (norm + 1e-6)).clamp(max=1.0) if self._clip else torch.ones_like(norm)
        self._muon.step(factor, scale)
        self._adamw.step(factor, scale)


def base_rates(
    names: Mapping[str, object], layers: int, config: OptimiserConfig
) -> dict[str, list[float]]:
    """Return, for each parameter, its base rates: one a matrix for banks, one in all for others.

    Matrix i of a bank belongs to layer i modulo `layers`: each slice has its own layer's rate.
    """
    early, late = config.muon_rate_early, config.muon_rate_late
    by_layer = [early if layer < layers // 2 else late for layer in range(layers)]
    scale = 1.0 if config.muon else 0.1
    rates = {}
    for name in names:
        if name in BANKS:
            rates[name] = [scale * rate for rate in by_layer * (2 if name in ("qo", "kv") else 1)]
        else:
            rates[name] = [config.table_rate if name in TABLES else config.other_rate]
    return rates
