"""What is held on this machine, a line a guarantee; a required one that is not held is an ERROR.

Two things make a line: what the mechanism is known to hold, and what the judge tried from inside a cell
before the run (harness.cell_trial). Where an attempt worked that should not have, the guarantee is not
enforced, whatever the mechanism says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from checks.contract import Finding, Status
from harness.report.model import Guarantee
from harness.sandbox.cell import Sandbox
from harness.sandbox.mechanisms import SCOPE_ABI, Level

KNOWN = ("network", "files", "processes", "memory", "ipc", "clock", "channel", "environment")
STATES = ("not enforced", "best effort", "watched", "enforced")
Line = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the lines follow from: a record of the machine at the moment the run was started, or resumed."""

    level: Level
    own_users: bool
    landlock_abi: int
    group_version: int
    memory_bytes: int
    loopback: bool
    """Whether the submission's processes talk over TCP."""
    page_cache: str
    """How the page cache is emptied before each process: whole, each or none."""
    worked: dict[str, list[str]]
    """What the judge's own trial could do from inside a cell, by guarantee."""


def held(
    sandbox: Sandbox, worked: Mapping[str, Sequence[str]], *, loopback: bool, page_cache: str
) -> Held:
    """Return the record of this sandbox."""
    return Held(
        level=sandbox.level,
        own_users=sandbox.own_users,
        landlock_abi=sandbox.mechanisms.landlock_abi,
        group_version=sandbox.mechanisms.group_version,
        memory_bytes=sandbox.limits.memory_bytes,
        loopback=loopback,
        page_cache=page_cache,
        worked={name: list(says) for name, says in worked.items()},
    )


def guarantees(
    sandbox: Held, *, required: Iterable[str], train_hidden: bool
) -> tuple[Guarantee, ...]:
    """Return one line a guarantee, in a fixed order, required ones that are unknown to us included.

    `train_hidden` says whether the train data has no path.
    """
    required = tuple(required)
    lines = {
        "network": _network(sandbox),
        "files": _files(sandbox, train_hidden),
        "processes": _processes(sandbox),
        "memory": _memory(sandbox),
        "ipc": _ipc(sandbox),
        "clock": (
            "enforced",
            "the judge's own monotonic clock; no process of a submission may set one",
        ),
        "channel": _channel(sandbox),
        "environment": _environment(sandbox),
    }
    for name, says in sandbox.worked.items():
        if says and name in lines:
            lines[name] = ("not enforced", f"tried here, and {'; '.join(says)}")
    for name in required:
        lines.setdefault(name, ("not enforced", "unknown to this judge"))
    return tuple(
        Guarantee(name=name, state=state, means=means, required=name in required)  # type: ignore[arg-type]
        for name, (state, means) in lines.items()
    )


def not_started(required: Iterable[str]) -> tuple[Guarantee, ...]:
    """Return the lines of a run of which nothing was started: nothing was held."""
    required = tuple(required)
    return tuple(
        Guarantee(
            name=name, state="not enforced", means="nothing was started", required=name in required
        )
        for name in dict.fromkeys((*KNOWN, *required))
    )


def weakest(attempts: Sequence[Sequence[Guarantee]]) -> tuple[Guarantee, ...]:
    """Return the weaker line of each guarantee: a run that was resumed elsewhere holds what both held."""
    kept: dict[str, Guarantee] = {}
    for line in (line for attempt in attempts for line in attempt):
        other = kept.get(line.name)
        if other is None or STATES.index(line.state) < STATES.index(other.state):
            kept[line.name] = line
    return tuple(kept.values())


def findings(held: Iterable[Guarantee]) -> list[Finding]:
    """Return an ERROR for each required guarantee that is not enforced: the judge cannot vouch."""
    return [
        Finding(
            id=f"sandbox.{guarantee.name}",
            status=Status.ERROR,
            message=(
                f"the ruleset requires it and it was not held: {guarantee.means}; "
                "`harness doctor` says what is missing"
            ),
            evidence={"state": guarantee.state},
        )
        for guarantee in held
        if guarantee.required and guarantee.state != "enforced"
    ]


