"""The ablation table: each switch changes its part alone, and differences are paired over seeds."""

import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from submission import artifact, pieces
from submission.ablate import PARTS, Result, ablate, interval, line, train_into, trained
from submission.presets import PRESETS
from tests.judged import ROOT
from tests.submission.tiny import PIECES, PRESET, VOCAB


def flat(section, before=""):
    found = {}
    for name, value in section.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = value
    return found


WITHOUT = {
    "exclusive": ("model.exclusive", False),
    "unet": ("model.unet", False),
    "smear": ("model.smear", False),
    "bigram": ("model.bigram_width", 0),
    "value": ("model.value_width", 0),
    "residual-mix": ("model.residual_mix", False),
    "logit-cap": ("model.logit_cap", 0.0),
    "partial-rotary": ("model.rotary_dims", 64),
    "muon": ("optimiser.muon", False),
    "split-rate": ("optimiser.muon_rate_early", 0.036),
    "momentum-warmup": ("optimiser.muon_momentum_start", 0.97),
    "clip": ("optimiser.clip", 0.0),
    "average": ("ema_decay", 0.0),
    "qat": ("qat.start", 0.0),
    "gptq": ("quantise.nearest", True),
    "sliding": ("windows.stride", 2048),
    "mixer": ("use_mixer", False),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_one_number_of_the_preset(name):
    whole = flat(asdict(PRESETS["h100"]))
    without = flat(asdict(PARTS[name](PRESETS["h100"])))
    changed = {key: without[key] for key in whole if whole[key] != without[key]}
    key, value = WITHOUT[name]
    assert changed == {key: value}


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_intervals_are_students(values):
    low, high = interval(values)
    if np.std(values) > 1e-6:
        wanted = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
        assert (low, high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)
    assert low <= np.mean(values) + 1e-12
    assert high >= np.mean(values) - 1e-12


def test_one_seed_has_no_interval():
    assert interval([0.1]) is None
    one, other = [Result(2.0, 100, 1.0)], [Result(2.5, 90, 1.0)]
    assert "no interval: one seed" in line("x", other, one)


def test_the_table_pairs_seeds_and_leaves_out_what_changes_nothing(capsys):
    asked = []

    def one(preset, seed):
        asked.append((preset.ema_decay, seed))
        return Result(2.0 + seed + (0.25 if not preset.ema_decay else 0.0), 100, 1.0)

    preset = replace(PRESETS["smoke"], use_mixer=False)
    found = ablate(preset, ["average", "mixer"], one, [1, 5])
    said = capsys.readouterr().out
    assert set(found) == {"(whole)", "average"}
    assert "mixer             has no effect in this preset" in said
    assert "+0.25000  [+0.25000, +0.25000]" in said
    assert asked == [(0.9, 1), (0.9, 5), (0.0, 1), (0.0, 5)]


def test_a_variant_is_trained_and_scored(tmp_path):
    tokens = np.arange(4000, dtype="<u2") % VOCAB
    header = np.zeros(256, dtype="<i4")
    header[:3] = 20240520, 1, len(tokens)
    path = tmp_path / "a.bin"
    path.write_bytes(header.tobytes() + tokens.tobytes())
    result = trained(
        PRESET, [path], tokens[:300], vocab_size=VOCAB, seed=1, cap_bytes=10**6, train_s=60.0
    )
    assert 0.0 < result.nats < np.log(VOCAB) + 0.5
    assert result.size_bytes > 1000


def test_a_variant_is_given_the_tokenizer_of_the_data(tmp_path, monkeypatch):
    """As the judge hands it over: without it the experts of words would be silent in every variant."""
    read = []
    monkeypatch.setattr(pieces, "from_tokenizer", lambda model: read.append(model) or PIECES)
    tokens = np.arange(4000, dtype="<u2") % VOCAB
    header = np.zeros(256, dtype="<i4")
    header[:3] = 20240520, 1, len(tokens)
    path, model = tmp_path / "a.bin", tmp_path / "tokenizer.model"
    path.write_bytes(header.tobytes() + tokens.tobytes())
    model.write_bytes(b"a model")
    out = tmp_path / "out"
    out.mkdir()
    sizes = {"vocab_size": VOCAB, "seed": 1, "cap_bytes": 10**6, "train_s": 60.0}
    train_into(out, PRESET, [path], tokenizer=model, **sizes)
    assert read == [b"a model"]
    assert artifact.load(out).pieces.texts == PIECES.texts


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--parts", "muon,nothing"], "'nothing' is no part"),
        (["--seeds", "1,x"], "whole numbers"),
        ([], "no dataset.json"),
    ],
)
def test_bad_input_gets_one_sentence(tmp_path, more, said):
    command = [sys.executable, "-m", "submission.ablate", "--data", str(tmp_path), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert said in done.stderr
