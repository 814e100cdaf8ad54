"""The mixer's report: gains as the scorer has them, intervals over documents, tables that add up."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from submission import artifact, mix_report
from submission.designs import DESIGNS, EXPERTS, GATES, NEUTRAL, SCOPES, Mixture, only, published
from submission.experts import PUBLISHED, MixerConfig
from submission.mix_evidence import (
    View,
    claimed,
    gains,
    hits,
    over_documents,
    reliability,
    views,
)
from submission.mix_report import report
from submission.mixer import EVERYWHERE, NO_HINT
from submission.model import BOS
from submission.presets import PRESETS
from submission.score import Scorer
from submission.tune import fit
from submission.windows import SlidingModel
from tests.submission.drawn import CASES, evidence
from tests.submission.tiny import CONTEXTS, PRESET, VOCAB, WEIGHTS, random_artifact

CLOSE = 2e-5
BLOCK = 50


def text(seed, documents=6):
    """Return documents in which phrases come back, long enough for contexts of fifteen tokens to."""
    rng = np.random.default_rng(seed)
    phrases = [rng.choice(np.arange(2, VOCAB), 20) for _ in range(3)]
    parts = []
    for _ in range(documents):
        parts += [[BOS], phrases[rng.integers(3)], rng.choice(np.arange(2, 9), rng.integers(1, 30))]
    return np.concatenate(parts).astype(np.uint16)


STREAM = text(0)
ARTIFACT = random_artifact()


def steady_windows():
    """Return windows whose answers no question changes a bit."""
    windows = SlidingModel([ARTIFACT.build()], PRESET.windows)
    windows._one_shape = True
    return windows


VIEWS = views(ARTIFACT, steady_windows(), STREAM, BLOCK)


def scored(design, contexts, mixer=True):
    """Return the nats of the stream as a scorer with this design and these contexts has them."""
    built = replace(ARTIFACT, mixer=MixerConfig(design=design, contexts=contexts))
    scorer = Scorer(
        built, tokens=len(STREAM), block_tokens=BLOCK, mixer=mixer, windows=steady_windows()
    )
    nats = []
    for first in range(0, len(STREAM), BLOCK):
        nats.append(scorer.score(STREAM[first : first + BLOCK]))
        scorer.accept(STREAM[first : first + BLOCK])
    return np.concatenate(nats)


PLAIN = scored("L6", CONTEXTS, mixer=False)


def test_a_view_has_every_token_once():
    for view in VIEWS.values():
        assert view.shares.token_TK[:, 0].tolist() == STREAM.tolist()
        assert np.allclose(-view.shares.logp_TK[:, 0], PLAIN, atol=CLOSE)
        assert len(view.spoken.open_T) == len(STREAM)


@pytest.mark.parametrize("view", ["published", "own"])
def test_views_of_l6_are_what_a_scorer_mixes(view):
    wanted = PLAIN - scored("L6", PUBLISHED if view == "published" else CONTEXTS)
    got = gains(VIEWS[view], Mixture("L6", WEIGHTS), BLOCK)
    assert np.allclose(got, wanted, atol=CLOSE)
    assert np.abs(wanted).max() > 0.1


@pytest.mark.parametrize("design", DESIGNS[:-1])
def test_views_of_the_other_designs_are_what_a_scorer_mixes(design):
    """L5 among them, which learns after each block."""
    wanted = PLAIN - scored(design, PUBLISHED)
    got = gains(VIEWS["counted"], Mixture(design), BLOCK)
    assert np.allclose(got, wanted, atol=CLOSE)
    assert np.abs(wanted).max() > 0.05


def test_l5_gains_nothing_until_it_has_learnt_a_block():
    one = gains(VIEWS["counted"], Mixture("L5"), len(STREAM))
    assert np.abs(one).max() < 1e-9
    blocks = gains(VIEWS["counted"], Mixture("L5"), BLOCK)
    assert np.abs(blocks[:BLOCK]).max() < 1e-9
    assert np.abs(blocks[BLOCK:]).max() > 0.05


@settings(max_examples=20)
@given(CASES, st.sampled_from(["token", "within", "word"]))
def test_gains_of_one_expert_are_those_without_the_others(case, expert):
    now = case.asked(case.everything()[:, :1])
    heard = only(case.spoken, expert)
    for design in DESIGNS[:-1]:
        got = gains(View(now, case.spoken), Mixture(design), 100, expert)
        wanted = gains(View(now, heard), Mixture(design), 100)
        assert np.array_equal(np.nan_to_num(got), np.nan_to_num(wanted))


def test_what_is_claimed_exceeds_l4_by_the_logarithm_of_the_sum():
    for view in (VIEWS["counted"], View(*evidence(0, knows=True))):
        _, log_sum_T = published(view.shares, view.spoken)
        more = claimed(view) - gains(view, Mixture("L4"), BLOCK)
        assert np.allclose(more, log_sum_T, atol=1e-12)
        assert more.mean() == pytest.approx(float(log_sum_T.mean()), abs=1e-12)
        assert log_sum_T.abs().max() > 0.01


# Intervals.

DOCUMENTS = st.lists(st.lists(st.floats(-3, 3), min_size=1, max_size=6), min_size=2, max_size=8)


@given(DOCUMENTS, st.integers(0, 5))
def test_intervals_are_those_of_a_ratio_over_documents(documents, before):
    """Cochran's formula, document by document; numbers that no document has are left out."""
    gain_T = np.array([gain for document in documents for gain in document])
    document_T = before + 2 * np.repeat(np.arange(len(documents)), [*map(len, documents)])
    got = over_documents(gain_T, document_T)
    sizes = [len(document) for document in documents]
    mean = sum(map(sum, documents)) / sum(sizes)
    off = [
        (sum(document) - mean * size) ** 2 for document, size in zip(documents, sizes, strict=True)
    ]
    count = len(documents)
    variance = sum(off) / (count - 1) / count / (sum(sizes) / count) ** 2
    assert got.mean == pytest.approx(mean, abs=1e-12)
    wanted = stats.t.isf(0.005, count - 1) * variance**0.5
    assert got.half == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_one_document_has_no_interval():
    got = over_documents(np.array([0.5, 0.25]), np.array([3, 3]))
    assert (got.mean, got.half) == (0.375, None)
    assert str(got) == "+0.37500 one document: no interval"
    both = over_documents(np.array([0.5, 0.25]), np.array([3, 4]))
    assert both.mean == 0.375
    assert str(both) == f"+0.37500 +-{both.half:.5f}"


