"""Parts of the model that move much memory and compute little, each forward and backward in one pass.

Shapes: B batch, T positions, D model width, N query heads, K key-value heads, H head dimension,
C = (N + 2K) H, P programs of a kernel; R stands for any leading dimensions: their product is the tokens.

Each part is a public function; the same in plain torch (`plain_...`, any type and size: what the tests
compare with); and custom ops, which torch.compile leaves in one piece. The ops launch the kernels of
triton_kernels.py on the current device and stream, and copy inputs that are not contiguous first.

Does not choose between the two: whoever calls asks `available`. No matrix products, no attention.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op
from torch.nn import functional

EPS = torch.finfo(torch.float32).eps
"""What torch's rms_norm adds to the mean square by default, for bfloat16 as well."""
MULTIPROCESSORS = 132
"""Of an H100. A constant, not asked of the device: the order of sums over tokens, so their bits, hangs on it.

Kernels that sum run as many programs as its registers hold at a time, and these take turns at the blocks.
"""


def available(device: torch.device) -> bool:
    """Return whether the kernels run on `device`: a GPU with Triton, or Triton's interpreter.

    The interpreter runs anywhere, slowly, where TRITON_INTERPRET=1 was set before Triton was imported.
    """
    if importlib.util.find_spec("triton") is None:
        return False
    return device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"


