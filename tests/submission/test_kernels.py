"""The fused kernels and their gradients against plain torch in float64, and plain torch against the model.

Without a GPU: TRITON_INTERPRET=1 pytest tests/submission/test_kernels.py, with numpy < 2.4, because the
interpreter of triton 3.6 makes numbers of arrays of one element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from submission import kernels, parts

pytestmark = pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
DAMPING = 0.7

needs_triton = pytest.mark.skipif(
    not kernels.available(DEVICE), reason="needs triton and a GPU, or TRITON_INTERPRET=1"
)


@dataclass(frozen=True)
class Sizes:
    """Sizes of one problem; all but batch and length are powers of two."""

    batch: int = 3
    length: int = 7
    kv_heads: int = 2
    group: int = 2
    head_size: int = 32
    half: int = 4

    @property
    def heads(self) -> int:
        return self.kv_heads * self.group

    @property
    def width(self) -> int:
        return self.heads * self.head_size


@st.composite
def small_sizes(draw):
    head_size = draw(st.sampled_from([4, 16, 64]))
    return Sizes(
        batch=draw(st.integers(1, 3)),
        length=draw(st.integers(1, 9)),
        kv_heads=draw(st.sampled_from([1, 2, 4])),
        group=draw(st.sampled_from([1, 2, 4])),
        head_size=head_size,
        half=draw(st.sampled_from([half for half in (1, 2, 8) if 2 * half <= head_size])),
    )


def normal(*shape, dtype):
    """Draw on the CPU, so that every device gets the same numbers."""
    return torch.randn(shape).to(DEVICE, dtype)


def mix_norm_inputs(sizes, dtype):
    shape = (sizes.batch, sizes.length, sizes.width)
    return [
        normal(*shape, dtype=dtype),
        normal(*shape, dtype=dtype),
        normal(2, sizes.width, dtype=dtype),
    ], (DAMPING,)


def add_norm_inputs(sizes, dtype):
    shape = (sizes.batch, sizes.length, sizes.width)
    return [normal(*shape, dtype=dtype), normal(*shape, dtype=dtype)], (DAMPING,)


def qkv_split_inputs(sizes, dtype):
    joint_width = (sizes.heads + 2 * sizes.kv_heads) * sizes.head_size
    cos_TH, sin_TH = parts.rotary_tables(sizes.length, 2 * sizes.half, 50.0)
    joint_BTC = normal(sizes.batch, sizes.length, joint_width, dtype=dtype)
    tables = (cos_TH.to(DEVICE, dtype), sin_TH.to(DEVICE, dtype))
    return [joint_BTC, normal(sizes.heads, dtype=dtype)], (*tables, sizes.kv_heads)


def exclude_own_inputs(sizes, dtype):
    shape = (sizes.batch, sizes.length)
    y_BTNH = normal(*shape, sizes.heads, sizes.head_size, dtype=dtype)
    return [y_BTNH, normal(*shape, sizes.kv_heads, sizes.head_size, dtype=dtype)], ()


@dataclass(frozen=True)
class Case:
    """A kernel, its plain twin, what both are given, and its op."""

    name: str
    fused: Callable
    plain: Callable
    inputs: Callable

    @property
    def op(self):
        return getattr(torch.ops.submission, self.name).default


CASES = [
    Case("mix_norm", kernels.mix_norm, kernels.plain_mix_norm, mix_norm_inputs),
    Case("add_norm", kernels.add_norm, kernels.plain_add_norm, add_norm_inputs),
    Case("qkv_split", kernels.qkv_split, kernels.plain_qkv_split, qkv_split_inputs),
    Case("exclude_own", kernels.exclude_own, kernels.plain_exclude_own, exclude_own_inputs),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_type = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def as_tuple(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def with_gradients(function, inputs, others, slopes):
    """Return outputs and the gradients of `inputs` where the outputs' are `slopes`."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    outputs = as_tuple(function(*leaves, *others))
    gradients = torch.autograd.grad(outputs, leaves, slopes)
    return [*(output.detach() for output in outputs), *gradients]


def slopes_like(case, inputs, others):
    return [torch.randn(y.shape).to(y) for y in as_tuple(case.plain(*inputs, *others))]


def exact(tensors):
    return [x.double() if isinstance(x, torch.Tensor) else x for x in tensors]


