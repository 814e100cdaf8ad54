"""The language model: a small transformer whose every size is a number in one config.

Shapes: B batch, T positions, D model width, V vocabulary, N query heads, K key-value heads, H head
dimension, L layers, R any number of selected positions. Weights of the same kind in different layers
are stacked into one "bank" (layers first), which lets the optimiser treat them as one batch of matrices.

Does not know about windows, history or the mixer (score.py), nor how it is stored (quantise.py, pack.py).
Source: the system described in docs/submission.md, after contest pull request #1302.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from submission.attention import attend

BOS = 1
"""Input before the first token of a stream, where there is no history."""


@dataclass(kw_only=True, slots=True, frozen=True)
class ModelConfig:
    """Sizes and switches of the model; a part whose width is 0 or whose switch is off has no weights."""

    vocab_size: int = 1024
    layers: int = 11
    width: int = 512
    query_heads: int = 8
    kv_heads: int = 4
    mlp_width: int = 1536
    max_length: int = 2048
    """Longest window, in tokens."""
    rotary_dims: int = 16
    """Leading dimensions of a head that are rotated; the rest carry no position."""
    rotary_base: float = 22_082.0
    bigram_rows: int = 2816
    bigram_width: int = 160
    value_width: int = 128
    value_layers: int = 2
    """Last layers whose values get an embedding of the input token added."""
    unet: bool = True
    smear: bool = True
    exclusive: bool = True
    """Take out of each head's result what lies along its own position's value."""
    logit_cap: float = 30.0

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if self.width % self.query_heads or self.query_heads % self.kv_heads:
            raise ValueError(
                f"width {self.width}, {self.query_heads} query heads and {self.kv_heads} key-value heads "
                "do not divide; make each a multiple of the next"
            )
        if self.rotary_dims % 2 or self.rotary_dims > self.head_size:
            raise ValueError(f"rotary_dims {self.rotary_dims} is not even and <= {self.head_size}")

    @property
    def head_size(self) -> int:
        """Return H."""
        return self.width // self.query_heads

    @property
    def skips(self) -> int:
        """Return how many blocks of the first half feed one of the second half."""
        return self.layers // 2 if self.unet else 0


def rms(x: torch.Tensor) -> torch.Tensor:
    """Return `x` divided by its root mean square over the last dimension, without a weight."""
    return functional.rms_norm(x, (x.shape[-1],))


class _Layer(NamedTuple):
    """One layer's share of the banks, and the damping of its inputs."""

    damping: float
    w_q: torch.Tensor
    w_k: torch.Tensor
    w_v: torch.Tensor
    w_o: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor
    resid_mix: torch.Tensor
    attn_scale: torch.Tensor
    mlp_scale: torch.Tensor
    q_gain: torch.Tensor


