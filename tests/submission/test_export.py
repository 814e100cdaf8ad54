"""From weights to an artifact: what is stored is what was measured, and it fits the cap."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from submission import artifact
from submission.export import (
    MIXER_SLACK,
    Exporter,
    QuantiseConfig,
    artifact_room,
    estimated_bytes,
    planned_step,
    stored_rest,
)
from submission.hessians import Collector, collect, generate
from submission.model import BANKS, BOS
from submission.parallel import World
from tests.judged import ROOT
from tests.submission.tiny import MODEL, PIECES, PRESET, VOCAB, exporter, random_model

ALONE = World(device=torch.device("cpu"))


def stored_banks(blob):
    built = artifact.from_bytes(blob).build()
    return {name: getattr(built, name).detach() for name in BANKS}


def hessians_of(model, seed=0):
    ids = torch.randint(0, VOCAB, (8, 16), generator=torch.Generator().manual_seed(seed))
    return collect(model, [ids], ALONE)


def test_each_matrix_gets_the_hessian_of_its_own_input():
    """The Hessian-weighted loss of what was stored, worked out anew for every matrix of the model."""
    model = random_model()
    hessians = hessians_of(model)
    mine = Exporter(model, hessians, PRESET.quantise, PRESET.windows)
    stored = stored_banks(mine.make(0.05))
    layers, total = MODEL.layers, 0.0
    inputs = {
        "qo": [hessians["qkv"][i] for i in range(layers)]
        + [hessians["o"][i] for i in range(layers)],
        "kv": [hessians["qkv"][i % layers] for i in range(2 * layers)],
        "up": list(hessians["up"]),
        "down": list(hessians["down"]),
    }
    for name, matrices in inputs.items():
        for number, hessian in enumerate(matrices):
            change = (getattr(model, name)[number].detach() - stored[name][number]).double()
            total += float((change @ hessian.double() * change).sum())
    cost = mine.costs[0.05]
    assert cost.loss == pytest.approx(total, rel=1e-3)
    assert cost.loss <= cost.nearest_loss
    assert 0.0 <= cost.floored <= 1.0


def test_gptq_changes_less_of_what_the_model_says_than_rounding():
    model = random_model()
    ids = torch.randint(0, VOCAB, (16, 16), generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        wanted = model(ids)
    gaps = []
    for nearest in (False, True):
        config = replace(PRESET.quantise, nearest=nearest)
        mine = Exporter(model, hessians_of(model), config, PRESET.windows)
        with torch.no_grad():
            got = artifact.from_bytes(mine.make(0.3)).build()(ids)
        gaps.append(float((got - wanted).square().mean()))
    assert gaps[0] < gaps[1]


def test_estimates_fall_with_the_step_and_are_near():
    mine = exporter(random_model())
    sizes = [(mine.estimate(step), len(mine.make(step))) for step in (0.02, 0.1, 0.5)]
    assert sizes[0][0] > sizes[1][0] > sizes[2][0]
    assert sizes[0][1] > sizes[1][1] > sizes[2][1]
    # Brotli's own header and tables weigh on files as small as these.
    assert sizes[0][0] == pytest.approx(sizes[0][1], rel=0.35)


def test_the_artifact_fits_any_cap_that_it_can():
    mine = exporter(random_model())
    whole = len(mine.make(PRESET.quantise.smallest_step))
    for cap in (whole, int(0.8 * whole), int(0.6 * whole)):
        fitted = mine.fit(cap_bytes=cap, step=PRESET.quantise.smallest_step, until_s=1e12)
        assert len(fitted.blob) <= cap
        assert artifact.from_bytes(fitted.blob).model == replace(MODEL)
    assert "coarser" in fitted.gave_up
    with pytest.raises(ValueError, match="cap of 100"):
        mine.fit(cap_bytes=100, step=0.1, until_s=1e12)


def test_the_planned_step_is_where_the_estimate_meets_the_cap():
    model = random_model()
    config = PRESET.quantise
    banks = {name: getattr(model, name).detach() for name in BANKS}
    rest = stored_rest(model, config)
    assert planned_step(model, config, 10**9) == config.smallest_step
    step = planned_step(model, config, 3500)
    assert estimated_bytes(banks, rest, config.gptq.bits, step) <= 3500
    assert estimated_bytes(banks, rest, config.gptq.bits, 0.9 * step) > 3500


def test_room_is_the_cap_less_code_and_manifest(tmp_path):
    (tmp_path / "submission.toml").write_text('[artifact]\ncode = ["a.py"]\n')
    (tmp_path / "a.py").write_text("x" * 100)
    taken = (tmp_path / "submission.toml").stat().st_size + 100
    others = {"mixer.bin": bytes(70), "native/_ngram.abi3.so": bytes(900)}
    assert artifact_room(tmp_path, 10_000, others) == 10_000 - taken - 970 - MIXER_SLACK
    own = artifact_room(ROOT / "submission", 1_000_000, artifact.native_files())
    assert 800_000 < own < 1_000_000 - sum(map(len, artifact.native_files().values()))


def test_the_mixer_s_file_has_room():
    built = artifact.from_bytes(exporter(random_model()).make(0.1))
    built.pieces = PIECES
    before = len(built.mixer_bytes())
    rng = np.random.default_rng(0)
    built.mixer_weights = tuple(map(tuple, (-rng.random((3, 3)) * 1e-100).tolist()))
    assert before < len(built.mixer_bytes()) < before + MIXER_SLACK


def test_a_matrix_that_is_not_quantised_well_is_float16():
    config = QuantiseConfig(smallest=10**9)
    rest = stored_rest(random_model(), config)
    assert {array.dtype for array in rest.values()} == {np.dtype(np.float16)}


def test_hessians_are_means_over_all_batches():
    model = random_model()
    ids = torch.randint(0, VOCAB, (8, 16), generator=torch.Generator().manual_seed(0))
    whole, parts = collect(model, [ids], ALONE), collect(model, [ids[:3], ids[3:]], ALONE)
    seen = []
    model(ids, tap=lambda kind, layer, x: seen.append(x) if (kind, layer) == ("down", 2) else None)
    x_TC = seen[0].detach().flatten(0, 1)
    assert torch.allclose(whole["down"][2], x_TC.mT @ x_TC / len(x_TC), rtol=1e-4, atol=1e-4)
    for kind in whole:
        assert torch.allclose(whole[kind], parts[kind], rtol=1e-4, atol=1e-4)
        assert whole[kind].shape[0] == MODEL.layers
    with pytest.raises(ValueError, match="no calibration text"):
        Collector(MODEL.layers).means(ALONE)


def test_generated_text_follows_the_model():
    model = random_model()
    with torch.no_grad():  # a model that all but always says 7
        model.embedding.zero_()
        model.embedding[7] = 1.0
        model.embedding[BOS] = 0.5
    generator = torch.Generator().manual_seed(0)
    ids = generate(model, 3, 12, temperature=0.05, generator=generator)
    assert ids.shape == (3, 12)
    assert (ids[:, 0] == BOS).all()
    free = generate(random_model(), 4, 16, temperature=5.0, generator=generator)
    assert len(free[:, 1:].unique()) > 10
    again = generate(
        random_model(), 4, 16, temperature=5.0, generator=torch.Generator().manual_seed(3)
    )
    twice = generate(
        random_model(), 4, 16, temperature=5.0, generator=torch.Generator().manual_seed(3)
    )
    assert torch.equal(again, twice)


def test_temperature_flattens_generated_text():
    cold, hot = (
        generate(
            random_model(), 8, 16, temperature=heat, generator=torch.Generator().manual_seed(0)
        )
        for heat in (0.02, 50.0)
    )
    assert len(cold[:, 1:].unique()) < 0.6 * len(hot[:, 1:].unique())


def test_rows_of_generated_text_go_their_own_ways():
    ids = generate(
        random_model(), 6, 16, temperature=3.0, generator=torch.Generator().manual_seed(1)
    )
    assert len({tuple(row.tolist()) for row in ids}) == 6


def test_the_share_of_floored_rows_is_told():
    mine = exporter(random_model())
    for step, share in ((1e-4, 0.0), (50.0, 1.0)):
        mine.make(step)
        assert mine.costs[step].floored == share
