"""The challenge phase of one seed: a fresh process of the same sealed artifact, and the judge's own leaks.

Rounds go on, each with a new process and newly drawn positions, while the statistical arm is undecided
and the budget lasts. The secret is drawn here, after the credited nats are on disk, and anew when a run
is resumed: a process that was cut off may have learnt positions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from checks import agreement, norm_sum, norm_target, order_blind, order_future
from checks.contract import Breach, Challenge, Finding, Outcome, PhaseTime, Status, Tolerances
from harness import control
from harness.challenge import Examination, Row, merge
from harness.clock import Deadline, Stopwatch
from harness.draws import new_secret
from harness.launch import Context, Started, explained
from harness.phases import loaded, wait_ready
from harness.questions import Subject
from harness.ruleset import Ruleset
from harness.session import OutOfTime, ScorerSession

T = TypeVar("T")
Check = Callable[[Challenge | None, Challenge | None, Tolerances], Finding]
CHECKS: dict[str, Check] = {
    order_future.ID: order_future.check,
    order_blind.ID: order_blind.check,
    norm_sum.ID: norm_sum.check,
    norm_target.ID: norm_target.check,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """The record of the challenge phase."""

    load: PhaseTime
    time: PhaseTime
    secret: str
    rounds: int
    challenge: Challenge | None
    controls: dict[str, Challenge] = field(default_factory=dict)
    """Check -> what the judge's leaking scorer answered."""


class SessionAnswers:
    """A submission's process as something that can be challenged, with patience for each answer."""

    def __init__(self, session: ScorerSession, answer_s: float, token_s: float) -> None:
        """Grant each answer `answer_s`, and twice what the credited pass took for as many tokens."""
        self._session = session
        self._answer_s = answer_s
        self._token_s = token_s

    def about(self, question: str, position: int) -> None:
        """Note the question."""
        self._session.channel.question = question
        self._session.channel.position = position

    def score(self, tokens_n: npt.NDArray[np.uint32], first: int) -> Row:
        """Return the nats of a block."""
        return self._patiently(lambda: self._session.score(tokens_n, first), len(tokens_n))

    def accept(self, tokens_n: npt.NDArray[np.uint32]) -> None:
        """Make a block history."""
        self._patiently(lambda: self._session.accept(tokens_n), len(tokens_n))

    def predict(self, prefix_m: npt.NDArray[np.uint32]) -> Row:
        """Return the row after the history and the prefix."""
        return self._patiently(lambda: self._session.predict(prefix_m), len(prefix_m) + 1)

    def _patiently(self, call: Callable[[], T], tokens: int) -> T:
        # The phase's budget does not cut this short: a process that falls silent when little of it is left
        # has fallen silent, and is not taken for one that ran out of time.
        patience_s = self._answer_s + 2.0 * self._token_s * tokens
        self._session.channel.deadline = Deadline(patience_s)
        try:
            return call()
        except OutOfTime:
            raise self._session.channel.breach(
                "silence", f"no answer within {patience_s:.3g} s"
            ) from None


