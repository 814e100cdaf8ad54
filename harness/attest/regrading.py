"""The verdict of a run worked out again from its stored evidence, and compared with its report.json.

Nothing is run, measured or written. Numbers are equal when they differ by no more than a last bit of float64
arithmetic may on another processor or with another scipy; everything else must be the same. What depends on
the judge that does this and not on the run is not compared: harness_version always, and the machine for runs
of judges that did not note it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from checks.contract import Status
from harness import __version__, verdict
from harness.attest import evidence
from harness.data.record import FILE_NAME
from harness.data.synthetic import VERSION
from harness.errors import (
    EXIT_JUDGE,
    EXIT_RULE_BROKEN,
    DataElsewhere,
    JudgeError,
    UsageError,
)
from harness.report.model import SCHEMA_VERSION, Report, encode
from harness.report.versions import read_versioned
from harness.run import Plan, Run, read_plan

REPORT = "report.json"
TEXT = "(the text)"
"""Where report.json differs in its writing alone."""
ABSENT = "absent"
ALWAYS_OTHER = ("harness_version", "schema_version")
MAX_SEEDS = 10_000
PIECES = "seeds[].worst[].pieces"
REL_TOL, ABS_TOL = 1e-9, 1e-12
_MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A run's report as it lies on the disk."""

    report: Report
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A place of report.json that the evidence does not give; both sides as JSON, or "absent"."""

    path: str
    stored: str
    recomputed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Regraded:
    """A verdict worked out again, beside the one that is claimed."""

    stored: Stored
    recomputed: Report | None
    """None where the evidence is not even that of one run."""
    contradictions: tuple[str, ...]
    """One sentence for each thing in the evidence that no judge leaves behind."""
    differences: tuple[Difference, ...]
    not_compared: tuple[str, ...]
    unfinished: int
    """Seeds that a resumed run would still have something to do for."""

    @property
    def same_judge(self) -> bool:
        """Return whether this version wrote the report, so that a difference is one of evidence."""
        return self.stored.report.harness_version == __version__

    @property
    def status(self) -> Status:
        """Return PASS where the report is what the evidence gives, ERROR where that cannot be told."""
        if self.contradictions or self.recomputed is None:
            return Status.FAIL
        if not self.differences:
            return Status.PASS
        return Status.FAIL if self.same_judge else Status.ERROR

    @property
    def exit_code(self) -> int:
        """Return the recomputed verdict's exit code, if it is the one that is claimed."""
        if self.status is Status.PASS and self.recomputed is not None:
            return self.recomputed.exit_code
        return EXIT_RULE_BROKEN if self.status is Status.FAIL else EXIT_JUDGE

    @property
    def message(self) -> str:
        """Return one sentence."""
        if self.contradictions:
            more = len(self.contradictions) - 1
            return f"{self.contradictions[0]}{f', and {more} more' if more else ''}"
        if not self.differences:
            return f"{REPORT} is what its evidence gives"
        count = len(self.differences)
        places = f"{count} places differ" if count > 1 else "1 place differs"
        said = f"{REPORT} is not what its evidence gives: {places}"
        if self.same_judge:
            return said
        return (
            f"{said}, but harness {self.stored.report.harness_version} wrote it and this is {__version__}; "
            "regrade it with that version"
        )


