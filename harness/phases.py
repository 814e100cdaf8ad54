"""One seed through its phases: setup and train, load and score.

Sealing is harness.seal, challenging is harness.examine. Each phase starts a process of the submission in
an empty home, with nothing but what the phase may see, and ends with every process of it dead. The clock
is the judge's; where an answer ends a phase, the phase ends when the judge has the whole of it. Nothing
here raises because a submission is bad: the records say what happened.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from checks.contract import Credited, Outcome, PhaseTime
from harness import journal
from harness.clock import Deadline, Stopwatch
from harness.handover import Handover
from harness.launch import CLOSE_S, Context, Started, exit_detail, explained, started
from harness.sdk import Kind
from harness.session import OutOfTime, ProtocolBreach, ScorerSession, credited_pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The record of setup and train."""

    setup: PhaseTime
    train: PhaseTime
    data_hidden: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The record of load and score."""

    load: PhaseTime
    score: PhaseTime
    credited: Credited | None


def wait_ready(run: Started, phase: str, budget_s: float, watch: Stopwatch) -> PhaseTime:
    """Wait for `ready`; return how the phase from exec to `ready` went."""
    run.channel.deadline = Deadline(budget_s - watch.elapsed_s)
    run.channel.question, run.channel.position = phase, None
    outcome, detail = Outcome.DONE, ""
    try:
        run.channel.receive(Kind.READY, memoryview(b""))
        wall_s = watch.elapsed_s
    except OutOfTime:
        wall_s = watch.elapsed_s
        outcome, detail = Outcome.DEADLINE, "it never said `ready`"
    except ProtocolBreach as broken:
        wall_s = watch.elapsed_s  # to ask how it ended takes a moment
        closed = broken.breach.kind == "closed"
        outcome = Outcome.EXITED if closed else Outcome.BREACH
        detail = exit_detail(run, "before it said `ready`") if closed else broken.breach.message
    return PhaseTime(
        phase=phase,
        budget_s=budget_s,
        grace_s=0.0,
        wall_s=wall_s,
        outcome=outcome,
        detail=detail,
    )


def train(
    context: Context,
    *,
    seed: int,
    code: Path,
    output: Path,
    work: Path,
    logs: Path,
    handover: Handover | None,
    fresh: bool = False,
) -> Trained:
    """Run setup and train: from exec to `ready`, then from the hand-over until no process is left.

    `code` is a copy of the submission's folder that the phase may do with as it likes; the command starts in
    it, or beside it where the manifest names a package. What it leaves in `output` is all that survives.
    Two things are for harness.preflight alone: without a `handover` it ends after setup, and `fresh` asks for
    an untrained artifact.
    """
    budgets, manifest = context.phases, context.manifest
    opening = _opening(context, phase="train", tokens=0, seed=seed)
    # The seed before was scored and questioned: what its processes saw must not reach this training.
    context.page_cache.empty()
    context.listener.phase(seed, "setup", budgets.setup_s)
    watch = Stopwatch()
    cwd = code.parent if manifest.package else code
    with started(
        context,
        manifest.train,
        cwd=cwd,
        work=work,
        logs=logs,
        opening=opening,
        writable=(work, cwd, output),
    ) as run:
        setup = wait_ready(run, "setup", budgets.setup_s, watch)
        context.listener.ended(seed, setup)
        if setup.outcome is not Outcome.DONE or handover is None:
            absent = _not_started("train", budgets.train_s)
            return Trained(
                setup=setup, train=absent, data_hidden=handover is None or handover.hidden
            )
        context.listener.phase(seed, "train", budgets.train_s)
        time = _train_clock(context, run, output, handover, fresh=fresh)
    context.listener.ended(seed, time)
    return Trained(setup=setup, train=time, data_hidden=handover.hidden)


def _train_clock(
    context: Context, run: Started, output: Path, handover: Handover, *, fresh: bool
) -> PhaseTime:
    budget_s, grace_s = context.phases.train_s, context.phases.train_grace_s
    run.channel.question = "train"
    run.channel.deadline = Deadline(budget_s)
    watch, deadline = Stopwatch(), Deadline(budget_s + grace_s)
    facts = {
        **handover.facts(),
        "out": str(output),
        "train_s": budget_s,
        "deadline_s": run.channel.deadline.at_s,
        "cap_bytes": context.cap_bytes,
        **({"fresh": True} if fresh else {}),  # a real run says nothing of it
    }
    # A process that does not take its data shows in how the phase ends.
    with contextlib.suppress(ProtocolBreach, OutOfTime):
        run.channel.send_files(Kind.DATA, facts, handover.descriptors)
    gone = False
    while not gone and not deadline.passed:
        gone = run.tree.wait_gone(Deadline(min(1.0, max(0.0, deadline.remaining_s))))
    wall_s = watch.elapsed_s
    ended = run.tree.exit_status  # by itself: the kill gives those that had not ended a status too
    run.tree.kill()
    status = run.tree.exit_status
    if not gone:
        outcome, detail = Outcome.DEADLINE, "every process was killed at the deadline"
        if ended is not None:
            detail = (
                f"the command itself had ended with status {ended}, but {run.tree.left_behind} of its "
                "processes ran on until they were killed at the deadline"
            )
    elif status == 0 and run.tree.excess is None:
        outcome, detail = Outcome.DONE, ""
    else:
        outcome, detail = Outcome.EXITED, exit_detail(run, "")
    return PhaseTime(
        phase="train",
        budget_s=budget_s,
        grace_s=grace_s,
        wall_s=wall_s,
        outcome=outcome,
        detail=detail,
        peak_rss_mb=run.tree.peak_rss_mb,
    )


def score(
    context: Context,
    *,
    seed: int,
    sealed: Path,
    work: Path,
    logs: Path,
    stream_N: npt.NDArray[np.uint16],
    nats: Path,
) -> Scored:
    """Run load and score; the credited nats are on disk at `nats`, float64, when this returns.

    Where the pass did not come to its end, `nats` is not written.
    """
    budgets, manifest = context.phases, context.manifest
    context.listener.phase(seed, "load", budgets.load_s)
    watch = Stopwatch()
    with loaded(context, sealed=sealed, work=work, logs=logs, tokens=len(stream_N)) as run:
        load = wait_ready(run, "load", budgets.load_s, watch)
        context.listener.ended(seed, load)
        if load.outcome is not Outcome.DONE:
            absent = _not_started("score", budgets.score_s)
            return Scored(load=load, score=absent, credited=None)
        context.listener.phase(seed, "score", budgets.score_s)
        session = ScorerSession(
            run.channel,
            vocab_size=context.vocab_size,
            block_tokens=manifest.score.block_tokens,
        )
        total = len(stream_N)
        sums = [0.0]

        def progress(done: int, block_nats: float) -> None:
            sums[0] += block_nats
            context.listener.progress(done, total, nats_per_token=sums[0] / done)

        partial = nats.with_name(f".{nats.name}.partial")
        with partial.open("wb") as sink:
            run.channel.deadline = Deadline(budgets.score_s + budgets.score_grace_s)
            watch = Stopwatch()
            credited = credited_pass(session, stream_N, manifest.score.block_tokens, sink, progress)
            wall_s = watch.elapsed_s
            context.listener.clock(runs=False)
            sink.flush()
            os.fsync(sink.fileno())
        if credited.breach is not None:
            credited = replace(credited, breach=explained(run, credited.breach))
        time = _score_time(context, run, credited, wall_s)
        if time.outcome is Outcome.DONE:  # in any other case it dies now
            _close(run, session)
    time = replace(time, peak_rss_mb=run.tree.peak_rss_mb)
    if time.outcome is Outcome.DONE:
        journal.publish(partial, nats)
    else:
        partial.unlink()
    context.listener.ended(seed, time)
    return Scored(load=load, score=time, credited=credited)


def _score_time(context: Context, run: Started, credited: Credited, wall_s: float) -> PhaseTime:
    outcome, detail = Outcome.DONE, ""
    if credited.ended_by_clock:
        outcome = Outcome.DEADLINE
        detail = f"{credited.credited_tokens} of {credited.expected_tokens} tokens were credited"
    elif credited.breach is not None:
        closed = credited.breach.kind == "closed"
        outcome = Outcome.EXITED if closed else Outcome.BREACH
        detail = exit_detail(run, "") if closed else credited.breach.message
    return PhaseTime(
        phase="score",
        budget_s=context.phases.score_s,
        grace_s=context.phases.score_grace_s,
        wall_s=wall_s,
        outcome=outcome,
        detail=detail,
    )


@contextmanager
def loaded(
    context: Context, *, sealed: Path, work: Path, logs: Path, tokens: int
) -> Iterator[Started]:
    """Start the scorer in a fresh copy of the sealed artifact: the same way in score and in challenge.

    A copy, so that what one process leaves in its folder is not there for the next.
    """
    manifest = context.manifest
    context.page_cache.empty()
    with started(
        context,
        manifest.score,
        cwd=sealed,
        work=work,
        logs=logs,
        opening=_opening(context, phase="score", tokens=tokens, seed=0),
        copied=True,
    ) as run:
        yield run


def _opening(context: Context, *, phase: str, tokens: int, seed: int) -> dict[str, Any]:
    return {
        "phase": phase,
        "vocab_size": context.vocab_size,
        "block_tokens": context.manifest.score.block_tokens,
        "tokens": tokens,
        "seed": seed,
    }


def _close(run: Started, session: ScorerSession) -> None:
    run.channel.deadline = Deadline(CLOSE_S)
    session.close()
    run.tree.wait_gone(Deadline(CLOSE_S))


def _not_started(phase: str, budget_s: float) -> PhaseTime:
    return PhaseTime(
        phase=phase, budget_s=budget_s, grace_s=0.0, wall_s=0.0, outcome=Outcome.NOT_STARTED
    )