def examine(
    context: Context,
    ruleset: Ruleset,
    *,
    seed: int,
    sealed: Path,
    work: Path,
    logs: Path,
    subject: Subject,
) -> Examined:
    """Challenge one seed; breaches, silence and an exhausted budget are in the record."""
    secret = new_secret()
    budgets = context.phases
    context.listener.phase(seed, "challenge", budgets.challenge_s)
    budget, wall_s = Deadline(budgets.challenge_s), 0.0
    limits = ruleset.tolerances()
    challenge: Challenge | None = None
    load: PhaseTime | None = None
    rounds, peak_rss_mb = 0, 0.0
    context.listener.clock(runs=False)
    while rounds < ruleset.challenge.max_rounds:
        with loaded(
            context, sealed=sealed, work=work, logs=logs, tokens=len(subject.stream_N)
        ) as run:
            # Loading is not challenging: each round's budget starts when the process is ready.
            loading = wait_ready(run, "load", budgets.load_s, Stopwatch())
            load = load or loading
            if loading.outcome is not Outcome.DONE:
                challenge = merge(challenge, _refused(subject, loading))
                break
            budget.at_s += loading.wall_s
            context.listener.clock(runs=True)
            rounds += 1
            watch = Stopwatch()
            answered = _round(context, ruleset, run, subject, secret, rounds, budget)
            wall_s += watch.elapsed_s
            context.listener.clock(runs=False)
            if answered.breach is not None:
                answered = replace(answered, breach=explained(run, answered.breach))
        peak_rss_mb = max(peak_rss_mb, run.tree.peak_rss_mb or 0.0)
        challenge = merge(challenge, answered)
        if challenge.breach or challenge.out_of_time or budget.passed:
            break
        if not _undecided(challenge, limits):
            break
    time = PhaseTime(
        phase="challenge",
        budget_s=budgets.challenge_s,
        grace_s=0.0,
        wall_s=wall_s,
        outcome=Outcome.DEADLINE if challenge and challenge.out_of_time else Outcome.DONE,
        peak_rss_mb=peak_rss_mb or None,
    )
    context.listener.ended(seed, time)
    assert load is not None
    return Examined(
        load=load,
        time=time,
        secret=secret,
        rounds=rounds,
        challenge=challenge,
        controls=_controls(ruleset, subject, challenge, secret),
    )


def _round(
    context: Context,
    ruleset: Ruleset,
    run: Started,
    subject: Subject,
    secret: str,
    number: int,
    budget: Deadline,
) -> Challenge:
    session = ScorerSession(
        run.channel, vocab_size=context.vocab_size, block_tokens=subject.block_tokens
    )
    tokens = len(subject.stream_N)
    examination = Examination(
        subject,
        ruleset.challenge,
        secret,
        label=f"round {number}",
        budget=budget,
        progress=lambda done, asked: context.listener.progress(done, tokens, questions=asked),
    )
    examination.questions.round = number
    token_s = (subject.credited_s or 0.0) / tokens
    return examination.run(SessionAnswers(session, context.phases.answer_s, token_s))


def _undecided(challenge: Challenge, limits: Tolerances) -> bool:
    """Return whether more questions could decide what these did not."""
    findings = [check(challenge, None, limits) for check in (order_blind.check, order_future.check)]
    return any(
        f.status is Status.ERROR and "challenges_needed" in f.evidence for f in findings
    ) and not any(f.status is Status.FAIL for f in findings)


def _controls(
    ruleset: Ruleset, subject: Subject, challenge: Challenge | None, secret: str
) -> dict[str, Challenge]:
    """Examine one leaking scorer a check, with only the questions that the check needs."""
    if challenge is None:
        return {}
    limits = ruleset.tolerances()
    tolerance = agreement.hard_tolerance_nats(challenge, limits)
    counts = ruleset.challenge
    none = {"blind": 0, "future": 0, "target": 0, "target_whole": 0, "repeat": 0}
    peeks = {"target_whole": counts.target_whole, "blind": counts.blind}
    needs = {
        order_blind.ID: peeks,
        norm_sum.ID: peeks,
        order_future.ID: {"future": counts.future},
        norm_target.ID: {"target": counts.target, "target_whole": counts.target_whole},
    }
    found = {}
    for check, wanted in needs.items():
        questions = counts.blind if subject.has_predict else counts.target_whole
        leak = control.planted(check, questions, ruleset.stats.threshold_nats, tolerance)
        asked = msgspec.structs.replace(counts, **{**none, **wanted})
        found[check] = control.examine(leak, subject, asked, secret)
    return found


def _refused(subject: Subject, load: PhaseTime) -> Challenge:
    """Record that the artifact, which loaded for scoring, did not load for the challenge."""
    breach = Breach(
        kind="refused",
        message=f"the sealed artifact, which loaded for scoring, did not load again: {load.detail}",
        frame=0,
        question="accept",
    )
    return Challenge(
        tokens=len(subject.stream_N),
        span_tokens=0,
        breach=breach,
        has_predict=subject.has_predict,
    )
