"""What the matrices of a trained model are fed with: X^T X of each one's inputs, for GPTQ.

Shapes: B batch, T positions, C inputs of a matrix, L layers.
Also draws text from the model itself, which can take the place of train text. Does not quantise: see gptq.py.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch

from submission.model import BOS, GPT
from submission.parallel import World

KINDS = ("qkv", "o", "up", "down")
Hessians = dict[str, torch.Tensor]
"""For each of KINDS the mean of x x^T over positions, (L, C, C) float32."""


class Collector:
    """Sums X^T X of every layer while a model runs: give it to the model as `tap`."""

    def __init__(self, layers: int) -> None:
        self._layers = layers
        self._sums: dict[str, list[torch.Tensor | None]] = {kind: [None] * layers for kind in KINDS}
        self._positions = 0

    def __call__(self, kind: str, layer: int, input_BTC: torch.Tensor) -> None:
        """Add the inputs of one product."""
        # float32, whose tensor-core form keeps every digit of a bfloat16 factor.
        x_TC = input_BTC.flatten(0, -2).float()
        own = self._sums[kind]
        if own[layer] is None:
            own[layer] = x_TC.new_zeros((x_TC.shape[1], x_TC.shape[1]))
        own[layer].addmm_(x_TC.mT, x_TC)
        if layer == 0 and kind == KINDS[0]:
            self._positions += len(x_TC)

    def means(self, world: World) -> Hessians:
        """Return the means over all positions that all ranks have seen; every rank must have seen some.

        Raises ValueError where this one has seen none: the others then wait for it in vain.
        """
        if not self._positions:
            raise ValueError("no calibration text was seen; give at least one batch")
        sums = {kind: torch.stack(parts) for kind, parts in self._sums.items()}
        positions = torch.tensor(float(self._positions), device=world.device)
        world.average_([*sums.values(), positions])
        return {kind: total / positions for kind, total in sums.items()}


@torch.no_grad()
def collect(model: GPT, batches_BT: Iterable[torch.Tensor], world: World) -> Hessians:
    """Return the Hessians over the inputs of these batches, int64 token ids, of all ranks together.

    Every rank brings its own part of the text. The model is run as it is, uncompiled.
    Raises ValueError where there are no batches.
    """
    collector = Collector(model.config.layers)
    for ids_BT in batches_BT:
        model(ids_BT.to(world.device), tap=collector)
    return collector.means(world)


@torch.no_grad()
def generate(
    model: GPT, rows: int, length: int, *, temperature: float, generator: torch.Generator
) -> torch.Tensor:
    """Return text that the model writes, (rows, length) int64, each row beginning with BOS.

    Sampled token by token from softmax(logits / temperature); the model reads all that was written again for
    each token, so the cost grows with the square of `length`. `length` is at most the model's `max_length`.
    Source: contest pull request #1019 calibrates on such text.
    """
    device = model.embedding.device
    ids_BT = torch.full((rows, length), BOS, dtype=torch.int64, device=device)
    for at in range(1, length):
        hidden_BD = model(ids_BT[:, :at])[:, -1]
        chance_BV = (model.logits(hidden_BD.float()) / temperature).softmax(-1)
        ids_BT[:, at] = torch.multinomial(chance_BV, 1, generator=generator)[:, 0]
    return ids_BT
