"""What is known of a run while it works: stored by the judge's thread, read by another one.

The judge calls `progress` within the clock of a phase, so it only stores; whoever shows something looks when
it suits them. All times are CLOCK_MONOTONIC.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from checks.contract import Outcome, PhaseTime
from harness.clock import now_s

if TYPE_CHECKING:
    from harness.challenge import Questions
    from harness.run import Run

PHASES = ("setup", "train", "load", "score", "challenge")
"""In their order; sealing lies between, on no clock of the submission."""
PACE_S = 15.0
"""The speed that is shown is that of the last so many seconds, and of one step at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is to be beaten, in nats per token of the submission's own tokenizer."""

    baseline_nats: float
    """The baseline's mean."""
    target_nats: float
    """The mean less the margin, where the ruleset has the margin in its null hypothesis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a run before it starts."""

    name: str
    """The submission's, in its own words."""
    ruleset: str
    seeds: tuple[int, ...]
    run_id: str = ""
    folder: str = ""
    goal: Goal | None = None
    times: Mapping[int, tuple[PhaseTime, ...]] = field(default_factory=dict)
    """Seed -> its phases that were over before, where a run goes on."""
    nats: Mapping[int, float] = field(default_factory=dict)
    """Seed -> nats per token, where it was scored before."""


class Doing:
    """A phase that goes on."""

    __slots__ = (
        "_clock",
        "budget_s",
        "done",
        "nats_per_token",
        "phase",
        "questions",
        "seed",
        "total",
    )

    def __init__(self, seed: int, phase: str, budget_s: float) -> None:
        """Start its clock."""
        self.seed, self.phase, self.budget_s = seed, phase, budget_s
        self.done = self.total = 0
        """Tokens; `total` is 0 where the phase has none."""
        self.nats_per_token: float | None = None
        self.questions: Questions | None = None
        # One reference, so that a reader never sees half of a change.
        self._clock: tuple[float, float | None] = (0.0, now_s())

    @property
    def stands(self) -> bool:
        """Return whether the clock stands still: a process is loaded or ended, off the phase's clock."""
        return self._clock[1] is None

    def used_s(self, at_s: float) -> float:
        """Return the seconds of the budget that are used at an instant."""
        spent_s, since_s = self._clock
        return spent_s if since_s is None else spent_s + at_s - since_s

    def run_clock(self, runs: bool) -> None:
        """Let the clock stand still or run."""
        at_s = now_s()
        self._clock = (self.used_s(at_s), at_s if runs else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Began:
    """A phase began."""

    at_s: float
    doing: Doing


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A phase is over."""

    at_s: float
    seed: int
    time: PhaseTime
    doing: Doing | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A remark of the judge."""

    at_s: float
    text: str


Event = Began | Ended | Said


class Watched:
    """Stores what happens, and passes on what happens once: a listener that never waits."""

    def __init__(self, facts: Facts, tell: Callable[[Event], None]) -> None:
        """Know what is known before; `tell` must not block."""
        self.facts = facts
        self.began_s = self.since_s = now_s()
        """Of the run; of what goes on between two phases."""
        self.doing: Doing | None = None
        self.last: Ended | None = None
        self.times = {
            seed: {time.phase: time for time in facts.times.get(seed, ())} for seed in facts.seeds
        }
        self.nats = dict(facts.nats)
        self._tell = tell

    def phase(self, seed: int, phase: str, budget_s: float) -> None:
        """Start the phase's clock."""
        self.doing = doing = Doing(seed, phase, budget_s)
        self._tell(Began(at_s=now_s(), doing=doing))

    def clock(self, *, runs: bool) -> None:
        """Stop the phase's clock, or let it run again."""
        if self.doing is not None:
            self.doing.run_clock(runs)

    def progress(
        self,
        done: int,
        total: int,
        *,
        nats_per_token: float | None = None,
        questions: Questions | None = None,
    ) -> None:
        """Store how far it is."""
        doing = self.doing
        if doing is not None:
            doing.done, doing.total = done, total
            doing.nats_per_token, doing.questions = nats_per_token, questions

    def ended(self, seed: int, time: PhaseTime) -> None:
        """Store how a phase ended; a score counts if its pass came to its end."""
        doing, self.doing = self.doing, None
        event = Ended(at_s=now_s(), seed=seed, time=time, doing=doing)
        # New dictionaries: the other thread may be going through the old ones.
        self.times = {**self.times, seed: {**self.times.get(seed, {}), time.phase: time}}
        if doing is not None and doing.nats_per_token is not None and time.outcome is Outcome.DONE:
            self.nats = {**self.nats, seed: doing.nats_per_token}
        self.last, self.since_s = event, event.at_s
        self._tell(event)

    def note(self, text: str) -> None:
        """Pass a remark on."""
        self._tell(Said(at_s=now_s(), text=text))


class Pace:
    """Tokens a second over the last PACE_S seconds of a phase's own clock, worked out once a second."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._doing: Doing | None = None
        self._seen: deque[tuple[float, int]] = deque()
        self._known: tuple[float, float] | None = None

    def look(self, doing: Doing, at_s: float) -> float | None:
        """Return the speed at an instant; None before anything moved."""
        if doing is not self._doing:
            self._doing, self._known = doing, None
            self._seen = deque([(0.0, 0)])
        used_s, done = doing.used_s(at_s), doing.done
        if done < self._seen[-1][1]:  # a new round begins at the first token
            self._seen, self._known = deque([(used_s, 0)]), None
        if done > self._seen[-1][1]:
            self._seen.append((used_s, done))
        if self._known is not None and used_s < self._known[0] + 1.0:
            return self._known[1]
        # The last step is kept, however long ago it began: a large block may take longer than that.
        while len(self._seen) > 2 and self._seen[1][0] <= used_s - PACE_S:
            self._seen.popleft()
        took_s, moved = used_s - self._seen[0][0], self._seen[-1][1] - self._seen[0][1]
        if not moved or took_s <= 0:
            return None
        self._known = (used_s, moved / took_s)
        return self._known[1]


def facts_of(run: Run, folder: str) -> Facts:
    """Return what is known of a run before it starts, or goes on; `folder` is as a person would name it."""
    evidence = [run.evidence(seed) for seed in run.plan.seeds]
    nats = {}
    for each in evidence:
        credited = each.scored.credited if each.scored else None
        if each.scored and credited and each.scored.score.outcome is Outcome.DONE:
            nats[each.seed] = credited.sum_nats / credited.expected_tokens
    return Facts(
        name=run.manifest.name,
        ruleset=run.ruleset.name,
        seeds=run.plan.seeds,
        run_id=run.plan.run_id,
        folder=folder,
        goal=goal_of(run),
        times={
            each.seed: tuple(
                time
                for time in (
                    *((each.trained.setup, each.trained.train) if each.trained else ()),
                    *((each.scored.load, each.scored.score) if each.scored else ()),
                    *((each.examined.time,) if each.examined else ()),
                )
                if time.outcome is not Outcome.NOT_STARTED
            )
            for each in evidence
        },
        nats=nats,
    )


def goal_of(run: Run) -> Goal | None:
    """Return what is to be beaten; None without a baseline, or with one that was measured on another text.

    Where the tokenizers differ, the baseline's nats are converted through bytes, as checks.stats_margin does
    the other way round.
    """
    from statistics import fmean

    from checks.stats_margin import SAME_TOKENIZER

    base, data, stats = run.baseline, run.data, run.ruleset.stats
    if base is None:
        return None
    if base.val_text_sha256 and data.val.text_sha256 not in (None, base.val_text_sha256):
        return None
    rate = run.text().text_bytes / data.val.tokens / base.bytes_per_token
    if abs(rate - 1) <= SAME_TOKENIZER:
        rate = 1.0
    mean = fmean(base.nats_per_token)
    margin = stats.threshold_nats if stats.margin_in_null else 0.0
    return Goal(baseline_nats=mean * rate, target_nats=(mean - margin) * rate)
