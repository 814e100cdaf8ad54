"""The worst positions: the right ones, in order, with the stream that is really around them."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import norm_target, order_blind, order_future
from checks.contract import Challenge, FutureAnswer
from harness import worst
from harness.data import tokenizers
from harness.errors import JudgeError
from harness.report.model import WorstPosition
from harness.worst import AFTER, BEFORE, MOST, Quotes, worst_positions
from tests.checks.answers import LIMITS, blind, challenge, future, repeat, target, whole

WORDS = ["der Hund, die Katze und das Pferd; "[n % 9 :] * 40 for n in range(9)]
STREAM_N = (np.arange(200, dtype=np.uint16) * 37) % 256
GAPS = st.none() | st.sampled_from((0.0, 0.01, -0.01)) | st.floats(-3, 3)
POSITIONS = st.integers(0, len(STREAM_N) - 1)


def _row(entry: float) -> list[float]:
    return [entry, *((1 - entry) / 3,) * 3]


CHALLENGES = st.builds(
    challenge,
    tokens=st.just(len(STREAM_N)),
    blind=st.lists(st.builds(blind, GAPS, POSITIONS), max_size=20).map(tuple),
    future=st.lists(st.builds(future, st.floats(-3, 3), POSITIONS), max_size=6).map(tuple),
    target=st.lists(
        st.builds(
            target,
            st.floats(0.1, 0.9).map(_row),
            st.floats(0.0, 0.9).map(_row),
            POSITIONS,
            st.integers(0, 3),
        ),
        max_size=6,
    ).map(tuple),
    repeat=st.just((repeat(0.2),)),
)


def _shown(record: Challenge, piece: worst.Piece | None = str) -> tuple[WorstPosition, ...]:
    return worst_positions(record, STREAM_N, LIMITS, piece)


def _size(position: WorstPosition) -> float:
    return math.inf if position.gap_nats is None else abs(position.gap_nats)


@given(CHALLENGES)
def test_the_furthest_come_first_once_each_and_nobody_is_passed_over(record: Challenge) -> None:
    shown = _shown(record)
    sizes = [_size(position) for position in shown]
    assert sizes == sorted(sizes, reverse=True)
    asked = [(position.question, position.position) for position in shown]
    assert len(set(asked)) == len(asked) <= MOST
    every: defaultdict[tuple[str, int], float] = defaultdict(float)
    for gap in order_blind.blind_gaps(record, LIMITS):
        every["blind", gap.position] = max(every["blind", gap.position], abs(gap.nats))
    for answer in record.target:
        found = norm_target.worst_substitute(answer)
        key = ("target", answer.position)
        every[key] = max(every[key], abs(found[1].nats) if found else 0.0)
    for answer in record.future:
        key = ("future", answer.worst_position)
        moved = answer.worst_credited_nats + answer.worst_gap_nats - answer.worst_credited_nats
        every[key] = max(every[key], abs(moved))
    assert sizes == sorted(every.values(), reverse=True)[:MOST]
    assert [every[key] for key in asked] == sizes


@given(CHALLENGES)
def test_the_text_is_the_stream_around_the_position(record: Challenge) -> None:
    for position in _shown(record):
        first, here = position.first, position.position
        assert first == max(here - BEFORE, 0)
        assert position.tokens == tuple(STREAM_N[first : here + AFTER + 1])
        assert position.pieces == tuple(map(str, position.tokens))
        assert position.piece == str(position.token)
        if position.question != "target":
            assert position.token == STREAM_N[here]
        if position.gap_nats is None:
            assert position.answered_nats is None
        else:
            difference = position.answered_nats - position.credited_nats
            assert position.gap_nats == pytest.approx(difference, abs=1e-12)


@settings(max_examples=30)
@given(CHALLENGES)
def test_a_report_can_hold_it_and_the_same_answers_give_the_same(record: Challenge) -> None:
    shown = _shown(record)
    data = msgspec.json.encode(shown)
    assert msgspec.json.decode(data, type=tuple[WorstPosition, ...]) == shown
    backwards = replace(
        record, blind=record.blind[::-1], future=record.future[::-1], target=record.target[::-1]
    )
    asked = [(p.question, p.position, p.gap_nats) for p in shown]
    assert asked == [(p.question, p.position, p.gap_nats) for p in _shown(backwards)]


def test_the_worst_is_what_the_checks_name() -> None:
    record = challenge(
        tokens=200,
        blind=(blind(0.1, position=7), blind(None, position=9), blind(-0.2, position=8)),
        future=(future(0.3, position=40, first=32), future(0.4, position=41, first=32)),
    )
    named = {position.question: position.position for position in reversed(_shown(record))}
    assert f"position {named['blind']}:" in order_blind.check(record, None, LIMITS).message
    assert f"position {named['future']}:" in order_future.check(record, None, LIMITS).message
    assert _shown(record)[0] == WorstPosition(
        position=9,
        question="blind",
        token=int(STREAM_N[9]),
        piece=str(STREAM_N[9]),
        credited_nats=2.0,
        answered_nats=None,
        gap_nats=None,
        first=0,
        tokens=tuple(int(token) for token in STREAM_N[:14]),
        pieces=tuple(str(token) for token in STREAM_N[:14]),
    )


def test_a_substitute_is_named_and_negligible_ones_are_not() -> None:
    tiny = 1e-9
    answer = target([0.5, 0.3, 0.2 - tiny, tiny], [0.5, 0.1, 0.4, 1e-30], position=20)
    (shown,) = _shown(challenge(tokens=200, target=(answer,)))
    assert (shown.token, shown.piece) == (1, "1")
    assert shown.tokens[shown.position - shown.first] == STREAM_N[20]
    assert shown.gap_nats == pytest.approx(math.log(0.3 / 0.1))


def test_without_predict_the_answer_is_what_the_whole_vocabulary_makes_of_it() -> None:
    answer = whole([0.8, 0.4, 0.4], position=20)
    (shown,) = _shown(challenge(tokens=200, target=(answer,), has_predict=False))
    assert shown.question == "target"
    assert shown.gap_nats == pytest.approx(math.log(1.6))
    assert shown.token == STREAM_N[20]


def test_without_a_tokenizer_there_are_numbers_alone() -> None:
    (shown,) = _shown(challenge(tokens=200, blind=(blind(1.0, position=3),)), None)
    assert (shown.pieces, shown.piece) == ((), None)
    assert len(shown.tokens) == 3 + 1 + AFTER


@pytest.mark.parametrize("position", [-1, 200])
def test_an_answer_about_no_position_is_the_judge_s_own_fault(position: int) -> None:
    with pytest.raises(JudgeError, match="a position that the stream does not have"):
        _shown(challenge(tokens=200, blind=(blind(1.0, position=position),)))


def test_as_much_is_quoted_as_is_documented() -> None:
    record = challenge(tokens=200, blind=tuple(blind(1.0, position=n) for n in range(50, 90)))
    assert len(_shown(record)) == 12
    assert {len(position.tokens) for position in _shown(record)} == {12 + 1 + 4}


def test_nothing_asked_nothing_shown(tiny_data) -> None:
    assert _shown(challenge(tokens=200)) == ()
    assert Quotes(tiny_data).worst(None, LIMITS) == ()


def test_the_text_comes_from_the_data_s_own_tokenizer(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece", reason="the text is read with sentencepiece")
    tokenizer = tokenizers.train_tokenizer(WORDS, 300)
    (tmp_path / "tokenizer.model").write_bytes(tokenizer.model)
    (stream_N,) = tokenizer.encode(["der Hund\nund die 漢 Katze"])
    record = challenge(
        tokens=len(stream_N), blind=tuple(blind(1.0, position=n) for n in range(len(stream_N)))
    )
    shown = Quotes(_Data(tmp_path / "tokenizer.model", stream_N)).worst(record, LIMITS)
    last = max(shown, key=lambda position: position.position)
    read = "".join((*shown[0].pieces, *last.pieces))
    assert shown[0].pieces[0] == "<s>"
    assert "<0x0A>" in read  # a line feed, as the byte that it is
    assert {"<0xE6>", "<0xBC>", "<0xA2>"} <= set(last.pieces) | set(shown[0].pieces)
    assert "\N{LOWER ONE EIGHTH BLOCK}" not in read
    assert " " in read


@pytest.mark.parametrize("fault", ["no file", "no model", "too small"])
def test_a_tokenizer_that_cannot_be_read_is_no_reason_to_fail(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "tokenizer.model"
    data = _Data(path, STREAM_N)
    if fault == "no model":
        path.write_bytes(b"not a model")
    if fault == "too small":
        pytest.importorskip("sentencepiece", reason="a model is made with sentencepiece")
        path.write_bytes(tokenizers.train_tokenizer(WORDS, 300).model)
        data.vocab_size = 301
    record = challenge(tokens=200, blind=(blind(1.0, position=3),))
    (shown,) = Quotes(data).worst(record, LIMITS)
    assert (shown.pieces, shown.piece) == ((), None)


class _Data:
    """As much of a data set as quoting needs."""

    def __init__(self, path: Path, stream_N: np.ndarray) -> None:
        self.tokenizer = self
        self.path = path
        self.val = self
        self.stream_N = stream_N
        self.vocab_size = 256

    def load_tokens(self) -> np.ndarray:
        return self.stream_N


def test_future_answers_are_shown_where_they_moved_most() -> None:
    answer = FutureAnswer(
        position=50,
        first=32,
        gap_nats=0.0,
        worst_position=41,
        worst_credited_nats=1.5,
        worst_gap_nats=-0.25,
        mean_gap_nats=0.0,
    )
    (shown,) = _shown(challenge(tokens=200, future=(answer,)))
    assert (shown.question, shown.position) == ("future", 41)
    assert (shown.credited_nats, shown.answered_nats, shown.gap_nats) == (1.5, 1.25, -0.25)
