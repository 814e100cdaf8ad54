"""The language model: a small transformer whose every size is a number in one config.

Shapes: B batch, T positions, D model width, V vocabulary, N query heads, K key-value heads, H head
dimension, L layers, M MLP width, R any number of selected positions. Weights of the same kind in different
layers are stacked into one "bank" (layers first), which lets the optimiser treat them as one batch of
matrices.

Does not know about windows, history or the mixer (score.py), nor how it is stored (quantise.py, pack.py).
Source: the system described in docs/submission.md, after contest pull request #1302.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.nn import functional

from submission.attention import Attend, attend
from submission.parts import bigram_rows, exclude_own, rms, rotary_tables, rotate, take

BOS = 1
"""Input before the first token of a stream, where there is no history."""
BANKS = ("qo", "kv", "up", "down")
"""The parameters that are stacks of matrices, one or two a layer."""


class Tap(Protocol):
    """Somebody who looks at what the matrices of a layer are fed with: see hessians.py."""

    def __call__(self, kind: str, layer: int, input_BTC: torch.Tensor) -> None:
        """Take the input of "qkv", "o", "up" or "down" of this layer."""


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
    residual_mix: bool = True
    """Each block starts from a learnt mix of the stream and of what entered the first block."""
    logit_cap: float = 30.0
    """Logits stay within this much of 0; 0 leaves them as they are."""

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


class _Layer(NamedTuple):
    """One layer's share of the banks, and the damping of its inputs."""

    depth: int
    w_q: torch.Tensor
    w_o: torch.Tensor
    w_k: torch.Tensor
    w_v: torch.Tensor
    up: torch.Tensor
    down: torch.Tensor
    q_gain: torch.Tensor
    resid_mix: torch.Tensor | None


