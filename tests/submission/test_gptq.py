"""GPTQ: never worse than rounding to nearest, and the codes of a slow version straight from the paper."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from submission.gptq import GptqConfig, Quantised, hessian_loss, quantise_bank
from submission.quantise import SMALLEST_SCALE


class Bank(NamedTuple):
    weight_NRC: np.ndarray
    hessian_NCC: np.ndarray


def make_bank(
    seed: int, shape: tuple[int, int, int], *, samples: int, dead: int = 0, tail: float = 0.0
) -> Bank:
    """Return float32 weights, heavier-tailed with `tail`, and the Hessian of `samples` correlated inputs."""
    rng = np.random.default_rng(seed)
    count, _, columns = shape
    normal_NRC = rng.normal(size=shape)
    weight_NRC = 0.1 * normal_NRC * np.abs(normal_NRC) ** tail
    mixing_NCC = rng.normal(size=(count, columns, columns)) * rng.gamma(1.0, size=columns)
    x_NSC = rng.normal(size=(count, samples, columns)) @ mixing_NCC
    x_NSC[..., rng.permutation(columns)[:dead]] = 0.0
    hessian_NCC = x_NSC.swapaxes(1, 2) @ x_NSC / samples
    return Bank(weight_NRC.astype(np.float32), hessian_NCC.astype(np.float32))


def run(bank: Bank, *, floor: float = 0.0, **settings) -> Quantised:
    config = GptqConfig(**settings)
    return quantise_bank(
        torch.tensor(bank.weight_NRC), torch.tensor(bank.hessian_NCC), config, floor=floor
    )


def row_losses(weight_NRC, codes_NRC, scale_NR, hessian_NCC) -> np.ndarray:
    step_NR1 = np.asarray(scale_NR, dtype=np.float64)[..., None]
    difference_NRC = np.asarray(weight_NRC, np.float64) - step_NR1 * np.asarray(codes_NRC, float)
    hessian_NCC = np.asarray(hessian_NCC, np.float64)
    return np.einsum("nrc,ncd,nrd->nr", difference_NRC, hessian_NCC, difference_NRC)


def nearest(weight_RC, step_R, limit: int) -> np.ndarray:
    step_R1 = np.asarray(step_R, dtype=np.float32)[..., None]
    return np.clip(np.rint(np.asarray(weight_RC, dtype=np.float32) / step_R1), -limit, limit)


def slack(bank: Bank) -> float:
    """Return what the rounding of a sum of the largest possible terms may leave."""
    return 1e-12 * float(np.abs(bank.weight_NRC).sum()) ** 2 * float(np.abs(bank.hessian_NCC).max())


BANKS = st.builds(
    make_bank,
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 20)),
    samples=st.integers(1, 40),
    dead=st.integers(0, 4),
    tail=st.sampled_from([0.0, 1.0, 3.0]),
)
FLOORS = st.sampled_from([0.0, 0.003, 0.02, 1.0])


@given(BANKS, FLOORS, st.integers(2, 8), st.integers(1, 24))
def test_no_row_is_worse_than_nearest_and_the_record_is_true(bank, floor, bits, block):
    result = run(bank, floor=floor, bits=bits, block_columns=block)
    limit = 2 ** (bits - 1) - 1
    codes_NRC, scale_NR = result.codes_NRC.numpy(), result.scale_NR.numpy()
    assert codes_NRC.dtype == np.int8
    assert scale_NR.dtype == np.float16
    assert np.abs(codes_NRC.astype(int)).max() <= limit
    assert (scale_NR >= np.float16(max(floor, SMALLEST_SCALE))).all()
    assert (scale_NR[result.floored_NR.numpy()] == np.float16(max(floor, SMALLEST_SCALE))).all()
    loss_NR = row_losses(bank.weight_NRC, codes_NRC, scale_NR, bank.hessian_NCC)
    assert result.loss_N.numpy() == pytest.approx(loss_NR.sum(1), rel=1e-6, abs=slack(bank))
    assert (result.loss_N <= result.nearest_loss_N).all()
    live_N1C = (np.diagonal(bank.hessian_NCC, axis1=1, axis2=2) != 0)[:, None]
    rounded_NRC = nearest(bank.weight_NRC * live_N1C, scale_NR, limit)
    plain_NR = row_losses(bank.weight_NRC, rounded_NRC, scale_NR, bank.hessian_NCC)
    assert (loss_NR <= plain_NR * (1 + 1e-6) + slack(bank)).all()
    assert not (codes_NRC * ~live_N1C).any()


@given(BANKS, FLOORS)
def test_a_diagonal_hessian_gives_the_nearest_codes(bank, floor):
    diagonal_NCC = bank.hessian_NCC * np.eye(bank.hessian_NCC.shape[1], dtype=np.float32)
    result = run(Bank(bank.weight_NRC, diagonal_NCC), floor=floor)
    live_N1C = (np.diagonal(diagonal_NCC, axis1=1, axis2=2) != 0)[:, None]
    expected_NRC = nearest(bank.weight_NRC * live_N1C, result.scale_NR.numpy(), 31)
    assert (result.codes_NRC.numpy() == expected_NRC).all()
    assert (result.loss_N == result.nearest_loss_N).all()


@given(BANKS, st.floats(2.0**-40, 2.0**40))
def test_the_scale_of_the_hessian_only_scales_the_loss(bank, factor):
    power = np.float32(2.0 ** np.round(np.log2(factor)))
    result, scaled = run(bank), run(Bank(bank.weight_NRC, power * bank.hessian_NCC))
    assert (scaled.codes_NRC == result.codes_NRC).all()
    assert scaled.loss_N.numpy() == pytest.approx(power * result.loss_N.numpy(), rel=1e-9)


@given(BANKS)
def test_hessian_loss_is_the_mean_square_of_the_outputs(bank):
    rng = np.random.default_rng(0)
    x_NSC = rng.normal(size=(*bank.weight_NRC.shape[:1], 7, bank.weight_NRC.shape[2]))
    hessian_NCC = torch.tensor(x_NSC.swapaxes(1, 2) @ x_NSC / 7)
    loss_NR = hessian_loss(torch.tensor(bank.weight_NRC), hessian_NCC)
    expected_NR = ((x_NSC @ bank.weight_NRC.swapaxes(1, 2)) ** 2).mean(1)
    assert loss_NR.dtype == torch.float64
    assert loss_NR.numpy() == pytest.approx(expected_NR)


def test_losses_are_blind_to_their_chunks(monkeypatch):
    bank = make_bank(3, (2, 10, 6), samples=20)
    whole = run(bank)
    monkeypatch.setattr("submission.gptq.LOSS_ROWS", 3)
    parts = run(bank)
    assert (parts.codes_NRC == whole.codes_NRC).all()
    assert torch.allclose(parts.loss_N, whole.loss_N, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_correlated_inputs_are_worth_a_good_margin(seed):
    rng = np.random.default_rng(seed)
    common_SF, own_SC = rng.normal(size=(256, 4)), rng.normal(size=(256, 48))
    x_SC = common_SF @ rng.normal(size=(4, 48)) + 0.1 * own_SC
    hessian_NCC = (x_SC.T @ x_SC / 256).astype(np.float32)[None]
    weight_NRC = rng.normal(size=(1, 32, 48)).astype(np.float32)
    result = run(Bank(weight_NRC, hessian_NCC), bits=4)
    assert result.loss_N.item() < 0.2 * result.nearest_loss_N.item()


@pytest.mark.parametrize("floor", [0.0, 0.004])
def test_a_row_takes_the_best_of_its_clips(floor):
    bank = make_bank(5, (2, 24, 40), samples=100, tail=1.0)
    clips = (0.9, 0.97, 1.0)
    result = run(bank, floor=floor, clips=clips, bits=4)
    alone = [run(bank, floor=floor, clips=(clip,), bits=4) for clip in clips]
    losses_KNR = np.stack(
        [row_losses(bank.weight_NRC, a.codes_NRC, a.scale_NR, bank.hessian_NCC) for a in alone]
    )
    got_NR = row_losses(bank.weight_NRC, result.codes_NRC, result.scale_NR, bank.hessian_NCC)
    assert got_NR == pytest.approx(losses_KNR.min(0), rel=1e-9)
    # The rows differ in their choice, so that one choice for a whole matrix would not pass.
    assert set(losses_KNR.argmin(0).ravel()) == {0, 1, 2}


def test_nearest_loss_is_of_the_best_clip_of_each_row():
    bank = make_bank(6, (2, 24, 40), samples=100, tail=1.0)
    clips = (0.9, 0.97, 1.0)
    expected_KNR = []
    for clip in clips:
        step_NR = (np.quantile(np.abs(bank.weight_NRC), clip, axis=2) / 7).astype(np.float16)
        codes_NRC = nearest(bank.weight_NRC, step_NR, 7)
        expected_KNR.append(row_losses(bank.weight_NRC, codes_NRC, step_NR, bank.hessian_NCC))
    expected_N = np.min(expected_KNR, axis=0).sum(1)
    result = run(bank, clips=clips, bits=4)
    assert result.nearest_loss_N.numpy() == pytest.approx(expected_N, rel=1e-6)


def test_a_batch_gives_what_its_matrices_give_alone():
    bank = make_bank(7, (4, 16, 40), samples=60, dead=2, tail=1.0)
    together = run(bank, block_columns=16)
    for n in range(4):
        alone = run(Bank(bank.weight_NRC[n : n + 1], bank.hessian_NCC[n : n + 1]), block_columns=16)
        assert (alone.codes_NRC[0] == together.codes_NRC[n]).double().mean() >= 0.995
        assert alone.loss_N.item() == pytest.approx(together.loss_N[n].item(), rel=1e-3)
        assert alone.nearest_loss_N.item() == pytest.approx(together.nearest_loss_N[n].item())


def test_columns_may_come_in_any_order():
    bank = make_bank(8, (2, 16, 40), samples=60)
    shuffle_C = np.random.default_rng(0).permutation(40)
    shuffled = Bank(
        bank.weight_NRC[:, :, shuffle_C], bank.hessian_NCC[:, shuffle_C][:, :, shuffle_C]
    )
    result, moved = run(bank), run(shuffled)
    assert (moved.codes_NRC == result.codes_NRC[:, :, shuffle_C]).double().mean() >= 0.995
    assert moved.loss_N.numpy() == pytest.approx(result.loss_N.numpy(), rel=1e-3)


def test_the_floor_binds_and_is_reported():
    bank = make_bank(9, (1, 4, 32), samples=60)
    bank.weight_NRC[:, ::2] *= 0.1
    floor = float(np.abs(bank.weight_NRC[0, 1]).max() / 62)
    result = run(bank, floor=floor)
    assert result.floored_NR[0, ::2].all()
    assert not result.floored_NR[0, 1::2].any()
    assert (result.scale_NR[0, ::2] == np.float16(floor)).all()
    free = run(bank)
    assert not free.floored_NR.any()
    assert (free.codes_NRC[0, 1::2] == result.codes_NRC[0, 1::2]).all()


def test_clips_that_the_floor_makes_equal_are_searched_once(monkeypatch):
    bank = make_bank(10, (2, 4, 16), samples=60)
    widths = []
    original = hessian_loss

    def watched(difference_NRC, hessian_NCC):
        widths.append(difference_NRC.shape[1])
        return original(difference_NRC, hessian_NCC)

    monkeypatch.setattr("submission.gptq.hessian_loss", watched)
    five, one = run(bank, floor=1.0), run(bank, floor=1.0, clips=(1.0,))
    assert max(widths) == 4
    assert (five.codes_NRC == one.codes_NRC).all()
    assert five.floored_NR.all()


def test_weights_of_dead_columns_do_not_matter():
    bank = make_bank(11, (2, 6, 24), samples=60, dead=5)
    dead_NC = np.diagonal(bank.hessian_NCC, axis1=1, axis2=2) == 0
    assert (dead_NC.sum(1) == 5).all()
    loud_NRC = np.where(dead_NC[:, None], np.float32(1e6), bank.weight_NRC)
    quiet, loud = run(bank), run(Bank(loud_NRC, bank.hessian_NCC))
    assert (quiet.codes_NRC == loud.codes_NRC).all()
    assert (quiet.scale_NR == loud.scale_NR).all()
    assert (quiet.loss_N == loud.loss_N).all()
    assert (quiet.loss_N < 0.9 * quiet.nearest_loss_N).all()


def test_a_hessian_of_one_input_ends_in_a_small_loss():
    result = run(make_bank(12, (2, 8, 24), samples=1))
    assert (result.loss_N < 0.1 * result.nearest_loss_N).all()


@pytest.mark.parametrize("zeroed", ["weight_NRC", "hessian_NCC"])
def test_nothing_to_do_is_done(zeroed):
    bank = make_bank(13, (2, 3, 8), samples=20)
    getattr(bank, zeroed)[:] = 0.0
    result = run(bank)
    assert not result.codes_NRC.any()
    assert not result.loss_N.any()
    assert (result.scale_NR == SMALLEST_SCALE).all()
    assert result.floored_NR.all()


def spoilt(bank: Bank, spoil_CC) -> Bank:
    """Return the bank with its second Hessian spoilt by something that is not positive semidefinite."""
    hessian_NCC = bank.hessian_NCC.copy()
    hessian_NCC[1] += spoil_CC
    return Bank(bank.weight_NRC, hessian_NCC)


def test_a_slightly_negative_eigenvalue_is_damped_away():
    bank = make_bank(14, (3, 8, 24), samples=6)
    mean = float(np.diagonal(bank.hessian_NCC[1]).mean())
    bad = spoilt(bank, -1e-4 * mean * np.eye(24, dtype=np.float32))
    good, result = run(bank, damping=1e-5), run(bad, damping=1e-5)
    for n in (0, 2):
        assert (result.codes_NRC[n] == good.codes_NRC[n]).double().mean() >= 0.99
    weight, hessian = bank.weight_NRC[1:2], bank.hessian_NCC[1:2]
    got_NR = row_losses(weight, result.codes_NRC[1:2], result.scale_NR[1:2], hessian)
    assert got_NR.sum() < 0.2 * good.nearest_loss_N[1].item()


def test_a_hessian_beyond_help_is_rounded_to_nearest():
    bank = make_bank(15, (3, 8, 24), samples=60)
    spoil_CC = np.zeros((24, 24), dtype=np.float32)
    spoil_CC[0, 1] = spoil_CC[1, 0] = 1e6 * bank.hessian_NCC[1].max()
    good, result = run(bank), run(spoilt(bank, spoil_CC))
    assert (
        result.codes_NRC[1].numpy() == nearest(bank.weight_NRC[1], result.scale_NR[1], 31)
    ).all()
    assert result.loss_N[1] == result.nearest_loss_N[1]
    assert result.loss_N.isfinite().all()
    for n in (0, 2):
        assert (result.codes_NRC[n] == good.codes_NRC[n]).double().mean() >= 0.99


@pytest.mark.parametrize("name", ["weight_NRC", "hessian_NCC"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(name, bad):
    bank = make_bank(16, (2, 3, 8), samples=20)
    getattr(bank, name)[1, 2, 2] = bad
    with pytest.raises(ValueError, match="NaN or infinite"):
        run(bank)


def test_what_does_not_fit_is_refused():
    bank = make_bank(17, (2, 3, 8), samples=20)
    with pytest.raises(ValueError, match="one square matrix"):
        run(Bank(bank.weight_NRC, bank.hessian_NCC[:1]))
    with pytest.raises(ValueError, match="too large"):
        run(Bank(bank.weight_NRC * np.float32(1e9), bank.hessian_NCC))
    for floor in (1e6, np.nan):
        with pytest.raises(ValueError, match="too large"):
            run(bank, floor=floor)


@pytest.mark.parametrize(
    "settings",
    [
        {"bits": 1},
        {"bits": 9},
        {"damping": 0.0},
        {"damping": np.nan},
        {"block_columns": 0},
        {"clips": ()},
        {"clips": (0.5, 1.1)},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=r"bits|damping|clips"):
        GptqConfig(**settings)


def oracle_codes(weight_RC, hessian_CC, damping: float, step_R, limit: int) -> np.ndarray:
    """Return the codes of one matrix at one clip, in the form of Optimal Brain Quantisation.

    After each column the inverse Hessian loses it by one step of Gaussian elimination (Frantar et al. 2022,
    equations 2 and 3); no Cholesky factor, no blocks.
    """
    hessian_CC = hessian_CC.astype(np.float64)
    diagonal_C = np.diagonal(hessian_CC)
    dead_C = diagonal_C == 0
    damped_CC = hessian_CC + damping * diagonal_C[~dead_C].mean() * np.eye(len(diagonal_C))
    left_RC = np.where(dead_C, 0.0, weight_RC.astype(np.float64))
    inverse_CC = np.linalg.inv(damped_CC)
    codes_RC = np.zeros(weight_RC.shape)
    for j in np.argsort(-diagonal_C, kind="stable"):
        codes_RC[:, j] = np.clip(np.rint(left_RC[:, j] / step_R), -limit, limit)
        error_R = left_RC[:, j] - codes_RC[:, j] * step_R
        left_RC -= np.outer(error_R, inverse_CC[j]) / inverse_CC[j, j]
        inverse_CC -= np.outer(inverse_CC[:, j], inverse_CC[j]) / inverse_CC[j, j]
        # Elimination leaves a row and column of zeros; rounding must not bring them back.
        inverse_CC[j] = inverse_CC[:, j] = 0.0
    return codes_RC


def oracle(weight_RC, hessian_CC, config: GptqConfig, floor: float):
    """Return codes and losses of the rows: the best of both roundings at each clip, one after another."""
    limit = 2 ** (config.bits - 1) - 1
    live_RC = np.where(np.diagonal(hessian_CC) == 0, np.float32(0.0), weight_RC)
    best_RC, best_R = np.zeros(weight_RC.shape), np.full(len(weight_RC), np.inf)
    for guided in (True, False):
        for clip in config.clips:
            wanted_R = np.quantile(np.abs(live_RC), clip, axis=1) / limit
            step_R = np.maximum(wanted_R, max(floor, SMALLEST_SCALE)).astype(np.float16)
            step_R = step_R.astype(np.float64)
            codes_RC = nearest(live_RC, step_R, limit)
            if guided:
                codes_RC = oracle_codes(weight_RC, hessian_CC, config.damping, step_R, limit)
            loss_R = row_losses(weight_RC[None], codes_RC[None], step_R[None], hessian_CC[None])[0]
            better_R = loss_R < best_R
            best_RC[better_R], best_R[better_R] = codes_RC[better_R], loss_R[better_R]
    return best_RC, best_R


@pytest.mark.parametrize("block", [1, 7, 16, 48, 100])
@pytest.mark.parametrize(
    ("seed", "samples", "dead", "tail", "floor"),
    [(0, 200, 0, 0.0, 0.0), (1, 12, 0, 0.0, 0.004), (2, 100, 6, 1.0, 0.0), (3, 1, 3, 1.0, 0.0)],
)
def test_the_oracle_agrees(block, seed, samples, dead, tail, floor):
    bank = make_bank(seed, (2, 24, 48), samples=samples, dead=dead, tail=tail)
    config = GptqConfig(bits=5, block_columns=block, clips=(0.95, 0.99, 1.0))
    result = quantise_bank(
        torch.tensor(bank.weight_NRC), torch.tensor(bank.hessian_NCC), config, floor=floor
    )
    for n in range(2):
        codes_RC, loss_R = oracle(bank.weight_NRC[n], bank.hessian_NCC[n], config, floor)
        assert (result.codes_NRC[n].numpy() == codes_RC).mean() >= 0.995
        assert result.loss_N[n].item() == pytest.approx(loss_R.sum(), rel=1e-3)
