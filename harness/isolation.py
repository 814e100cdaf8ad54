"""Before anything of a submission starts: which sandbox, which packages, and what both hold.

Found out anew each time a run is started or resumed, and written down: `harness report` judges what was held
then, not what the machine offers that it is read on.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir

import msgspec

from harness import machine, package_sums, packages
from harness.cell_trial import Trial, try_cell
from harness.errors import JudgeError, UsageError
from harness.journal import read_record, write_record
from harness.manifest import Manifest
from harness.packages import Pinned
from harness.page_cache import PageCache, choose
from harness.report.model import Machine
from harness.ruleset import Ruleset
from harness.sandbox import leftovers, mechanisms, sight
from harness.sandbox.cell import Limits, Sandbox
from harness.sandbox.guarantees import Held, held
from harness.sandbox.mechanisms import Level, Mechanisms, open_to_others
from harness.sandbox.shim import PR_SET_DUMPABLE
from harness.seal import remove

FILE = "isolation.json"
SUMS = "packages.json"
TRIAL = "trial"


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """What was held, once for each start of a run; RUN/isolation.json."""

    attempts: tuple[Held, ...]
    pinned: Pinned
    machines: tuple[Machine, ...] = ()
    """Where each start was; fewer than `attempts` where an older judge made the first of them."""


class Isolated:
    """What a run's processes are started in."""

    def __init__(
        self, sandbox: Sandbox, pinned: Pinned, page_cache: PageCache, work: Path | None
    ) -> None:
        """Take what `prepare` made."""
        self.sandbox = sandbox
        self.pinned = pinned
        self.page_cache = page_cache
        self.work = work
        """Where the phases' folders lie, if not in the run's own folder."""


class Survey:
    """What is found out of the machine: by each run anew, or once where many runs follow one another."""

    def __init__(self) -> None:
        """Find out nothing yet."""
        self._mechanisms: Mechanisms | None = None
        self._pinned: dict[tuple[str, ...], Pinned] = {}
        self._trials: dict[tuple[Level, bool], Trial] = {}

    def mechanisms(self) -> Mechanisms:
        """Return what works here."""
        if self._mechanisms is None:
            self._mechanisms = mechanisms.probe()
        return self._mechanisms

    def pinned(self, wanted: tuple[str, ...]) -> Pinned:
        """Return the installed packages that are allowed."""
        if wanted not in self._pinned:
            self._pinned[wanted] = packages.resolve(wanted, packages.search_path())
        return self._pinned[wanted]

    def trial(self, sandbox: Sandbox, place: Path, *, loopback: bool) -> Trial:
        """Return what could be done from inside a cell; PLACE is made for it and deleted."""
        key = (sandbox.level, loopback)
        if key not in self._trials:
            remove(place)  # of a judge that was killed in it
            place.mkdir()
            try:
                self._trials[key] = try_cell(sandbox, loopback=loopback, folder=place)
            finally:
                remove(place)
        return self._trials[key]


def sandbox_of(
    survey: Survey, rules: Ruleset, *, most: Level, libraries: str, closed: Sequence[Path] = ()
) -> tuple[Sandbox, Pinned]:
    """Return the strongest sandbox that works here, `most` at most, and the packages that it shows.

    `libraries` is the judge's LD_LIBRARY_PATH; into what is `closed` no cell sees, wherever it lies.
    """
    found, pinned = survey.mechanisms(), survey.pinned(rules.environment.packages)
    sandbox = Sandbox(
        mechanisms=found,
        level=found.level(most),
        sight=sight.sight(packages.readable(pinned), libraries, closed=tuple(closed)),
        limits=limits_of(rules),
    )
    return sandbox, pinned


