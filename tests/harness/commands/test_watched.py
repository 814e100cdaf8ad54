"""What is stored of a run while it works: clocks that stand and run, speeds, what there is to beat."""

import shutil
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.contract import Baseline, Outcome, SeedScore
from checks.stats_margin import exchange
from harness.commands import watched
from harness.commands.watched import (
    PACE_S,
    Began,
    Doing,
    Ended,
    Facts,
    Pace,
    Said,
    Watched,
    facts_of,
    goal_of,
)
from harness.conduct import conduct
from harness.report.model import decode
from harness.run import Run
from tests.harness.commands.moments import CONTEST, Hand, over

SECONDS = st.floats(0.0, 1e4, allow_nan=False)


@pytest.fixture
def hand(monkeypatch):
    return Hand(monkeypatch)


@given(st.lists(st.tuples(st.booleans(), SECONDS)))
def test_a_phase_has_used_the_seconds_in_which_its_clock_ran(steps):
    with pytest.MonkeyPatch.context() as patch:
        hand = Hand(patch)
        doing, ran, ran_s = Doing(1, "challenge", 300.0), True, 0.0
        for runs, passed_s in steps:
            hand.passes(passed_s)
            ran_s += passed_s if ran else 0.0
            assert doing.used_s(hand.at_s) == pytest.approx(ran_s)
            doing.run_clock(runs)
            ran = runs
            assert doing.stands is not runs
        assert doing.used_s(hand.at_s) == pytest.approx(ran_s)


def test_progress_only_stores(hand, monkeypatch):
    """It is called within the clock: no clock is read, nothing is told, nothing is made."""
    told = []
    view = Watched(CONTEST, told.append)
    view.progress(5, 10)  # before any phase: nobody's
    view.phase(1337, "score", 600.0)
    doing = view.doing
    del told[:]
    monkeypatch.setattr(watched, "now_s", lambda: 1 / 0)
    view.progress(7, 10, nats_per_token=2.5)
    assert (doing.done, doing.total, doing.nats_per_token, told) == (7, 10, 2.5, [])
    assert view.doing is doing


def test_what_happens_once_is_told_in_order(hand):
    told = []
    view = Watched(CONTEST, told.append)
    view.clock(runs=False)  # nothing goes on: nothing happens
    view.phase(42, "setup", 900.0)
    hand.passes(3.0)
    view.note("a remark")
    view.ended(42, over("setup", 3.0))
    assert [(type(event), event.at_s) for event in told] == [
        (Began, 1000.0),
        (Said, 1003.0),
        (Ended, 1003.0),
    ]
    assert view.times[42] == {"setup": over("setup", 3.0)}
    assert view.doing is None


def test_a_score_counts_if_its_pass_came_to_its_end(hand):
    view = Watched(CONTEST, lambda event: None)
    for seed, outcome in ((1337, Outcome.DONE), (42, Outcome.DEADLINE)):
        view.phase(seed, "score", 600.0)
        view.progress(10, 10, nats_per_token=2.0)
        view.ended(seed, over("score", 3.0, outcome=outcome))
    assert view.nats == {1337: 2.0}


@given(st.floats(0.01, 60.0), st.integers(1, 1_000_000), st.integers(1, 100))
def test_a_steady_speed_is_found(step_s, step, steps):
    with pytest.MonkeyPatch.context() as patch:
        hand = Hand(patch)
        doing, pace = Doing(1, "score", 600.0), Pace()
        assert pace.look(doing, hand.at_s) is None
        for _ in range(steps):
            hand.passes(step_s)
            doing.done += step
            assert pace.look(doing, hand.at_s) == pytest.approx(step / step_s)


@given(st.lists(st.tuples(SECONDS, st.integers(0, 10_000)), max_size=30))
def test_a_speed_is_above_0_or_not_known(steps):
    with pytest.MonkeyPatch.context() as patch:
        hand = Hand(patch)
        doing, pace = Doing(1, "score", 600.0), Pace()
        for passed_s, done in steps:
            hand.passes(passed_s)
            doing.done = done  # backwards too: a new round begins anew
            per_s = pace.look(doing, hand.at_s)
            assert per_s is None or per_s > 0


def test_the_speed_is_of_late_and_falls_while_nothing_comes(hand):
    doing, pace = Doing(1, "score", 600.0), Pace()
    for _ in range(100):
        hand.passes(1.0)
        doing.done += 1000
        pace.look(doing, hand.at_s)
    for _ in range(int(PACE_S) + 1):
        hand.passes(1.0)
        doing.done += 10
        pace.look(doing, hand.at_s)
    assert pace.look(doing, hand.at_s) == pytest.approx(10.0, rel=0.1)
    hand.passes(1000.0)
    assert 0 < pace.look(doing, hand.at_s) < 1.0
    other = Doing(2, "score", 600.0)
    assert pace.look(other, hand.at_s) is None


