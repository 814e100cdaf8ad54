"""What the live view looks like: a run told moment by moment, at several widths."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, Group

from checks.contract import Outcome
from harness.commands import panel
from harness.commands.watched import PHASES, Facts, Pace, Watched
from tests.harness.commands.moments import (
    CONTEST,
    HOSTILE,
    Hand,
    asked,
    challenge,
    over,
    score,
    train,
)


@pytest.fixture
def hand(monkeypatch):
    return Hand(monkeypatch)


@pytest.fixture
def view(hand):
    return Watched(CONTEST, lambda event: None)


def drawn(view, at_s, width, *, rows=24, encoding="utf-8", pace=None):
    """Return the lines as they are printed without colour; check that none is as wide as the terminal."""
    lines = panel.lines(view, at_s, pace or Pace(), width=width, rows=rows, encoding=encoding)
    out = io.StringIO()
    console = Console(file=out, width=max(width, 1), force_terminal=True, color_system=None)
    console.print(Group(*lines))
    printed = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert len(printed) == len(lines) <= min(9, max(rows - 1, 1))
    assert all(line.cell_len < max(width, 2) for line in lines)
    return printed


def rests(view, hand, steps):
    """Go through the steps with one pace, as the drawing thread does; return it."""
    pace = Pace()
    for _ in steps:
        pace.look(view.doing, hand.at_s)
    return pace


def test_before_anything(view, hand):
    hand.passes(61.0)
    assert drawn(view, hand.at_s, 80) == [
        "A submission · ruleset parameter-golf · seed 1 of 3                        1:01",
        "seed   setup   train    load   score  challenge  nats/token",
        "1337                                                         to come",
        "  42                                                         to come",
        "2025                                                         to come",
        "judge      1:01  trying the sandbox, hashing packages",
    ]


def test_training(view, hand):
    train(view, hand)
    assert drawn(view, hand.at_s, 80)[2:] == [
        "1337   123.4     530                                         train",
        "  42                                                         to come",
        "2025                                                         to come",
        "train      ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━─────  8:50 of 10:00, 1:10 left",
    ]
    assert drawn(view, hand.at_s, 40) == [
        "A submission · seed 1 of 3        10:53",
        "1337  train  1 of 5 phases",
        "  42  to come",
        "2025  to come",
        "train      ━━━━━━━━━━━━━━──  1:10 left",
    ]
    hand.passes(80.0)
    assert drawn(view, hand.at_s, 80)[-1].endswith("━━  10:10 of 10:00, 0:10 over")


def test_between_phases(view, hand):
    train(view, hand)
    view.ended(1337, over("train", 530.0))
    hand.passes(7.0)
    assert drawn(view, hand.at_s, 80)[2] == (
        "1337   123.4   530.0                                         judge"
    )
    assert drawn(view, hand.at_s, 80)[-1] == (
        "judge      0:07  sealing the artifact, hashing packages"
    )


def test_scoring(view, hand):
    pace = rests(view, hand, score(view, hand))
    assert drawn(view, hand.at_s, 100, pace=pace)[-3:] == [
        "score      ━━━━━━──────────────────────────────────  1:40 of 10:00, 8:20 left",
        "tokens     12,500,000 of 62,021,632, 20% · 6:36 to go · 125k tokens/s",
        "loss       1.8766 nats/token so far · 0.0013 below the 1.8779 to beat · baseline 1.8829",
    ]
    assert drawn(view, hand.at_s, 40, pace=pace)[-3:] == [
        "score      ━━──────────────  8:20 left",
        "  12.5M of 62.02M, 20% · 6:36 to go",
        "  1.8766 nats/token",
    ]
    view.ended(1337, over("score", 496.0))
    assert drawn(view, hand.at_s, 80)[2] == (
        "1337   123.4   530.0   44.00   496.0               1.876600  judge"
    )


def test_a_pass_that_will_not_end_in_time_says_by_how_much(view, hand):
    pace = rests(view, hand, score(view, hand, tokens_per_s=80_000))
    for width in (40, 60, 80, 100):
        assert "2:55 too late" in drawn(view, hand.at_s, width, pace=pace)[-2]


def test_a_score_above_the_goal_and_one_without_any(view, hand):
    rests(view, hand, score(view, hand))
    view.progress(20_000_000, 62_021_632, nats_per_token=1.9)
    assert "0.0221 above the 1.8779 to beat" in drawn(view, hand.at_s, 80)[-1]
    bare = Watched(Facts(name="x", ruleset="r", seeds=(1337,)), lambda event: None)
    rests(bare, hand, score(bare, hand))
    assert drawn(bare, hand.at_s, 80)[-1] == "loss       1.8766 nats/token so far"


def test_challenging(view, hand):
    challenge(view, hand)
    pace = Pace()
    assert drawn(view, hand.at_s, 132, pace=pace)[2:] == [
        "1337   123.4   530.0   44.00   496.0        100    1.876600  challenge",
        "  42                                                         to come",
        "2025                                                         to come",
        "challenge  ━━──────────────────────────────────────  1:40 of 30:00, 28:20 left",
        "replay     12,500,000 of 62,021,632, 20% · 6:36 to go · 125k tokens/s",
        "questions  blind 210/1000 · future 6/32 · target 3/16 · repeat 1/8 · worst gap 0.0012 nats",
    ]
    assert drawn(view, hand.at_s, 40)[-1] == "  220 of 1056 · worst gap 0.0012 nats"
    view.progress(12_500_000, 62_021_632, questions=asked(2))
    assert drawn(view, hand.at_s, 80)[-3].endswith("28:20 left; round 2")
    view.clock(runs=False)
    hand.passes(50.0)
    assert (
        drawn(view, hand.at_s, 80)[-3] == "challenge  28:20 left; loading or closing, off the clock"
    )


def test_a_phase_that_failed_and_seeds_that_ended_early(view, hand):
    train(view, hand)
    view.ended(1337, over("train", 600.0, outcome=Outcome.DEADLINE))
    assert drawn(view, hand.at_s, 80)[2] == (
        "1337   123.4  600.0!                                         train: deadline"
    )
    assert drawn(view, hand.at_s, 80)[-1] == "judge      0:00  this seed is over"
    view.phase(42, "setup", 900.0)
    view.ended(42, over("setup", 1.0))
    view.phase(2025, "setup", 900.0)
    assert "ended early" in drawn(view, hand.at_s, 80)[3]


def test_colours_say_nothing_that_words_do_not(view, hand):
    train(view, hand)
    for used_s, style in ((530.0, "yellow"), (575.0, "bold red"), (400.0, "green")):
        hand.at_s += used_s - view.doing.used_s(hand.at_s)
        bar = panel.lines(view, hand.at_s, Pace(), width=80, rows=24, encoding="utf-8")[-1]
        assert style in {str(span.style) for span in bar.spans}
        assert bar.plain.endswith(" left")


def test_of_many_seeds_three_are_shown_and_their_mean(hand):
    seeds = tuple(range(10, 20))
    view = Watched(
        Facts(
            name="x",
            ruleset="r",
            seeds=seeds,
            times={seed: tuple(over(phase, 1.0) for phase in PHASES) for seed in seeds[:4]},
            nats={seed: 2.0 + seed / 100 for seed in seeds[:4]},
        ),
        lambda event: None,
    )
    shown = drawn(view, hand.at_s, 80)
    assert shown[0].startswith("x · ruleset r · seed 5 of 10 · mean 2.1150 ")
    assert [line.split()[0] for line in shown[2:5]] == ["13", "14", "15"]
    view.phase(19, "setup", 9.0)
    assert [line.split()[0] for line in drawn(view, hand.at_s, 80)[2:5]] == ["17", "18", "19"]


def test_a_flat_terminal_keeps_what_goes_on(view, hand):
    rests(view, hand, score(view, hand))
    assert [line.split()[0] for line in drawn(view, hand.at_s, 80, rows=4)] == [
        "score",
        "tokens",
        "loss",
    ]
    assert len(drawn(view, hand.at_s, 80, rows=7)) == 6


def test_a_terminal_that_is_not_utf_gets_ascii(hand):
    view = Watched(Facts(name="Größe 名前", ruleset="r", seeds=(1, 2)), lambda event: None)
    challenge(view, hand, 1)
    for width in (20, 40, 60, 80, 132):
        lines = drawn(view, hand.at_s, width, encoding="iso-8859-1")
        assert "\n".join(lines).isascii()
    assert "Gr\\xf6\\xdfe" in lines[0]
    assert "#.." in lines[-3]


def test_a_hostile_name_stays_a_name(hand):
    view = Watched(Facts(name=HOSTILE, ruleset=HOSTILE, seeds=(1,)), lambda event: None)
    for width in (20, 40, 80, 132):
        for encoding in ("utf-8", "ascii"):
            text = "\n".join(drawn(view, hand.at_s, width, encoding=encoding))
            assert all(char.isprintable() or char == "\n" for char in text)
            assert "::" not in text
            assert "##[" not in text
    assert "[bold]" in text


@given(
    st.text(max_size=60),
    st.lists(st.integers(0, 999_999_999), min_size=1, max_size=6, unique=True),
    st.lists(
        st.tuples(
            st.sampled_from(PHASES),
            st.sampled_from(Outcome),
            st.floats(0.0, 1e7),
            st.integers(0, 10**12),
            st.integers(0, 10**12),
            st.none() | st.floats(0.0, 1e9),
            st.booleans(),
            st.booleans(),
        ),
        max_size=6,
    ),
    st.integers(1, 200),
    st.integers(1, 40),
    st.sampled_from(["utf-8", "ascii"]),
)
def test_nothing_is_too_wide_or_too_tall_whatever_happens(
    name, seeds, steps, width, rows, encoding
):
    with pytest.MonkeyPatch.context() as patch:
        hand = Hand(patch)
        view = Watched(Facts(name=name, ruleset=name, seeds=tuple(seeds)), lambda event: None)
        pace = Pace()
        for number, (phase, outcome, passed_s, done, total, nats, runs, ends) in enumerate(steps):
            seed = seeds[number % len(seeds)]
            view.phase(seed, phase, 600.0)
            view.clock(runs=runs)
            hand.passes(passed_s)
            view.progress(done, total, nats_per_token=nats, questions=asked() if runs else None)
            drawn(view, hand.at_s, width, rows=rows, encoding=encoding, pace=pace)
            if ends:
                view.ended(seed, over(phase, passed_s, outcome=outcome))
            drawn(view, hand.at_s, width, rows=rows, encoding=encoding, pace=pace)


@pytest.mark.parametrize(
    ("value_s", "text"),
    [(-3, "0:00"), (0.9, "0:00"), (59.9, "0:59"), (605, "10:05"), (3661, "1:01:01")],
)
def test_a_clock(value_s, text):
    assert panel.clock(value_s) == text
