"""Weights to small integers, each column's rounding error made good by the columns after it.

Shapes: N matrices of one bank, R rows, C columns, K clips, M = K * R rows of all clips together (row r at
clip k has index k * R + r), B columns of one block.
A Hessian is the mean of x x^T over the inputs x of a matrix, so that tr(D H D^T) is the mean of |D x|^2.
Every step serves all matrices, rows and clips at once: the one long loop goes over columns.
Does not gather the Hessians, choose the floor for a file size, or pack the codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from submission.quantise import LARGEST_FLOAT16, SMALLEST_SCALE

FACTOR_ATTEMPTS = 4
"""Cholesky factorisations tried, each with ten times the damping of the last, before plain rounding."""
LOSS_ROWS = 256
"""Rows of each matrix whose losses are computed at once, at all clips: bounds the float64 copies."""


@dataclass(kw_only=True, slots=True, frozen=True)
class GptqConfig:
    """Width of the codes, and how hard and where to look for good ones."""

    bits: int = 6
    """2..8."""
    damping: float = 0.01
    """Share of the mean diagonal (of columns that are not dead) added to the diagonal; above 0."""
    block_columns: int = 128
    """Columns after which the rest of the matrix is brought up to date; changes speed alone."""
    clips: tuple[float, ...] = (0.999, 0.9995, 0.9999, 0.99999, 1.0)
    """Quantiles, 0..1, of the |weights| of a row that the largest code may stand for."""

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"bits = {self.bits} does not fit an int8 code; give 2..8")
        if not self.damping > 0.0 or self.block_columns < 1:
            raise ValueError("damping must be above 0 and block_columns at least 1")
        if not self.clips or not all(0.0 <= clip <= 1.0 for clip in self.clips):
            raise ValueError("clips must be one or more quantiles in 0..1")

    @property
    def limit(self) -> int:
        """Largest code: 2^(bits-1) - 1."""
        return int(2 ** (self.bits - 1)) - 1


class Quantised(NamedTuple):
    """Codes and scales of a bank, and what they cost; the weights are scale * code."""

    codes_NRC: torch.Tensor
    """int8, -limit..limit."""
    scale_NR: torch.Tensor
    """float16."""
    loss_N: torch.Tensor
    """float64: tr(D H D^T), D = weight - scale * code, with the Hessian as it was given, not damped."""
    nearest_loss_N: torch.Tensor
    """float64: the same, rounded to nearest at the best clip of each row; never below loss_N."""
    floored_NR: torch.Tensor
    """bool: the row's scale is the floor, its clip / limit being less."""


@torch.no_grad()
def quantise_bank(
    weight_NRC: torch.Tensor, hessian_NCC: torch.Tensor, config: GptqConfig, *, floor: float
) -> Quantised:
    """Return, row by row, the codes of least loss among GPTQ's and the nearest ones at each clip.

    scale = float16(max(clip / limit, floor)), at least SMALLEST_SCALE. The floor is the control of the file
    size: the larger the smallest step, the fewer the bits an entropy coder needs for a code. Ties go to GPTQ
    and the first clip. Columns with H_jj = 0 get code 0, whatever their weights. A Hessian with no Cholesky
    factor is damped more, and where that does not help (FACTOR_ATTEMPTS) that matrix is rounded to
    nearest. With TF32 switched on, codes on CUDA may be a little worse; losses stay exact.
    Raises ValueError on shapes that do not fit, values that are not finite or too large for float16 scales.
    Source: Frantar et al. 2022, "GPTQ" (arXiv:2210.17323), algorithm 1 with act-order; the clips and the
    floor: contest pull request #1302.
    """
    _check(weight_NRC, hessian_NCC)
    weight_NRC = weight_NRC.float()
    live_NC = hessian_NCC.diagonal(dim1=1, dim2=2) != 0
    live_NRC = weight_NRC * live_NC[:, None]
    scale_NKR, floored_NKR = _scales(live_NRC, config, floor)
    guided_NKRC = _guided_codes(live_NRC, hessian_NCC, scale_NKR, config)
    nearest_NKRC = _nearest(live_NRC[:, None], scale_NKR.float()[..., None], config.limit).char()
    guided_loss_NKR = _losses(weight_NRC, guided_NKRC, scale_NKR, hessian_NCC)
    nearest_loss_NKR = _losses(weight_NRC, nearest_NKRC, scale_NKR, hessian_NCC)
    loss_NR, best_NR = torch.cat([guided_loss_NKR, nearest_loss_NKR], dim=1).min(dim=1)
    codes_NKRC = torch.cat([guided_NKRC, nearest_NKRC], dim=1)
    clip_N1R = (best_NR % scale_NKR.shape[1])[:, None]
    return Quantised(
        codes_NRC=codes_NKRC.take_along_dim(best_NR[:, None, :, None], dim=1)[:, 0],
        scale_NR=scale_NKR.take_along_dim(clip_N1R, dim=1)[:, 0],
        loss_N=loss_NR.sum(dim=1),
        nearest_loss_N=nearest_loss_NKR.amin(dim=1).sum(dim=1),
        floored_NR=floored_NKR.take_along_dim(clip_N1R, dim=1)[:, 0],
    )