def mix_norm(x_RD: Tensor, x0_RD: Tensor, mix_2D: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Return u = mix[0] x + mix[1] x0 and h = damping * u / rms(u), both like `x_RD`.

    float32, bfloat16 or float16, `x0_RD` as `x_RD`; D a power of two. Raises ValueError for anything else.
    """
    _require(x_RD, width=x_RD.shape[-1])
    if x0_RD.shape != x_RD.shape or mix_2D.shape != (2, x_RD.shape[-1]):
        raise ValueError(
            f"{_shapes(x_RD, x0_RD, mix_2D)} are not x, x0 and mix: (R, D) twice, (2, D)"
        )
    return _mix_norm(x_RD, x0_RD, mix_2D, damping)


def add_norm(u_RD: Tensor, o_RD: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Return a = u + o and h = damping * a / rms(a), both like `u_RD`.

    float32, bfloat16 or float16, `o_RD` as `u_RD`; D a power of two. Raises ValueError for anything else.
    """
    _require(u_RD, width=u_RD.shape[-1])
    if o_RD.shape != u_RD.shape:
        raise ValueError(f"{_shapes(u_RD, o_RD)} are not u and o: (R, D) twice")
    return _add_norm(u_RD, o_RD, damping)


def qkv_split(
    joint_BTC: Tensor, gain_N: Tensor, cos_TH: Tensor, sin_TH: Tensor, kv_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return q, k and v, (B, T, N or K, H) and contiguous, of the joint product [q | k | v].

    Each head of q and k is divided by its rms and rotated as parts.rotate does, by tables (T, half); q is
    multiplied by its head's gain; v is copied. The tables get no gradient. float32, bfloat16 or float16;
    N, K, H and half are powers of two, 2 half <= H. Raises ValueError for anything else.
    Source: the norm, Henry et al. 2020 (arXiv:2010.04245); the rotation, Su et al. 2021 (arXiv:2104.09864).
    """
    heads, (length, half) = gain_N.shape[0], cos_TH.shape
    size = joint_BTC.shape[-1] // (heads + 2 * kv_heads)
    _require(joint_BTC, query_heads=heads, kv_heads=kv_heads, head_size=size, rotated_pairs=half)
    whole = joint_BTC.ndim == 3 and joint_BTC.shape[1:] == (length, (heads + 2 * kv_heads) * size)
    if not whole or sin_TH.shape != cos_TH.shape or 2 * half > size:
        raise ValueError(
            f"{_shapes(joint_BTC, cos_TH, sin_TH)} are not (B, T, C) and (T, half) twice, of {heads} "
            f"query and {kv_heads} key-value heads"
        )
    return _qkv_split(joint_BTC, gain_N, cos_TH, sin_TH, kv_heads)


def exclude_own(y_BTNH: Tensor, v_BTKH: Tensor) -> Tensor:
    """Return `y` less its projection on the value of its own position, head by head, contiguous.

    float32, bfloat16 or float16; N, K and H powers of two. Raises ValueError for anything else.
    Source: exclusive self-attention, as docs/submission.md states it.
    """
    heads, (kv_heads, size) = y_BTNH.shape[-2], v_BTKH.shape[-2:]
    _require(y_BTNH, query_heads=heads, kv_heads=kv_heads, head_size=size)
    if y_BTNH.shape != (*v_BTKH.shape[:-2], heads, size) or heads < kv_heads:
        raise ValueError(f"{_shapes(y_BTNH, v_BTKH)} are not y and v: (B, T, N, H), (B, T, K, H)")
    return _exclude_own(y_BTNH, v_BTKH)


def plain_mix_norm(
    x_RD: Tensor, x0_RD: Tensor, mix_2D: Tensor, damping: float
) -> tuple[Tensor, Tensor]:
    """Return what `mix_norm` does."""
    u_RD = mix_2D[0] * x_RD + mix_2D[1] * x0_RD
    return u_RD, damping * _rms(u_RD)


def plain_add_norm(u_RD: Tensor, o_RD: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    """Return what `add_norm` does."""
    a_RD = u_RD + o_RD
    return a_RD, damping * _rms(a_RD)


def plain_qkv_split(
    joint_BTC: Tensor, gain_N: Tensor, cos_TH: Tensor, sin_TH: Tensor, kv_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what `qkv_split` does."""
    heads = len(gain_N)
    joint_BTNH = joint_BTC.unflatten(-1, (heads + 2 * kv_heads, -1))
    q_BTNH, k_BTKH, v_BTKH = joint_BTNH.split((heads, kv_heads, kv_heads), dim=2)

    def turned(x_BTNH: Tensor) -> Tensor:
        half = cos_TH.shape[1]
        cos_T1H, sin_T1H = cos_TH.unsqueeze(1), sin_TH.unsqueeze(1)
        a_BTNH, b_BTNH, rest_BTNH = _rms(x_BTNH).tensor_split((half, 2 * half), dim=-1)
        first_BTNH = a_BTNH * cos_T1H + b_BTNH * sin_T1H
        second_BTNH = b_BTNH * cos_T1H - a_BTNH * sin_T1H
        return torch.cat((first_BTNH, second_BTNH, rest_BTNH), dim=-1)

    return turned(q_BTNH) * gain_N.unsqueeze(-1), turned(k_BTKH), v_BTKH


def plain_exclude_own(y_BTNH: Tensor, v_BTKH: Tensor) -> Tensor:
    """Return what `exclude_own` does."""
    group = y_BTNH.shape[2] // v_BTKH.shape[2]
    unit_BTNH = functional.normalize(v_BTKH, dim=-1).repeat_interleave(group, dim=2)
    return y_BTNH - (y_BTNH * unit_BTNH).sum(-1, keepdim=True) * unit_BTNH


def _rms(x: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],), eps=EPS)


def _shapes(*tensors: Tensor) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in tensors)


def _require(tensor: Tensor, **sizes: int) -> None:
    """Raise ValueError for a type that kernels do not read, or a size that is no power of two."""
    if tensor.dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise ValueError(f"{tensor.dtype} is none of float32, bfloat16 and float16")
    for name, size in sizes.items():
        if size < 1 or size & (size - 1):
            raise ValueError(f"{name} {size} is not a power of two; use the plain function instead")


# --- ops: each launches a kernel, and tells torch.compile what comes out, and autograd what goes back ---


