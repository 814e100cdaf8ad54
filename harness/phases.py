"""One seed through its phases: setup and train, load and score.

Sealing is harness.seal, challenging is harness.examine. Each phase starts a process of the submission in
an empty home, with nothing but what the phase may see, and ends with every process of it dead. The clock
is the judge's; where an answer ends a phase, the phase ends when the judge has the whole of it. Nothing
here raises because a submission is bad: the records say what happened.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from checks.contract import Breach, Credited, Outcome, PhaseTime
from harness import journal, sdk
from harness.clock import Deadline, Stopwatch
from harness.handover import Handover
from harness.manifest import Manifest
from harness.process import Tree
from harness.ruleset import Phases
from harness.sandbox import environment
from harness.sdk import Kind
from harness.seal import remove
from harness.session import (
    Channel,
    OutOfTime,
    ProtocolBreach,
    ScorerSession,
    credited_pass,
    socket_pair,
)

CLOSE_S = 2.0
"""How long a scorer may take to end by itself after `close`; nothing depends on it."""


class Listener(Protocol):
    """Somebody who watches a run."""

    def phase(self, seed: int, phase: str, budget_s: float) -> None:
        """A phase begins."""

    def progress(self, done: int, total: int, note: str) -> None:
        """Something moved within the phase."""

    def ended(self, seed: int, time: PhaseTime) -> None:
        """A phase is over."""

    def note(self, text: str) -> None:
        """Say one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all phases of a run share."""

    manifest: Manifest
    phases: Phases
    vocab_size: int
    cap_bytes: int
    """What the sealed artifact may have: the ruleset's cap, less a tokenizer that it counts beside."""
    passed_env: Mapping[str, str]
    listener: Listener


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


@dataclass(slots=True, kw_only=True)
class Started:
    """A running process with its channel."""

    tree: Tree
    channel: Channel
    logs: Path

    def last_words(self) -> str:
        """Return the last line of stderr, cut to 300 characters: for people, never for a verdict."""
        try:
            lines = Path(f"{self.logs}.stderr").read_text("utf-8", "replace").split("\n")
        except OSError:
            return ""
        spoken = [line.strip() for line in lines if line.strip()]
        return spoken[-1][:300] if spoken else ""


@contextmanager
def started(
    context: Context,
    command: tuple[str, ...],
    env: Mapping[str, str],
    *,
    cwd: Path,
    work: Path,
    logs: Path,
    opening: dict[str, Any],
    copied: bool = False,
) -> Iterator[Started]:
    """Start a process of the submission and send it `open`; on leaving, every process of it is dead.

    HOME and TMPDIR are new folders below `work` and are deleted afterwards; so is the copy of `cwd` that the
    process is started in where `copied` says so.
    """
    work.mkdir(parents=True, exist_ok=True)
    logs.parent.mkdir(parents=True, exist_ok=True)
    # One name for all: a process cannot tell by its paths which of the phase's processes it is.
    private = work / "phase"
    remove(private)
    private.mkdir()
    try:
        for name in ("home", "tmp"):
            (private / name).mkdir()
        if copied:
            cwd = shutil.copytree(cwd, private / "artifact")
        whole_env = {**environment(private / "home", private / "tmp", context.passed_env), **env}
        ours, theirs = socket_pair()
        with ours, Tree(command, cwd=cwd, env=whole_env, logs=logs, channel=theirs) as tree:
            channel = Channel(ours)
            channel.deadline = Deadline(context.phases.answer_s)
            # A process that is gone already is noticed when it does not say `ready`.
            with contextlib.suppress(ProtocolBreach, OutOfTime):
                channel.send_json(Kind.OPEN, {"protocol": sdk.PROTOCOL, **opening})
            yield Started(tree=tree, channel=channel, logs=logs)
    finally:
        remove(private)


