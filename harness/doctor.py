"""What this machine can guarantee, what is missing and how to get it: the facts behind `harness doctor`.

The same probe and the same trial as before every run; so what is said here is what a report will say.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from harness import isolation, machine, noise
from harness.cell_trial import start_s, try_cell
from harness.report.model import Guarantee, Machine
from harness.ruleset import Ruleset
from harness.sandbox.cell import Sandbox
from harness.sandbox.guarantees import guarantees, held
from harness.sandbox.mechanisms import SCOPE_ABI, Level, Mechanisms

STARTS = 5


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is missing, and how to get it."""

    what: str
    how: str


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `harness doctor` shows; its JSON is this record."""

    schema_version: str = "1.0"
    ruleset: str
    machine: Machine
    level: Level
    mechanisms: Mechanisms
    guarantees: tuple[Guarantee, ...]
    missing: tuple[Remedy, ...]
    packages: dict[str, str]
    """Version by name of what the ruleset lets a submission import."""
    packages_missing: tuple[str, ...]
    start_ms: float
    """Median of five: starting an empty command in a cell, with its keeper and until all of it is gone."""
    bare_start_ms: float
    """The same without a sandbox."""
    noise: noise.Noise

    @property
    def held(self) -> bool:
        """Return whether everything that the ruleset requires is enforced here."""
        return all(line.state == "enforced" for line in self.guarantees if line.required)


def diagnose(rules: Ruleset, most: Level, *, loopback: bool, libraries: str) -> Diagnosis:
    """Probe, try and measure this machine; takes a second or two.

    `loopback` says whether the submissions talk over TCP among their own processes. Raises JudgeError where
    not even an unprotected process can be started.
    """
    isolation.undumpable()
    sandbox, pinned = isolation.sandbox_of(
        isolation.Survey(), rules, most=most, libraries=libraries
    )
    found = sandbox.mechanisms
    bare = replace(sandbox, level="bare")
    trial = try_cell(sandbox, loopback=loopback)
    cache = isolation.page_cache_of(sandbox, thorough="ipc" in rules.verdict.guarantees)
    now = held(sandbox, trial.worked, loopback=loopback, page_cache=cache.way)
    lines = guarantees(now, required=rules.verdict.guarantees, train_hidden=True)
    return Diagnosis(
        ruleset=rules.name,
        machine=machine.describe(),
        level=sandbox.level,
        mechanisms=found,
        guarantees=lines,
        missing=tuple(_missing(found, sandbox, loopback=loopback)),
        packages={one.name: one.version for one in pinned.packages},
        packages_missing=tuple(one.sentence() for one in pinned.missing),
        start_ms=_median_ms(sandbox),
        bare_start_ms=_median_ms(bare),
        noise=noise.measure(),
    )


def _median_ms(sandbox: Sandbox) -> float:
    with TemporaryDirectory(prefix="harness-start-") as folder:
        times = [start_s(sandbox, Path(folder) / str(number)) for number in range(STARTS)]
    return round(statistics.median(times) * 1e3, 1)


def _missing(found: Mechanisms, sandbox: Sandbox, *, loopback: bool) -> Iterator[Remedy]:
    if found.bubblewrap is None:
        yield Remedy(what=f"namespaces: {found.bubblewrap_problem}", how=_bubblewrap_remedy(found))
    if not found.seccomp:
        yield Remedy(
            what=f"seccomp: {found.seccomp_problem}",
            how="apt-get install libseccomp2, or dnf install libseccomp",
        )
    if found.bubblewrap is None:
        yield from _landlock(found, sandbox, loopback=loopback)
    if not found.group_version:
        yield Remedy(
            what="memory: no control group can be made here, so memory is watched and not limited",
            how=(
                "as root on the machine itself, or in a container that may write to its control groups; "
                "as a user: systemd-run --user --scope -p Delegate=yes"
            ),
        )


def _landlock(found: Mechanisms, sandbox: Sandbox, *, loopback: bool) -> Iterator[Remedy]:
    if found.landlock_abi == 0:
        yield Remedy(
            what="files: this kernel has no Landlock, or has it switched off",
            how="boot Linux 5.13 or later with landlock in the lsm= list",
        )
    elif found.landlock_abi < SCOPE_ABI and not sandbox.own_users:
        yield Remedy(
            what=f"processes: Landlock {found.landlock_abi} does not keep signals inside",
            how="Linux 6.12 or later, or run the judge as root so that cells get users of their own",
        )
    if found.own_user and not sandbox.own_users and sandbox.level != "bare":
        yield Remedy(
            what="users: the interpreter or a package lies where others may not go, so cells stay root",
            how=f"install outside closed folders, or chmod o+rx the way to {sys.executable}",
        )
    if loopback:
        yield Remedy(
            what="network: loopback without a network namespace opens TCP to everywhere",
            how="namespaces, as above",
        )


def _bubblewrap_remedy(found: Mechanisms) -> str:
    problem = found.bubblewrap_problem
    if not found.bubblewrap_version:
        return "apt-get install bubblewrap, or dnf install bubblewrap"
    if "uid map" in problem or "RTM_NEWADDR" in problem:
        return (
            "AppArmor keeps users from making namespaces: sudo sysctl -w "
            "kernel.apparmor_restrict_unprivileged_userns=0, or start the judge with sudo"
        )
    return (
        "this container may not make namespaces: run on the machine itself, or start the container with "
        "--privileged (or --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt "
        "apparmor=unconfined)"
    )