def _block(width: int, warps: int) -> int:
    # 16 elements a thread: two accesses of 16 bytes in bfloat16.
    return max(1, 512 * warps // width)


def _programs(rows: int, width: int, warps: int = 4) -> int:
    # At least one, which finds nothing to do: CUDA refuses to launch none.
    return max(1, -(-rows // _block(width, warps)))


def _launch(
    kernel: str, programs: int, rows: int, width: int, *arguments: Any, warps: int = 4, **sizes: int
) -> None:
    """Run that many programs of a kernel over rows of `width` elements."""
    from submission import triton_kernels  # here, because not every machine has Triton

    given = (a.contiguous() if isinstance(a, Tensor) else a for a in arguments)
    function = getattr(triton_kernels, kernel)
    function[(programs,)](rows, *given, **sizes, BLOCK=_block(width, warps), num_warps=warps)


def _like(tensor: Tensor, *shape: int) -> Tensor:
    """Return an uninitialised contiguous tensor of the same type, and shape unless another is given."""
    return tensor.new_empty(shape or tensor.shape)


@custom_op("submission::mix_norm", mutates_args=())
def _mix_norm(x: Tensor, x0: Tensor, mix: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    u, h = _like(x), _like(x)
    width = x.shape[-1]
    rows = x.numel() // width
    arguments = (x, x0, mix, u, h, damping)
    _launch("mix_norm_forward", _programs(rows, width), rows, width, *arguments, D=width)
    return u, h


@custom_op("submission::mix_norm_backward", mutates_args=())
def _mix_norm_slopes(
    du: Tensor, dh: Tensor, x: Tensor, x0: Tensor, mix: Tensor, damping: float
) -> tuple[Tensor, Tensor, Tensor]:
    dx, dx0 = _like(x), _like(x)
    width = x.shape[-1]
    rows = x.numel() // width
    # One warp a row needs no barrier. Its registers let 13 run on a multiprocessor.
    programs = min(_programs(rows, width, warps=1), 12 * MULTIPROCESSORS)
    dmix_P2D = torch.empty(programs, 2, width, dtype=torch.float32, device=x.device)
    arguments = (du, dh, x, x0, mix, dx, dx0, dmix_P2D, damping)
    _launch("mix_norm_backward", programs, rows, width, *arguments, D=width, warps=1)
    return dx, dx0, dmix_P2D.sum(0).to(mix.dtype)


@custom_op("submission::add_norm", mutates_args=())
def _add_norm(u: Tensor, o: Tensor, damping: float) -> tuple[Tensor, Tensor]:
    a, h = _like(u), _like(u)
    width = u.shape[-1]
    rows = u.numel() // width
    arguments = (u, o, a, h, damping)
    _launch("add_norm_forward", _programs(rows, width), rows, width, *arguments, D=width)
    return a, h


@custom_op("submission::add_norm_backward", mutates_args=())
def _add_norm_slope(da: Tensor, dh: Tensor, a: Tensor, damping: float) -> Tensor:
    d = _like(a)
    width = a.shape[-1]
    rows = a.numel() // width
    arguments = (da, dh, a, d, damping)
    _launch("add_norm_backward", _programs(rows, width), rows, width, *arguments, D=width)
    return d


def _empty_heads(joint: Tensor, gain: Tensor, kv_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    batch, length, width = joint.shape
    size = width // (gain.shape[0] + 2 * kv_heads)
    q = _like(joint, batch, length, gain.shape[0], size)
    return (
        q,
        _like(joint, batch, length, kv_heads, size),
        _like(joint, batch, length, kv_heads, size),
    )


@custom_op("submission::qkv_split", mutates_args=())
def _qkv_split(
    joint: Tensor, gain: Tensor, cos: Tensor, sin: Tensor, kv_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = _empty_heads(joint, gain, kv_heads)
    batch, length, heads, size = q.shape
    rows, width = batch * length, heads * size
    sizes = {"N": heads, "K": kv_heads, "H": size, "HALF": cos.shape[1]}
    arguments = (joint, gain, cos, sin, q, k, v, length)
    _launch("qkv_split_forward", _programs(rows, width), rows, width, *arguments, **sizes)
    return q, k, v


@custom_op("submission::qkv_split_backward", mutates_args=())
def _qkv_split_slopes(
    dq: Tensor, dk: Tensor, dv: Tensor, joint: Tensor, gain: Tensor, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor]:
    djoint = _like(joint)
    batch, length, heads, size = dq.shape
    rows, width = batch * length, heads * size
    # Its registers let 7 programs run on a multiprocessor. Each leaves as many rows as a block has tokens.
    programs = min(_programs(rows, width), 6 * MULTIPROCESSORS)
    shape = (programs * _block(width, warps=4), heads)
    dgain_PN = torch.empty(shape, dtype=torch.float32, device=joint.device)
    sizes = {"N": heads, "K": dk.shape[2], "H": size, "HALF": cos.shape[1]}
    arguments = (dq, dk, dv, joint, gain, cos, sin, djoint, dgain_PN, length)
    _launch("qkv_split_backward", programs, rows, width, *arguments, **sizes)
    return djoint, dgain_PN.sum(0).to(gain.dtype)


def _launch_exclude_own(kernel: str, y: Tensor, v: Tensor, *others: Tensor) -> None:
    kv_heads, size = v.shape[-2:]
    width = kv_heads * size
    rows = v.numel() // width
    sizes = {"K": kv_heads, "G": y.shape[-2] // kv_heads, "H": size}
    _launch(kernel, _programs(rows, width), rows, width, y, v, *others, **sizes)


@custom_op("submission::exclude_own", mutates_args=())
def _exclude_own(y: Tensor, v: Tensor) -> Tensor:
    z = _like(y)
    _launch_exclude_own("exclude_own_forward", y, v, z)
    return z


@custom_op("submission::exclude_own_backward", mutates_args=())
def _exclude_own_slopes(dz: Tensor, y: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    dy, dv = _like(y), _like(v)
    _launch_exclude_own("exclude_own_backward", y, v, dz, dy, dv)
    return dy, dv


_mix_norm.register_fake(lambda x, x0, mix, damping: (_like(x), _like(x)))
_mix_norm_slopes.register_fake(lambda du, dh, x, x0, mix, damping: (_like(x), _like(x), _like(mix)))
_add_norm.register_fake(lambda u, o, damping: (_like(u), _like(u)))
_add_norm_slope.register_fake(lambda da, dh, a, damping: _like(a))
_qkv_split.register_fake(lambda joint, gain, cos, sin, heads: _empty_heads(joint, gain, heads))
_qkv_split_slopes.register_fake(lambda dq, dk, dv, joint, gain, *_: (_like(joint), _like(gain)))
_exclude_own.register_fake(lambda y, v: _like(y))
_exclude_own_slopes.register_fake(lambda dz, y, v: (_like(y), _like(v)))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
    ctx.save_for_backward(*(given for given in inputs if isinstance(given, Tensor)))
    ctx.last = inputs[-1]


def _keep_sum(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[0])
    ctx.last = inputs[-1]


def _mix_norm_gradients(ctx: Any, du: Tensor, dh: Tensor) -> tuple[Tensor | None, ...]:
    return (*_mix_norm_slopes(du, dh, *ctx.saved_tensors, ctx.last), None)


def _add_norm_gradients(ctx: Any, da: Tensor, dh: Tensor) -> tuple[Tensor | None, ...]:
    # Returned twice here and not by the op, whose results may not share memory.
    d = _add_norm_slope(da, dh, *ctx.saved_tensors, ctx.last)
    return d, d, None


def _qkv_split_gradients(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
    return (*_qkv_split_slopes(*slopes, *ctx.saved_tensors), None, None, None)


def _exclude_own_gradients(ctx: Any, dz: Tensor) -> tuple[Tensor, ...]:
    return _exclude_own_slopes(dz, *ctx.saved_tensors)


_mix_norm.register_autograd(_mix_norm_gradients, setup_context=_keep)
_add_norm.register_autograd(_add_norm_gradients, setup_context=_keep_sum)
_qkv_split.register_autograd(_qkv_split_gradients, setup_context=_keep)
_exclude_own.register_autograd(_exclude_own_gradients, setup_context=_keep)