def regrade(folder: Path, data: Path | None = None) -> Regraded:
    """Work out the verdict of the run in FOLDER again, with its data in `data` where they have moved.

    Raises UsageError where there is no run or no report, or one of a newer schema; DataError where the data
    are not at hand (DataElsewhere) or not the run's; JudgeError where the evidence cannot be judged.
    """
    plan = read_plan_of(folder)
    stored = read_report(folder)
    odd = tuple(evidence.odd_files(folder, plan.seeds))
    if odd:
        return _not_one_run(stored, odd)
    with data_of(plan, folder, data) as place:
        try:
            run = Run(folder, place)
        except UsageError as error:
            # Rules, baseline or code are not those of run.json; the subclasses say what cannot be read.
            if type(error) is not UsageError:
                raise
            return _not_one_run(stored, (str(error),))
        with _judging(folder):
            found = tuple(evidence.contradictions(run))
            if found:
                return _not_one_run(stored, found)
            recomputed = verdict.report(run)
            unfinished = sum(run.evidence(seed).unfinished for seed in plan.seeds)
            noted = run.machine() is not None
            differences, skipped = compare(stored, recomputed, machine=noted)
    return Regraded(
        stored=stored,
        recomputed=recomputed,
        contradictions=(),
        differences=differences,
        not_compared=skipped,
        unfinished=unfinished,
    )


def read_plan_of(folder: Path) -> Plan:
    """Return what was asked of the run in FOLDER, whose run.json may be anything.

    Raises UsageError where it is no plan, a link, or larger than any.
    """
    path = folder / "run.json"
    _refuse_odd(path, "name the folder of a run")
    plan = read_plan(folder)
    if len(plan.seeds) > MAX_SEEDS:
        raise UsageError(
            f"{path}: {len(plan.seeds)} seeds, more than {MAX_SEEDS}; name another run"
        )
    return plan


def read_report(folder: Path) -> Stored:
    """Return FOLDER/report.json.

    Raises UsageError where there is none, or it is not a report, or of a newer schema.
    """
    path = folder / REPORT
    _refuse_odd(path, "`harness report RUN` writes it")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; make it readable") from None
    report = read_versioned(data, Report, known=SCHEMA_VERSION, origin=str(path))
    return Stored(report=report, data=data, sha256=hashlib.sha256(data).hexdigest())


def _refuse_odd(path: Path, remedy: str) -> None:
    if path.is_symlink() or not path.is_file():
        raise UsageError(f"{path}: no such file, or not a plain one; {remedy}")
    if path.stat().st_size > evidence.MAX_RECORD_BYTES:
        raise UsageError(f"{path}: larger than any judge writes; {remedy}")


def _has_data(place: Path) -> bool:
    try:
        return (place / FILE_NAME).is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


@contextmanager
def data_of(plan: Plan, folder: Path, given: Path | None) -> Iterator[Path]:
    """Yield where a run's data are: where one says, where they were, or made again if they are the embedded.

    Raises DataElsewhere.
    """
    if given is not None:
        yield given
        return
    from harness.data import embedded

    known = all(plan.data_digests.get(name) == pinned for name, pinned in embedded.DIGESTS.items())
    places = [Path(plan.data_folder)]
    if known:
        places.append(folder.resolve().parent / ".data" / VERSION)
    for place in places:
        if _has_data(place):
            yield place
            return
    if not known:
        raise DataElsewhere(
            f"{folder}: its data are not at {plan.data_folder[:200]}; name their folder with --data"
        )
    with TemporaryDirectory(prefix="harness-data-") as temporary:
        place = Path(temporary) / VERSION
        embedded.embedded(place)
        yield place