def _network(sandbox: Held) -> Line:
    if sandbox.level == "namespaces":
        return "enforced", "a network namespace of its own, with nothing but loopback"
    if sandbox.level == "landlock" and not sandbox.loopback:
        return (
            "enforced",
            "seccomp refuses every socket that is not local to the machine's own kernel",
        )
    if sandbox.level == "landlock":
        return (
            "not enforced",
            "its processes talk over loopback, which without a network namespace opens TCP to everywhere",
        )
    return "not enforced", "the network is as the machine has it"


def _files(sandbox: Held, train_hidden: bool) -> Line:
    data = (
        "train data is handed over as memory files without a path"
        if train_hidden
        else "train data is handed over as files of the data folder, whose path can be found out"
    )
    if sandbox.level == "namespaces":
        return "enforced", f"a mount namespace with what the phase may see and nothing else; {data}"
    if sandbox.level == "landlock":
        landlock = f"Landlock, version {sandbox.landlock_abi}"
        if sandbox.own_users:
            return "enforced", f"{landlock} and a user of its own; {data}"
        return (
            "best effort",
            f"{landlock}, but modes, times and attributes of the user's files stay open; {data}",
        )
    return "not enforced", f"any file of the judge's user can be read; {data}"


def _processes(sandbox: Held) -> Line:
    if sandbox.level == "namespaces":
        return "enforced", "a process namespace, which ends as a whole"
    if sandbox.group_version == 2 and sandbox.level != "bare":
        return "enforced", "a control group, which is killed as a whole"
    if sandbox.own_users:
        return "enforced", "a user of its own, all of whose processes are killed at once"
    if sandbox.level == "landlock" and sandbox.landlock_abi >= SCOPE_ABI:
        return "enforced", "Landlock keeps signals inside, and one signal goes to all that it holds"
    return (
        "best effort",
        "subreaper sweep with SIGKILL until none is left, which a fork bomb can outrun",
    )


def _memory(sandbox: Held) -> Line:
    limit = f"{sandbox.memory_bytes / 1e9:.1f} GB"
    group = f"a control group, version {sandbox.group_version}, of {limit}"
    if sandbox.group_version and sandbox.level == "bare":
        return "best effort", f"{group}, which processes of the judge's user may leave"
    if sandbox.group_version:
        return "enforced", group
    return "watched", f"looked at four times a second, and killed over {limit}"


def _ipc(sandbox: Held) -> Line:
    refused = "seccomp refuses shared memory, queues and key rings"
    if sandbox.level == "namespaces":
        own = f"an IPC namespace and a /dev/shm of its own; {refused}"
        if sandbox.page_cache == "none":
            return (
                "best effort",
                f"{own}; the page cache, which can be asked and timed, is not emptied",
            )
        return "enforced", f"{own}; the page cache is emptied before each process"
    if sandbox.level == "landlock":
        shared = "is emptied of what its user left" if sandbox.own_users else "is closed"
        left = "access times of files" if sandbox.own_users else "times and modes of files"
        return "best effort", f"{refused}; /dev/shm {shared}; {left} and the page cache stay"
    return "not enforced", "shared memory, queues and key rings outlive a process"


def _channel(sandbox: Held) -> Line:
    if sandbox.level == "namespaces":
        return "enforced", "the judge is not in the process namespace; it is not dumpable besides"
    if sandbox.level == "landlock":
        other = "another user" if sandbox.own_users else "outside the Landlock domain"
        return "enforced", f"the judge is {other}, and not dumpable"
    return "best effort", "the judge is not dumpable, but of the same user"


def _environment(sandbox: Held) -> Line:
    hashed = "the pinned packages are hashed before training and before scoring"
    if sandbox.level == "bare":
        return "best effort", f"{hashed}; others of this machine can be imported too"
    return "enforced", f"{hashed}, and nothing else of this machine can be imported"
