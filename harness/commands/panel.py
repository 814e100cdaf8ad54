"""The live view's lines: what a moment of a run looks like at a width. Nothing here reads a clock or writes.

At most nine lines: the run, its seeds (the present one among three), and what goes on now. Everything that a
submission may have worded goes through for_terminal; markup is never interpreted.

Loads rich: import this module inside a function.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from checks.contract import Outcome
from harness.commands.watched import PHASES, Doing, Goal, Pace, Watched
from harness.report.escape import for_terminal
from harness.report.figures import short

WIDEST = 100
"""Columns used at most."""
_NARROW, _WIDE = 54, 76
"""Columns from which what goes on is told at more length, and at full length."""
_NAME = 12
"""Columns that are left of a submission's name at least."""
_SEEDS = 3
"""Seeds shown at a time."""
_LABEL = 11
"""Columns of the word that begins a line on the present phase."""
_SLOW, _LATE = 0.8, 0.95
"""Shares of a budget from which its bar changes colour."""

_BETWEEN = {
    "train": "sealing the artifact, hashing packages",
    "score": "hashing the sealed artifact",
    "challenge": "asking scorers with planted leaks, hashing packages",
}
"""What the judge does after a phase, on no clock of the submission."""
_BEFORE = "trying the sandbox, hashing packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What lines are drawn with."""

    dot: str = " · "
    used: str = "━"
    left: str = "─"
    cut: str = "…"


UNICODE, ASCII = Signs(), Signs(dot=" | ", used="#", left=".", cut="...")


def lines(
    view: Watched, at_s: float, pace: Pace, *, width: int, rows: int, encoding: str
) -> list[Text]:
    """Return the view at an instant: each line narrower than `width`, fewer lines than `rows`.

    An `encoding` other than UTF gets ASCII alone.
    """
    signs = UNICODE if encoding.lower().startswith("utf") else ASCII
    width = max(1, min(width - 1, WIDEST))
    doing = view.doing
    now = (
        _between(view, at_s)
        if doing is None
        else _now(doing, at_s, pace, view.facts.goal, width, signs)
    )
    room = max(1, rows - 1)
    seeds = list(_seeds(view, at_s, width, room - len(now) - 1))
    shown = [_title(view, at_s, width, signs), *seeds, *now][-room:]
    for line in shown:
        _cut(line, width, signs)
    return shown


def clock(value_s: float) -> str:
    """Return seconds as "0:42", "12:05" or "1:00:00"."""
    whole = max(0, int(value_s))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


# The run and its seeds.


def _title(view: Watched, at_s: float, width: int, signs: Signs) -> Text:
    facts = view.facts
    elapsed = clock(at_s - view.began_s)
    parts = [f"seed {_present(view) + 1} of {len(facts.seeds)}"] if len(facts.seeds) > 1 else []
    if len(view.nats) > 1:
        parts.append(f"mean {math.fsum(view.nats.values()) / len(view.nats):.4f}")
    ruleset = f"ruleset {_words(facts.ruleset, 40, signs)}"
    room = width - len(elapsed) - 2
    line = Text().append(_words(facts.name, 80, signs), "bold")
    # The name gives way, and on a narrow terminal the ruleset: the rest says where the run is.
    if _NAME + cell_len(signs.dot.join(["", ruleset, *parts])) <= room:
        parts.insert(0, ruleset)
    rest = signs.dot.join(["", *parts])
    _cut(line, max(room - cell_len(rest), min(_NAME, width)), signs)
    line.append(rest)
    gap = width - line.cell_len - len(elapsed)
    return line if gap < 2 else line.append(" " * gap).append(elapsed, "dim")


def _words(text: str, limit: int, signs: Signs) -> str:
    """Return somebody's words, harmless, and in ASCII where there is nothing else."""
    safe = for_terminal(text, limit)
    return safe.encode("ascii", "backslashreplace").decode() if signs is ASCII else safe


def _present(view: Watched) -> int:
    """Return the place of the seed that goes on, or went on last."""
    seeds = view.facts.seeds
    doing, last = view.doing, view.last
    seed = doing.seed if doing else last.seed if last else None
    if seed is None:
        unfinished = (k for k, each in enumerate(seeds) if len(view.times[each]) < len(PHASES))
        return next(unfinished, len(seeds) - 1)
    return seeds.index(seed) if seed in seeds else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """Widths of the table of seeds; `state` is 0 where it has no room."""

    seed: int
    phases: tuple[int, ...]
    nats: int
    state: int

    @property
    def total(self) -> int:
        return self.seed + sum(self.phases) + self.nats + self.state


