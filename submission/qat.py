"""Soft-round quantisation-aware training: weights move towards the grid that the quantiser will put them on.

Shapes: N matrices of a bank, R rows, C columns.
A weight W with step s becomes s * soft_round(W / s). The sharpness alpha, the switch and the smallest
step are tensors, so that a compiled graph reads their present values; a Python number would be folded
into the graph and never looked at again. Does not choose codes or store anything: see gptq.py and
quantise.py.
"""

from __future__ import annotations

import torch
from torch import nn


def soft_round(z: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Return floor(z) + 1/2 + tanh(alpha r) / (2 tanh(alpha / 2)), r = z - floor(z) - 1/2, elementwise.

    Continuous (at integers both sides give z itself), rising, of mean slope 1; the identity as alpha -> 0 and
    rounding to nearest as alpha -> infinity. `alpha` is a tensor, taken as at least 0.001. Derivatives are
    finite for all z. Source: Agustsson and Theis 2020 (arXiv:2006.09952), section 4.1.
    """
    alpha = alpha.clamp(min=1e-3)
    middle = z.detach().floor() + 0.5
    return middle + torch.tanh(alpha * (z - middle)) / (2.0 * torch.tanh(0.5 * alpha))


class SoftRound(nn.Module):
    """Replaces each bank by its soft-rounded self while it is on; its three numbers are tensors of the graph.

    `bits` bounds the codes as the quantiser does: a row's step is max|row| / (2^(bits-1) - 1), or
    `smallest_step` where that is more. Off, the weights pass unchanged, to the bit. Nothing is part of
    `state_dict`.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self._limit = 2 ** (bits - 1) - 1
        for name, value in (("on", 0.0), ("alpha", 1.0), ("smallest_step", 0.0)):
            self.register_buffer(name, torch.tensor(value), persistent=False)

    @torch.no_grad()
    def set(self, *, alpha: float, smallest_step: float | None = None) -> None:
        """Switch it on with this sharpness; `smallest_step` stays as it was where it is not given."""
        self.on.fill_(1.0)
        self.alpha.fill_(alpha)
        if smallest_step is not None:
            self.smallest_step.fill_(smallest_step)

    def forward(self, weight_NRC: torch.Tensor) -> torch.Tensor:
        """Return the weights that the model should compute with, differentiable in `weight_NRC`."""
        with torch.no_grad():
            largest_NR1 = weight_NRC.abs().amax(dim=-1, keepdim=True)
            # A row of zeros has no step of its own; any positive number serves.
            step_NR1 = torch.maximum(largest_NR1 / self._limit, self.smallest_step).clamp(min=1e-12)
        soft_NRC = step_NR1 * soft_round(weight_NRC / step_NR1, self.alpha)
        return torch.where(self.on > 0, soft_NRC, weight_NRC)


def sharpness(factor: float, start_factor: float, first: float, last: float) -> float:
    """Return alpha when the learning rate's factor has fallen to `factor` from `start_factor`.

    Rises linearly from `first` to `last` at factor 0.
    """
    return first + (last - first) * (1.0 - min(1.0, max(0.0, factor / start_factor)))
