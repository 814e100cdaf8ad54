"""The model: its size, its causality, and its parts against slow versions of themselves."""

import math
from dataclasses import replace

import pytest
import torch

from submission.attention import attend
from submission.model import GPT, ModelConfig, bigram_rows, exclude_own, rms, rotary_tables, rotate
from submission.presets import PRESETS
from tests.submission.tiny import MODEL, VOCAB, random_model


def test_the_contest_preset_has_the_weights_of_the_original():
    model = GPT(PRESETS["contest"].model)
    assert sum(parameter.numel() for parameter in model.parameters()) == 27_201_116


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
def test_attention_is_softmax_of_scaled_products(heads):
    torch.manual_seed(0)
    query_heads, kv_heads = heads
    q = torch.randn(2, query_heads, 7, 8)
    k, v = torch.randn(2, 2, kv_heads, 7, 8)
    k_all, v_all = (x.repeat_interleave(query_heads // kv_heads, dim=1) for x in (k, v))
    scores = q @ k_all.mT / math.sqrt(8)
    scores = scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -math.inf)
    assert torch.allclose(attend(q, k, v), scores.softmax(-1) @ v_all, atol=1e-5)


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
    ],
)
def test_each_part_can_be_left_out_and_matters(switch):
    ids = torch.arange(16)[None]
    whole = random_model()
    part = GPT(replace(MODEL, **switch))
    kept = {name: value for name, value in whole.state_dict().items() if name in part.state_dict()}
    part.load_state_dict(kept)
    assert part(ids).shape == (1, 16, 16)
    assert not torch.allclose(whole(ids), part(ids), atol=1e-3)


def test_rotation_makes_products_depend_on_the_distance():
    torch.manual_seed(1)
    cos, sin = rotary_tables(32, 4, 100.0)
    q, k = torch.randn(2, 1, 1, 1, 8).expand(2, 1, 1, 32, 8)
    products = (rotate(q, cos, sin) @ rotate(k, cos, sin).mT)[0, 0]
    for distance in range(-8, 9):
        diagonal = torch.diagonal(products, distance)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4)
    assert (products[0] - products[0, 0]).abs().max() > 0.1


def test_exclusion_leaves_nothing_along_the_own_value():
    torch.manual_seed(2)
    y, v = torch.randn(1, 4, 5, 8), torch.randn(1, 2, 5, 8)
    left = exclude_own(y, v)
    along = (left * v.repeat_interleave(2, dim=1)).sum(-1)
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