@pytest.mark.parametrize("own_bytes_per_token", [2.5, 2.500001, 3.0])
@pytest.mark.parametrize("margin_in_null", [True, False])
def test_the_goal_is_where_the_statistics_have_it(own_bytes_per_token, margin_in_null):
    """A seed exactly at the goal is, for stats.margin, exactly the margin better than the baseline's mean."""
    tokens, scores = 1000, (2.0, 2.25)
    run = SimpleNamespace(
        baseline=SimpleNamespace(
            nats_per_token=scores, bytes_per_token=2.5, val_text_sha256="", name="x"
        ),
        data=SimpleNamespace(val=SimpleNamespace(tokens=tokens, text_sha256="b" * 64)),
        ruleset=SimpleNamespace(
            stats=SimpleNamespace(threshold_nats=0.005, margin_in_null=margin_in_null)
        ),
        text=lambda: SimpleNamespace(text_bytes=own_bytes_per_token * tokens),
    )
    goal = goal_of(run)
    base = Baseline(name="x", nats_per_token=scores, seeds=(1, 2), bytes_per_token=2.5)

    def exchanged(nats):
        (seed,), _ = exchange(
            [
                SeedScore(
                    seed=1,
                    sum_nats=nats * tokens,
                    tokens=tokens,
                    text_bytes=own_bytes_per_token * tokens,
                )
            ],
            base,
        )
        return seed

    assert exchanged(goal.baseline_nats) == pytest.approx(2.125)
    assert exchanged(goal.target_nats) == pytest.approx(2.125 - 0.005 * margin_in_null)
    run.baseline.val_text_sha256 = "a" * 64
    assert goal_of(run) is None
    run.baseline = None
    assert goal_of(run) is None


def test_a_run_that_goes_on_begins_with_what_it_has(run_without_baseline):
    folder, _ = run_without_baseline
    report = decode((folder / "report.json").read_bytes())
    facts = facts_of(Run(folder), "here")
    assert (facts.run_id, facts.folder, facts.seeds, facts.goal) == (
        folder.name,
        "here",
        (1, 2),
        None,
    )
    for seed in report.seeds:
        assert facts.times[seed.seed] == seed.phases
        assert facts.nats[seed.seed] == pytest.approx(seed.nats_per_token)
    view = Watched(facts, lambda event: None)
    assert view.nats == facts.nats
    assert list(view.times[2]) == [time.phase for time in report.seeds[1].phases]


def test_a_whole_run_is_told_as_it_is_measured(run_without_baseline, tmp_path):
    """The last seed is questioned once more: what the view had counted is what the record says."""
    folder = shutil.copytree(run_without_baseline[0], tmp_path / "copied")
    for name in ("score.json", "challenge.json", "nats.f64"):
        (folder / "seeds" / "2" / name).unlink()
    run = Run(folder)
    seen, clocks = {}, []

    class Watching(Watched):
        def ended(self, seed, time):
            seen[time.phase] = (self.doing, self.doing.used_s(watched.now_s()))
            super().ended(seed, time)

        def clock(self, *, runs):
            clocks.append((self.doing.phase, runs))
            super().clock(runs=runs)

    view = Watching(facts_of(run, ""), lambda event: None)
    conduct(run, view, {})
    evidence = run.evidence(2)
    assert list(seen) == ["load", "score", "challenge"]
    for phase, time in (
        ("load", evidence.scored.load),
        ("score", evidence.scored.score),
        ("challenge", evidence.examined.time),
    ):
        assert seen[phase][1] == pytest.approx(time.wall_s, abs=0.3)
    stands = ("challenge", False)
    assert clocks == [("score", False), stands, ("challenge", True), stands]
    tokens = run.data.val.tokens
    assert seen["score"][0].done == seen["score"][0].total == tokens
    assert view.nats[2] == pytest.approx(evidence.scored.credited.sum_nats / tokens)
    asked, record = seen["challenge"][0].questions, evidence.examined.challenge
    assert asked.answered == asked.planned
    assert asked.answered == {
        kind: len(getattr(record, kind)) for kind in ("blind", "future", "target", "repeat")
    }


def test_facts_can_be_made_by_hand():
    view = Watched(Facts(name="x", ruleset="r", seeds=(3,)), lambda event: None)
    assert (view.times, view.nats, view.last) == ({3: {}}, {}, None)
