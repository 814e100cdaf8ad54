"""Start a command under a keeper as the judge does, for tests."""

from __future__ import annotations

import sys
import textwrap
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.clock import Deadline, sleep
from harness.process import Tree, running
from harness.sandbox.cell import Folders, Limits, Sandbox
from harness.sandbox.mechanisms import Level, open_to_others
from harness.session import Channel
from tests import cells


@dataclass(slots=True)
class Planted:
    """A running tree, the judge's channel to it, where its logs lie, and the marker it carries."""

    tree: Tree
    channel: Channel
    logs: Path
    marker: str
    own: Path

    def stdout(self) -> str:
        return self._log("stdout")

    def stderr(self) -> str:
        return self._log("stderr")

    def _log(self, name: str) -> str:
        path = Path(f"{self.logs}.{name}")
        # The keeper makes it when it starts.
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def wait_for(self, text: str, *, in_s: float = 10.0) -> None:
        """Wait until `text` is in the log of standard output."""
        patience = Deadline(in_s)
        while text not in self.stdout():
            assert not patience.passed, f"no {text!r} in {self.stdout()!r}, {self.stderr()!r}"
            sleep(0.005)


@contextmanager
def planted(
    code: str,
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    command: list[str] | None = None,
    level: Level = "bare",
    limits: Limits = cells.LIMITS,
    loopback: bool = False,
) -> Iterator[Planted]:
    """Run Python `code` (or `command`) in a tree; on leaving, the judge kills it.

    At the level "bare" the command sees the machine as it is.
    """
    cells.skip_without(level)
    marker = f"marker-{uuid.uuid4().hex}"
    logs = folder / f"log-{marker[-6:]}"
    start = command or [sys.executable, "-I", "-S", "-c", textwrap.dedent(code)]
    whole = {"MARKER": marker, **({} if env is None else env)}
    sandbox = cells.sandbox(level, limits=limits)
    with reachable(folder, sandbox) as place:
        own = place / f"own-{marker[-6:]}"
        own.mkdir()
        folders = Folders(cwd=own, writable=(own,), private=(own,))
        with running(sandbox, start, whole, folders, logs=logs, loopback=loopback) as (tree, ours):
            channel = Channel(ours)
            channel.deadline = Deadline(10.0)
            yield Planted(tree=tree, channel=channel, logs=logs, marker=marker, own=own)


@contextmanager
def reachable(folder: Path, sandbox: Sandbox) -> Iterator[Path]:
    """Yield the folder, or one that a cell's own user can reach: pytest's are closed to all but its user."""
    if sandbox.level != "landlock" or not sandbox.own_users or open_to_others(folder):
        yield folder
        return
    with TemporaryDirectory(prefix="harness-planted-") as place:
        Path(place).chmod(0o711)
        yield Path(place)
