"""Start a command under a keeper as the judge does, for tests."""

from __future__ import annotations

import sys
import textwrap
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Deadline, sleep
from harness.process import Tree
from harness.session import Channel, socket_pair


@dataclass(slots=True)
class Planted:
    """A running tree, the judge's channel to it, where its logs lie, and the marker it carries."""

    tree: Tree
    channel: Channel
    logs: Path
    marker: str

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
) -> Iterator[Planted]:
    """Run Python `code` (or `command`) in a tree; on leaving, the judge kills it."""
    marker = f"marker-{uuid.uuid4().hex}"
    logs = folder / f"log-{marker[-6:]}"
    ours, theirs = socket_pair()
    start = command or [sys.executable, "-I", "-S", "-c", textwrap.dedent(code)]
    whole = {"MARKER": marker, **({} if env is None else env)}
    with (
        ours,
        Tree(start, cwd=folder, env=whole, logs=logs, channel=theirs) as tree,
    ):
        channel = Channel(ours)
        channel.deadline = Deadline(10.0)
        yield Planted(tree=tree, channel=channel, logs=logs, marker=marker)