class GPT(nn.Module):
    """Transformer from token ids to soft-capped logits; causal, so position t sees inputs 0..t alone.

    Weights are float32 and hold nothing until `reset` draws them or `load_state_dict` brings them. They are
    rounded to `dtype` where they are used, and activations are kept in it.
    """

    def __init__(self, config: ModelConfig, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.config = config
        self.dtype = dtype
        self.attend: Attend = attend
        self.kernels: ModuleType | None = None
        """The module kernels.py, where training may use it; else plain torch."""
        self.rounding: nn.Module | None = None
        """What banks go through before they are used: SoftRound while training, else nothing."""
        c = config
        kv_width = c.kv_heads * c.head_size
        self.qo = _empty(2 * c.layers, c.width, c.width)  # W_q of layer i at i, W_o at layers + i
        self.kv = _empty(2 * c.layers, kv_width, c.width)  # W_k at i, W_v at layers + i
        self.up = _empty(c.layers, c.mlp_width, c.width)
        self.down = _empty(c.layers, c.width, c.mlp_width)
        self.embedding = _empty(c.vocab_size, c.width)
        if c.residual_mix:
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
        if c.residual_mix:
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

    def forward(
        self,
        ids_BT: torch.Tensor,
        *,
        wanted: tuple[torch.Tensor, int] | None = None,
        tap: Tap | None = None,
    ) -> torch.Tensor:
        """Return the normed last hidden state, (B, T, D), of token ids, int64, T <= max_length.

        With `wanted` = (first_B, count) only that of the positions first_B .. first_B + count - 1 of each
        row is worked out, (B, count, D): the last layer's MLP is spared for the others, and no result
        changes.
        """
        c = self.config
        x0_BTD = self._inputs(ids_BT)
        value_BTC = None
        if c.value_width:
            rows_BTC = self._embed(ids_BT, self.value_table)
            value_BTC = functional.linear(rows_BTC, self._cast(self.value_proj))
            value_BTC = value_BTC * self._cast(self.value_scale)
        x_BTD = x0_BTD
        stack: list[torch.Tensor] = []
        skip_weights, skip_gates = self._skips()
        value_scales = self._cast(self.value_layer_scale).unbind(0) if c.value_width else ()
        for layer in self._layers():
            depth, late = layer.depth, layer.depth - (c.layers - c.value_layers)
            if stack and depth >= c.skips:
                skip_BTD = skip_weights[depth - c.skips] * stack.pop()
                x_BTD = torch.lerp(skip_BTD, x_BTD, skip_gates[depth - c.skips])
            own_BTC = (
                value_BTC * value_scales[late] if value_BTC is not None and late >= 0 else None
            )
            last = wanted if depth == c.layers - 1 else None
            x_BTD = self._block(layer, x_BTD, x0_BTD, own_BTC, last, tap)
            if depth < c.skips:
                stack.append(x_BTD)
        return rms(x_BTD)

    def logits(self, hidden_RD: torch.Tensor) -> torch.Tensor:
        """Return logits, (..., V), float32, within +-logit_cap, of hidden states from `forward`.

        The product is rounded to the type of `hidden_RD`: give it float32 where that matters, as in scoring.
        Source of the cap: Gemma 2 (arXiv:2408.00118), section 2.
        """
        cap = self.config.logit_cap
        raw_RV = functional.linear(
            hidden_RD, self._cast(self.embedding).to(hidden_RD.dtype)
        ).float()
        return cap * torch.tanh(raw_RV / cap) if cap else raw_RV

    def loss(self, ids_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
        """Return the mean nats of the targets, a float32 scalar."""
        logits_BTV = self.logits(self(ids_BT))
        return functional.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten())

    def _cast(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.to(self.dtype)

    def _embed(self, ids_BT: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        return functional.embedding(ids_BT, self._cast(table))

    def _inputs(self, ids_BT: torch.Tensor) -> torch.Tensor:
        x_BTD = self._embed(ids_BT, self.embedding)
        if self.config.bigram_width:
            rows_BTC = self._embed(bigram_rows(ids_BT, self.config.bigram_rows), self.bigram_table)
            pair_BTD = functional.linear(rows_BTC, self._cast(self.bigram_proj))
            x_BTD = x_BTD + pair_BTD * self._cast(self.bigram_scale)
        x_BTD = rms(x_BTD)
        if self.config.smear:
            before_BTD = functional.pad(x_BTD, (0, 0, 1, 0))[:, :-1]
            x_BTD = torch.lerp(x_BTD, before_BTD, self._cast(torch.sigmoid(self.smear_gate)))
        return x_BTD

    def _skips(self) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        if not self.config.skips:
            return (), ()
        gates = self._cast(torch.sigmoid(self.skip_gate))
        return self._cast(self.skip_weight).unbind(0), gates.unbind(0)

    def _layers(self) -> list[_Layer]:
        # One unbind a bank: indexing layer by layer would make backward add up as many whole banks.
        banks = [self.qo, self.kv, self.up, self.down]
        if self.rounding is not None:
            banks = [self.rounding(bank) for bank in banks]
        qo, kv, up, down = banks
        w_q, w_o = qo.chunk(2)
        # The scale of what a block adds goes into the rows of the matrix that makes it: the same sum, and
        # activations are read and written once less, forward and backward.
        w_o = w_o * self.attn_scale.unsqueeze(-1)
        down = down * self.mlp_scale.unsqueeze(-1)
        stacked = [w_q, w_o, *kv.chunk(2), up, down, self.q_gain]
        stacked = [self._cast(bank) for bank in stacked]
        slices: list[tuple[torch.Tensor | None, ...]] = [bank.unbind(0) for bank in stacked]
        depths = self.config.layers
        mixed = self.config.residual_mix
        slices.append(self._cast(self.resid_mix).unbind(0) if mixed else (None,) * depths)
        return [_Layer(depth, *parts) for depth, parts in enumerate(zip(*slices, strict=True))]

    def _block(
        self,
        layer: _Layer,
        x_BTD: torch.Tensor,
        x0_BTD: torch.Tensor,
        value_BTC: torch.Tensor | None,
        wanted: tuple[torch.Tensor, int] | None,
        tap: Tap | None,
    ) -> torch.Tensor:
        damping = 1.0 / math.sqrt(layer.depth + 1)
        u_BTD, h_BTD = self._mixed(x_BTD, x0_BTD, layer.resid_mix, damping)
        y_BTD = self._attention(layer, h_BTD, value_BTC, tap)
        if wanted is not None:
            u_BTD, y_BTD = take(u_BTD, *wanted), take(y_BTD, *wanted)
        a_BTD, h_BTD = self._added(u_BTD, functional.linear(y_BTD, layer.w_o), damping)
        h_BTM = functional.leaky_relu(functional.linear(h_BTD, layer.up), 0.5).square()
        if tap is not None:
            tap("up", layer.depth, h_BTD)
            tap("down", layer.depth, h_BTM)
        return a_BTD + functional.linear(h_BTM, layer.down)

    def _attention(
        self,
        layer: _Layer,
        h_BTD: torch.Tensor,
        value_BTC: torch.Tensor | None,
        tap: Tap | None,
    ) -> torch.Tensor:
        """Return what the layer's W_o is applied to."""
        c = self.config
        # One product for all three: the input is read once.
        w_qkv = torch.cat((layer.w_q, layer.w_k, layer.w_v))
        joint_BTC = functional.linear(h_BTD, w_qkv)
        q_BTNH, k_BTKH, v_BTKH = self._heads(joint_BTC, layer.q_gain)
        if value_BTC is not None:
            v_BTKH = v_BTKH + value_BTC.unflatten(-1, (c.kv_heads, c.head_size))
        y_BTNH = self.attend(q_BTNH, k_BTKH, v_BTKH)
        if c.exclusive:
            y_BTNH = self._excluded(y_BTNH, v_BTKH)
        y_BTD = y_BTNH.flatten(2, 3)
        if tap is not None:
            tap("qkv", layer.depth, h_BTD)
            tap("o", layer.depth, y_BTD)
        return y_BTD

    # The four parts that move much memory and compute little, each in one pass where there are kernels
    # for it.

    def _mixed(
        self, x_BTD: torch.Tensor, x0_BTD: torch.Tensor, mix_2D: torch.Tensor | None, damping: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if mix_2D is None:
            return x_BTD, damping * rms(x_BTD)
        if self.kernels is not None:
            return self.kernels.mix_norm(x_BTD, x0_BTD, mix_2D, damping)
        u_BTD = mix_2D[0] * x_BTD + mix_2D[1] * x0_BTD
        return u_BTD, damping * rms(u_BTD)

    def _added(
        self, u_BTD: torch.Tensor, o_BTD: torch.Tensor, damping: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.kernels is not None:
            return self.kernels.add_norm(u_BTD, o_BTD, damping)
        a_BTD = u_BTD + o_BTD
        return a_BTD, damping * rms(a_BTD)

    def _heads(
        self, joint_BTC: torch.Tensor, gain_N: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        c, length = self.config, joint_BTC.shape[1]
        cos_TH, sin_TH = self._cast(self.cos_TH[:length]), self._cast(self.sin_TH[:length])
        if self.kernels is not None:
            return self.kernels.qkv_split(joint_BTC, gain_N, cos_TH, sin_TH, c.kv_heads)
        joint_BTNH = joint_BTC.unflatten(-1, (-1, c.head_size))
        parts = (c.query_heads, c.kv_heads, c.kv_heads)
        q_BTNH, k_BTKH, v_BTKH = joint_BTNH.split(parts, dim=2)
        q_BTNH = rotate(rms(q_BTNH), cos_TH.unsqueeze(1), sin_TH.unsqueeze(1))
        k_BTKH = rotate(rms(k_BTKH), cos_TH.unsqueeze(1), sin_TH.unsqueeze(1))
        return q_BTNH * gain_N.unsqueeze(-1), k_BTKH, v_BTKH

    def _excluded(self, y_BTNH: torch.Tensor, v_BTKH: torch.Tensor) -> torch.Tensor:
        own = exclude_own if self.kernels is None else self.kernels.exclude_own
        return own(y_BTNH, v_BTKH)


def _empty(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(*shape))