def check(case, inputs, others, *, function=None):
    dtype = inputs[0].dtype
    slopes = slopes_like(case, inputs, others)
    got = with_gradients(function or case.fused, inputs, others, slopes)
    expected = with_gradients(case.plain, exact(inputs), exact(others), exact(slopes))
    assert len(got) == len(expected)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.dtype == dtype
        assert ours.shape == theirs.shape
        assert ours.is_contiguous()
        error = (ours.double() - theirs).norm() / theirs.norm().clamp_min(1e-9)
        assert error < TOLERANCE[dtype]


@needs_triton
@each_case
@each_type
@settings(max_examples=8, deadline=None)
@given(sizes=small_sizes(), seed=st.integers(0, 2**16))
def test_a_kernel_and_its_gradients_are_those_of_plain_torch(case, dtype, sizes, seed):
    torch.manual_seed(seed)
    check(case, *case.inputs(sizes, dtype))


@needs_triton
@each_case
@each_type
def test_the_sizes_of_the_model(case, dtype):
    torch.manual_seed(1)
    sizes = Sizes(batch=1, length=5, kv_heads=4, group=2, head_size=64, half=8)
    check(case, *case.inputs(sizes, dtype))


@needs_triton
@each_case
@pytest.mark.parametrize("length", [1, 13, 16])
def test_programs_take_turns_where_there_are_more_blocks_than_programs(case, length, monkeypatch):
    torch.manual_seed(2)
    monkeypatch.setattr(kernels, "MULTIPROCESSORS", 1)
    check(case, *case.inputs(Sizes(batch=5, length=length, head_size=128), torch.float32))


@needs_triton
@each_case
def test_inputs_and_gradients_may_be_strided(case):
    torch.manual_seed(3)
    inputs, others = case.inputs(Sizes(), torch.float32)
    slopes = slopes_like(case, inputs, others)
    expected = with_gradients(case.fused, inputs, others, slopes)

    def spread(x):
        return x.transpose(0, -2).contiguous().transpose(0, -2) if x.ndim > 2 else x

    def fused(*arguments):
        return case.fused(*(spread(x) if isinstance(x, torch.Tensor) else x for x in arguments))

    got = with_gradients(fused, inputs, others, [spread(x) for x in slopes])
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