class GPT(nn.Module):
    """Transformer from token ids to soft-capped logits; causal, so position t sees inputs 0..t alone.

    Weights are float32 and hold nothing until `reset` draws them or `load_state_dict` brings them.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        kv_width = c.kv_heads * c.head_size
        self.qo = _empty(2 * c.layers, c.width, c.width)  # W_q of layer i at i, W_o at layers + i
        self.kv = _empty(2 * c.layers, kv_width, c.width)  # W_k at i, W_v at layers + i
        self.up = _empty(c.layers, c.mlp_width, c.width)
        self.down = _empty(c.layers, c.width, c.mlp_width)
        self.embedding = _empty(c.vocab_size, c.width)
        self.resid_mix = _empty(c.layers, 2, c.width)
        self.attn_scale = _empty(c.layers, c.width)
        self.mlp_scale = _empty(c.layers, c.width)
        self.q_gain = _empty(c.layers, c.query_heads)
        if c.bigram_width:
            self.bigram_table = _empty(c.bigram_rows, c.bigram_width)
            self.bigram_proj = _empty(c.width, c.bigram_width)
            self.bigram_scale = _empty(1)
        if c.smear:
            self.smear_gate = _empty(c.width)
        if c.skips:
            self.skip_weight = _empty(c.skips, c.width)
            self.skip_gate = _empty(c.skips, c.width)
        if c.value_width:
            self.value_table = _empty(c.vocab_size, c.value_width)
            self.value_proj = _empty(kv_width, c.value_width)
            self.value_scale = _empty(1)
            self.value_layer_scale = _empty(c.value_layers)
        cos_TH, sin_TH = rotary_tables(c.max_length, c.rotary_dims, c.rotary_base)
        self.register_buffer("cos_TH", cos_TH, persistent=False)
        self.register_buffer("sin_TH", sin_TH, persistent=False)

    @torch.no_grad()
    def reset(self) -> None:
        """Draw the starting weights: inputs orthogonal, outputs zero, so that each block starts as nothing.

        From torch's global generator: seed it first.
        """
        c = self.config
        for bank in (self.qo[: c.layers], self.kv, self.up):
            for matrix in bank:
                nn.init.orthogonal_(matrix)
        self.qo[c.layers :].zero_()
        self.down.zero_()
        self.embedding.normal_(0.0, 0.005)
        self.resid_mix.zero_()
        self.resid_mix[:, 0] = 1.0
        self.attn_scale.fill_(1.0)
        self.mlp_scale.fill_(1.0)
        self.q_gain.fill_(1.5)
        if c.bigram_width:
            self.bigram_table.zero_()
            nn.init.orthogonal_(self.bigram_proj)
            self.bigram_scale.fill_(0.05)
        if c.smear:
            self.smear_gate.zero_()
        if c.skips:
            self.skip_weight.fill_(1.0)
            self.skip_gate.zero_()
        if c.value_width:
            self.value_table.normal_(0.0, 0.01)
            nn.init.orthogonal_(self.value_proj)
            self.value_scale.fill_(0.1)
            self.value_layer_scale.fill_(1.0)

    def forward(self, ids_BT: torch.Tensor) -> torch.Tensor:
        """Return the normed last hidden state, (B, T, D), of token ids, int64, T <= max_length."""
        c = self.config
        x0_BTD = self._inputs(ids_BT)
        value_BTC = None
        if c.value_width:
            rows_BTC = functional.embedding(ids_BT, self.value_table)
            value_BTC = functional.linear(rows_BTC, self.value_proj) * self.value_scale
        x_BTD = x0_BTD
        stack: list[torch.Tensor] = []
        layers = self._layers()
        for layer in range(c.layers):
            if stack and layer >= c.skips:
                gate_D = torch.sigmoid(self.skip_gate[layer - c.skips])
                skip_BTD = self.skip_weight[layer - c.skips] * stack.pop()
                x_BTD = torch.lerp(skip_BTD, x_BTD, gate_D)
            own_value_BTC = None
            if value_BTC is not None and layer >= c.layers - c.value_layers:
                own_value_BTC = (
                    value_BTC * self.value_layer_scale[layer - (c.layers - c.value_layers)]
                )
            x_BTD = self._block(layers[layer], x_BTD, x0_BTD, own_value_BTC)
            if layer < c.skips:
                stack.append(x_BTD)
        return rms(x_BTD)

    def logits(self, hidden_RD: torch.Tensor) -> torch.Tensor:
        """Return logits, (..., V), within +-logit_cap, of hidden states from `forward`.

        Source of the cap: Gemma 2 (arXiv:2408.00118), section 2.
        """
        cap = self.config.logit_cap
        return cap * torch.tanh(functional.linear(hidden_RD, self.embedding) / cap)

    def loss(self, ids_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
        """Return the mean nats of the targets, a float32 scalar."""
        logits_BTV = self.logits(self(ids_BT))
        return functional.cross_entropy(logits_BTV.flatten(0, 1).float(), targets_BT.flatten())

    def _inputs(self, ids_BT: torch.Tensor) -> torch.Tensor:
        x_BTD = functional.embedding(ids_BT, self.embedding)
        if self.config.bigram_width:
            rows_BT = bigram_rows(ids_BT, self.config.bigram_rows)
            rows_BTC = functional.embedding(rows_BT, self.bigram_table)
            x_BTD = x_BTD + functional.linear(rows_BTC, self.bigram_proj) * self.bigram_scale
        x_BTD = rms(x_BTD)
        if self.config.smear:
            before_BTD = functional.pad(x_BTD, (0, 0, 1, 0))[:, :-1]
            x_BTD = torch.lerp(x_BTD, before_BTD, torch.sigmoid(self.smear_gate))
        return x_BTD

    def _layers(self) -> list[_Layer]:
        # One unbind a bank: indexing layer by layer would make backward add up as many whole banks.
        w_q, w_o = self.qo.chunk(2)
        w_k, w_v = self.kv.chunk(2)
        stacked = (w_q, w_k, w_v, w_o, self.up, self.down, self.resid_mix)
        stacked += (self.attn_scale, self.mlp_scale, self.q_gain)
        slices = zip(*(bank.unbind(0) for bank in stacked), strict=True)
        return [_Layer(1.0 / math.sqrt(depth + 1), *parts) for depth, parts in enumerate(slices)]

    def _block(
        self,
        layer: _Layer,
        x_BTD: torch.Tensor,
        x0_BTD: torch.Tensor,
        value_BTC: torch.Tensor | None,
    ) -> torch.Tensor:
        u_BTD = layer.resid_mix[0] * x_BTD + layer.resid_mix[1] * x0_BTD
        mixed_BTD = self._attention(layer, layer.damping * rms(u_BTD), value_BTC)
        a_BTD = torch.addcmul(u_BTD, layer.attn_scale, mixed_BTD)
        h_BTM = functional.linear(layer.damping * rms(a_BTD), layer.up)
        h_BTM = functional.leaky_relu(h_BTM, 0.5).square()
        return torch.addcmul(a_BTD, layer.mlp_scale, functional.linear(h_BTM, layer.down))

    def _attention(
        self, layer: _Layer, h_BTD: torch.Tensor, value_BTC: torch.Tensor | None
    ) -> torch.Tensor:
        c = self.config
        batch, length, _ = h_BTD.shape
        q_BTD = functional.linear(h_BTD, layer.w_q)
        k_BTC = functional.linear(h_BTD, layer.w_k)
        v_BTC = functional.linear(h_BTD, layer.w_v)
        if value_BTC is not None:
            v_BTC = v_BTC + value_BTC
        q_BNTH = q_BTD.view(batch, length, c.query_heads, c.head_size).transpose(1, 2)
        k_BKTH = k_BTC.view(batch, length, c.kv_heads, c.head_size).transpose(1, 2)
        v_BKTH = v_BTC.view(batch, length, c.kv_heads, c.head_size).transpose(1, 2)
        q_BNTH = self._rotate(rms(q_BNTH)) * layer.q_gain.view(-1, 1, 1)
        y_BNTH = attend(q_BNTH, self._rotate(rms(k_BKTH)), v_BKTH)
        if c.exclusive:
            y_BNTH = exclude_own(y_BNTH, v_BKTH)
        return functional.linear(y_BNTH.transpose(1, 2).reshape(batch, length, c.width), layer.w_o)

    def _rotate(self, x_BNTH: torch.Tensor) -> torch.Tensor:
        length = x_BNTH.shape[2]
        return rotate(x_BNTH, self.cos_TH[:length], self.sin_TH[:length])


def rotary_tables(length: int, dims: int, base: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return cosines and sines, each (length, dims / 2), float32, of position * base^(-2j / dims).

    Source: Su et al. 2021 (arXiv:2104.09864), section 3.2.
    """
    pairs = torch.arange(dims // 2, dtype=torch.float64)
    angle_TH = torch.outer(torch.arange(length, dtype=torch.float64), base ** (-2.0 * pairs / dims))
    return angle_TH.cos().float(), angle_TH.sin().float()


def rotate(x_BNTH: torch.Tensor, cos_TH: torch.Tensor, sin_TH: torch.Tensor) -> torch.Tensor:
    """Return `x` with its leading dimensions (j, j + half) turned by the tables, the others as they are."""
    half = cos_TH.shape[1]
    x1_BNTH = x_BNTH[..., :half]
    x2_BNTH = x_BNTH[..., half : 2 * half]
    return torch.cat(
        (
            x1_BNTH * cos_TH + x2_BNTH * sin_TH,
            x2_BNTH * cos_TH - x1_BNTH * sin_TH,
            x_BNTH[..., 2 * half :],
        ),
        dim=-1,
    )


def exclude_own(y_BNTH: torch.Tensor, v_BKTH: torch.Tensor) -> torch.Tensor:
    """Return `y` less its projection on the value of its own position, head by head.

    Source: exclusive self-attention, as docs/submission.md states it.
    """
    batch, heads, length, size = y_BNTH.shape
    unit_BKTH = functional.normalize(v_BKTH, dim=-1).unsqueeze(2)
    y_BKGTH = y_BNTH.view(batch, v_BKTH.shape[1], -1, length, size)
    along_BKGT1 = (y_BKGTH * unit_BKTH).sum(-1, keepdim=True)
    return (y_BKGTH - along_BKGT1 * unit_BKTH).view(batch, heads, length, size)


def bigram_rows(ids_BT: torch.Tensor, rows: int) -> torch.Tensor:
    """Return the table row, 0..rows-1, of each input token and the one before it.

    The first position, which has nothing before it, gets the last row, and nothing else does.
    """
    mixed_BT = torch.bitwise_xor(36313 * ids_BT[:, 1:], 27191 * ids_BT[:, :-1]) % (rows - 1)
    return functional.pad(mixed_BT, (1, 0), value=rows - 1)


def _empty(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(*shape))