def hessian_loss(difference_NRC: torch.Tensor, hessian_NCC: torch.Tensor) -> torch.Tensor:
    """Return the loss of each row, loss_NR = diag(D H D^T), float64 whatever the inputs are.

    A good D has a loss far below the terms that it is the sum of, hence the width. At least 0, but for
    rounding, where H is positive semidefinite.
    """
    wide_NRC = difference_NRC.double()
    return ((wide_NRC @ hessian_NCC.double()) * wide_NRC).sum(dim=2)


def _check(weight_NRC: torch.Tensor, hessian_NCC: torch.Tensor) -> None:
    count, _, columns = weight_NRC.shape
    if hessian_NCC.shape != (count, columns, columns):
        raise ValueError(
            f"Hessians of shape {tuple(hessian_NCC.shape)} do not fit weights of shape "
            f"{tuple(weight_NRC.shape)}; give one square matrix for each bank matrix"
        )
    for name, values in (("weights", weight_NRC), ("Hessians", hessian_NCC)):
        if not values.isfinite().all():
            raise ValueError(
                f"{name} are NaN or infinite: training diverged; lower the learning rate"
            )


def _scales(
    live_NRC: torch.Tensor, config: GptqConfig, floor: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float16 scales and where the floor decided; one clip alone if all would give the same."""
    size_NRC = live_NRC.abs()
    least = max(floor, SMALLEST_SCALE)
    if not max(least, size_NRC.amax().item() / config.limit) <= LARGEST_FLOAT16 / 2:
        raise ValueError("weights or floor are too large for float16 scales: training diverged")
    clips_K = torch.tensor(config.clips, device=live_NRC.device)
    wanted_NKR = size_NRC.quantile(clips_K, dim=2).movedim(0, 1) / config.limit
    scale_NKR = wanted_NKR.clamp(min=least).half()
    # A floor that binds everywhere leaves nothing to choose from, and the search costs K times as much.
    kept = 1 if (scale_NKR == scale_NKR[:, :1]).all() else len(config.clips)
    return scale_NKR[:, :kept], (wanted_NKR < least)[:, :kept]


def _nearest(weight: torch.Tensor, step: torch.Tensor, limit: int) -> torch.Tensor:
    return (weight / step).round_().clamp_(-limit, limit)


def _losses(
    weight_NRC: torch.Tensor,
    codes_NKRC: torch.Tensor,
    scale_NKR: torch.Tensor,
    hessian_NCC: torch.Tensor,
) -> torch.Tensor:
    """Return loss_NKR, float64: the difference too, since H may weigh down all of it but its rounding."""
    hessian_NCC = hessian_NCC.double()
    parts = []
    for start in range(0, weight_NRC.shape[1], LOSS_ROWS):
        part = slice(start, start + LOSS_ROWS)
        step_NKR1 = scale_NKR[:, :, part, None].double()
        difference_NKRC = weight_NRC[:, None, part] - step_NKR1 * codes_NKRC[:, :, part]
        loss_NM = hessian_loss(difference_NKRC.flatten(1, 2), hessian_NCC)
        parts.append(loss_NM.unflatten(1, difference_NKRC.shape[1:3]))
    return torch.cat(parts, dim=2)


def _guided_codes(
    live_NRC: torch.Tensor,
    hessian_NCC: torch.Tensor,
    scale_NKR: torch.Tensor,
    config: GptqConfig,
) -> torch.Tensor:
    """Return GPTQ's codes_NKRC: columns by falling diagonal, and put back in their places."""
    hessian_NCC = _normalised(hessian_NCC)
    order_NC = hessian_NCC.diagonal(dim1=1, dim2=2).argsort(dim=1, descending=True, stable=True)
    hessian_NCC = hessian_NCC.take_along_dim(order_NC[:, :, None], dim=1)
    hessian_NCC = hessian_NCC.take_along_dim(order_NC[:, None], dim=2)
    unit_NCC = _unit_factor(hessian_NCC, config.damping)
    # Columns first: each step then reads and writes memory that lies together.
    ordered_NCR = live_NRC.take_along_dim(order_NC[:, None], dim=2).mT
    work_NCM = ordered_NCR.repeat(1, 1, scale_NKR.shape[1])
    codes_NCM = _sweep(work_NCM, scale_NKR.float().flatten(1), unit_NCC, config)
    codes_NCM = codes_NCM.take_along_dim(order_NC.argsort(dim=1)[..., None], dim=1)
    return codes_NCM.mT.unflatten(1, scale_NKR.shape[1:])


def _normalised(hessian_NCC: torch.Tensor) -> torch.Tensor:
    """Return H over its mean live diagonal, float32; dead columns get 1 there and 0 elsewhere.

    The codes do not depend on the scale of H; after this no Hessian is too small or large for float32.
    """
    diagonal_NC = hessian_NCC.diagonal(dim1=1, dim2=2)
    live_NC = diagonal_NC != 0
    mean_N = diagonal_NC.double().sum(dim=1) / live_NC.sum(dim=1).clamp(min=1)
    mean_N = torch.where(mean_N > 0, mean_N, 1.0).to(hessian_NCC.dtype)
    scaled_NCC = (hessian_NCC / mean_N[:, None, None]).float()
    scaled_NCC = scaled_NCC * (live_NC[:, :, None] & live_NC[:, None])
    return scaled_NCC + torch.diag_embed((~live_NC).float())


def _unit_factor(hessian_NCC: torch.Tensor, damping: float) -> torch.Tensor:
    """Return U / diag(U), row by row, where H^-1 = U^T U with U upper; the identity where all attempts fail.

    With rows and columns reversed, H = L L^T gives H = V V^T with V upper, and U = V^-1: one factorisation
    instead of two with an inverse between them. The identity passes no error on: plain rounding.
    """
    eye_CC = torch.eye(hessian_NCC.shape[1], device=hessian_NCC.device)
    reversed_NCC = hessian_NCC.flip(1, 2)
    damping_N = torch.full_like(hessian_NCC[:, 0, 0], damping)
    for _ in range(FACTOR_ATTEMPTS):
        lower_NCC, info_N = torch.linalg.cholesky_ex(
            reversed_NCC + damping_N[:, None, None] * eye_CC
        )
        failed_N = (info_N != 0) | ~lower_NCC.isfinite().flatten(1).all(dim=1)
        if not failed_N.any():
            break
        damping_N = torch.where(failed_N, 10.0 * damping_N, damping_N)
    upper_NCC = torch.where(failed_N[:, None, None], eye_CC, lower_NCC.flip(1, 2))
    inverse_NCC = torch.linalg.solve_triangular(upper_NCC, eye_CC, upper=True)
    return inverse_NCC * upper_NCC.diagonal(dim1=1, dim2=2)[:, :, None]


def _sweep(
    work_NCM: torch.Tensor, step_NM: torch.Tensor, unit_NCC: torch.Tensor, config: GptqConfig
) -> torch.Tensor:
    """Return codes_NCM, int8, column after column; uses up `work_NCM`, whose columns become their errors."""
    codes_NCM = torch.empty_like(work_NCM, dtype=torch.int8)
    columns = work_NCM.shape[1]
    for start in range(0, columns, config.block_columns):
        stop = min(start + config.block_columns, columns)
        for j in range(start, stop):
            error_NM = work_NCM[:, j]
            code_NM = _nearest(error_NM, step_NM, config.limit)
            codes_NCM[:, j] = code_NM
            error_NM.addcmul_(code_NM, step_NM, value=-1)
            later_NBM = work_NCM[:, j + 1 : stop]
            later_NBM.addcmul_(unit_NCC[:, j, j + 1 : stop, None], error_NM[:, None], value=-1)
        rest_NCM, weights_NCB = work_NCM[:, stop:], unit_NCC[:, start:stop, stop:].mT
        rest_NCM.baddbmm_(weights_NCB, work_NCM[:, start:stop], alpha=-1)
    return codes_NCM