def test_documents_of_one_gain_have_an_interval_of_nothing():
    got = over_documents(np.full(9, 0.5), np.array([0, 0, 0, 0, 1, 2, 2, 2, 2]))
    assert (got.mean, got.half) == pytest.approx((0.5, 0.0), abs=1e-12)


def test_intervals_cover_what_is_true():
    """Documents of their own lengths and gains: about 99 of 100 intervals hold the mean of all."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(300):
        sizes = rng.integers(5, 50, 30)
        document_T = np.repeat(np.arange(30), sizes)
        own = rng.normal(0.1, 0.2, 30)
        got = over_documents(own[document_T] + rng.normal(0, 0.3, len(document_T)), document_T)
        held += abs(got.mean - 0.1) <= got.half
    assert 285 <= held <= 300


# Reliability.

DRAWN = pytest.mark.parametrize("seed", range(5))
"""For what is true of most draws: a property would find the one in a thousand where it is not."""


@DRAWN
def test_bins_add_up_and_a_fitted_expert_is_calibrated(seed):
    now, spoken = evidence(seed, knows=True)
    tables = reliability(View(now, spoken), fit(now, spoken))
    assert [*tables] == [*EXPERTS]
    for expert, table in enumerate(tables.values()):
        scope, hint_T = SCOPES[expert], spoken.token_TE[:, expert]
        given_T = hint_T != NO_HINT
        counted_T = given_T & ((now.class_TK[:, 0] == scope) | (scope == EVERYWHERE))
        right_T = (hint_T == now.token_TK[:, 0])[counted_T]
        assert sum(count for _, _, count, _, _ in table) == int(counted_T.sum())
        came_true = sum(count * share for _, _, count, _, share in table)
        assert came_true == pytest.approx(float(right_T.sum()))
        for low, high, count, r, share in table:
            assert low <= r <= high
            assert abs(r - share) < 5 * (r * (1 - r) / count) ** 0.5 + 0.02


def test_an_expert_that_is_too_sure_is_seen_to_be():
    now, spoken = evidence(1, knows=False)
    boasts = ((0.0, 1.0, 1.0), NEUTRAL, NEUTRAL)
    bins = reliability(View(now, spoken), boasts)["token"]
    assert max(r - share for _, _, count, r, share in bins if count > 100) > 0.2


def test_an_expert_is_looked_at_on_what_the_one_before_left():
    now, spoken = evidence(2, knows=True)
    weights = fit(now, spoken)
    alone = reliability(View(now, only(spoken, "within")), weights)["within"]
    assert reliability(View(now, spoken), weights)["within"] != alone


def test_silent_experts_have_empty_tables():
    now, spoken = evidence(3, knows=True)
    silent = View(now, only(spoken))
    assert reliability(silent, (NEUTRAL,) * 3) == dict.fromkeys(EXPERTS, ())
    assert {(one.spoken, one.right) for one in hits(silent).values()} == {(0.0, None)}


@DRAWN
@pytest.mark.parametrize("gated", [False, True])
def test_hits_are_counted_where_the_expert_counts(seed, gated):
    now, spoken = evidence(seed, knows=True)
    sure_TE = torch.rand(spoken.token_TE.shape, generator=torch.Generator().manual_seed(seed))
    spoken = replace(spoken, confidence_TE=sure_TE.double())
    for expert, one in enumerate(hits(View(now, spoken), gated=gated).values()):
        heard, asked, right = 0, 0, 0
        for t, hint in enumerate(spoken.token_TE[:, expert].tolist()):
            if hint == NO_HINT or (gated and float(sure_TE[t, expert]) < GATES[expert]):
                continue
            heard += 1
            if SCOPES[expert] in (EVERYWHERE, int(now.class_TK[t, 0])):
                asked += 1
                right += hint == int(now.token_TK[t, 0])
        assert one.spoken == pytest.approx(heard / len(spoken.token_TE))
        assert one.right == pytest.approx(right / asked)
        assert 0 < right < asked < heard or SCOPES[expert] == EVERYWHERE


# All of it.


def test_the_report_of_two_streams():
    other = text(1)
    tuned = views(ARTIFACT, steady_windows(), other, BLOCK)
    made = report(tuned, VIEWS, STREAM, BLOCK)
    assert (made.tokens, made.documents) == (len(STREAM), 6)
    assert made.nats == pytest.approx(PLAIN.mean(), abs=CLOSE)
    assert {
        name: fit(tuned[name].shares, tuned[name].spoken) for name in made.weights
    } == made.weights
    document_T = np.cumsum(STREAM == BOS)
    for design in ("L1", "L2", "L3", "L4"):
        gain_T = gains(VIEWS["counted"], Mixture(design), BLOCK)
        assert made.gains[design] == over_documents(gain_T, document_T)
    for label, view in (("L6", "published"), ("L6, own contexts", "own")):
        gain_T = gains(VIEWS[view], Mixture("L6", made.weights[view]), BLOCK)
        assert made.gains[label] == over_documents(gain_T, document_T)
        for expert in EXPERTS:
            weights = fit(tuned[view].shares, only(tuned[view].spoken, expert))
            gain_T = gains(VIEWS[view], Mixture("L6", weights), BLOCK, expert)
            assert made.gains[f"{label}, {expert} alone"] == over_documents(gain_T, document_T)
    for experts in ((), ("token",), ("within",), ("word",)):
        gain_T = gains(VIEWS["counted"], Mixture("L5"), BLOCK, *experts)
        assert made.gains[" ".join(["L5", *experts])] == over_documents(gain_T, document_T)
    between = made.gains["L6 over L1"]
    assert between.mean == pytest.approx(made.gains["L6"].mean - made.gains["L1"].mean)
    more = made.gains["as published, which is no probability"].mean - made.gains["L4"].mean
    _, log_sum_T = published(VIEWS["counted"].shares, VIEWS["counted"].spoken)
    assert more == pytest.approx(float(log_sum_T.mean()))
    lines = made.lines()
    assert all(any(line.startswith(name) for line in lines) for name in made.gains)
    assert made.hits["L6, own contexts"] == hits(VIEWS["own"])
    assert made.hits["of these, those that pass their gates"] == hits(VIEWS["counted"], gated=True)
    assert all(any(line.startswith(name) for line in lines) for name in made.hits)
    for label, view in (("L6", "published"), ("L6, own contexts", "own")):
        assert made.reliability[label] == reliability(VIEWS[view], made.weights[view])
        assert (
            sum(line.startswith(f"{label}, {name} expert") for line in lines for name in EXPERTS)
            == 3
        )
    told = json.loads(json.dumps(made.as_json(), allow_nan=False))
    assert told["gains"]["L6"] == [made.gains["L6"].mean, made.gains["L6"].half]
    assert told["weights"]["own"] == [list(three) for three in made.weights["own"]]


def shard(path, tokens):
    header = np.zeros(256, dtype="<i4")
    header[:3] = 20240520, 1, len(tokens)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(header.tobytes() + tokens.astype("<u2").tobytes())


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps({"vocab_size": VOCAB}))
    shard(folder / "train" / "a.bin", np.tile(text(2, 40), 2))
    shard(folder / "val" / "a.bin", text(3))
    return folder


@pytest.fixture
def sealed(tmp_path):
    folder = tmp_path / "sealed"
    folder.mkdir()
    (folder / artifact.WEIGHTS).write_bytes(ARTIFACT.to_bytes())
    (folder / artifact.MIXER).write_bytes(ARTIFACT.mixer_bytes())
    return folder


@pytest.fixture
def status_of(monkeypatch):
    """Return the status with which the command ends, given these options."""
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)

    def run(*options):
        monkeypatch.setattr(sys, "argv", ["mix_report", *map(str, options)])
        return mix_report.main()

    return run


@pytest.fixture
def said_by(status_of, capsys):
    """Return what the command prints with these options."""

    def run(*options):
        assert status_of(*options) == 0
        return capsys.readouterr().out

    return run


def test_the_command_prints_and_writes_one_report(data, sealed, said_by, tmp_path):
    asked = ["--data", data, "--artifact", sealed, "--block-tokens", 40]
    said = said_by(*asked, "--tokens", 100, "--json", tmp_path / "told.json")
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["tokens"] == 100
    assert said.startswith("100 tokens in ")
    assert f"{told['gains']['L6'][0]:+.5f}" in said
    coarse = said_by(*asked, "--tokens", 100, "--stride", 16)
    assert coarse.splitlines()[0] != said.splitlines()[0]


def test_the_command_trains_first_where_there_is_no_artifact(data, said_by, monkeypatch):
    monkeypatch.setitem(PRESETS, "smoke", PRESET)
    said = said_by("--data", data, "--tokens", 100)
    assert said.splitlines()[0].endswith("nats/token")
    assert "step 0" not in said


@pytest.mark.parametrize("lacks", ["dataset.json", "train/*.bin", "val/*.bin"])
def test_a_folder_that_is_no_data_set_is_refused_in_one_sentence(data, status_of, capsys, lacks):
    for path in data.glob(lacks):
        path.unlink()
    with pytest.raises(SystemExit) as refused:
        status_of("--data", data)
    assert refused.value.code == 2
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert f"--data {data}: no {lacks}; build it with harness data build" in sentence


@pytest.mark.parametrize("lacks", [artifact.WEIGHTS, artifact.MIXER])
def test_a_folder_that_is_no_artifact_is_refused_in_one_sentence(
    data, sealed, status_of, capsys, lacks
):
    (sealed / lacks).unlink()
    with pytest.raises(SystemExit) as refused:
        status_of("--data", data, "--artifact", sealed)
    assert refused.value.code == 2
    (sentence,) = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert f"--artifact {sealed}: no {lacks}; name a train phase's output" in sentence


@pytest.mark.parametrize(
    "option", [("--tokens", 0), ("--tune-tokens", -1), ("--block-tokens", "x"), ("--stride", 0)]
)
def test_counts_of_nothing_are_refused(data, status_of, capsys, option):
    with pytest.raises(SystemExit) as refused:
        status_of("--data", data, *option)
    assert refused.value.code == 2
    name, given = option
    assert f"{name}: '{given}' is not a whole number of 1" in capsys.readouterr().err


def test_a_file_in_no_folder_is_refused_before_any_work(data, sealed, status_of, capsys):
    nowhere = data / "nowhere" / "told.json"
    with pytest.raises(SystemExit):
        status_of("--data", data, "--artifact", sealed, "--json", nowhere)
    assert f"no folder {nowhere.parent}" in capsys.readouterr().err


@pytest.fixture
def refused_with(data, sealed, status_of, capsys):
    """Return the one sentence with which the command ends."""

    def run():
        assert status_of("--data", data, "--artifact", sealed) == 2
        (sentence,) = capsys.readouterr().err.splitlines()
        return sentence

    return run


def test_data_of_another_vocabulary_are_refused(data, refused_with):
    (data / "dataset.json").write_text(json.dumps({"vocab_size": 1024}))
    said = refused_with()
    assert f"has 1024 tokens, the artifact's model {VOCAB}" in said


def test_a_damaged_artifact_is_refused(sealed, refused_with):
    (sealed / artifact.MIXER).write_bytes(ARTIFACT.mixer_bytes()[:-1])
    said = refused_with()
    assert "the blob's digest does not match" in said


def test_a_text_without_tokens_is_refused(data, refused_with):
    shard(data / "train" / "a.bin", text(2)[:5])
    said = refused_with()
    assert "the train text's tail has no tokens" in said
