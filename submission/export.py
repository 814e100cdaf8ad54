"""From a trained model to the artifact: GPTQ of the banks, rows of integers for the rest, under the cap.

Shapes: N matrices of a bank, R rows, C columns, L layers.
The smallest step that a row may have is the rate control: the coarser it is, the fewer bits the codes take.
Does not train, calibrate or tune: see hessians.py and tune.py.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from submission import quantise, sizing
from submission.artifact import Artifact
from submission.gptq import GptqConfig, quantise_bank
from submission.hessians import Hessians
from submission.model import BANKS, GPT
from submission.windows import WindowConfig

INPUTS = {"qo": ("qkv", "o"), "kv": ("qkv", "qkv"), "up": ("up",), "down": ("down",)}
"""Which inputs the matrices of a bank have: one kind for each run of L matrices."""
BROTLI_FACTOR = 0.98
"""Bytes of packed codes over their entropy, taken before anything was packed: below 1, as the entropy is that
of codes rounded to nearest, matrix by matrix, and rows and columns of one matrix differ in scale."""
MIXER_SLACK = 512
"""Bytes by which the mixer's file, written when the weights are packed already, may still grow."""


@dataclass(kw_only=True, slots=True, frozen=True)
class QuantiseConfig:
    """How weights become integers."""

    gptq: GptqConfig = field(default_factory=GptqConfig)
    nearest: bool = False
    """Round the banks to nearest instead."""
    table_bits: int = 8
    """Of embeddings, tables and single matrices."""
    smallest: int = 65_537
    """Arrays with fewer elements are stored as float16."""
    smallest_step: float = 1 / 31
    """The finest step that is worth its bytes; the size guard may take a coarser one."""


@dataclass(kw_only=True, slots=True, frozen=True)
class Cost:
    """What one choice of the smallest step cost."""

    loss: float
    """Sum over matrices of tr(D H D^T), D the change of the weights."""
    nearest_loss: float
    """The same had every weight been rounded to nearest."""
    floored: float
    """Share of rows, 0..1, whose step is the smallest one rather than their own."""


class Exporter:
    """Makes artifacts of one model at different smallest steps; `costs` has what each cost, by step."""

    def __init__(
        self, model: GPT, hessians: Hessians, config: QuantiseConfig, windows: WindowConfig
    ) -> None:
        self._config, self._windows, self._model = config, windows, model.config
        self._banks = {name: getattr(model, name).detach() for name in BANKS}
        self._hessians = {
            name: torch.cat([hessians[kind] for kind in kinds]) for name, kinds in INPUTS.items()
        }
        self._rest = stored_rest(model, config)
        self.costs: dict[float, Cost] = {}

    def make(self, step: float) -> bytes:
        """Return the blob in which no bank has a step below `step`."""
        stored: dict[str, quantise.Array] = {}
        loss = nearest_loss = 0.0
        floored = rows = 0
        for name, bank_NRC in self._banks.items():
            config, hessian_NCC = self._config.gptq, self._hessians[name]
            done = quantise_bank(bank_NRC, hessian_NCC, config, floor=step)
            codes_NRC, scale_NR = done.codes_NRC, done.scale_NR
            if self._config.nearest:
                codes_NRC, scale_NR = nearest(bank_NRC, config.bits, step)
            stored[name + quantise.CODES] = codes_NRC.cpu().numpy()
            stored[name + quantise.SCALES] = scale_NR.cpu().numpy()
            loss += float(done.loss_N.sum())
            nearest_loss += float(done.nearest_loss_N.sum())
            floored += int(done.floored_NR.sum())
            rows += done.floored_NR.numel()
        self.costs[step] = Cost(loss=loss, nearest_loss=nearest_loss, floored=floored / rows)
        built = Artifact(stored={**stored, **self._rest}, model=self._model, windows=self._windows)
        return built.to_bytes()

    def estimate(self, step: float) -> float:
        """Return about how many bytes `make` would give, from the entropy of codes rounded to nearest."""
        return estimated_bytes(self._banks, self._rest, self._config.gptq.bits, step)

    def fit(self, *, cap_bytes: int, step: float, until_s: float) -> sizing.Fit:
        """Return the blob with the finest step that fits `cap_bytes`: see sizing.fit."""
        return sizing.fit(
            self.make,
            self.estimate,
            cap_bytes=cap_bytes,
            step=step,
            smallest_step=self._config.smallest_step,
            until_s=until_s,
        )


def stored_rest(model: GPT, config: QuantiseConfig) -> dict[str, quantise.Array]:
    """Return the arrays that hold everything but the banks."""
    rest = {
        name: weight.detach().cpu().numpy()
        for name, weight in model.state_dict().items()
        if name not in BANKS
    }
    return quantise.quantise_state(rest, bits=config.table_bits, smallest=config.smallest)


def nearest(bank_NRC: torch.Tensor, bits: int, step: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes, int8, and steps, float16, of rounding to nearest with no step below `step`."""
    limit = 2 ** (bits - 1) - 1
    scale_NR = (bank_NRC.abs().amax(-1) / limit).clamp(min=max(step, quantise.SMALLEST_SCALE))
    scale_NR = scale_NR.half()
    codes_NRC = torch.round(bank_NRC / scale_NR.float()[..., None]).clamp(-limit, limit)
    return codes_NRC.to(torch.int8), scale_NR


def estimated_bytes(
    banks: Mapping[str, torch.Tensor], rest: Mapping[str, quantise.Array], bits: int, step: float
) -> float:
    """Return the entropy, in bytes, of the codes at this smallest step and of the arrays in `rest`.

    Each matrix is coded with the frequencies of its own codes, as a compressor that adapts would.
    """
    total = sum(
        sizing.entropy_bytes(np.ascontiguousarray(array).view(np.int8)) for array in rest.values()
    )
    for bank_NRC in banks.values():
        codes_NRC, scale_NR = nearest(bank_NRC, bits, step)
        total += 2.0 * scale_NR.numel()
        for codes_RC in codes_NRC:
            counts = torch.bincount(codes_RC.flatten().int() + 128, minlength=256).double()
            share = counts[counts > 0] / counts.sum()
            total += float(-(share * share.log2()).sum()) * codes_RC.numel() / 8.0
    return BROTLI_FACTOR * total


def planned_step(model: GPT, config: QuantiseConfig, cap_bytes: int) -> float:
    """Return the smallest step, between `config.smallest_step` and 2^16 times it, that should fit the cap.

    For training against: the export finds the exact one. By bisection of its logarithm.
    """
    banks = {name: getattr(model, name).detach() for name in BANKS}
    rest = stored_rest(model, config)

    def fits(step: float) -> bool:
        return estimated_bytes(banks, rest, config.gptq.bits, step) <= cap_bytes

    low = config.smallest_step
    if fits(low):
        return low
    high = low * 2.0**16
    for _ in range(20):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def artifact_room(folder: Path, cap_bytes: int, others: Mapping[str, bytes]) -> int:
    """Return how many bytes the weights may have, so that all that FOLDER's manifest declares fits the cap.

    Code and manifest are what they are; `others` are the outputs beside the weights, and the mixer's among
    them may still grow by MIXER_SLACK.
    """
    manifest = folder / "submission.toml"
    code = tomllib.loads(manifest.read_text("utf-8"))["artifact"]["code"]
    taken = manifest.stat().st_size + sum((folder / name).stat().st_size for name in code)
    return cap_bytes - taken - sum(map(len, others.values())) - MIXER_SLACK
