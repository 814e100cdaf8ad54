"""The scorer: one answer for a position, however it is asked, from the tokens before it alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from submission import artifact
from submission.mixer import NO_HINT, MatchModel, mix_row
from submission.model import BOS
from submission.pack import CorruptBlobError
from submission.score import Scorer
from submission.windows import SlidingModel, WindowConfig, cover
from tests.submission.tiny import PRESET, VOCAB, random_artifact

ARTIFACT = random_artifact()
# Few different tokens, so that contexts come back and the mixer has hints.
TOKENS = st.builds(
    lambda count, seed: (
        np.random.default_rng(seed).choice([0, 1, 2, 3, 4, 5, 17, 39], count).astype(np.uint32)
    ),
    st.integers(1, 60),
    st.integers(0, 2**32),
)
CLOSE = 2e-5


def scorer(mixer=True):
    return Scorer(ARTIFACT, mixer=mixer)


@given(st.integers(0, 500), st.integers(1, 200), st.integers(1, 30), st.integers(1, 30))
def test_windows_want_each_position_once_with_context_enough(first, count, stride, more):
    config = WindowConfig(length=stride + more, stride=stride, batch_windows=1)
    wanted = []
    for window in cover(config, first, count):
        wanted.extend(range(window.wanted, window.end))
        assert window.end - window.begin <= config.length
        assert window.begin == 0 or window.wanted - window.begin >= config.length - stride
    assert wanted == list(range(first, first + count))


def slow_row(stream, position):
    """The oracle: one window, one position, the match model fed token by token."""
    model, config = ARTIFACT.build(), PRESET.windows
    anchor = (position // config.stride + 1) * config.stride
    begin = max(0, anchor - config.length)
    inputs = [BOS, *stream][begin : position + 1]
    with torch.inference_mode():
        logits_V = model.logits(model(torch.tensor([inputs], dtype=torch.int64)))[0, -1]
    row_V = logits_V.double().log_softmax(-1).numpy()
    padded = np.append(stream, 0).astype(np.int64)
    matches = MatchModel(PRESET.mixer)
    matches.accept(padded, 0, position - position % 20)
    hints = matches.hints(padded, position - position % 20, position % 20 + 1)
    return mix_row(row_V, int(hints.token_T[-1]), float(hints.rate_T[-1]), ARTIFACT.mixer_weights)


def test_score_and_predict_agree_with_the_oracle():
    stream = np.random.default_rng(0).integers(0, 6, 70).astype(np.uint32)
    mine = scorer()
    for first in range(0, len(stream), 20):
        block_T = stream[first : first + 20]
        nats_T = mine.score(block_T)
        for i, token in enumerate(block_T):
            row_V = slow_row(stream, first + i)
            assert abs(np.exp(row_V).sum() - 1) < 1e-9
            assert nats_T[i] == pytest.approx(-row_V[token], abs=CLOSE)
            assert np.allclose(mine.predict(block_T[:i]), row_V, atol=CLOSE)
        mine.accept(block_T)


@settings(max_examples=25)
@given(TOKENS, st.integers(2, 3), st.integers(1, 6))
def test_copies_that_share_the_passes_answer_as_one(stream, copies, stride):
    config = WindowConfig(length=16, stride=stride, batch_windows=2)
    asked_TK = np.stack([stream, stream[::-1]], axis=1).astype(np.int64)
    padded = np.append(stream, 0).astype(np.int64)
    one, several = (
        SlidingModel([ARTIFACT.build() for _ in range(count)], config).picked(padded, 0, asked_TK)
        for count in (1, copies)
    )
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


@settings(max_examples=40)
@given(
    TOKENS, st.lists(st.tuples(st.integers(0, 59), TOKENS), min_size=1, max_size=4), st.booleans()
)
def test_what_is_kept_of_a_question_changes_no_answer(block, others, mixer):
    """Blocks that begin alike, in any order, answered by one scorer and each by a fresh one."""
    mine = scorer(mixer)
    for cut, other in [(0, block), *others, (60, block)]:
        asked = np.concatenate([block[:cut], other])
        assert np.allclose(mine.score(asked), scorer(mixer).score(asked), atol=CLOSE)
    mine.accept(block)
    fresh = scorer(mixer)
    fresh.accept(block)
    assert np.allclose(mine.score(block), fresh.score(block), atol=CLOSE)


@pytest.mark.parametrize("mixer", [False, True])
def test_a_question_that_differs_in_its_last_token_costs_that_token(mixer, monkeypatch):
    asked = []
    real = SlidingModel.picked

    def counted(self, stream_T, first, token_TK):
        asked.append(len(token_TK))
        return real(self, stream_T, first, token_TK)

    monkeypatch.setattr(SlidingModel, "picked", counted)
    mine, block = scorer(mixer), np.arange(40, dtype=np.uint32) % 7
    mine.score(block)
    block[-1] += 1
    mine.score(block)
    mine.score(block)
    mine.accept(block)
    mine.score(block)
    assert asked == [40, 1, 40]


@settings(max_examples=25)
@given(TOKENS, TOKENS, st.booleans())
def test_nats_are_entries_of_the_predicted_rows(history, block, mixer):
    mine = scorer(mixer)
    mine.accept(history)
    nats_T = mine.score(block)
    for i, token in enumerate(block):
        row_V = mine.predict(block[:i]).astype(np.float32)
        assert abs(np.exp(row_V.astype(np.float64)).sum() - 1) < 1e-6
        assert nats_T[i] == pytest.approx(-float(row_V[token]), abs=CLOSE)


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


@settings(max_examples=25)
@given(TOKENS, TOKENS, st.data())
def test_no_answer_depends_on_its_token_or_a_later_one(history, block, data):
    mine = scorer()
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

    def __init__(self):
        super().__init__()
        self.asked, self.quiet, self.history = scorer(), scorer(), np.zeros(0, np.uint32)

    @rule(block=TOKENS)
    def score(self, block):
        self.asked.score(block)

    @rule(prefix=TOKENS)
    def predict(self, prefix):
        self.asked.predict(prefix)

    @rule(block=TOKENS)
    def accept(self, block):
        self.history = np.append(self.history, block)
        self.asked.accept(block)
        self.quiet.accept(block)

    @invariant()
    def states_are_equal(self):
        count = self.asked.accepted
        assert count == self.quiet.accepted == len(self.history)
        assert np.array_equal(self.asked._stream_T[:count], self.history)
        for name in ("last_at", "hits_C", "seen_C"):
            ours, theirs = (getattr(one._matches, name) for one in (self.asked, self.quiet))
            assert np.array_equal(ours, theirs)
        nothing = np.zeros(0, np.uint32)
        assert np.array_equal(self.asked.predict(nothing), self.quiet.predict(nothing))


TestSession = Session.TestCase
TestSession.settings = settings(max_examples=15, stateful_step_count=12)


def test_the_switch_takes_the_mixer_out():
    stream = np.tile(np.arange(10, dtype=np.uint32), 6)
    plain, mixed = scorer(mixer=False), scorer()
    assert not np.allclose(plain.score(stream), mixed.score(stream), atol=0.01)
    with pytest.raises(ValueError, match="without the mixer"):
        plain.evidence(stream)


def test_evidence_is_what_score_mixes():
    stream = np.random.default_rng(1).integers(0, 5, 60).astype(np.uint32)
    hints, log_q_T = scorer().evidence(stream)
    plain = scorer(mixer=False)
    given_T = np.flatnonzero(hints.token_T != NO_HINT)
    assert len(given_T) > 20
    for i in given_T[:10]:
        assert log_q_T[i] == pytest.approx(plain.predict(stream[:i])[hints.token_T[i]], abs=CLOSE)


def test_empty_blocks_and_tokens_outside_the_vocabulary():
    mine = scorer()
    assert mine.score(np.zeros(0, np.uint32)).shape == (0,)
    mine.accept(np.zeros(0, np.uint32))
    assert mine.accepted == 0
    with pytest.raises(ValueError, match="not below"):
        mine.score(np.array([VOCAB], np.uint32))


def test_an_artifact_comes_back_as_it_was(tmp_path):
    weights = tmp_path / artifact.WEIGHTS
    weights.write_bytes(ARTIFACT.to_bytes())
    (tmp_path / artifact.MIXER).write_bytes(ARTIFACT.mixer_bytes())
    back = artifact.load(tmp_path)
    assert (back.model, back.windows, back.mixer) == (
        ARTIFACT.model,
        ARTIFACT.windows,
        ARTIFACT.mixer,
    )
    assert back.mixer_weights == ARTIFACT.mixer_weights
    stream = np.arange(30, dtype=np.uint32)
    assert np.array_equal(Scorer(back).score(stream), scorer().score(stream))
    weights.write_bytes(ARTIFACT.to_bytes()[:-1])
    with pytest.raises(CorruptBlobError, match="digest"):
        artifact.load(tmp_path)
    weights.write_bytes(ARTIFACT.to_bytes())
    for broken in (b"{", b"[]", b'{"format": 1}'):
        (tmp_path / artifact.MIXER).write_bytes(broken)
        with pytest.raises(CorruptBlobError, match="export again"):
            artifact.load(tmp_path)