def compare(
    stored: Stored, recomputed: Report, *, machine: bool
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Return every difference of a stored report, and the fields that were not compared.

    `machine` says whether the run noted its machine. Fields that an older schema lacks are not missed.
    """
    skipped = (*ALWAYS_OTHER, *(() if machine else ("machine",)))
    theirs: dict[str, Any] = msgspec.json.decode(stored.data)
    ours: dict[str, Any] = msgspec.json.decode(encode(recomputed))
    older = theirs["schema_version"] != SCHEMA_VERSION
    for name in skipped:
        theirs.pop(name, None)
        ours.pop(name, None)
    if _without_pieces(theirs, ours):
        skipped = (*skipped, PIECES)
    found = tuple(_differences(theirs, ours, "", older=older))
    rewritten = not older and encode(stored.report) != stored.data
    if not found and (rewritten or _repeats(stored.data)):
        # Another writing of the same values, or a name that stands twice: readers would not agree on it.
        found = (Difference(path=TEXT, stored="written otherwise", recomputed="as harness writes"),)
    return found, skipped


def _repeats(data: bytes) -> bool:
    """Return whether an object in some JSON has a name twice: readers take the first of them, or the last."""
    twice = []

    def pairs(items: list[tuple[str, Any]]) -> None:
        if len({name for name, _ in items}) < len(items):
            twice.append(True)

    json.loads(data, object_pairs_hook=pairs)
    return bool(twice)


def _without_pieces(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    """Leave out the text of tokens where either judge could not read the tokenizer; return whether it was so.

    The tokens themselves stay: their text follows from them, and only shows what they are.
    """
    left_out = False
    for one, other in zip(theirs["seeds"], ours["seeds"], strict=False):
        for told, shown in zip(one.get("worst", ()), other["worst"], strict=False):
            for name in ("piece", "pieces"):
                if not (told[name] and shown[name]):
                    left_out = left_out or told[name] != shown[name]
                    del told[name], shown[name]
    return left_out


def exact_differences(theirs: object, ours: object) -> list[Difference]:
    """Return where two trees of plain JSON values differ, numbers exactly."""
    return list(_differences(theirs, ours, "", older=False, rel_tol=0.0, abs_tol=0.0))


def _differences(
    theirs: object,
    ours: object,
    path: str,
    *,
    older: bool,
    rel_tol: float = REL_TOL,
    abs_tol: float = ABS_TOL,
) -> Iterator[Difference]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        parts = [
            (
                f"{path}.{name}" if path else str(name),
                theirs.get(name, _MISSING),
                ours.get(name, _MISSING),
            )
            for name in sorted(theirs.keys() | ours.keys())
            if not (older and name not in theirs)
        ]
    elif isinstance(theirs, list) and isinstance(ours, list):
        longest = range(max(len(theirs), len(ours)))
        parts = [(f"{path}[{at}]", _at(theirs, at), _at(ours, at)) for at in longest]
    else:
        if not _equal(theirs, ours, rel_tol, abs_tol):
            yield Difference(path=path, stored=_said(theirs), recomputed=_said(ours))
        return
    for name, one, other in parts:
        yield from _differences(one, other, name, older=older, rel_tol=rel_tol, abs_tol=abs_tol)


def _at(items: list[Any], index: int) -> object:
    return items[index] if index < len(items) else _MISSING


def _equal(one: object, other: object, rel_tol: float, abs_tol: float) -> bool:
    numbers = [
        value
        for value in (one, other)
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(numbers) == 2 and any(isinstance(value, float) for value in numbers):
        return math.isclose(numbers[0], numbers[1], rel_tol=rel_tol, abs_tol=abs_tol)
    return type(one) is type(other) and one == other


def _said(value: object) -> str:
    return ABSENT if value is _MISSING else msgspec.json.encode(value).decode()


def _not_one_run(stored: Stored, contradictions: tuple[str, ...]) -> Regraded:
    return Regraded(
        stored=stored,
        recomputed=None,
        contradictions=contradictions,
        differences=(),
        not_compared=(),
        unfinished=0,
    )


@contextmanager
def _judging(folder: Path) -> Iterator[None]:
    """Turn what evidence that no judge wrote makes of the arithmetic into JudgeError.

    A record may be well formed and hold what cannot be: no tokens, a sum without end. Only where evidence is
    somebody else's is that not a fault of this project.
    """
    try:
        yield
    except OSError as error:
        raise JudgeError(
            f"{error.filename or folder}: {error.strerror}; make it readable"
        ) from None
    except (
        ArithmeticError,
        AssertionError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        kind = type(error).__name__
        raise JudgeError(
            f"{folder}: its evidence cannot be judged ({kind}: {error}); no harness wrote it so"
        ) from None
