"""The model: its size, its causality, and its parts against slow versions of themselves."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from submission.attention import attend
from submission.model import GPT, ModelConfig
from submission.parts import bigram_rows, exclude_own, rms, rotary_tables, rotate
from submission.presets import PRESETS
from tests.submission.tiny import MODEL, VOCAB, random_model


@pytest.mark.parametrize("name", ["h100", "record"])
def test_the_large_presets_have_the_weights_of_the_original(name):
    model = GPT(PRESETS[name].model)
    assert sum(parameter.numel() for parameter in model.parameters()) == 27_201_116


def unit(x):
    return x / np.sqrt((x**2).mean() + np.finfo(np.float32).eps)


def squash(x):
    return 1 / (1 + np.exp(-x))


def slow_turn(x, position, config):
    """Rotate pairs (j, j + half) of the leading dimensions, one at a time."""
    x, half = x.copy(), config.rotary_dims // 2
    for j in range(half):
        angle = position * config.rotary_base ** (-2 * j / config.rotary_dims)
        a, b = x[j], x[j + half]
        x[j] = a * np.cos(angle) + b * np.sin(angle)
        x[j + half] = b * np.cos(angle) - a * np.sin(angle)
    return x


def slow_attention(w, c, layer, h_TD, value_TC):
    """One query at a time, as docs/submission.md says it."""
    size, share = c.head_size, c.query_heads // c.kv_heads
    out_TD = np.zeros_like(h_TD)
    v_TC = h_TD @ w["kv"][c.layers + layer].T + value_TC
    for head in range(c.query_heads):
        own = slice(head * size, (head + 1) * size)
        of_kv = slice(head // share * size, (head // share + 1) * size)
        q_TH = h_TD @ w["qo"][layer][own].T
        k_TH = h_TD @ w["kv"][layer][of_kv].T
        q_TH = [slow_turn(unit(q), t, c) * w["q_gain"][layer, head] for t, q in enumerate(q_TH)]
        k_TH = [slow_turn(unit(k), t, c) for t, k in enumerate(k_TH)]
        for t, query in enumerate(q_TH):
            weight = np.exp([query @ key / np.sqrt(size) for key in k_TH[: t + 1]])
            y = (weight / weight.sum()) @ v_TC[: t + 1, of_kv]
            along = v_TC[t, of_kv] / np.linalg.norm(v_TC[t, of_kv])
            out_TD[t, own] = y - (y @ along) * along
    return out_TD @ w["qo"][c.layers + layer].T


def slow_forward(model, ids):
    """The whole model in numpy, position by position where it can be."""
    c = model.config
    w = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    x_TD = []
    for t, token in enumerate(ids):
        row = c.bigram_rows - 1
        if t:
            row = ((36313 * token) ^ (27191 * ids[t - 1])) % (c.bigram_rows - 1)
        bigram_D = w["bigram_proj"] @ w["bigram_table"][row] * w["bigram_scale"]
        x_TD.append(unit(w["embedding"][token] + bigram_D))
    gate_D = squash(w["smear_gate"])
    before_TD = [np.zeros(c.width), *x_TD[:-1]]
    x_TD = np.array([(1 - gate_D) * x + gate_D * b for x, b in zip(x_TD, before_TD, strict=True)])
    value_TC = w["value_table"][ids] @ w["value_proj"].T * w["value_scale"]
    x0_TD, stack = x_TD, []
    for layer in range(c.layers):
        skip = layer - c.layers // 2
        if 0 <= skip < c.layers // 2:
            gate_D = squash(w["skip_gate"][skip])
            x_TD = (1 - gate_D) * w["skip_weight"][skip] * stack.pop() + gate_D * x_TD
        damping = 1 / np.sqrt(layer + 1)
        u_TD = w["resid_mix"][layer, 0] * x_TD + w["resid_mix"][layer, 1] * x0_TD
        late = layer - (c.layers - c.value_layers)
        own_TC = value_TC * (w["value_layer_scale"][late] if late >= 0 else 0.0)
        h_TD = damping * np.array([unit(u) for u in u_TD])
        x_TD = u_TD + w["attn_scale"][layer] * slow_attention(w, c, layer, h_TD, own_TC)
        h_TM = damping * np.array([unit(x) for x in x_TD]) @ w["up"][layer].T
        h_TM = np.where(h_TM > 0, h_TM, 0.5 * h_TM) ** 2
        x_TD = x_TD + w["mlp_scale"][layer] * (h_TM @ w["down"][layer].T)
        if layer < c.layers // 2:
            stack.append(x_TD)
    hidden_TD = np.array([unit(x) for x in x_TD])
    return c.logit_cap * np.tanh(hidden_TD @ w["embedding"].T / c.logit_cap)


def test_the_model_is_what_the_slow_one_says():
    model = random_model()
    ids = np.random.default_rng(0).integers(0, VOCAB, 12)
    with torch.no_grad():
        fast_TV = model.logits(model(torch.from_numpy(ids)[None]))[0].numpy()
    assert np.abs(fast_TV - slow_forward(model, ids)).max() < 2e-3


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
def test_attention_is_softmax_of_scaled_products(heads):
    torch.manual_seed(0)
    query_heads, kv_heads = heads
    q = torch.randn(2, query_heads, 7, 8)
    k, v = torch.randn(2, 2, kv_heads, 7, 8)
    got = attend(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)
    k_all, v_all = (x.repeat_interleave(query_heads // kv_heads, dim=1) for x in (k, v))
    scores = q @ k_all.mT / math.sqrt(8)
    scores = scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -math.inf)
    assert torch.allclose(got, scores.softmax(-1) @ v_all, atol=1e-5)


def test_no_position_sees_a_later_input():
    model = random_model()
    ids = torch.randint(0, VOCAB, (1, 16), generator=torch.Generator().manual_seed(0))
    before = model(ids)
    for position in range(1, 16):
        other = ids.clone()
        other[:, position:] = (other[:, position:] + 7) % VOCAB
        after = model(other)
        assert torch.allclose(before[:, :position], after[:, :position], atol=1e-5)
        assert not torch.allclose(before[:, position], after[:, position], atol=1e-3)


@pytest.mark.parametrize(
    "switch",
    [
        {"bigram_width": 0},
        {"value_width": 0},
        {"unet": False},
        {"smear": False},
        {"exclusive": False},
        {"residual_mix": False},
        {"logit_cap": 0.0},
    ],
)
def test_each_part_can_be_left_out_and_matters(switch):
    ids = torch.arange(16)[None]
    whole = random_model()
    part = GPT(replace(MODEL, **switch))
    kept = {name: value for name, value in whole.state_dict().items() if name in part.state_dict()}
    part.load_state_dict(kept)
    assert part(ids).shape == (1, 16, 16)
    told, other = (model.logits(20.0 * model(ids)) for model in (whole, part))
    assert not torch.allclose(told, other, atol=1e-3)


def test_positions_that_are_asked_for_alone_are_the_same():
    model, generator = random_model(), torch.Generator().manual_seed(4)
    ids = torch.randint(0, VOCAB, (3, 16), generator=generator)
    first_B = torch.tensor([0, 5, 12])
    with torch.no_grad():
        whole, part = model(ids), model(ids, wanted=(first_B, 4))
    for row, first in enumerate(first_B):
        assert torch.allclose(part[row], whole[row, first : first + 4], atol=1e-5)


def test_a_tap_sees_what_the_matrices_are_fed_with():
    """Rebuilds each layer's output from what was tapped: u + s Attn + s' MLP."""
    model, seen = random_model(), {}
    ids = torch.arange(16)[None]
    with torch.no_grad():
        plain = model(ids)
        tapped = model(ids, tap=lambda kind, layer, x: seen.setdefault((kind, layer), x))
    assert torch.equal(plain, tapped)
    layers = MODEL.layers
    assert set(seen) == {(k, n) for k in ("qkv", "o", "up", "down") for n in range(layers)}
    for layer in range(layers):
        h = torch.nn.functional.leaky_relu(seen["up", layer] @ model.up[layer].mT, 0.5).square()
        assert torch.allclose(seen["down", layer], h, atol=1e-4)
        assert seen["qkv", layer].shape == seen["o", layer].shape == (1, 16, MODEL.width)


def test_half_precision_stays_near():
    model = random_model()
    half = GPT(MODEL, dtype=torch.bfloat16)
    half.load_state_dict(model.state_dict())
    ids = torch.arange(16)[None]
    with torch.no_grad():
        exact, rounded = model(ids), half(ids)
    assert rounded.dtype == torch.bfloat16
    assert half.logits(rounded.float()).dtype == torch.float32
    assert (rounded.float() - exact).norm() < 0.1 * exact.norm()


def test_rotation_makes_products_depend_on_the_distance():
    torch.manual_seed(1)
    cos, sin = rotary_tables(32, 4, 100.0)
    q, k = torch.randn(2, 1, 1, 1, 8).expand(2, 1, 32, 1, 8)
    q, k = (rotate(x, cos.unsqueeze(1), sin.unsqueeze(1)) for x in (q, k))
    products = q[0, :, 0] @ k[0, :, 0].mT
    for distance in range(-8, 9):
        diagonal = torch.diagonal(products, distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4)
    assert (products[0] - products[0, 0]).abs().max() > 0.1


def test_exclusion_leaves_nothing_along_the_own_value():
    torch.manual_seed(2)
    y, v = torch.randn(1, 5, 4, 8), torch.randn(1, 5, 2, 8)
    left = exclude_own(y, v)
    along = (left * v.repeat_interleave(2, dim=2)).sum(-1)
    assert along.abs().max() < 1e-5
    assert torch.allclose(exclude_own(left, v), left, atol=1e-5)


def test_bigram_rows_stay_in_the_table_and_only_the_first_has_the_last_row():
    ids = torch.randint(0, 60_000, (3, 50))
    rows = bigram_rows(ids, 31)
    assert (rows[:, 0] == 30).all()
    assert (rows[:, 1:] >= 0).all()
    assert (rows[:, 1:] < 30).all()
    row = ((36313 * int(ids[1, 4])) ^ (27191 * int(ids[1, 3]))) % 30
    assert rows[1, 4] == row


def test_logits_are_capped_and_start_near_uniform():
    torch.manual_seed(3)
    model = GPT(MODEL)
    model.reset()
    loss = model.loss(torch.arange(16)[None], torch.arange(16)[None])
    assert loss.item() == pytest.approx(math.log(VOCAB), abs=0.1)
    assert model.logits(1e6 * torch.randn(5, 16)).abs().max() <= 30.0


def test_rms_has_unit_mean_square():
    assert torch.allclose(rms(torch.randn(4, 64)).square().mean(-1), torch.ones(4), atol=1e-4)


@pytest.mark.parametrize(
    "sizes", [{"width": 18}, {"kv_heads": 3}, {"rotary_dims": 3}, {"rotary_dims": 6}]
)
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match=r"divide|rotary"):
        ModelConfig(
            **{"width": 16, "query_heads": 4, "kv_heads": 2, "rotary_dims": 4, "layers": 1, **sizes}
        )


def test_a_tap_tells_the_two_inputs_of_attention_apart():
    """Exchanged, GPTQ would round W_q for what W_o is fed with, and nothing else would show it."""

    def tapped(change):
        model, seen = random_model(), {}
        change(model)
        model(torch.arange(16)[None], tap=lambda kind, layer, x: seen.setdefault((kind, layer), x))
        return seen

    with torch.no_grad():
        plain = tapped(lambda model: None)
        # The values of layer 0 move what its W_o is fed with, not what its W_q is.
        other = tapped(lambda model: model.kv[MODEL.layers].mul_(-1.0))
    assert torch.equal(plain["qkv", 0], other["qkv", 0])
    assert not torch.allclose(plain["o", 0], other["o", 0])
    for layer in range(MODEL.layers):
        square = plain["qkv", layer].square().mean(-1)
        assert torch.allclose(square, torch.tensor(1.0 / (layer + 1)), rtol=1e-3)


STARTS = {
    "bigram_table": 0.0,
    "bigram_scale": 0.05,
    "smear_gate": 0.0,
    "skip_gate": 0.0,
    "skip_weight": 1.0,
    "attn_scale": 1.0,
    "mlp_scale": 1.0,
    "q_gain": 1.5,
    "value_scale": 0.1,
    "value_layer_scale": 1.0,
    "down": 0.0,
}


def test_starting_weights_are_the_specified_ones():
    torch.manual_seed(0)
    model = GPT(ModelConfig())
    model.reset()
    layers = model.config.layers
    banks = (model.qo[:layers], model.kv, model.up, model.bigram_proj[None], model.value_proj[None])
    for bank in banks:
        short = bank.shape[-2] <= bank.shape[-1]
        gram = bank @ bank.mT if short else bank.mT @ bank
        assert torch.allclose(gram, torch.eye(gram.shape[-1]).expand_as(gram), atol=1e-4)
    for name, value in STARTS.items():
        got = getattr(model, name)
        assert torch.equal(got, torch.full_like(got, value)), name
    assert not model.qo[layers:].any()
    assert (model.resid_mix[:, 0] == 1).all()
    assert not model.resid_mix[:, 1].any()
    assert model.embedding.std().item() == pytest.approx(0.005, rel=0.02)
    assert model.value_table.std().item() == pytest.approx(0.01, rel=0.02)
    assert ModelConfig().rotary_base == pytest.approx(1e4 * 2 ** (16 / 14), abs=1.0)
