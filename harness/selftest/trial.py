"""One submission of an attack through the judge, under harness/selftest/quick.toml, and what came of it.

The cheat is caught, or escapes; the twin passes, or fails. Neither is said where the machine lacks what the
trial needs (NOT-RUN), or where the judge raised or could not conclude (ERROR).

Does not decide: harness.selftest.expect does, from the report.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from checks.contract import Status
from harness import ruleset, verdict
from harness.clock import Stopwatch
from harness.conduct import conduct
from harness.data.dataset import Dataset, open_dataset
from harness.errors import EXIT_USAGE, HarnessError
from harness.isolation import Survey
from harness.launch import Listener
from harness.manifest import FILE_NAME as MANIFEST
from harness.process import LOG_CAP_BYTES
from harness.report.model import Guarantee, Report
from harness.run import Run
from harness.sandbox.mechanisms import Level
from harness.seal import remove
from harness.selftest import spoken, tiny
from harness.selftest.corpus import REFUSED, Attack, Expected
from harness.selftest.expect import cheat_complaints, required, twin_complaints
from harness.selftest.spoil import spoil

QUICK = Path(__file__).with_name("quick.toml")
SEED = 1
SETS = {"tiny": tiny.make, "spoken": spoken.make}


class State(StrEnum):
    """What a trial shows."""

    CAUGHT = "CAUGHT"
    """The cheat was caught, exactly as expected."""
    ESCAPED = "ESCAPED"
    """The cheat was not caught, or not by the checks that should."""
    PASS = "PASS"
    """The honest submission passed every required check."""
    FAIL = "FAIL"
    """The honest submission did not."""
    NOT_RUN = "NOT-RUN"
    """This machine cannot host the trial; the reason says what is missing."""
    ERROR = "ERROR"
    """The judge failed, or could not conclude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one submission."""

    state: State
    caught_by: tuple[str, ...] = ()
    """The checks that failed it, or "exit 2"."""
    reason: str = ""
    """Sentences, by semicolons; may quote the submission's words. "" where all went as expected."""
    wall_s: float = 0.0


class Bench:
    """Where trials happen: a folder for their runs, with the data sets, each made when it is first needed."""

    def __init__(
        self,
        folder: Path,
        listener: Listener,
        passed_env: Mapping[str, str],
        *,
        keep: bool = False,
        most: Level = "namespaces",
    ) -> None:
        """Take an existing folder; `keep` leaves every run in it, below NAME-cheat and NAME-honest.

        `most` is the strongest sandbox to use. What the machine offers is found out once for all trials.
        """
        self._folder, self._listener, self._keep = folder, listener, keep
        # numpy's threads would take longer to start than a trial has to compute.
        self._env = {**passed_env, "OPENBLAS_NUM_THREADS": "1"}
        self._most, self._survey = most, Survey()
        self._sets: dict[str, Dataset] = {}
        self._twins: dict[str, Trial] = {}
        self._held: dict[str, tuple[Guarantee, ...]] = {}

    def cheat(self, attack: Attack) -> Trial:
        """Try the submission that must be caught; the attack must have one.

        Where only a guarantee of the sandbox stops it, its twin is tried first: what the twin's report says
        of this machine decides whether the cheat is started at all.
        """
        missing = _missing_set(attack.expected)
        if not missing and attack.expected.needs:
            twin = self.twin(attack)
            if attack.name not in self._held:
                return Trial(state=State.ERROR, reason=f"its twin has no report: {twin.reason}")
            missing = _missing_guarantee(self._held[attack.name], attack.expected.needs)
        if missing:
            return Trial(state=State.NOT_RUN, reason=missing)
        return self._timed(attack, self._cheat, "cheat")

    def twin(self, attack: Attack) -> Trial:
        """Try the submission that must pass; once, however often it is asked for."""
        missing = _missing_set(attack.expected)
        if missing:
            return Trial(state=State.NOT_RUN, reason=missing)
        if attack.name not in self._twins:
            self._twins[attack.name] = self._timed(attack, self._twin, "honest")
        return self._twins[attack.name]

    def _timed(self, attack: Attack, judged: Callable[[Attack, Path], Trial], kind: str) -> Trial:
        """Do one trial in a folder of its own."""
        watch = Stopwatch()
        place = self._folder / f"{attack.name}-{kind}"
        place.mkdir()
        try:
            trial = judged(attack, place)
        except Exception as error:
            # Whatever it is, the judge should not have raised it, and the next attack is still to be tried.
            trial = Trial(state=State.ERROR, reason=_raised(error))
        finally:
            if not self._keep:
                remove(place)
        return replace(trial, wall_s=watch.elapsed_s)

    def _cheat(self, attack: Attack, place: Path) -> Trial:
        data = self._sound(attack.expected)
        named = MANIFEST
        try:
            if attack.expected.data.spoilt:
                named = str(place / "data")
                spoil(data, place / "data", attack.expected.data)
                data = open_dataset(place / "data")
            assert attack.cheat is not None
            run = self._run(attack, attack.cheat, place, data)
        except HarnessError as error:
            if attack.expected.refused and error.exit_code == EXIT_USAGE:
                return _as_refused(attack.expected, str(error), named)
            raise
        return _as_cheat(attack.expected, run, verdict.report(run))

    def _twin(self, attack: Attack, place: Path) -> Trial:
        data = self._sound(attack.expected)
        run = self._run(attack, attack.honest, place, data)
        report = verdict.report(run)
        self._held[attack.name] = report.guarantees
        return _as_twin(run, report, data.val.tokens)

    def _sound(self, expected: Expected) -> Dataset:
        name = expected.data.set
        if name not in self._sets:
            # Benches of several processes may share a folder.
            self._sets[name] = SETS[name](self._folder / f"data-{os.getpid()}" / name)
        return self._sets[name]

    def _run(self, attack: Attack, submission: Path, place: Path, data: Dataset) -> Run:
        run = Run.create(
            root=place / "runs",
            submission=_laid(attack, submission, place),
            rules=rules(attack.expected.phases, tokenizer=data.tokenizer is not None),
            data=data,
            seeds=(SEED,),
            baseline_text=None,
        )
        conduct(run, self._listener, self._env, most=self._most, survey=self._survey)
        return run