def wait_ready(run: Started, phase: str, budget_s: float, watch: Stopwatch) -> PhaseTime:
    """Wait for `ready`; return how the phase from exec to `ready` went."""
    run.channel.deadline = Deadline(budget_s - watch.elapsed_s)
    run.channel.question, run.channel.position = phase, None
    outcome, detail = Outcome.DONE, ""
    try:
        run.channel.receive(Kind.READY, memoryview(b""))
    except OutOfTime:
        outcome, detail = Outcome.DEADLINE, "it never said `ready`"
    except ProtocolBreach as broken:
        closed = broken.breach.kind == "closed"
        outcome = Outcome.EXITED if closed else Outcome.BREACH
        detail = _exit_detail(run, "before it said `ready`") if closed else broken.breach.message
    return PhaseTime(
        phase=phase,
        budget_s=budget_s,
        grace_s=0.0,
        wall_s=watch.elapsed_s,
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
    handover: Handover,
) -> Trained:
    """Run setup and train: from exec to `ready`, then from the hand-over until no process is left.

    `code` is a copy of the submission's folder that the phase may do with as it likes; the command starts in
    it, or beside it where the manifest names a package. What it leaves in `output` is all that survives.
    """
    budgets, manifest = context.phases, context.manifest
    opening = _opening(context, phase="train", tokens=0, seed=seed)
    context.listener.phase(seed, "setup", budgets.setup_s)
    watch = Stopwatch()
    cwd = code.parent if manifest.package else code
    with started(
        context,
        manifest.train.command,
        manifest.train.env,
        cwd=cwd,
        work=work,
        logs=logs,
        opening=opening,
    ) as run:
        setup = wait_ready(run, "setup", budgets.setup_s, watch)
        context.listener.ended(seed, setup)
        if setup.outcome is not Outcome.DONE:
            absent = _not_started("train", budgets.train_s)
            return Trained(setup=setup, train=absent, data_hidden=handover.hidden)
        context.listener.phase(seed, "train", budgets.train_s)
        time = _train_clock(context, run, output, handover)
    context.listener.ended(seed, time)
    return Trained(setup=setup, train=time, data_hidden=handover.hidden)


def _train_clock(context: Context, run: Started, output: Path, handover: Handover) -> PhaseTime:
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
    }
    # A process that does not take its data shows in how the phase ends.
    with contextlib.suppress(ProtocolBreach, OutOfTime):
        run.channel.send_files(Kind.DATA, facts, handover.descriptors)
    gone = False
    while not gone and not deadline.passed:
        gone = run.tree.wait_gone(Deadline(min(1.0, max(0.0, deadline.remaining_s))))
        context.listener.progress(int(watch.elapsed_s), int(budget_s), "s")
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
    elif status == 0:
        outcome, detail = Outcome.DONE, ""
    else:
        outcome, detail = Outcome.EXITED, _exit_detail(run, "")
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
            context.listener.progress(done, total, f"{sums[0] / done:.4f} nats/token")

        partial = nats.with_name(f".{nats.name}.partial")
        with partial.open("wb") as sink:
            run.channel.deadline = Deadline(budgets.score_s + budgets.score_grace_s)
            watch = Stopwatch()
            credited = credited_pass(session, stream_N, manifest.score.block_tokens, sink, progress)
            wall_s = watch.elapsed_s
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
        detail = _exit_detail(run, "") if closed else credited.breach.message
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
    with started(
        context,
        manifest.score.command,
        manifest.score.env,
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


def explained(run: Started, breach: Breach) -> Breach:
    """Return the breach with how the process ended and its last line, where it ended instead of answering."""
    if breach.kind != "closed":
        return breach
    return replace(breach, message=f"{breach.message}: {_exit_detail(run, '')}")


def _exit_detail(run: Started, when: str) -> str:
    """Say how the command ended, in one clause, with the last line it wrote."""
    run.tree.wait_exited(Deadline(CLOSE_S))
    status = run.tree.exit_status
    ended = "it closed the channel" if status is None else f"it ended with status {status}"
    if run.tree.keeper_killed:
        ended = (
            "its keeper was killed from outside, most likely by itself, and everything was swept"
        )
    words = run.last_words()
    return f"{ended} {when}".strip() + (f"; its last line: {words}" if words else "")