def _columns(seeds: Sequence[int], width: int) -> _Columns | None:
    """Return the widths that fit; None where not even the narrow ones do."""
    seed = max(4, *(len(str(number)) for number in seeds))
    wide = _Columns(seed=seed, phases=(8, 8, 8, 8, 11), nats=12, state=17)
    narrow = _Columns(seed=seed, phases=(7, 7, 7, 7, 7), nats=11, state=0)
    return next((columns for columns in (wide, narrow) if columns.total <= width), None)


def _seeds(view: Watched, at_s: float, width: int, room: int) -> Iterator[Text]:
    """Yield at most `room` lines: headings, and the seeds around the present one."""
    seeds = view.facts.seeds
    columns = _columns(seeds, width)
    headed = columns is not None and room > 1
    number = max(1, min(_SEEDS, len(seeds), room - headed))
    first = max(0, min(_present(view) - number // 2, len(seeds) - number))
    if columns is not None and headed:
        names = (*PHASES[:-1], "challenge" if columns.state else "chall.")
        cells = (f"{name:>{n}}" for name, n in zip(names, columns.phases, strict=True))
        yield Text(f"{'seed':>{columns.seed}}{''.join(cells)}{'nats/token':>{columns.nats}}", "dim")
    for seed in seeds[first : first + number]:
        yield _short_row(view, seed) if columns is None else _row(view, seed, at_s, columns)


def _row(view: Watched, seed: int, at_s: float, columns: _Columns) -> Text:
    doing = view.doing if view.doing and view.doing.seed == seed else None
    line = Text(f"{seed:>{columns.seed}}")
    for phase, width in zip(PHASES, columns.phases, strict=True):
        time = view.times.get(seed, {}).get(phase)
        if time is not None:
            failed = time.outcome is not Outcome.DONE
            text = _seconds(time.wall_s) + ("!" if failed else "")
            line.append(f"{text:>{width}}", "red" if failed else "")
        elif doing is not None and doing.phase == phase:
            line.append(f"{int(doing.used_s(at_s)):>{width}}", "bold cyan")
        else:
            line.append(" " * width)
    nats = view.nats.get(seed)
    line.append(f"{'' if nats is None else f'{nats:.6f}':>{columns.nats}}")
    if columns.state:
        line.append("  ").append_text(_state(view, seed))
    line.rstrip()
    return line


def _seconds(value_s: float) -> str:
    """Return seconds in six characters at most, up to a million."""
    return f"{value_s:.{2 if value_s < 99.995 else 1 if value_s < 9999 else 0}f}"


def _short_row(view: Watched, seed: int) -> Text:
    name = max(4, *(len(str(number)) for number in view.facts.seeds))
    nats = view.nats.get(seed)
    over = len(view.times.get(seed, {}))
    state = _state(view, seed)
    line = Text(f"{seed:>{name}}  ").append_text(state)
    if nats is not None:
        return line.append(f"  {nats:.4f}")
    if not over or ":" in state.plain:
        return line
    return line.append(f"  {over} of {len(PHASES)} phases", "dim")


def _state(view: Watched, seed: int) -> Text:
    times = view.times.get(seed, {})
    failed = next((time for time in times.values() if time.outcome is not Outcome.DONE), None)
    if failed is not None:
        return Text(f"{failed.phase}: {failed.outcome}", "red")
    if len(times) == len(PHASES):
        return Text("done", "green")
    if view.doing is not None and view.doing.seed == seed:
        return Text(view.doing.phase, "bold cyan")
    place, present = view.facts.seeds.index(seed), _present(view)
    if place < present:
        return Text("ended early", "red")
    if place == present and view.last is not None:
        return Text("judge", "dim")
    return Text("begun" if times else "to come", "dim")


# What goes on.


def _between(view: Watched, at_s: float) -> list[Text]:
    last = view.last
    text = _BEFORE if last is None else _BETWEEN.get(last.time.phase, "")
    if last is not None and last.time.outcome is not Outcome.DONE:
        text = "this seed is over"
    return [_labelled("judge").append(f"{clock(at_s - view.since_s)}  {text}")]


def _now(
    doing: Doing, at_s: float, pace: Pace, goal: Goal | None, width: int, signs: Signs
) -> list[Text]:
    used_s = doing.used_s(at_s)
    left_s = doing.budget_s - used_s
    shown = [_bar(doing, used_s, left_s, width, signs)]
    if doing.total:
        per_s = pace.look(doing, at_s)
        shown.append(_tokens(doing, left_s, per_s, width, signs))
    if doing.nats_per_token is not None:
        shown.append(_nats(doing.nats_per_token, goal, width, signs))
    if doing.questions is not None:
        shown.append(_questions(doing, width, signs))
    return shown


def _bar(doing: Doing, used_s: float, left_s: float, width: int, signs: Signs) -> Text:
    share = used_s / doing.budget_s
    style = "green" if share < _SLOW else "yellow" if share < _LATE else "bold red"
    budget = clock(doing.budget_s)
    left = f"{clock(math.ceil(left_s))} left" if left_s > 0 else f"{clock(-left_s)} over"
    line = _labelled(doing.phase)
    if doing.stands:
        line.append(f"{left}; " if width >= _NARROW else "")
        return line.append("loading or closing, off the clock")
    text, longest = left, f"{budget} left"
    if width >= _NARROW:
        text, longest = (
            f"{clock(used_s)} of {budget}, {left}",
            f"{budget} of {budget}, {budget} left",
        )
        if doing.questions is not None and doing.questions.round > 1:
            text += f"; round {doing.questions.round}"
    # Room for the text at its longest: a bar whose length changes is hard to read.
    columns = max(4, min(40, width - _LABEL - max(len(text), len(longest)) - 2))
    full = min(columns, int(columns * share))
    line.append(signs.used * full, style).append(signs.left * (columns - full), "dim")
    return line.append(f"  {text}", style if share >= _SLOW else "")


def _tokens(doing: Doing, left_s: float, per_s: float | None, width: int, signs: Signs) -> Text:
    done, total = (doing.done, doing.total)
    far = f"{done:,} of {total:,}" if width >= _WIDE else f"{short(done)} of {short(total)}"
    parts = [Text(f"{far}, {100 * done // total}%")]
    if per_s is not None:
        todo_s = (total - done) / per_s
        late = todo_s - left_s
        if late > 1:
            parts.append(Text(f"{clock(late)} too late", "bold red"))
        parts.append(Text(f"{clock(todo_s)} to go"))
        parts.append(Text(f"{short(float(f'{per_s:.3g}'))} tokens/s"))
    return _joined("tokens" if doing.questions is None else "replay", parts, width, signs)


def _nats(nats: float, goal: Goal | None, width: int, signs: Signs) -> Text:
    wide = width >= _WIDE
    parts = [Text(f"{nats:.4f} nats/token{' so far' if wide else ''}")]
    if goal is not None:
        gap = goal.target_nats - nats
        way, style = ("below", "green") if gap > 0 else ("above", "")
        target = f"the {goal.target_nats:.4f} to beat" if wide else f"{goal.target_nats:.4f}"
        parts.append(Text(f"{abs(gap):.4f} {way} {target}", style))
        parts.append(Text(f"baseline {goal.baseline_nats:.4f}"))
    return _joined("loss", parts, width, signs)


def _questions(doing: Doing, width: int, signs: Signs) -> Text:
    asked = doing.questions
    assert asked is not None
    planned = asked.planned
    kinds = [
        f"{kind} {count}/{planned[kind]}"
        for kind, count in asked.answered.items()
        if planned.get(kind)
    ]
    if width < _WIDE:
        kinds = [f"{sum(asked.answered.values())} of {sum(planned.values())}"]
    parts = [Text(kind) for kind in kinds]
    if asked.worst_gap_nats is not None:
        parts.append(Text(f"worst gap {asked.worst_gap_nats:.2g} nats"))
    return _joined("questions", parts, width, signs)


def _labelled(word: str) -> Text:
    return Text().append(f"{word:<{_LABEL}}", "bold")


def _joined(label: str, parts: Sequence[Text], width: int, signs: Signs) -> Text:
    """Return the label and as many of the parts, from the first, as fit: none is cut."""
    line = _labelled(label) if width >= _NARROW else Text("  ")
    for number, part in enumerate(parts):
        if number and line.cell_len + len(signs.dot) + part.cell_len > width:
            break
        line.append(signs.dot if number else "").append_text(part)
    return line


def _cut(line: Text, width: int, signs: Signs) -> None:
    """Cut a line to its width, with a sign where it was cut."""
    line.no_wrap, line.overflow = True, "crop"
    if line.cell_len > width:
        line.truncate(max(0, width - len(signs.cut)))
        line.append(signs.cut[:width])
