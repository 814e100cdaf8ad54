"""The scorer: one answer for a position, however it is asked, from the tokens before it alone."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from native.counts import Counts
from submission import artifact
from submission.designs import DESIGNS
from submission.experts import as_counted, spoken
from submission.mixer import NO_HINT
from submission.model import BOS
from submission.pack import CorruptBlobError
from submission.score import Scorer
from submission.windows import SlidingModel, WindowConfig, cover, members
from tests.submission import oracle
from tests.submission.drawn import Case
from tests.submission.tiny import PIECES, PRESET, VOCAB, WEIGHTS, of_design, random_artifact

ARTIFACT = random_artifact()
# Few different tokens, so that contexts come back and the experts have hints: control, starts, continuations.
TOKENS = st.builds(
    lambda count, seed: (
        np.random.default_rng(seed).choice([0, 1, 2, 3, 4, 5, 17, 39], count).astype(np.uint32)
    ),
    st.integers(1, 60),
    st.integers(0, 2**32),
)
CLOSE = 2e-5
MIXED = pytest.mark.parametrize("design", DESIGNS)
SHORT = ("token:2", "within:0", "word:1")
"""One context of each expert, as the designs L1 to L5 take them, short enough to come back."""


@cache
def built_for(design):
    return of_design(design, SHORT) if design != "L6" else ARTIFACT


def scorer(mixer=True, design="L6"):
    """Return a new one. Only L6 is smooth in what the model says; the others have gates, choices and bins.

    These are answered by passes of one shape, as on a GPU, so that no last digit falls on another side.
    """
    return Scorer(built_for(design), mixer=mixer) if design == "L6" else steady(design)


def steady(design):
    """Return a scorer of whose answers no question changes a bit."""
    windows = SlidingModel([built_for(design).build()], PRESET.windows)
    windows._one_shape = True
    return Scorer(built_for(design), windows=windows)


@given(st.integers(0, 500), st.integers(1, 200), st.integers(1, 30), st.integers(1, 30))
def test_windows_want_each_position_once_with_context_enough(first, count, stride, more):
    config = WindowConfig(length=stride + more, stride=stride, batch_windows=1)
    wanted = []
    for window in cover(config, first, count):
        wanted.extend(range(window.wanted, window.end))
        assert window.end - window.begin <= config.length
        assert window.begin == 0 or window.wanted - window.begin >= config.length - stride
    assert wanted == list(range(first, first + count))


class SlowScorer:
    """The oracle: one window and one position at a time, the counts in plain Python, the rules in floats."""

    def __init__(self, design):
        self.built, self.design, self.five = built_for(design), design, oracle.L5()
        self.model = self.built.build()
        self.counts = Counts(
            self.built.mixer.contexts,
            PIECES.tables(),
            table_bytes=1 << 20,
            block_tokens=100,
            use_compiled=False,
        )
        self.history = []

    def places(self, block):
        """Return what stands before each token of a block, and after it."""
        hints = self.counts.look(np.array(block, dtype=np.int64))
        said = spoken(hints) if self.design == "L6" else as_counted(hints, self.counts.contexts)
        rows = [
            self._row([*self.history, *block], len(self.history) + t) for t in range(len(block) + 1)
        ]
        return oracle.places(Case(torch.from_numpy(PIECES.class_V).long(), torch.stack(rows), said))

    def _row(self, stream, position):
        config = PRESET.windows
        anchor = (position // config.stride + 1) * config.stride
        begin = max(0, anchor - config.length)
        inputs = [BOS, *stream][begin : position + 1]
        with torch.inference_mode():
            logits_V = self.model.logits(self.model(torch.tensor([inputs])))[0, -1]
        return logits_V.double().log_softmax(-1)

    def mixed(self, place):
        if self.design == "L6":
            return oracle.l6(place, WEIGHTS)
        return (
            self.five(place) if self.design == "L5" else getattr(oracle, self.design.lower())(place)
        )

    def accept(self, block):
        if self.design == "L5":
            self.five.learn([*zip(self.places(block), block, strict=False)])
        self.counts.accept(np.array(block, dtype=np.int64))
        self.history += block


@MIXED
def test_score_and_predict_agree_with_the_oracle(design):
    stream = np.random.default_rng(0).choice([1, 2, 3, 4, 5], 70).astype(np.uint32)
    mine, slow, told = scorer(design=design), SlowScorer(design), 0
    for first in range(0, len(stream), 20):
        block_T = stream[first : first + 20]
        nats_T = mine.score(block_T)
        for i, place in enumerate(slow.places(block_T.tolist())):
            row_V = np.array(slow.mixed(place))
            assert abs(row_V.sum() - 1) < 1e-9
            assert np.allclose(np.exp(mine.predict(block_T[:i])), row_V, atol=CLOSE)
            told += not np.allclose(row_V, place.p, atol=0.01)
            if i < len(block_T):
                assert nats_T[i] == pytest.approx(-np.log(row_V[block_T[i]]), abs=CLOSE)
        mine.accept(block_T)
        slow.accept(block_T.tolist())
    assert told > 5  # positions where the experts were heard


@settings(max_examples=25)
@given(TOKENS, st.integers(2, 3), st.integers(1, 6))
def test_copies_that_share_the_passes_answer_as_one(stream, copies, stride):
    config = WindowConfig(length=16, stride=stride, batch_windows=2)
    asked_TK = np.stack([stream, stream[::-1]], axis=1).astype(np.int64)
    padded = np.append(stream, 0).astype(np.int64)
    member_V3 = members(torch.from_numpy(PIECES.class_V))
    one, several = (
        SlidingModel([ARTIFACT.build() for _ in range(count)], config).picked(
            padded, 0, asked_TK, member_V3
        )
        for count in (1, copies)
    )
    assert one.shape == (len(stream), 2 + 3)
    assert np.allclose(one, several, atol=CLOSE)


@settings(max_examples=25)
@given(TOKENS, st.integers(1, 16), st.data())
def test_passes_of_one_shape_answer_as_small_ones(stream, stride, data):
    """What a GPU does, done here: whole windows, spare ones, and bits that no question changes."""
    config = WindowConfig(length=16, stride=stride, batch_windows=3)
    small, whole = (SlidingModel([ARTIFACT.build()], config) for _ in range(2))
    whole._one_shape = True
    padded = np.append(stream, 0).astype(np.int64)
    asked_TK = stream[:, None].astype(np.int64)
    every = whole.picked(padded, 0, asked_TK)[:, 0]
    assert np.allclose(small.picked(padded, 0, asked_TK)[:, 0], every, atol=CLOSE)
    at = data.draw(st.integers(0, len(stream) - 1))
    shorter = np.append(stream[:at], [0]).astype(np.int64)
    assert whole.row(shorter, at)[stream[at]] == every[at]


@settings(max_examples=25)
@given(TOKENS, st.integers(0, 59))
def test_the_masses_of_groups_are_sums_over_the_row(stream, at):
    windows = SlidingModel([ARTIFACT.build()], PRESET.windows)
    padded = np.append(stream, 0).astype(np.int64)
    at %= len(stream)
    asked_TK = padded[at : at + 1, None]
    picked = windows.picked(padded, at, asked_TK, members(torch.from_numpy(PIECES.class_V)))
    p_V = windows.row(padded, at).exp().numpy()
    sums = np.bincount(PIECES.class_V, weights=p_V, minlength=3)
    assert np.allclose(picked[0, 1:].exp(), sums, atol=CLOSE)
    assert sums.sum() == pytest.approx(1.0)


@settings(max_examples=40)
@given(
    TOKENS,
    st.lists(st.tuples(st.integers(0, 59), TOKENS), min_size=1, max_size=4),
    st.sampled_from([(False, "L6"), *((True, design) for design in DESIGNS)]),
)
def test_what_is_kept_of_a_question_changes_no_answer(block, others, which):
    """Blocks that begin alike, in any order, answered by one scorer and each by a fresh one."""
    mine = scorer(*which)
    for cut, other in [(0, block), *others, (60, block)]:
        asked = np.concatenate([block[:cut], other])
        assert np.allclose(mine.score(asked), scorer(*which).score(asked), atol=CLOSE)
    mine.accept(block)
    fresh = scorer(*which)
    fresh.accept(block)
    assert np.allclose(mine.score(block), fresh.score(block), atol=CLOSE)


WITHOUT_AND_WITH = pytest.mark.parametrize(
    "which", [(False, "L6"), *((True, design) for design in DESIGNS)], ids=["no mixer", *DESIGNS]
)


def test_classes_are_summed_for_the_mixer_alone(monkeypatch):
    """Their masses are a pass over the vocabulary: not for a scorer that mixes nothing."""
    asked = []
    real = SlidingModel.picked

    def spied(self, stream_T, first, token_TK, member_V3=None):
        asked.append(member_V3 is not None)
        return real(self, stream_T, first, token_TK, member_V3)

    monkeypatch.setattr(SlidingModel, "picked", spied)
    for mixer in (True, False):
        scorer(mixer=mixer).score(np.arange(9, dtype=np.uint32))
    assert asked == [True, False]


@WITHOUT_AND_WITH
def test_a_question_that_differs_in_its_last_token_costs_that_token(which, monkeypatch):
    """Nor does a block that was scored cost anything once it is accepted: L5 learns from what is kept."""
    asked = []
    real = SlidingModel.picked

    def counted(self, stream_T, first, token_TK, member_V3=None):
        asked.append(len(token_TK))
        return real(self, stream_T, first, token_TK, member_V3)

    monkeypatch.setattr(SlidingModel, "picked", counted)
    mine, block = scorer(*which), np.arange(40, dtype=np.uint32) % 7
    mine.score(block)
    block[-1] += 1
    mine.score(block)
    mine.score(block)
    mine.accept(block)
    mine.score(block)
    assert asked == [40, 1, 40]


@WITHOUT_AND_WITH
@settings(max_examples=8)
@given(history=TOKENS, block=TOKENS)
def test_nats_are_entries_of_the_predicted_rows(which, history, block):
    mine = scorer(*which)
    mine.accept(history)
    nats_T = mine.score(block)
    for i, token in enumerate(block):
        row_V = mine.predict(block[:i])
        assert not np.isnan(row_V).any()
        assert abs(np.exp(row_V).sum() - 1) < 1e-12
        assert nats_T[i] == pytest.approx(-row_V[token], abs=CLOSE)


@settings(max_examples=25)
@given(TOKENS, st.data())
def test_the_model_answers_alike_however_the_stream_is_cut(stream, data):
    """Without the mixer, whose rates move at every `accept`; with it, the judge's blocks are fixed."""
    whole = scorer(mixer=False).score(stream)
    cut, first, parts = scorer(mixer=False), 0, []
    while first < len(stream):
        size = data.draw(st.integers(1, len(stream) - first))
        parts.append(cut.score(stream[first : first + size]))
        cut.accept(stream[first : first + size])
        first += size
    assert np.allclose(np.concatenate(parts), whole, atol=CLOSE)


