"""Causal attention behind one function, with the kernel chosen once, by name, and said aloud.

Shapes: B batch, T positions, N query heads, K key-value heads (K divides N), H head dimension.
Does not hold weights, rotate or normalise: see model.py. Does not choose by itself: whoever starts a process
calls `choose` and hands the result on.

| name | what runs | where |
|---|---|---|
| sdpa | torch's scaled_dot_product_attention: cuDNN, else flash, else plain | anywhere |
| math | the same with the plain kernel alone, the one that the others are compared with | anywhere |
| flash4 | flash-attn-4 (pip install '.[flash4]') | Hopper or newer |
| flash3 | an installed FlashAttention 3 (flash_attn_interface or flash_attn_3) | Hopper |
| flash | flash-attn (pip install '.[flash]') | Ampere or newer |
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn import functional

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

KERNELS = {
    "flash4": (("flash_attn.cute", "flash_attn_func"),),
    "flash3": (
        ("flash_attn_interface", "flash_attn_func"),
        ("flash_attn_3.flash_attn_interface", "flash_attn_func"),
    ),
    "flash": (("flash_attn", "flash_attn_func"),),
}
"""Where each package keeps its function; the first that imports is taken."""
IN_TORCH = {"flash4": "FA4", "flash3": "FA3"}
"""Names under which torch, where it knows the package, makes it the flash kernel of its own attention."""
NAMES = ("sdpa", "math", *KERNELS)
TOLERANCE = 0.01
"""Largest relative error, |out - exact| / |exact|, of outputs and gradients in bfloat16.