def _laid(attack: Attack, submission: Path, place: Path) -> Path:
    """Return the submission's folder, in a copy of the attack's own where links are to be laid."""
    if not attack.expected.links:
        return submission
    copied = Path(shutil.copytree(attack.folder, place / attack.name))
    for name, target in attack.expected.links.items():
        (copied / name).symlink_to(target)
    return copied / submission.name


def _as_refused(expected: Expected, sentence: str, named: str) -> Trial:
    if re.search(expected.refused, sentence) and named in sentence:
        return Trial(state=State.CAUGHT, caught_by=(REFUSED,))
    return Trial(
        state=State.ESCAPED,
        caught_by=(REFUSED,),
        reason=f"refused, but not with {expected.refused!r} and the name of {named}: {sentence}",
    )


def _as_cheat(expected: Expected, run: Run, report: Report) -> Trial:
    found = required(report)
    caught_by = tuple(found.failed)
    if report.verdict in (Status.ERROR, Status.NOT_RUN):
        return Trial(state=State.ERROR, reason=report.verdict_message)
    complaints = [] if not expected.refused else ["it was not refused"]
    complaints += cheat_complaints(expected, report) + _left(run)
    if "bytes.artifact" in found.unsettled and (run.seed_folder(SEED) / "sealed").exists():
        complaints.append("an artifact was sealed although none was judged")
    state = State.ESCAPED if complaints else State.CAUGHT
    return Trial(state=state, caught_by=caught_by, reason="; ".join(complaints))


def _as_twin(run: Run, report: Report, tokens: int) -> Trial:
    complaints = twin_complaints(report, tokens) + _left(run)
    if complaints and report.verdict in (Status.ERROR, Status.NOT_RUN):
        return Trial(state=State.ERROR, reason=report.verdict_message)
    state = State.FAIL if complaints else State.PASS
    return Trial(state=state, reason="; ".join(complaints))


def _left(run: Run) -> list[str]:
    """Return what a run should not have left: processes, or logs over their cap."""
    left = [f"a process was left: {command}" for command in processes_of(run.folder)]
    for log in run.folder.rglob("logs/*.std*"):
        size = log.stat().st_size
        if size > LOG_CAP_BYTES + 100:  # one line says that more was cut
            left.append(f"{log.name} has {size} bytes, over the cap of {LOG_CAP_BYTES}")
    return left


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of the processes that live in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append((entry / "cmdline").read_bytes().decode("utf-8", "replace"))
    return found


def rules(budgets: Mapping[str, float], *, tokenizer: bool) -> ruleset.Loaded:
    """Return the quick ruleset with some budgets changed, in seconds.

    With a tokenizer there is something to decode with, and score.bytes is required too.
    """
    text = QUICK.read_text("utf-8")
    changes = [(rf"(?m)^{phase} = .*$", f"{phase} = {value}") for phase, value in budgets.items()]
    if tokenizer:
        changes.append((r'(?m)"score\.complete",', '"score.complete", "score.bytes",'))
    for pattern, new in changes:
        text, count = re.subn(pattern, new, text)
        assert count == 1, f"{pattern} is not once in {QUICK.name}"
    return ruleset.Loaded(
        ruleset=ruleset.parse(text, QUICK.name),
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        baseline_text=None,
    )


def _missing_guarantee(held: tuple[Guarantee, ...], name: str) -> str:
    """Return why a cheat that only this guarantee stops would escape here, or ""."""
    line = next(guarantee for guarantee in held if guarantee.name == name)
    if line.state == "enforced":
        return ""
    return f"escapes here: the guarantee {name!r} is {line.state}: {line.means}"


def _missing_set(expected: Expected) -> str:
    if expected.data.set == "spoken" and importlib.util.find_spec("sentencepiece") is None:
        return "sentencepiece is not installed, and its data have a tokenizer"
    return ""


def _raised(error: Exception) -> str:
    """Return what the judge raised, and where."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    if isinstance(error, HarnessError):
        return str(error)
    return f"the judge raised {type(error).__name__} in {place}: {error}"