def prepare(
    folder: Path,
    data: Path,
    rules: Ruleset,
    manifest: Manifest,
    *,
    most: Level,
    libraries: str,
    survey: Survey,
) -> Isolated:
    """Choose the strongest sandbox that works here, `most` at most, try it, and write down what it holds.

    `folder` is the run's and `data` the data's: no cell sees into them. `libraries` is the judge's
    LD_LIBRARY_PATH. Raises JudgeError where not even an unprotected process can be started, UsageError where
    the packages are no longer those the run began with.
    """
    undumpable()
    leftovers.sweep()
    sandbox, pinned = sandbox_of(
        survey, rules, most=most, libraries=libraries, closed=(folder, data)
    )
    loopback = manifest.train.loopback or manifest.score.loopback
    work = _work(folder, sandbox)
    try:
        trial = survey.trial(sandbox, (work or folder) / TRIAL, loopback=loopback)
    except BaseException:
        put_away(work)
        raise
    before = read_record(folder / FILE, Isolation)
    if before is not None and before.pinned != pinned:
        raise UsageError(
            f"{folder}: the installed packages are not those the run began with; start a new run"
        )
    attempts, machines = ((), ()) if before is None else (before.attempts, before.machines)
    cache = page_cache_of(sandbox, thorough="ipc" in rules.verdict.guarantees)
    now = held(sandbox, trial.worked, loopback=loopback, page_cache=cache.way)
    here = (*machines, machine.describe())
    write_record(folder / FILE, Isolation(attempts=(*attempts, now), pinned=pinned, machines=here))
    return Isolated(sandbox, pinned, cache, work)


def page_cache_of(sandbox: Sandbox, *, thorough: bool) -> PageCache:
    """Return how the page cache is emptied: not at all where other metadata of files stays visible anyway."""
    if sandbox.level != "namespaces":
        return PageCache("none", ())
    return choose([*sandbox.sight.shown, *sandbox.sight.entries], thorough=thorough)


def _work(folder: Path, sandbox: Sandbox) -> Path | None:
    """Return a folder for the phases that a cell's own user can reach, where the run's is closed to it."""
    work = Path(gettempdir()).resolve() / f"harness-{folder.name}"
    needed = sandbox.level == "landlock" and sandbox.own_users and not open_to_others(folder)
    # What a judge that was killed trained may lie there; what somebody else put there may not.
    if not needed or not _is_ours(work):
        remove(work)
    if not needed:
        return None
    work.mkdir(exist_ok=True)
    work.chmod(0o711)
    return work


def put_away(work: Path | None) -> None:
    """Delete what `Isolated.work` names, unless something was trained there that a resumed run needs."""
    if work is not None and not any(work.glob("*/output")):
        remove(work)


def _is_ours(folder: Path) -> bool:
    try:
        facts = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()


def limits_of(rules: Ruleset) -> Limits:
    """Return a ruleset's limits in this machine's numbers."""
    memory = machine.memory_bytes()
    if memory is None:
        raise JudgeError("this system does not say how much memory it has; no limit can be set")
    return Limits(
        memory_bytes=int(memory * rules.limits.memory_fraction),
        processes=rules.limits.processes,
        disk_bytes=rules.limits.disk_bytes,
    )


def check_packages(folder: Path, pinned: Pinned, *, sealed_off: bool) -> None:
    """Hash the pinned packages' files; the first time, write the sums down; later, compare.

    `sealed_off` says whether no process of a submission could write to them: then byte code that appeared is
    the machine's own. Raises JudgeError, naming package and file, where they are not what they were.
    """
    now = package_sums.digest(pinned)
    before = read_record(folder / SUMS, package_sums.Sums)
    if before is None:
        write_record(folder / SUMS, now)
        return
    differences: Sequence[str] = package_sums.changed(before, now)
    if not sealed_off:
        differences = [*differences, *package_sums.compiled_since(before, now)]
    if differences:
        raise JudgeError(
            f"installed packages changed while the run went on: {'; '.join(differences[:3])}; install them "
            "anew and start a new run"
        )


def undumpable() -> None:
    """Close this process's memory, environment and descriptors to others of its user."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