@MIXED
@settings(max_examples=6)
@given(history=TOKENS, block=TOKENS, data=st.data())
def test_no_answer_depends_on_its_token_or_a_later_one(design, history, block, data):
    mine = scorer(design=design)
    mine.accept(history)
    position = data.draw(st.integers(0, len(block) - 1))
    other = block.copy()
    swapped = data.draw(st.lists(st.integers(0, VOCAB - 1), min_size=60, max_size=60))
    other[position + 1 :] = swapped[: len(block) - position - 1]
    before, after = mine.score(block), mine.score(other)
    assert np.allclose(before[: position + 1], after[: position + 1], atol=CLOSE)
    # All tokens in turn at the position: what they are given sums to one.
    tried = []
    for token in range(VOCAB):
        other[position] = token
        tried.append(mine.score(other[: position + 1])[-1])
    assert np.exp(-np.array(tried)).sum() == pytest.approx(1.0, abs=1e-4)


class Session(RuleBasedStateMachine):
    """Whatever is asked in between, a scorer answers like one that was only told."""

    design = "L6"

    def __init__(self):
        super().__init__()
        self.asked, self.quiet = steady(self.design), steady(self.design)
        self.history = np.zeros(0, np.uint32)

    @rule(block=TOKENS)
    def score(self, block):
        self.asked.score(block)

    @rule(prefix=TOKENS)
    def predict(self, prefix):
        self.asked.predict(prefix)

    @rule(block=TOKENS, more=TOKENS)
    def score_accept(self, block, more):
        """The judge's way: the block was scored before, and others that begin alike."""
        self.asked.score(np.concatenate([block, more]))
        self.asked.score(block)
        self.accept(block)

    @rule(block=TOKENS)
    def accept(self, block):
        self.history = np.append(self.history, block)
        self.asked.accept(block)
        self.quiet.accept(block)

    @rule(block=TOKENS)
    def compare(self, block):
        # Not after every rule: to compare is to ask, and a question takes the last one's place.
        count = self.asked.accepted
        assert count == self.quiet.accepted == len(self.history)
        assert np.array_equal(self.asked._stream_T[:count], self.history)
        nothing = np.zeros(0, np.uint32)
        assert np.array_equal(self.asked.predict(nothing), self.quiet.predict(nothing))
        assert np.array_equal(self.asked.score(block), self.quiet.score(block))
        ours, theirs = (one._experts.counts.save() for one in (self.asked, self.quiet))
        assert ours == theirs
        ours, theirs = (one._mixture.calibration for one in (self.asked, self.quiet))
        assert (ours is None) == (theirs is None) == (self.design != "L5")
        if ours is not None:
            assert torch.equal(ours.seen_EQC, theirs.seen_EQC)
            assert torch.equal(ours.true_EQC, theirs.true_EQC)

    def teardown(self):
        self.compare(np.array([1, 2, 3, 4, 2, 3, 4], np.uint32))


