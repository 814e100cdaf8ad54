"""The exponential moving average of all weights, in float32.

Does not decide whether the average or the weights themselves are exported: train.py compares them on held-out
train text. Source: Polyak and Juditsky 1992; exponential as in Tarvainen and Valpola 2017 (arXiv:1703.01780).
"""

from __future__ import annotations

import torch
from torch import nn


class Average:
    """A running mean of a model's parameters.

    After n updates the decay is min(decay, (1 + n) / (10 + n)): a run of any length forgets its start.
    Source of the warm-up: TensorFlow's ExponentialMovingAverage, `num_updates`.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._updates = 0
        self._own = list(model.parameters())
        self._mean = [parameter.detach().clone() for parameter in self._own]

    @torch.no_grad()
    def update(self) -> None:
        """Move the mean towards the model's present weights."""
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        self._updates += 1
        for mean, parameter in zip(self._mean, self._own, strict=True):
            mean.lerp_(parameter, 1.0 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the mean and the model's weights; a second call undoes the first."""
        for mean, parameter in zip(self._mean, self._own, strict=True):
            kept = parameter.clone()
            parameter.copy_(mean)
            mean.copy_(kept)
