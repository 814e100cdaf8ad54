"""The Triton side of kernels.py: functions of pointers, one program a block of tokens.

Shapes: D model width, N query heads, K key-value heads, G = N / K, H head dimension, C = (N + 2K) H, BLOCK
tokens, X rows and I heads of one block, P programs. D, N, K, H and BLOCK are powers of two. A pointer has the
name of the array that it points to; arrays are contiguous, and `rows` is their number of tokens.

Each kernel reads each input once and writes each output once. Mathematics is in float32, and nothing is
atomic: the same inputs give the same bits. Backward works out again what it can from what it reads anyway.

Does not check its arguments, nor import without Triton: kernels.py imports this file on first use.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

EPS = tl.constexpr(torch.finfo(torch.float32).eps)
"""What torch's rms_norm adds to the mean square by default, for bfloat16 as well."""
TINY = tl.constexpr(1e-12)
"""What torch's normalize takes instead of a smaller length."""


# --- rows of the model's width ---


@triton.jit
def _row_tile(block, rows, D: tl.constexpr, BLOCK: tl.constexpr):
    """Return offsets (X, D) and mask (X, 1) of a block of rows."""
    row_X = block * BLOCK + tl.arange(0, BLOCK)
    return row_X.to(tl.int64)[:, None] * D + tl.arange(0, D)[None, :], (row_X < rows)[:, None]


@triton.jit
def _read(ptr, at, seen):
    return tl.load(ptr + at, mask=seen, other=0.0).to(tl.float32)


@triton.jit
def _stored(x, ptr):
    """Round `x` as storing it would: the norm is then that of what its other readers see."""
    return x.to(ptr.dtype.element_ty).to(tl.float32)


@triton.jit
def _inverse_rms(x):
    width: tl.constexpr = x.shape[1]
    return tl.rsqrt(tl.sum(x * x, axis=1) / width + EPS)[:, None]


@triton.jit
def _rms_slope(u, dh, damping):
    """Return the gradient of u, where h = damping * u / rms(u) has the gradient dh."""
    width: tl.constexpr = u.shape[1]
    scale = _inverse_rms(u)
    along = tl.sum(dh * u, axis=1)[:, None] / width
    return damping * scale * (dh - u * (scale * scale * along))


@triton.jit
def mix_norm_forward(rows, x, x0, mix, u, h, damping, D: tl.constexpr, BLOCK: tl.constexpr):
    """Write u = mix[0] x + mix[1] x0 and h = damping * u / rms(u)."""
    at, seen = _row_tile(tl.program_id(0), rows, D, BLOCK)
    column = tl.arange(0, D)[None, :]
    mixed = tl.load(mix + column).to(tl.float32) * _read(x, at, seen)
    mixed += tl.load(mix + D + column).to(tl.float32) * _read(x0, at, seen)
    mixed = _stored(mixed, u)
    tl.store(u + at, mixed, mask=seen)
    tl.store(h + at, damping * _inverse_rms(mixed) * mixed, mask=seen)


