"""The model's parts that have no weights: norm, rotation, exclusion, hashing, picking.

Shapes: B batch, T positions, D model width, N query heads, K key-value heads, H head dimension.
Does not know layers: see model.py. Four of these have fused twins for training on a GPU: see kernels.py.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def rms(x: torch.Tensor) -> torch.Tensor:
    """Return `x` divided by its root mean square over the last dimension, without a weight."""
    return functional.rms_norm(x, (x.shape[-1],))


def take(x_BTD: torch.Tensor, first_B: torch.Tensor, count: int) -> torch.Tensor:
    """Return the positions first_B .. first_B + count - 1 of each row, (B, count, D)."""
    at_BT = first_B[:, None] + torch.arange(count, device=x_BTD.device)
    return x_BTD.gather(1, at_BT[:, :, None].expand(-1, -1, x_BTD.shape[2]))


def rotary_tables(length: int, dims: int, base: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines, each (length, dims / 2), float32, of position * base^(-2j / dims).

    Source: Su et al. 2021 (arXiv:2104.09864), section 3.2.
    """
    pairs = torch.arange(dims // 2, dtype=torch.float64)
    angle_TH = torch.outer(torch.arange(length, dtype=torch.float64), base ** (-2.0 * pairs / dims))
    return angle_TH.cos().float(), angle_TH.sin().float()


def rotate(x_BTNH: torch.Tensor, cos_T1H: torch.Tensor, sin_T1H: torch.Tensor) -> torch.Tensor:
    """Return `x` with its leading dimensions (j, j + half) turned by the tables, the others as they are."""
    half = cos_T1H.shape[-1]
    x1_BTNH = x_BTNH[..., :half]
    x2_BTNH = x_BTNH[..., half : 2 * half]
    return torch.cat(
        (
            x1_BTNH * cos_T1H + x2_BTNH * sin_T1H,
            x2_BTNH * cos_T1H - x1_BTNH * sin_T1H,
            x_BTNH[..., 2 * half :],
        ),
        dim=-1,
    )


def exclude_own(y_BTNH: torch.Tensor, v_BTKH: torch.Tensor) -> torch.Tensor:
    """Return `y` less its projection on the value of its own position, head by head.

    Source: exclusive self-attention, as docs/submission.md states it.
    """
    unit_BTK1H = functional.normalize(v_BTKH.float(), dim=-1).to(y_BTNH.dtype).unsqueeze(3)
    y_BTKGH = y_BTNH.unflatten(2, (v_BTKH.shape[2], -1))
    along_BTKG1 = (y_BTKGH * unit_BTK1H).sum(-1, keepdim=True)
    return (y_BTKGH - along_BTKG1 * unit_BTK1H).flatten(2, 3)


def bigram_rows(ids_BT: torch.Tensor, rows: int) -> torch.Tensor:
    """Return the table row, 0..rows-1, of each input token and the one before it.

    The first position, which has nothing before it, gets the last row, and nothing else does.
    """
    mixed_BT = torch.bitwise_xor(36313 * ids_BT[:, 1:], 27191 * ids_BT[:, :-1]) % (rows - 1)
    return functional.pad(mixed_BT, (1, 0), value=rows - 1)
