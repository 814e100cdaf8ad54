"""Causal attention behind one function, so that a faster kernel changes one file.

Shapes: B batch, N query heads, K key-value heads (K divides N), T positions, H head dimension.
Does not hold weights, rotate or normalise: see model.py.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def attend(q_BNTH: torch.Tensor, k_BKTH: torch.Tensor, v_BKTH: torch.Tensor) -> torch.Tensor:
    """Return softmax(q k^T / sqrt(H)) v, each position seeing itself and what is before it.

    Query head n reads key-value head n // (N / K). Any floating type; the result has the shape of `q_BNTH`.
    Source: grouped queries, Ainslie et al. 2023 (arXiv:2305.13245).
    """
    return functional.scaled_dot_product_attention(
        q_BNTH, k_BKTH, v_BKTH, is_causal=True, enable_gqa=q_BNTH.shape[1] != k_BKTH.shape[1]
    )
