"""Runs that are told to a listener, moment by moment, on a clock that the test turns."""

import pytest

from checks.contract import Outcome, PhaseTime
from harness.challenge import Questions
from harness.commands import watched
from harness.commands.watched import Facts, Goal

HOSTILE = "\x1b[2J\x1b]0;owned\x07 [bold]::error::\u202e名前 \n\r##[error] {0} \x9b5m"
"""A name that clears the screen, sets a title, turns the direction, speaks to CI and to rich's markup."""
GOAL = Goal(baseline_nats=1.8829, target_nats=1.8779)
CONTEST = Facts(name="A submission", ruleset="parameter-golf", seeds=(1337, 42, 2025), goal=GOAL)


class Hand:
    """A clock that stands until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at_s: float = 1000.0) -> None:
        self.at_s = at_s
        monkeypatch.setattr(watched, "now_s", lambda: self.at_s)

    def passes(self, seconds: float) -> None:
        self.at_s += seconds


def over(phase, wall_s, budget_s=600.0, outcome=Outcome.DONE, detail=""):
    return PhaseTime(
        phase=phase,
        budget_s=budget_s,
        grace_s=0.0,
        wall_s=wall_s,
        outcome=outcome,
        detail=detail,
    )


def asked(round_number=1):
    """Questions of the contest, of which a fifth is answered."""
    questions = Questions(round=round_number, worst_gap_nats=0.00123)
    questions.planned = {"blind": 1000, "future": 32, "target": 16, "repeat": 8}
    questions.answered.update(blind=210, future=6, target=3, repeat=1)
    return questions


def train(view, hand, seed=1337):
    """Set up, and train for 530 of 600 seconds."""
    view.phase(seed, "setup", 900.0)
    hand.passes(123.4)
    view.ended(seed, over("setup", 123.4, 900.0))
    view.phase(seed, "train", 600.0)
    hand.passes(530.0)


def score(view, hand, seed=1337, *, tokens_per_s=125_000, seconds=100):
    """Load, and score the contest's stream for a while."""
    train(view, hand, seed)
    view.ended(seed, over("train", 530.0))
    hand.passes(20.0)
    view.phase(seed, "load", 300.0)
    hand.passes(44.0)
    view.ended(seed, over("load", 44.0, 300.0))
    view.phase(seed, "score", 600.0)
    for _ in range(seconds):
        hand.passes(1.0)
        done = view.doing.done + tokens_per_s
        view.progress(done, 62_021_632, nats_per_token=1.8766)
        yield


def challenge(view, hand, seed=1337):
    """Score to the end, and question to a fifth of the stream."""
    for _ in score(view, hand, seed):
        pass
    view.ended(seed, over("score", 496.0))
    view.phase(seed, "challenge", 1800.0)
    view.clock(runs=False)
    hand.passes(44.0)
    view.clock(runs=True)
    view.progress(0, 62_021_632, questions=asked())
    hand.passes(100.0)
    view.progress(12_500_000, 62_021_632, questions=asked())
