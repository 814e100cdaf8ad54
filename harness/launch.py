"""One process of a submission: its folders, its cell, its channel, and how it ended.

Nothing here has a clock or a verdict; what a phase is, is harness.phases.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from checks.contract import Breach, PhaseTime
from harness import sdk
from harness.challenge import Questions
from harness.clock import Deadline
from harness.manifest import Manifest, ScoreCommand, Train
from harness.packages import Pinned, view
from harness.page_cache import PageCache
from harness.process import Tree, running
from harness.ruleset import Phases
from harness.sandbox.cell import Folders, Sandbox
from harness.sandbox.programs import resolve
from harness.sandbox.sight import outermost, site_folders
from harness.sandbox.start import environment
from harness.sdk import Kind
from harness.seal import remove
from harness.session import Channel, OutOfTime, ProtocolBreach

CLOSE_S = 2.0
"""How long a scorer may take to end by itself after `close`; nothing depends on it."""


class Listener(Protocol):
    """Somebody who watches a run."""

    def phase(self, seed: int, phase: str, budget_s: float) -> None:
        """A phase begins."""

    def clock(self, *, runs: bool) -> None:
        """The phase's clock stands still, or runs again: to load and to close a process is not on it."""

    def progress(
        self,
        done: int,
        total: int,
        *,
        nats_per_token: float | None = None,
        questions: Questions | None = None,
    ) -> None:
        """So many tokens of all are credited or replayed; `questions` goes on growing until the next call.

        Called within the clock of a phase, after each block: it must be quick, and wait for nothing.
        """

    def ended(self, seed: int, time: PhaseTime) -> None:
        """A phase is over."""

    def note(self, text: str) -> None:
        """Say one line."""


class Quiet:
    """A listener who says nothing: for runs of which only the result is wanted."""

    def phase(self, seed: int, phase: str, budget_s: float) -> None:
        """Ignore the start of a phase."""

    def clock(self, *, runs: bool) -> None:
        """Ignore whether the clock runs."""

    def progress(
        self,
        done: int,
        total: int,
        *,
        nats_per_token: float | None = None,
        questions: Questions | None = None,
    ) -> None:
        """Ignore progress."""

    def ended(self, seed: int, time: PhaseTime) -> None:
        """Ignore the end of a phase."""

    def note(self, text: str) -> None:
        """Ignore a remark."""


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
    sandbox: Sandbox
    pinned: Pinned
    page_cache: PageCache
    project: tuple[str, ...]
    """Packages of this project that are visible."""


SITE = """# Put here by the judge, and run by the interpreter when it starts.
import os
import sys

sys.path[:] = [path for path in sys.path if os.path.realpath(path) not in {hidden!r}]
"""


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
    start: Train | ScoreCommand,
    *,
    cwd: Path,
    work: Path,
    logs: Path,
    opening: dict[str, Any],
    writable: tuple[Path, ...] = (),
    copied: bool = False,
) -> Iterator[Started]:
    """Start a process of the submission in its cell and send it `open`; on leaving, all of it is dead.

    It sees `writable` besides what every process sees. HOME and TMPDIR are new folders below `work` and are
    deleted afterwards; so is the copy of `cwd` that the process is started in where `copied` says so.
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
            _make_writable(cwd)
        imports = importable(private / "import", context.pinned, context.project)
        env = {**environment(private / "home", private / "tmp", context.passed_env), **start.env}
        own = start.env.get("PYTHONPATH", "").split(os.pathsep)
        env["PYTHONPATH"] = os.pathsep.join([*filter(None, own), *map(str, imports)])
        # One mount where one folder holds the others: a file can be renamed from any into any.
        mine = outermost((private, *writable))
        with running(
            context.sandbox,
            resolve(start.command, cwd),
            env,
            Folders(cwd=cwd, writable=mine, private=(private,)),
            logs=logs,
            loopback=start.loopback,
        ) as (tree, ours):
            channel = Channel(ours)
            channel.deadline = Deadline(context.phases.answer_s)
            # A process that is gone already is noticed when it does not say `ready`.
            with contextlib.suppress(ProtocolBreach, OutOfTime):
                channel.send_json(Kind.OPEN, {"protocol": sdk.PROTOCOL, **opening})
            yield Started(tree=tree, channel=channel, logs=logs)
    finally:
        remove(private)


def _make_writable(folder: Path) -> None:
    """Let the copy of a sealed artifact be written to, as any folder that a program starts in."""
    for place, _, files in os.walk(folder):
        Path(place).chmod(0o755)
        for name in files:
            path = Path(place, name)
            path.chmod(path.stat().st_mode | 0o200)


def importable(folder: Path, pinned: Pinned, project: Sequence[str]) -> tuple[Path, Path]:
    """Lay out below FOLDER what a process may import; return the two folders of its import path.

    One holds this project's sdk and the packages `project`, copied; the other leads to the pinned packages.
    The folders in which packages are installed are taken off the path: where they cannot be emptied, what is
    in them would be found and could not be read, which is another error than its not being there.
    """
    ours = folder / "project"
    package = Path(sdk.__file__).parent
    (ours / "harness").mkdir(parents=True)
    for name in ("__init__.py", "sdk.py"):
        shutil.copy(package / name, ours / "harness")
    for name in project:
        shutil.copytree(
            package.parent / name, ours / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    hidden = [str(path) for path in site_folders()]
    (ours / "sitecustomize.py").write_text(SITE.format(hidden=hidden))
    view(pinned, folder / "packages")
    return ours, folder / "packages"


def explained(run: Started, breach: Breach) -> Breach:
    """Return the breach with how the process ended and its last line, where it ended instead of answering."""
    if breach.kind != "closed":
        return breach
    return replace(breach, message=f"{breach.message}: {exit_detail(run, '')}")


def exit_detail(run: Started, when: str) -> str:
    """Say how the command ended, in one clause that `when` completes, with the last line it wrote."""
    run.tree.wait_exited(Deadline(CLOSE_S))
    status = run.tree.exit_status
    if status == -signal.SIGKILL:  # by the kernel, if memory ran out: the keeper says so at the end
        run.tree.wait_gone(Deadline(CLOSE_S))
    ended = "it closed the channel" if status is None else f"it ended with status {status}"
    if run.tree.keeper_killed:
        ended = (
            "its keeper was killed from outside, most likely by itself, and everything was swept"
        )
    if run.tree.excess is not None:
        ended = f"it {run.tree.excess}, and everything was killed"
    words = run.last_words()
    return f"{ended} {when}".strip() + (f"; its last line: {words}" if words else "")
