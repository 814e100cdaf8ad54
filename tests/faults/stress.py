"""Judged mini-submissions in a row, with faults at random: `python -m tests.faults.stress --runs 200`.

A submission is drawn, honest or not; a level of isolation; and what befalls its judge: nothing, a signal at
any instant, its keeper's end, or both at once. A run that was cut off is resumed until it ends by itself.
Then its verdict is held against the right one, and the machine against what it was before. The last line is
`wrong verdicts 0, leftovers 0`, or the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.clock import Stopwatch, sleep
from harness.errors import EXIT_PASS, EXIT_RULE_BROKEN
from harness.sandbox.mechanisms import LEVELS, Level
from harness.selftest import tiny
from tests import cells
from tests.faults import machine
from tests.faults.bench import Bench, Ended, Judge, bench
from tests.faults.cases import CHEATS, HONEST, Case, rulesets

FAULTS = (
    "none",
    "killed",
    "terminated",
    "interrupted",
    "keeper killed",
    "both killed",
    "killed twice",
)
SIGNALS = {"killed": signal.SIGKILL, "terminated": signal.SIGTERM, "interrupted": signal.SIGINT}
LONGEST_S = 1.5
"""The latest instant of a fault, from when the run has a folder; most runs here take less."""
ATTEMPTS = 4


@dataclass(kw_only=True)
class Drawn:
    """One run: what it is, and what came of it."""

    case: Case
    level: Level
    fault: str
    hit: int = 0
    """How many faults met a judge at work."""
    wrong: str = ""
    left: list[str] = field(default_factory=list)
    wall_s: float = 0.0


def levels() -> list[Level]:
    """Return the levels that work on this machine."""
    return [level for level in LEVELS if cells.mechanisms().level(level) == level]


def draw(chance: random.Random, available: Sequence[Level]) -> Drawn:
    """Draw one run; as many honest ones as others."""
    case = chance.choice(chance.choice((HONEST, CHEATS)))
    level = chance.choice(available)
    # Where nothing isolates a submission can end its keeper, and is taken for having done so.
    faults = [fault for fault in FAULTS if level != "bare" or fault != "keeper killed"]
    return Drawn(case=case, level=level, fault=chance.choice(faults))


def endure(drawn: Drawn, made: Bench, rules: Path, chance: random.Random) -> None:
    """Have one run judged, with its fault, and write down what is wrong with verdict and machine."""
    watch = Stopwatch()
    submission = drawn.case.write(made.place / "submission")
    judge = made.judging(submission, rules, drawn.level)
    faults = 2 if drawn.fault == "killed twice" else int(drawn.fault != "none")
    for _ in range(ATTEMPTS):
        if faults:
            faults -= 1
            judge.wait_named()
            sleep(chance.uniform(0.0, LONGEST_S))
            drawn.hit += _strike(judge, drawn.fault)
        ended = judge.ended()
        # One that is killed as it leaves has printed its report, and not been left in peace.
        if (ended.report and ended.status >= 0) or ended.run is None:
            break
        judge = made.resuming(ended.run, drawn.level)
    drawn.wrong = complaint(drawn.case, ended)
    drawn.left = made.left()
    made.clear()
    drawn.wall_s = watch.elapsed_s


def _strike(judge: Judge, fault: str) -> bool:
    """Do it; return whether anybody was hit."""
    if judge.process.poll() is not None:
        return False
    keepers = judge.keepers() if "keeper" in fault or "both" in fault else []
    if fault == "keeper killed":
        for keeper in keepers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(keeper, signal.SIGKILL)
        return bool(keepers)
    if keepers:
        judge.process.send_signal(signal.SIGSTOP)  # neither is to see the other die
        for keeper in keepers:
            os.kill(keeper, signal.SIGKILL)
    judge.process.send_signal(SIGNALS.get(fault, signal.SIGKILL))
    return True


def complaint(case: Case, ended: Ended) -> str:
    """Return what is wrong with a verdict, or ""."""
    if not ended.report:
        return f"no verdict, status {ended.status}: {ended.err.splitlines()[-1:]}"
    if "Traceback" in ended.err:
        return f"the judge raised: {ended.err}"
    failed, unsettled = ended.findings("FAIL"), ended.findings("ERROR")
    if not case.fails:
        right = (EXIT_PASS, [math.log(tiny.VOCAB_SIZE)])
        nats = [seed["nats_per_token"] for seed in ended.report["seeds"]]
        if ended.status != right[0] or not math.isclose(nats[0] or 0.0, right[1][0], rel_tol=1e-12):
            return f"an honest one ended with {ended.status}: {failed or unsettled}"
        return ""
    if ended.status != EXIT_RULE_BROKEN or not failed or not set(failed) <= case.fails:
        return (
            f"ended with {ended.status}, not by {sorted(case.fails)} alone: {failed or unsettled}"
        )
    return ""


def stress(runs: int, seed: int, folder: Path) -> Iterator[Drawn]:
    """Yield one run after another."""
    chance = random.Random(seed)
    data = tiny.make(folder / "data").folder
    wide_or_tight = rulesets(folder / "rules")
    for _ in range(runs):
        drawn = draw(chance, levels())
        with bench(folder, data) as made:
            endure(drawn, made, wide_or_tight[drawn.case.tight], chance)
        yield drawn


def table(done: Sequence[Drawn]) -> list[str]:
    """Return a line for each fault, and one for each submission."""
    lines = [f"{'':28}{'runs':>6}{'struck':>8}{'wrong':>7}{'left':>6}{'s a run':>9}"]
    for title, key in (
        ("what befell the judge", lambda one: one.fault),
        ("level", lambda one: one.level),
        ("submission", lambda one: one.case.name),
    ):
        lines.append(title)
        for name in sorted({key(one) for one in done}):
            these = [one for one in done if key(one) == name]
            lines.append(
                f"  {name:26}{len(these):6}{sum(one.hit > 0 for one in these):8}"
                f"{sum(bool(one.wrong) for one in these):7}{sum(len(one.left) for one in these):6}"
                f"{sum(one.wall_s for one in these) / len(these):9.1f}"
            )
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.stress")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    given = parser.parse_args(arguments)
    print(f"{given.runs} runs, seed {given.seed}, levels {', '.join(levels())}", flush=True)
    done = []
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:
        before = machine.snapshot(Path(folder), ())
        for drawn in stress(given.runs, given.seed, Path(folder)):
            done.append(drawn)
            for said in filter(None, (drawn.wrong, *drawn.left)):
                print(
                    f"run {len(done)}: {drawn.case.name}, {drawn.level}, {drawn.fault}: {said}",
                    flush=True,
                )
        left = machine.left(before, Path(folder))
    print("\n".join([*table(done), *left]))
    verdicts = Counter("FAIL" if one.case.fails else "PASS" for one in done)
    wrong = sum(bool(one.wrong) for one in done)
    leftovers = sum(len(one.left) for one in done) + len(left)
    print(
        f"{verdicts['PASS']} to pass, {verdicts['FAIL']} to fail, {sum(one.hit for one in done)} faults"
    )
    print(f"wrong verdicts {wrong}, leftovers {leftovers}")
    return int(bool(wrong or leftovers or len(done) < given.runs))


if __name__ == "__main__":
    sys.exit(main())