@MIXED
def test_a_session_leaves_no_trace_of_its_questions(design):
    run_state_machine_as_test(
        type("SessionOf", (Session,), {"design": design}),
        settings=settings(max_examples=6, stateful_step_count=10),
    )


def test_what_l5_learnt_is_heard():
    """Its counts come from `accept` alone, scored before or not, and change what comes after."""
    stream = np.tile(np.arange(2, 12, dtype=np.uint32), 6)
    scored, told, plain = scorer(design="L5"), scorer(design="L5"), scorer(mixer=False)
    for first in range(0, len(stream), 20):
        scored.score(stream[first : first + 20])
        for one in (scored, told):
            one.accept(stream[first : first + 20])
    assert told._mixture.calibration.seen_EQC.sum() > 20
    plain.accept(stream)
    assert np.allclose(scored.score(stream), told.score(stream), atol=CLOSE)
    assert told.score(stream).mean() < plain.score(stream).mean() - 0.1


def test_the_switch_takes_the_mixer_out():
    stream = np.tile(np.arange(10, dtype=np.uint32), 6)
    plain, mixed = scorer(mixer=False), scorer()
    assert not np.allclose(plain.score(stream), mixed.score(stream), atol=0.01)
    with pytest.raises(ValueError, match="without the mixer"):
        plain.evidence(stream)