@triton.jit
def mix_norm_backward(
    rows, du, dh, x, x0, mix, dx, dx0, dmix_P2D, damping, D: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Write the gradients of x and x0, and what each program adds to that of mix."""
    column = tl.arange(0, D)[None, :]
    mix_x = tl.load(mix + column).to(tl.float32)
    mix_x0 = tl.load(mix + D + column).to(tl.float32)
    # Whole tiles, added up over their rows only at the end: no exchange between threads in the loop.
    sum_x = tl.zeros((BLOCK, D), dtype=tl.float32)
    sum_x0 = tl.zeros((BLOCK, D), dtype=tl.float32)
    for block in range(tl.program_id(0), tl.cdiv(rows, BLOCK), tl.num_programs(0)):
        at, seen = _row_tile(block, rows, D, BLOCK)
        x_XD, x0_XD = _read(x, at, seen), _read(x0, at, seen)
        slope, dh_XD = _read(du, at, seen), _read(dh, at, seen)
        mixed = _stored(mix_x * x_XD + mix_x0 * x0_XD, x)
        slope += _rms_slope(mixed, dh_XD, damping)
        tl.store(dx + at, mix_x * slope, mask=seen)
        tl.store(dx0 + at, mix_x0 * slope, mask=seen)
        sum_x += slope * x_XD
        sum_x0 += slope * x0_XD
    own = dmix_P2D + tl.program_id(0) * 2 * D + tl.arange(0, D)
    tl.store(own, tl.sum(sum_x, axis=0))
    tl.store(own + D, tl.sum(sum_x0, axis=0))


@triton.jit
def add_norm_forward(rows, u, o, a, h, damping, D: tl.constexpr, BLOCK: tl.constexpr):
    """Write a = u + o and h = damping * a / rms(a)."""
    at, seen = _row_tile(tl.program_id(0), rows, D, BLOCK)
    total = _stored(_read(u, at, seen) + _read(o, at, seen), a)
    tl.store(a + at, total, mask=seen)
    tl.store(h + at, damping * _inverse_rms(total) * total, mask=seen)


@triton.jit
def add_norm_backward(rows, da, dh, a, d, damping, D: tl.constexpr, BLOCK: tl.constexpr):
    """Write the gradient of u, which is that of o."""
    at, seen = _row_tile(tl.program_id(0), rows, D, BLOCK)
    slope = _rms_slope(_read(a, at, seen), _read(dh, at, seen), damping)
    tl.store(d + at, slope + _read(da, at, seen), mask=seen)


# --- heads ---


@triton.jit
def _heads(block, rows, N: tl.constexpr, BLOCK: tl.constexpr):
    """Return token, number and mask of each of the N heads of a block of tokens, all (I, 1)."""
    head_I = tl.arange(0, BLOCK * N)[:, None]
    row_I = block * BLOCK + head_I // N
    return row_I, head_I % N, row_I < rows


@triton.jit
def _at(row_I, head_I, C: tl.constexpr, H: tl.constexpr):
    """Return where heads start, in rows of C: in 64 bits, for arrays of more than 2^31 elements."""
    return row_I.to(tl.int64) * C + head_I * H


@triton.jit
def _turn(x_IH, ptr, at_I, seen_I, angle_I, cos, sin, WAY: tl.constexpr, HALF: tl.constexpr):
    """Return the tile that was read from `at_I` rotated, forward (WAY 1) or back (WAY -1)."""
    j_H = tl.arange(0, x_IH.shape[1])
    # The other element of a pair is read again, from the cache: cheaper than an exchange between
    # threads. Triton does not see by itself that it comes in aligned runs of HALF.
    other_H = tl.max_contiguous(tl.multiple_of(j_H ^ HALF, HALF), HALF)[None, :]
    angle_H = tl.max_contiguous(tl.multiple_of(j_H % HALF, HALF), HALF)[None, :]
    j_H = j_H[None, :]
    turned_IH = seen_I & (j_H < 2 * HALF)
    other_IH = _read(ptr, at_I + other_H, turned_IH)
    at_angle = angle_I * HALF + angle_H
    cos_IH = tl.load(cos + at_angle, mask=turned_IH, other=1.0).to(tl.float32)
    sin_IH = tl.load(sin + at_angle, mask=turned_IH, other=0.0).to(tl.float32)
    sin_IH = tl.where(j_H < HALF, WAY * sin_IH, -WAY * sin_IH)
    return x_IH * cos_IH + other_IH * sin_IH


@triton.jit
def _gain(gain, N: tl.constexpr, BLOCK: tl.constexpr):
    return tl.load(gain + tl.arange(0, BLOCK * N) % N).to(tl.float32)[:, None]


@triton.jit
def qkv_split_forward(
    rows, joint, gain, cos, sin, q, k, v, length,
    N: tl.constexpr, K: tl.constexpr, H: tl.constexpr, HALF: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write q and k, normed and rotated and q with its gain, and v, of joint = [q | k | v]."""
    C: tl.constexpr = (N + 2 * K) * H
    j_H = tl.arange(0, H)[None, :]
    row_q, head_q, seen_q = _heads(tl.program_id(0), rows, N, BLOCK)
    row_k, head_k, seen_k = _heads(tl.program_id(0), rows, K, BLOCK)
    at_q, at_k = _at(row_q, head_q, C, H), _at(row_k, N + head_k, C, H)
    # All reading before all writing: the compiler may not swap the two, so it would wait in between.
    q_IH, k_IH = _read(joint, at_q + j_H, seen_q), _read(joint, at_k + j_H, seen_k)
    v_IH = tl.load(joint + at_k + K * H + j_H, mask=seen_k)
    turned_q = _turn(q_IH, joint, at_q, seen_q, row_q % length, cos, sin, 1, HALF)
    turned_k = _turn(k_IH, joint, at_k, seen_k, row_k % length, cos, sin, 1, HALF)
    scale_q = _inverse_rms(q_IH) * _gain(gain, N, BLOCK)
    tl.store(q + (row_q * N + head_q) * H + j_H, turned_q * scale_q, mask=seen_q)
    own_k = _at(row_k, head_k, K * H, H) + j_H
    tl.store(k + own_k, turned_k * _inverse_rms(k_IH), mask=seen_k)
    tl.store(v + own_k, v_IH, mask=seen_k)


@triton.jit
def _head_slope(x_IH, w_IH):
    """Return the gradient of x, (I, H), and the product of w and x / rms(x), (I, 1).

    For x / rms(x) rotated, where w is the gradient rotated back. The product is what a gain would get.
    """
    width: tl.constexpr = x_IH.shape[1]
    scale_I = _inverse_rms(x_IH)
    along_I = tl.sum(x_IH * w_IH, axis=1)[:, None]
    return scale_I * (w_IH - x_IH * (scale_I * scale_I * along_I / width)), along_I * scale_I


@triton.jit
def qkv_split_backward(
    rows, dq, dk, dv, joint, gain, cos, sin, djoint, dgain_PI, length,
    N: tl.constexpr, K: tl.constexpr, H: tl.constexpr, HALF: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradient of joint, and what each head of a block adds to that of gain."""
    C: tl.constexpr = (N + 2 * K) * H
    j_H = tl.arange(0, H)[None, :]
    gain_I = _gain(gain, N, BLOCK)
    sum_I = tl.zeros((BLOCK * N, 1), dtype=tl.float32)
    for block in range(tl.program_id(0), tl.cdiv(rows, BLOCK), tl.num_programs(0)):
        row_q, head_q, seen_q = _heads(block, rows, N, BLOCK)
        row_k, head_k, seen_k = _heads(block, rows, K, BLOCK)
        at_q, at_k = _at(row_q, head_q, C, H), _at(row_k, N + head_k, C, H)
        own_q, own_k = _at(row_q, head_q, N * H, H), _at(row_k, head_k, K * H, H)
        # Reading before writing, as in forward.
        q_IH, k_IH = _read(joint, at_q + j_H, seen_q), _read(joint, at_k + j_H, seen_k)
        dq_IH, dk_IH = _read(dq, own_q + j_H, seen_q), _read(dk, own_k + j_H, seen_k)
        dv_IH = tl.load(dv + own_k + j_H, mask=seen_k)
        w_q = _turn(dq_IH, dq, own_q, seen_q, row_q % length, cos, sin, -1, HALF)
        w_k = _turn(dk_IH, dk, own_k, seen_k, row_k % length, cos, sin, -1, HALF)
        slope_q, dgain_I = _head_slope(q_IH, w_q)
        slope_k, _ = _head_slope(k_IH, w_k)
        tl.store(djoint + at_q + j_H, gain_I * slope_q, mask=seen_q)
        tl.store(djoint + at_k + j_H, slope_k, mask=seen_k)
        tl.store(djoint + at_k + K * H + j_H, dv_IH, mask=seen_k)
        sum_I += dgain_I
    lane_I = tl.arange(0, BLOCK * N)[:, None]
    tl.store(dgain_PI + tl.program_id(0) * BLOCK * N + lane_I, sum_I)


@triton.jit
def _own_direction(v, at, seen):
    """Return the unit vectors along a tile of values, and the lengths of the values."""
    v_IH = _read(v, at, seen)
    length_I = tl.sqrt(tl.sum(v_IH * v_IH, axis=1))[:, None]
    return v_IH / tl.maximum(length_I, TINY), length_I


@triton.jit
def exclude_own_forward(
    rows, y, v, z, K: tl.constexpr, G: tl.constexpr, H: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Write y less what lies along v."""
    j_H = tl.arange(0, H)[None, :]
    row_I, head_I, seen_I = _heads(tl.program_id(0), rows, K, BLOCK)
    at_I = _at(row_I, head_I, K * H, H)
    unit_IH, _ = _own_direction(v, at_I + j_H, seen_I)
    # A group's query heads one after another: no tile has to be spread over threads in another way.
    for g in tl.static_range(G):
        at_IH = at_I * G + g * H + j_H
        y_IH = _read(y, at_IH, seen_I)
        along_I = tl.sum(y_IH * unit_IH, axis=1)[:, None]
        tl.store(z + at_IH, y_IH - along_I * unit_IH, mask=seen_I)


@triton.jit
def exclude_own_backward(
    rows, y, v, dz, dy, dv, K: tl.constexpr, G: tl.constexpr, H: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Write the gradients of y and v."""
    j_H = tl.arange(0, H)[None, :]
    row_I, head_I, seen_I = _heads(tl.program_id(0), rows, K, BLOCK)
    at_I = _at(row_I, head_I, K * H, H)
    unit_IH, length_I = _own_direction(v, at_I + j_H, seen_I)
    dunit_IH = tl.zeros((BLOCK * K, H), dtype=tl.float32)
    for g in tl.static_range(G):
        at_IH = at_I * G + g * H + j_H
        y_IH, dz_IH = _read(y, at_IH, seen_I), _read(dz, at_IH, seen_I)
        along_I = tl.sum(y_IH * unit_IH, axis=1)[:, None]
        slope_I = tl.sum(dz_IH * unit_IH, axis=1)[:, None]
        tl.store(dy + at_IH, dz_IH - slope_I * unit_IH, mask=seen_I)
        dunit_IH -= along_I * dz_IH + slope_I * y_IH
    along_I = tl.sum(dunit_IH * unit_IH, axis=1)[:, None]
    # Below TINY the length is a constant, and nothing of its slope is left.
    along_I = tl.where(length_I > TINY, along_I, 0.0)
    dv_IH = (dunit_IH - along_I * unit_IH) / tl.maximum(length_I, TINY)
    tl.store(dv + at_I + j_H, dv_IH, mask=seen_I)
