"""The training loop: it learns, it is reproducible, it keeps the deadline and rounds softly at its end."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from submission.average import Average
from submission.fit import Learner, fit
from submission.loader import Loader
from submission.parallel import World
from submission.presets import QatConfig
from submission.schedule import Schedule
from tests.submission.tiny import PRESET, VOCAB

COUNTING = np.arange(4000, dtype=np.uint16) % VOCAB
ALONE = World(device=torch.device("cpu"))


def silent(_line):
    pass


def learner_of(preset, seed=1):
    return Learner(preset, ALONE, vocab_size=VOCAB, seed=seed)


def trained(preset, seed=1, deadline_s=1e9, now=lambda: 0.0, cap_bytes=10**6):
    learner = learner_of(preset, seed)
    windows = preset.windows.length
    batches = Loader(
        [COUNTING], length=windows, batch_windows=preset.batch_windows, seed=seed, ahead=0
    )
    progress = fit(
        learner, batches, deadline_s=deadline_s, cap_bytes=cap_bytes, now=now, log=silent
    )
    return learner, progress


def test_loss_falls_on_a_stream_that_is_easy():
    preset = replace(PRESET, schedule=Schedule(steps=60, warmdown=0.5), batch_windows=8)
    _, progress = trained(preset)
    assert progress.losses[0] == pytest.approx(np.log(VOCAB), abs=0.1)
    assert np.mean(progress.losses[-5:]) < 0.5


def test_every_weight_is_trained():
    learner, _ = trained(PRESET)
    start = learner_of(PRESET).model
    pairs = zip(learner.model.named_parameters(), start.parameters(), strict=True)
    for (name, after), before in pairs:
        assert not torch.equal(after, before), name


def test_the_seed_decides_everything():
    once, again, other = trained(PRESET), trained(PRESET), trained(PRESET, seed=2)
    assert once[1].losses == again[1].losses
    assert once[1].losses != other[1].losses
    pairs = zip(once[0].model.parameters(), again[0].model.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)


def test_restart_forgets_every_step():
    learner, _ = trained(PRESET)
    learner.restart()
    fresh = learner_of(PRESET)
    tokens_BT = torch.from_numpy(COUNTING[:34].astype(np.int64)).view(2, 17)
    for one in (learner, fresh):
        one.step(tokens_BT, 1.0)
    pairs = zip(learner.model.parameters(), fresh.model.parameters(), strict=True)
    assert all(torch.equal(one, two) for one, two in pairs)
    assert not float(learner.rounding.on)


def test_passes_of_another_size_give_the_same_step():
    tokens_BT = torch.from_numpy(COUNTING[: 6 * 17].astype(np.int64)).view(6, 17)
    losses, weights = [], []
    for micro in (1, 4, 6):
        learner = learner_of(replace(PRESET, batch_windows=6, micro_windows=micro))
        losses.append(float(learner.step(tokens_BT, 1.0)))
        weights.append(learner.model.embedding.detach().clone())
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-5)
    assert all(torch.allclose(weight, weights[0], atol=1e-4) for weight in weights)


class SlowClock:
    """Each look costs a second: a step of the loop looks once."""

    def __init__(self):
        self.time_s = 0.0

    def __call__(self):
        self.time_s += 1.0
        return self.time_s


def test_a_slow_machine_ends_early_inside_its_time():
    clock = SlowClock()
    preset = replace(PRESET, schedule=Schedule(steps=1000, warmdown=0.2))
    _, progress = trained(preset, deadline_s=40.0, now=clock)
    assert 20 < progress.steps < 40
    assert clock.time_s <= 40.0 + 2.0


def test_no_time_at_all_still_ends():
    _, progress = trained(PRESET, deadline_s=-1.0)
    assert progress.steps == 0
    assert progress.losses == []


def test_soft_rounding_sets_in_when_the_rate_has_fallen():
    preset = replace(
        PRESET, schedule=Schedule(steps=20, warmdown=1.0), qat=QatConfig(start=0.5, last_alpha=9.0)
    )
    learner, progress = trained(preset)
    assert progress.planned_step == preset.quantise.smallest_step
    assert float(learner.rounding.on) == 1.0
    # The last step has a factor of 1/20, a tenth of where rounding began.
    assert float(learner.rounding.alpha) == pytest.approx(1.0 + 8.0 * 0.9, abs=1e-4)
    plain, _ = trained(replace(preset, qat=QatConfig(start=0.0)))
    assert plain.model.rounding is None
    assert not torch.equal(plain.model.qo, learner.model.qo)


def test_a_small_cap_is_trained_against():
    """Random weights of these shapes take some bytes each; a cap of a third asks for a coarser step."""
    preset = replace(PRESET, qat=QatConfig(start=1.1))
    learner, progress = trained(preset, cap_bytes=3500)
    assert progress.planned_step > 2 * preset.quantise.smallest_step
    assert float(learner.rounding.smallest_step) == pytest.approx(progress.planned_step)


def test_unrounded_lends_the_stored_model():
    learner, _ = trained(replace(PRESET, qat=QatConfig(start=1.1)))
    ids = torch.arange(16)[None]
    rounded = learner.model(ids)
    with learner.unrounded() as model:
        plain = model(ids)
    assert not torch.equal(rounded, plain)
    assert torch.equal(learner.model(ids), rounded)


def test_the_average_is_the_warmed_up_mean_and_swaps_back():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    average, wanted = Average(model, decay=0.2), 0.0
    for n, value in enumerate((1.0, 2.0, 3.0, 4.0)):
        model.weight.data.fill_(value)
        average.update()
        decay = min(0.2, (1 + n) / (10 + n))
        wanted = decay * wanted + (1 - decay) * value
    average.swap()
    assert model.weight.item() == pytest.approx(wanted)
    average.swap()
    assert model.weight.item() == 4.0


def test_the_average_follows_every_step():
    learner = learner_of(replace(PRESET, ema_decay=0.9))
    start = [mean.clone() for mean in learner.average._mean]
    learner.step(torch.from_numpy(COUNTING[:34].astype(np.int64)).view(2, 17), 1.0)
    means = zip(start, learner.average._mean, learner.model.parameters(), strict=True)
    for first, mean, weight in means:
        assert torch.allclose(mean, 0.1 * first + 0.9 * weight, atol=1e-6)


def test_held_out_nats_are_the_mean_over_windows():
    learner = learner_of(replace(PRESET, micro_windows=2))
    tokens_BT = torch.from_numpy(COUNTING[: 5 * 17].astype(np.int64)).view(5, 17)
    with torch.no_grad():
        wanted = learner.model.loss(tokens_BT[:, :-1], tokens_BT[:, 1:]).item()
    assert learner.nats(tokens_BT) == pytest.approx(wanted, abs=1e-5)