@needs_triton
@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case.name)
def test_a_result_that_nobody_uses_has_no_say(case):
    torch.manual_seed(4)
    inputs, others = case.inputs(Sizes(), torch.float32)

    def first_alone(function):
        leaves = [x.clone().requires_grad_() for x in inputs]
        function(*leaves, *others)[0].square().sum().backward()
        return [x.grad for x in leaves]

    for ours, theirs in zip(first_alone(case.fused), first_alone(case.plain), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@needs_triton
@each_case
def test_the_same_inputs_give_the_same_bits(case):
    torch.manual_seed(5)
    inputs, others = case.inputs(Sizes(), torch.bfloat16)
    slopes = slopes_like(case, inputs, others)
    first, second = (with_gradients(case.fused, inputs, others, slopes) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@needs_triton
@each_case
@pytest.mark.filterwarnings("default")  # torch's own, of its own checks
def test_torch_finds_nothing_wrong_with_the_op(case):
    torch.manual_seed(6)
    inputs, others = case.inputs(Sizes(), torch.float32)
    torch.library.opcheck(case.op, (*(x.requires_grad_() for x in inputs), *others))


@needs_triton
def test_zeros_are_no_trouble():
    x_RD, u_RD = torch.zeros(3, 8, device=DEVICE), torch.zeros(3, 8, device=DEVICE)
    a_RD, h_RD = kernels.add_norm(x_RD, u_RD, DAMPING)
    assert not a_RD.any()
    assert not h_RD.any()
    y = torch.randn(1, 2, 2, 8, device=DEVICE).requires_grad_()
    v = torch.zeros(1, 2, 1, 8, device=DEVICE).requires_grad_()
    z = kernels.exclude_own(y, v)
    z.sum().backward()
    assert torch.equal(z, y)
    assert torch.equal(y.grad, torch.ones_like(y))


@needs_triton
def test_no_rows_are_no_trouble():
    x_RD, mix_2D = torch.zeros(0, 8, device=DEVICE), torch.ones(2, 8, device=DEVICE)
    mix_2D.requires_grad_()
    u_RD, h_RD = kernels.mix_norm(x_RD, x_RD, mix_2D, DAMPING)
    (u_RD.sum() + h_RD.sum()).backward()
    assert u_RD.shape == (0, 8)
    assert not mix_2D.grad.any()


@needs_triton
@each_case
@each_type
@pytest.mark.filterwarnings("default")  # the compiler's own
def test_compiled_without_a_break(case, dtype):
    torch.manual_seed(7)
    on_gpu = DEVICE.type == "cuda"
    length = 513 if on_gpu else 5
    sizes = Sizes(batch=2, length=length, kv_heads=4, group=2, head_size=64, half=8)
    inputs, others = case.inputs(sizes, dtype)
    # The interpreter's answers need no code from Inductor, which wants a C++ compiler.
    backend = "inductor" if on_gpu else "aot_eager"
    compiled = torch.compile(case.fused, fullgraph=True, backend=backend)
    check(case, inputs, others, function=compiled)
    slopes = slopes_like(case, inputs, others)
    ours, eager = (with_gradients(f, inputs, others, slopes) for f in (compiled, case.fused))
    assert all(torch.equal(a, b) for a, b in zip(ours, eager, strict=True))


def test_the_plain_functions_are_those_of_the_model():
    torch.manual_seed(8)
    sizes, dtype = Sizes(), torch.float32
    (x_RD, x0_RD, mix_2D), _ = mix_norm_inputs(sizes, dtype)
    u_RD, h_RD = kernels.plain_mix_norm(x_RD, x0_RD, mix_2D, DAMPING)
    torch.testing.assert_close(u_RD, mix_2D[0] * x_RD + mix_2D[1] * x0_RD)
    torch.testing.assert_close(h_RD, DAMPING * parts.rms(u_RD))
    a_RD, h_RD = kernels.plain_add_norm(x_RD, x0_RD, DAMPING)
    torch.testing.assert_close(h_RD, DAMPING * parts.rms(x_RD + x0_RD))
    torch.testing.assert_close(a_RD, x_RD + x0_RD)
    (y_BTNH, v_BTKH), _ = exclude_own_inputs(sizes, dtype)
    expected = parts.exclude_own(y_BTNH, v_BTKH)
    torch.testing.assert_close(kernels.plain_exclude_own(y_BTNH, v_BTKH), expected)


def test_the_plain_split_is_that_of_the_model():
    torch.manual_seed(9)
    sizes = Sizes()
    (joint_BTC, gain_N), (cos_TH, sin_TH, kv_heads) = qkv_split_inputs(sizes, torch.float32)
    kv_width = kv_heads * sizes.head_size
    heads = joint_BTC.split((sizes.width, kv_width, kv_width), dim=-1)
    q, k, v = (part.unflatten(-1, (-1, sizes.head_size)) for part in heads)
    tables = cos_TH.unsqueeze(1), sin_TH.unsqueeze(1)
    expected = (
        parts.rotate(parts.rms(q), *tables) * gain_N.unsqueeze(-1),
        parts.rotate(parts.rms(k), *tables),
        v,
    )
    got = kernels.plain_qkv_split(joint_BTC, gain_N, cos_TH, sin_TH, kv_heads)
    torch.testing.assert_close(got, expected)


def test_sizes_and_types_that_the_kernels_cannot_do_are_refused():
    x_RD, joint = torch.ones(2, 12), torch.ones(1, 3, 24)
    table = torch.ones(3, 2)
    with pytest.raises(ValueError, match="width 12 is not a power of two"):
        kernels.add_norm(x_RD, x_RD, DAMPING)
    with pytest.raises(ValueError, match="float64"):
        kernels.add_norm(x_RD.double(), x_RD.double(), DAMPING)
    with pytest.raises(ValueError, match="are not x, x0 and mix"):
        kernels.mix_norm(x_RD[:, :8], x_RD[:, :8], x_RD, DAMPING)
    with pytest.raises(ValueError, match="are not u and o"):
        kernels.add_norm(x_RD[:, :8], x_RD[:1, :8], DAMPING)
    with pytest.raises(ValueError, match="query_heads 3 is not"):
        kernels.qkv_split(joint, torch.ones(3), table, table, 1)
    with pytest.raises(ValueError, match="of 2 query and 1 key-value heads"):
        kernels.qkv_split(joint[:, :, :17], torch.ones(2), table, table, 1)
    with pytest.raises(ValueError, match="are not y and v"):
        kernels.exclude_own(torch.ones(1, 2, 4, 8), torch.ones(1, 2, 2, 16))
