"""Asking: a fresh process is questioned while the stream is replayed to it, no further than each needs.

The stream is replayed with `accept`. Before a block is accepted, the questions drawn in it
(harness.questions) are asked in their order, so that the token at a position has never been shown when it
is asked for. What takes the place of the future is taken from the past, so no question shows anything of
what is to come.

An Examination works on anything that answers `score`, `accept` and `predict`: a submission's process, or
the judge's own scorer with a planted leak (harness.control). It draws no conclusion: `checks` does.

Array names: n tokens of a block, V vocabulary, N tokens of the stream.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from checks.contract import (
    BlindAnswer,
    Breach,
    Challenge,
    FutureAnswer,
    RepeatAnswer,
    TargetAnswer,
)
from harness import sdk
from harness.clock import Deadline, Stopwatch
from harness.draws import Draws
from harness.questions import Ask, Plan, Stream, Subject, draw_plan
from harness.ruleset import Challenges
from harness.session import OutOfTime, ProtocolBreach, blocks

Row = npt.NDArray[np.float64]


_NAMES = {kind: "target" if kind is Ask.WHOLE else kind.name.lower() for kind in Ask}


class Answers(Protocol):
    """What can be challenged."""

    def about(self, question: str, position: int) -> None:
        """Take note of what is asked next, for evidence and for the patience with the answer."""

    def score(self, tokens_n: npt.NDArray[np.uint32], first: int) -> Row:
        """Return the nats of a block that starts at stream position `first`."""

    def accept(self, tokens_n: npt.NDArray[np.uint32]) -> None:
        """Make a block history."""

    def predict(self, prefix_m: npt.NDArray[np.uint32]) -> Row:
        """Return the log-probabilities after the history and the prefix."""


@dataclass(slots=True)
class _Collected:
    blind: list[BlindAnswer] = field(default_factory=list)
    future: list[FutureAnswer] = field(default_factory=list)
    target: list[TargetAnswer] = field(default_factory=list)
    repeat: list[RepeatAnswer] = field(default_factory=list)


@dataclass(slots=True)
class Questions:
    """What was drawn to be asked and what was answered, by kind, for who watches; it grows as they are asked.

    The kinds are those of the answers in a Challenge record.
    """

    round: int = 1
    planned: dict[str, int] = field(default_factory=dict)
    answered: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("blind", "future", "target", "repeat"), 0)
    )
    worst_gap_nats: float | None = None
    """Largest absolute difference between an answer and what was credited; None before there is one."""

    def plan(self, plan: Plan) -> None:
        """Take note of what is to be asked besides what was answered."""
        kinds = Counter(_NAMES[kind] for asked in plan.values() for _, kind in asked)
        self.planned = {name: count + kinds[name] for name, count in self.answered.items()}

    def answer(self, kind: Ask, gap_nats: float | None) -> None:
        """Take note of an answer."""
        self.answered[_NAMES[kind]] += 1
        if gap_nats is not None and abs(gap_nats) > (self.worst_gap_nats or -1.0):
            self.worst_gap_nats = abs(gap_nats)


class Examination:
    """One replay of the stream to one fresh process, with questions."""

    def __init__(
        self,
        subject: Subject,
        counts: Challenges,
        secret: str,
        *,
        label: str,
        budget: Deadline,
        progress: Callable[[int, Questions], None] = lambda tokens, questions: None,
    ) -> None:
        self._subject = subject
        self._counts = counts
        self._draws = Draws(secret)
        self._label = label
        self._budget = budget
        self._budget_s = budget.remaining_s
        self._progress = progress
        self._got = _Collected()
        self.questions = Questions()

    def run(self, answers: Answers) -> Challenge:
        """Replay, ask, and return everything that was answered; breaches and the clock are in the record."""
        subject = self._subject
        tokens = len(subject.stream_N)
        depth, replayed = tokens, 0
        plan = draw_plan(self._draws, subject, self._counts, low=0, high=tokens, label=self._label)
        self.questions.plan(plan)
        self._progress(0, self.questions)
        breach: Breach | None = None
        out_of_time = False
        watch, replanned, replay_s = Stopwatch(), False, 0.0
        try:
            for index, (first, end) in enumerate(blocks(tokens, subject.block_tokens)):
                if first >= depth:
                    break
                for position, kind in plan.get(index, ()):
                    self._ask(answers, position, kind, first, end)
                if self._budget.passed:
                    raise OutOfTime
                answers.about("accept", first)
                accepting = Stopwatch()
                answers.accept(_tokens(subject.stream_N[first:end]))
                replay_s += accepting.elapsed_s
                replayed = end
                self._progress(replayed, self.questions)
                if not replanned and watch.elapsed_s > 0.2 * self._budget_s:
                    replanned = True
                    depth = self._depth(watch.elapsed_s, replayed)
                    if depth < tokens:
                        plan = self._replan(replayed, depth)
                        self.questions.plan(plan)
        except ProtocolBreach as broken:
            breach = broken.breach
        except OutOfTime:
            out_of_time = True
        return Challenge(
            tokens=tokens,
            span_tokens=replayed,
            blind=tuple(self._got.blind),
            future=tuple(self._got.future),
            target=tuple(self._got.target),
            repeat=tuple(self._got.repeat),
            breach=breach,
            has_predict=subject.has_predict,
            block_tokens=subject.block_tokens,
            replay_ratio=(
                replay_s / replayed * tokens / subject.credited_s
                if replayed and subject.credited_s
                else None
            ),
            out_of_time=out_of_time,
        )

    def _depth(self, elapsed_s: float, replayed: int) -> int:
        """Return how deep to go when a fifth of the budget is spent at `replayed` tokens.

        The whole stream if it fits in nine tenths of the budget; else a drawn depth between half of what fits
        and all of it, on a block's edge: a process that waits for the questions to end cannot know when.
        """
        tokens, size = len(self._subject.stream_N), self._subject.block_tokens
        reach = int(replayed * 0.9 * self._budget_s / elapsed_s)
        if reach >= tokens:
            return tokens
        reach = max(reach, replayed + 1)
        low = max(reach // 2, replayed)
        drawn = low + self._draws.below(f"{self._label}/depth", reach - low + 1)
        return min(-(-drawn // size) * size, tokens)

    def _replan(self, done: int, depth: int) -> Plan:
        """Draw the questions that are still to be asked anew, within what can be reached."""
        if done >= depth:
            return {}
        left = {
            "blind": max(self._counts.blind - len(self._got.blind), 0),
            "target": max(self._counts.target - len(self._got.target), 0),
            "target_whole": max(self._counts.target_whole - len(self._got.target), 0),
            "future": max(self._counts.future - len(self._got.future), 0),
            "repeat": max(self._counts.repeat - len(self._got.repeat), 0),
        }
        counts = msgspec.structs.replace(self._counts, **left)
        label = f"{self._label}/again"
        return draw_plan(self._draws, self._subject, counts, low=done, high=depth, label=label)

    def _ask(self, answers: Answers, position: int, kind: Ask, first: int, end: int) -> None:
        if self._budget.passed:
            raise OutOfTime
        ask: Callable[[Answers, int, int, int], float | None] = {
            Ask.BLIND: self._blind,
            Ask.TARGET: self._target,
            Ask.WHOLE: self._whole,
            Ask.FUTURE: self._future,
            Ask.REPEAT: self._repeat,
        }[kind]
        answers.about(_NAMES[kind], position)
        self.questions.answer(kind, ask(answers, position, first, end))

    def _blind(self, answers: Answers, position: int, first: int, end: int) -> float | None:
        subject = self._subject
        row_V = answers.predict(_tokens(subject.stream_N[first:position]))
        entry = float(row_V[int(subject.stream_N[position])])
        total = _log_sum(row_V)
        credited_nats = float(subject.credited_N[position])
        blind_nats = -entry if math.isfinite(entry) else None
        self._got.blind.append(
            BlindAnswer(
                position=position,
                credited_nats=credited_nats,
                blind_nats=blind_nats,
                log_sum=total if math.isfinite(total) else None,
            )
        )
        return None if blind_nats is None else blind_nats - credited_nats

    def _target(self, answers: Answers, position: int, first: int, end: int) -> float | None:
        subject = self._subject
        row_V = answers.predict(_tokens(subject.stream_N[first:position]))
        tried = self._substitutes(row_V, position)
        nats = self._substitute(answers, position, first, tried)
        row = [-float(row_V[token]) for token in tried]
        return self._keep_target(
            position, tried, nats, tuple(x if math.isfinite(x) else None for x in row)
        )

    def _whole(self, answers: Answers, position: int, first: int, end: int) -> float | None:
        tried = list(range(self._subject.vocab_size))
        nats = self._substitute(answers, position, first, tried)
        return self._keep_target(position, tried, nats, None)

    def _substitute(
        self, answers: Answers, position: int, first: int, tried: Sequence[int]
    ) -> list[float]:
        """Score the block up to `position` with each token in turn at `position`."""
        block_n = _tokens(self._subject.stream_N[first : position + 1])
        nats = []
        for token in tried:
            if self._budget.passed:
                raise OutOfTime
            block_n[-1] = token
            answers.about("target", position)
            nats.append(float(answers.score(block_n, first)[-1]))
        return nats

    def _keep_target(
        self,
        position: int,
        tried: Sequence[int],
        nats: Sequence[float],
        row_nats: tuple[float | None, ...] | None,
    ) -> float:
        """Keep the answers; return how far that for the true token is from what was credited."""
        subject = self._subject
        true = int(subject.stream_N[position])
        credited_nats = float(subject.credited_N[position])
        classes_V = subject.token_classes_V
        self._got.target.append(
            TargetAnswer(
                position=position,
                credited_nats=credited_nats,
                token=true,
                tokens=tuple(tried),
                nats=tuple(nats),
                row_nats=row_nats,
                classes=None
                if classes_V is None
                else tuple(int(classes_V[token]) for token in tried),
                whole_vocabulary=row_nats is None,
            )
        )
        return nats[tried.index(true)] - credited_nats

    def _substitutes(self, row_V: Row, position: int) -> list[int]:
        """Return the tokens to try, the true one among them, in an order that tells nothing.

        Half are the likeliest of the blind row; the rest is drawn, one of each token class in turn.
        """
        subject, count = self._subject, self._counts.target_tokens
        true = int(subject.stream_N[position])
        likely = [int(t) for t in np.argsort(-row_V, kind="stable")[: count // 2 + 1]]
        chosen = dict.fromkeys([true, *likely[: max(1, count // 2)]])
        label = f"{self._label}/substitutes/{position}"
        numbers = self._draws.numbers(label)
        classes_V = subject.token_classes_V
        groups = (
            [np.arange(subject.vocab_size)]
            if classes_V is None
            else [np.flatnonzero(classes_V == kind) for kind in np.unique(classes_V)]
        )
        for turn in range(count * 4):
            if len(chosen) >= min(count, subject.vocab_size):
                break
            group = groups[turn % len(groups)]
            chosen[int(group[next(numbers) % len(group)])] = None
        return self._draws.shuffled(f"{label}/order", list(chosen))

    def _future(self, answers: Answers, position: int, first: int, end: int) -> float | None:
        subject = self._subject
        block_n = _tokens(subject.stream_N[first:end])
        # Spliced from what the process has been shown already: a stretch from further on would tell it what
        # later questions ask for, and with one large block that is most of the stream.
        shown = position + 1
        start = self._draws.below(f"{self._label}/splice/{position}", shown)
        earlier = (start + np.arange(end - position - 1)) % shown
        block_n[position + 1 - first :] = subject.stream_N[earlier]
        if block_n[position + 1 - first] == subject.stream_N[position + 1]:
            block_n[position + 1 - first] = (int(block_n[position + 1 - first]) + 1) % (
                subject.vocab_size
            )
        count = position + 1 - first
        nats_n = answers.score(block_n, first)[:count]
        credited_n = subject.credited_N[first : position + 1]
        gap_n = nats_n - credited_n
        worst = int(np.argmax(np.abs(gap_n)))
        self._got.future.append(
            FutureAnswer(
                position=position,
                first=first,
                gap_nats=float(gap_n[-1]),
                worst_position=first + worst,
                worst_credited_nats=float(credited_n[worst]),
                worst_gap_nats=float(gap_n[worst]),
                mean_gap_nats=float(gap_n.mean()),
            )
        )
        return float(gap_n[worst])

    def _repeat(self, answers: Answers, position: int, first: int, end: int) -> float | None:
        subject = self._subject
        nats_n = answers.score(_tokens(subject.stream_N[first:end]), first)
        gap_n = nats_n - subject.credited_N[first:end]
        worst = int(np.argmax(np.abs(gap_n)))
        self._got.repeat.append(
            RepeatAnswer(
                first=first,
                tokens=end - first,
                mean_gap_nats=float(gap_n.mean()),
                max_abs_gap_nats=float(abs(gap_n[worst])),
                worst_position=first + worst,
            )
        )
        return float(gap_n[worst])


def merge(earlier: Challenge | None, later: Challenge) -> Challenge:
    """Return the answers of several rounds as one record; the span is the least of them."""
    if earlier is None:
        return later
    return replace(
        later,
        span_tokens=min(earlier.span_tokens, later.span_tokens),
        replay_ratio=max(filter(None, (earlier.replay_ratio, later.replay_ratio)), default=None),
        blind=earlier.blind + later.blind,
        future=earlier.future + later.future,
        target=earlier.target + later.target,
        repeat=earlier.repeat + later.repeat,
        out_of_time=earlier.out_of_time or later.out_of_time,
    )


def _tokens(part_n: Stream) -> npt.NDArray[np.uint32]:
    return part_n.astype(sdk.TOKEN)


def _log_sum(row_V: Row) -> float:
    top = float(row_V.max())
    if not math.isfinite(top):
        return -math.inf
    return top + math.log(float(np.exp(row_V - top).sum()))
