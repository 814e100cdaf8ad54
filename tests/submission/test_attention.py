"""Which attention kernel is chosen, what is said of it, and that what is not right is not used."""

import sys
import types

import pytest
import torch

from submission import attention
from submission.attention import attend, choose, preferring, relative_error

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_names_are_refused_or_chosen_aloud():
    with pytest.raises(ValueError, match="use one of sdpa, math, flash4"):
        choose("flash5", CPU)
    for name in ("sdpa", "math"):
        assert choose(name, CPU).name == name
        assert name in choose(name, CPU).reason
    for name in attention.KERNELS:
        choice = choose(name, CPU)
        assert (choice.name, choice.attend) == ("sdpa", attend)
        assert (
            choice.reason
            == f"attention: sdpa instead of {name}, because it needs a GPU and this is cpu"
        )


@pytest.fixture
def pretend_gpu(monkeypatch):
    """A device that calls itself a GPU but computes here: choosing is all that is tested."""

    class Device:
        type = "cuda"

    monkeypatch.setattr(
        attention, "relative_error", lambda kernel, device, **sizes: relative_error(kernel, CPU)
    )
    return Device()


def install(monkeypatch, function):
    module = types.ModuleType("flash_attn")
    module.flash_attn_func = function
    monkeypatch.setitem(sys.modules, "flash_attn", module)


def test_a_package_that_is_right_is_used(monkeypatch, pretend_gpu):
    install(monkeypatch, lambda q, k, v, causal: (attend(q, k, v), "lse") if causal else None)
    choice = choose("flash", pretend_gpu)
    assert choice.name == "flash"
    assert "from plain attention" in choice.reason


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda q, k, v, causal: 1.1 * attend(q, k, v), "differs"),
        (lambda q, k, v, causal: attend(q, k, v).flip(1), "differs"),
        (lambda q, k, v, causal: attend(q, k, v) * float("nan"), "differs"),
        (lambda q, k, v: attend(q, k, v), "TypeError"),
    ],
)
def test_a_package_that_is_wrong_is_not_used(monkeypatch, pretend_gpu, function, why):
    install(monkeypatch, function)
    choice = choose("flash", pretend_gpu)
    assert choice.name == "sdpa"
    assert why in choice.reason


class Poisoned(torch.autograd.Function):
    """The identity, with a gradient that is none."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        return slope * float("nan")


def test_a_package_whose_gradients_are_not_numbers_is_not_used(monkeypatch, pretend_gpu):
    install(monkeypatch, lambda q, k, v, causal: attend(q, Poisoned.apply(k), v))
    choice = choose("flash", pretend_gpu)
    assert choice.name == "sdpa"
    assert "differs" in choice.reason


def test_packages_within_torch_come_first_and_are_forgotten_when_they_are_wrong(
    monkeypatch, pretend_gpu
):
    """torch's registry takes the name, computes what is wrong, and the package itself is not there."""
    from torch.nn import attention as registry

    calls = []
    monkeypatch.setattr(registry, "activate_flash_attention_impl", calls.append)
    monkeypatch.setattr(registry, "current_flash_attention_impl", lambda: "FA4")
    monkeypatch.setattr(registry, "restore_flash_attention_impl", lambda: calls.append("restored"))
    monkeypatch.setattr(attention, "relative_error", lambda *_, **__: 0.5)
    monkeypatch.setitem(sys.modules, "flash_attn.cute", None)
    assert choose("flash4", pretend_gpu).name == "sdpa"
    assert calls == ["FA4", "restored", "restored"]


@pytest.mark.parametrize(
    ("name", "first"), [("sdpa", "CUDNN"), ("flash4", "FLASH"), ("math", "MATH")]
)
def test_the_preferred_kernel_comes_first(monkeypatch, name, first):
    import contextlib

    from torch.nn import attention as registry

    seen = []

    def listed(backends, set_priority):
        seen.extend(backends)
        return contextlib.nullcontext()

    monkeypatch.setattr(registry, "sdpa_kernel", listed)
    with preferring(name):
        assert seen[0].name.startswith(first)
    assert (len(seen) == 1) == (name == "math")


def test_a_package_that_is_not_there_is_said_to_be(monkeypatch, pretend_gpu):
    monkeypatch.setitem(sys.modules, "flash_attn", None)
    choice = choose("flash", pretend_gpu)
    assert choice.name == "sdpa"
    assert "flash_attn" in choice.reason


def test_half_precision_is_within_the_tolerance_and_float32_far_below():
    assert 1e-4 < relative_error(attend, CPU) < attention.TOLERANCE


def test_math_is_what_others_are_compared_with():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 9, heads, 8) for heads in (4, 2, 2))
    with preferring("math"):
        plain = attend(q, k, v)
    with preferring("sdpa"):
        assert torch.allclose(attend(q, k, v), plain, atol=1e-5)


@needs_gpu
@pytest.mark.parametrize("name", attention.NAMES)
def test_every_kernel_that_is_here_is_right_on_the_gpu(name):
    device = torch.device("cuda")
    choice = choose(name, device)
    if choice.name != name:
        pytest.skip(choice.reason)
    with preferring(name):
        error = relative_error(choice.attend, device, batch=2, length=2048)
    assert error < attention.TOLERANCE
