"""Weights to small integers with one scale a row, and back.

Shapes: R rows (every index but the last), C columns.
Does not choose the rounding by its effect on the loss: round to nearest, one scale a row.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
SMALLEST_SCALE = float(np.finfo(np.float16).tiny)
"""Smallest normal float16: a scale below it would lose bits of its own."""
LARGEST_FLOAT16 = float(np.finfo(np.float16).max)
CODES, SCALES, PLAIN = ".codes", ".scales", ".plain"


def quantise_rows(weight: npt.ArrayLike, bits: int) -> tuple[npt.NDArray[np.int8], Array]:
    """Return int8 codes in -limit..limit, limit = 2^(bits-1) - 1, and float16 scales, one for each row.

    Rounded to nearest, so that |weight - scale * code| <= scale / 2, and the scale is at most
    max|row| / limit * (1 + 2^-10), or SMALLEST_SCALE where that is more. `bits` is 2..8.
    Raises ValueError on weights that are not finite, or too large for a float16 scale.
    """
    weight_RC = np.asarray(weight, dtype=np.float64)
    if not np.isfinite(weight_RC).all():
        raise ValueError("weights are NaN or infinite: training diverged; lower the learning rate")
    limit = 2 ** (bits - 1) - 1
    wanted_R = np.abs(weight_RC).max(axis=-1, initial=0.0) / limit
    if wanted_R.max(initial=0.0) > LARGEST_FLOAT16 / 2:
        raise ValueError("weights are too large for float16 scales: training diverged")
    scale_R = np.maximum(wanted_R, SMALLEST_SCALE).astype(np.float16)
    # The scale's own rounding, 2^-11 of it, moves the largest weight by less than half a step: no clipping.
    codes_RC = np.rint(weight_RC / scale_R.astype(np.float64)[..., None]).astype(np.int8)
    return codes_RC, scale_R


def dequantise_rows(codes_RC: Array, scale_R: Array) -> npt.NDArray[np.float32]:
    """Return scale * code, float32."""
    return codes_RC.astype(np.float32) * scale_R.astype(np.float32)[..., None]


def quantise_state(
    state: Mapping[str, npt.NDArray[np.floating]], *, bits: int, smallest: int
) -> dict[str, Array]:
    """Return the arrays to store: codes and scales of matrices, float16 of the rest.

    What has one dimension or fewer than `smallest` elements stays plain. Raises as `quantise_rows`.
    """
    stored: dict[str, Array] = {}
    for name, weight in state.items():
        if weight.ndim >= 2 and weight.size >= smallest:
            stored[name + CODES], stored[name + SCALES] = quantise_rows(weight, bits)
        elif np.abs(weight).max(initial=0.0) <= LARGEST_FLOAT16:
            stored[name + PLAIN] = weight.astype(np.float16)
        else:
            raise ValueError(f"{name} is NaN or too large for float16: training diverged")
    return stored


def dequantise_state(stored: Mapping[str, Array]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the float32 weights of what `quantise_state` stored.

    Raises ValueError where an array has no partner or an unknown kind.
    """
    state: dict[str, npt.NDArray[np.float32]] = {}
    for key, array in stored.items():
        name, _, kind = key.rpartition(".")
        if kind == CODES[1:] and name + SCALES in stored:
            state[name] = dequantise_rows(array, stored[name + SCALES])
        elif kind == PLAIN[1:]:
            state[name] = array.astype(np.float32)
        elif kind != SCALES[1:] or name + CODES not in stored:
            raise ValueError(f"array {key!r} has no partner or an unknown kind; export again")
    return state