Its numbers have 8 significant bits, 2^-9 = 0.002 apart; sums of some hundred of them stay below this.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A kernel that works here, and how it came to be chosen."""

    name: str
    attend: Attend
    reason: str
    """One line for the log: what is in use, and why not what was asked for."""


def attend(q_BTNH: torch.Tensor, k_BTKH: torch.Tensor, v_BTKH: torch.Tensor) -> torch.Tensor:
    """Return softmax(q k^T / sqrt(H)) v, each position seeing itself and what is before it.

    Query head n reads key-value head n // (N / K). Any floating type; the result has the shape of `q_BTNH`.
    Runs whichever kernels `preferring` allows. Source: grouped queries, Ainslie et al. 2023
    (arXiv:2305.13245).
    """
    y_BNTH = functional.scaled_dot_product_attention(
        q_BTNH.transpose(1, 2),
        k_BTKH.transpose(1, 2),
        v_BTKH.transpose(1, 2),
        is_causal=True,
        enable_gqa=q_BTNH.shape[2] != k_BTKH.shape[2],
    )
    return y_BNTH.transpose(1, 2)


def choose(wanted: str, device: torch.device, head_size: int = 64) -> Choice:
    """Return the kernel named `wanted` if it gives right answers on `device`, else `sdpa` with the reason.

    A package's kernel is tried once, on a small random problem, forward and backward, against `math`: one
    that cannot be imported, fails or differs is not used. Raises ValueError for a name that is not in
    NAMES.
    """
    if wanted not in NAMES:
        raise ValueError(f"attention {wanted!r} is unknown; use one of {', '.join(NAMES)}")
    if wanted in ("sdpa", "math"):
        return Choice(name=wanted, attend=attend, reason=f"attention: {wanted}, as asked")
    if device.type != "cuda":
        return _fallback(wanted, f"it needs a GPU and this is {device.type}")
    why = ""
    for found in (_within_torch, _imported):
        try:
            kernel = found(wanted)
            if kernel is None:
                continue
            with preferring(wanted):
                error = relative_error(kernel, device, head_size=head_size)
        except Exception as problem:  # of whatever kind: the fallback must still run
            words = (str(problem).splitlines() or [""])[0][:200]
            why = f"{type(problem).__name__}: {words}"
        else:
            if error < TOLERANCE:
                reason = f"attention: {wanted}, as asked; {error:.1e} from plain attention"
                return Choice(name=wanted, attend=kernel, reason=reason)
            why = f"it differs from plain attention by {error:.2e}"
        _forget(wanted)
    return _fallback(wanted, why)


def relative_error(
    kernel: Attend, device: torch.device, *, head_size: int = 64, batch: int = 2, length: int = 256
) -> float:
    """Return the largest relative error of the kernel's output and gradients against float32 mathematics.

    On bfloat16 normal numbers, 8 query and 4 key-value heads; the reference sees the same rounded inputs.
    """
    generator = torch.Generator(device).manual_seed(0)

    def draw(heads: int) -> torch.Tensor:
        shape = (batch, length, heads, head_size)
        drawn = torch.randn(shape, device=device, generator=generator)
        return drawn.bfloat16()

    inputs = [draw(8), draw(4), draw(4)]
    slope = draw(8)
    got = _with_gradients(kernel, [x.clone() for x in inputs], slope)
    with preferring("math"):
        exact = _with_gradients(attend, [x.float() for x in inputs], slope.float())
    errors = [(a.float() - b).norm() / b.norm() for a, b in zip(got, exact, strict=True)]
    # torch's largest of some is NaN where one is; Python's is not.
    return float(torch.stack(errors).max())


def _with_gradients(
    kernel: Attend, inputs: list[torch.Tensor], slope: torch.Tensor
) -> list[torch.Tensor]:
    leaves = [x.requires_grad_() for x in inputs]
    y = kernel(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, slope)]


@contextmanager
def preferring(name: str) -> Iterator[None]:
    """Let `attend` use cuDNN before flash before plain kernels in this block.

    "math" allows plain ones alone; the names of flash packages put torch's flash kernel first. What is traced
    or compiled inside keeps the choice. Without a GPU torch takes what it has.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    backends = [SDPBackend.MATH]
    if name != "math":
        backends = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]
        if name in KERNELS:
            backends.reverse()
        backends += [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
    with sdpa_kernel(backends, set_priority=True):
        yield


def _within_torch(name: str) -> Attend | None:
    """Return `attend` with the package as torch's flash kernel, which a compiled graph can hold, or None."""
    from torch.nn import attention

    activate = getattr(attention, "activate_flash_attention_impl", None)
    if activate is None or name not in IN_TORCH:
        return None
    try:
        activate(IN_TORCH[name])
    except (ImportError, RuntimeError, ValueError):
        return None
    return attend


def _imported(name: str) -> Attend:
    problem: ImportError | None = None
    for module, function in KERNELS[name]:
        try:
            kernel = getattr(importlib.import_module(module), function)
        except ImportError as missing:
            problem = problem or missing
            continue
        return _causal(kernel)
    assert problem is not None
    raise problem


def _causal(kernel: Callable[..., object]) -> Attend:
    # Foreign code is called, not traced: a compiled graph ends before it and begins anew behind it.
    @torch.compiler.disable
    def attend_with(
        q_BTNH: torch.Tensor, k_BTKH: torch.Tensor, v_BTKH: torch.Tensor
    ) -> torch.Tensor:
        result = kernel(q_BTNH, k_BTKH, v_BTKH, causal=True)
        # Some versions return (out, log-sum-exp).
        y_BTNH = result[0] if isinstance(result, tuple) else result
        assert isinstance(y_BTNH, torch.Tensor)
        return y_BTNH

    return attend_with


def _forget(wanted: str) -> None:
    """Give torch its own flash kernel back, where another was put in its place."""
    from torch.nn import attention

    current = getattr(attention, "current_flash_attention_impl", None)
    if current is not None and current() == IN_TORCH.get(wanted):
        attention.restore_flash_attention_impl()


def _fallback(wanted: str, why: str) -> Choice:
    reason = f"attention: sdpa instead of {wanted}, because {why}"
    return Choice(name="sdpa", attend=attend, reason=reason)