def test_evidence_is_what_score_mixes():
    stream = np.random.default_rng(1).choice([1, 2, 3, 4, 5], 60).astype(np.uint32)
    now, said = scorer().evidence(stream)
    plain = scorer(mixer=False)
    assert now.token_TK[:, 0].tolist() == stream.tolist()
    heard = 0
    for i in range(0, 60, 3):
        row_V = plain.predict(stream[:i])
        assert float(now.logp_TK[i, 0]) == pytest.approx(row_V[stream[i]], abs=CLOSE)
        for expert in np.flatnonzero(said.token_TE[i] != NO_HINT):
            wanted = row_V[said.token_TE[i, expert]]
            assert float(now.hint_logp_TE[i, expert]) == pytest.approx(wanted, abs=CLOSE)
            heard += 1
        assert float(now.mass_T3[i].exp().sum()) == pytest.approx(1.0)
    assert heard > 20
    mixed = scorer()._mixture(now, said).logp_TK[:, 0]
    assert np.allclose(-mixed, scorer().score(stream), atol=CLOSE)


@MIXED
def test_empty_blocks_and_tokens_outside_the_vocabulary(design):
    mine = scorer(design=design)
    assert mine.score(np.zeros(0, np.uint32)).shape == (0,)
    mine.accept(np.zeros(0, np.uint32))
    assert mine.accepted == 0
    with pytest.raises(ValueError, match="not below"):
        mine.score(np.array([VOCAB], np.uint32))


@MIXED
def test_a_stream_longer_than_was_said_is_scored_all_the_same(design):
    stream = np.random.default_rng(2).choice([1, 2, 3, 4, 5], 120).astype(np.uint32)
    short = Scorer(built_for(design), tokens=10, block_tokens=40)
    long = Scorer(built_for(design), tokens=1000, block_tokens=40)
    for first in range(0, len(stream), 40):
        block = stream[first : first + 40]
        assert np.allclose(short.score(block), long.score(block), atol=CLOSE)
        short.accept(block)
        long.accept(block)


def test_a_question_longer_than_was_said_is_refused():
    with pytest.raises(ValueError, match="41 tokens"):
        Scorer(ARTIFACT, block_tokens=40).score(np.ones(41, np.uint32))


@pytest.mark.parametrize("design", DESIGNS)
def test_an_artifact_comes_back_as_it_was(tmp_path, design):
    built = built_for(design)
    weights = tmp_path / artifact.WEIGHTS
    weights.write_bytes(built.to_bytes())
    (tmp_path / artifact.MIXER).write_bytes(built.mixer_bytes())
    back = artifact.load(tmp_path)
    assert (back.model, back.windows, back.mixer) == (built.model, built.windows, built.mixer)
    assert back.mixer_weights == built.mixer_weights
    assert back.pieces.texts == PIECES.texts
    assert np.array_equal(back.pieces.class_V, PIECES.class_V)
    stream = np.arange(30, dtype=np.uint32)
    assert np.array_equal(Scorer(back).score(stream), scorer(design=design).score(stream))
    weights.write_bytes(built.to_bytes()[:-1])
    with pytest.raises(CorruptBlobError, match="digest"):
        artifact.load(tmp_path)
