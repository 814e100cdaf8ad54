"""Before a run: start a cell like those of the run, try from inside what must not work, see what is left.

Besides the mechanisms' names, this is what the report's guarantees rest on. It takes a fraction of a second
and leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.clock import Deadline, Stopwatch
from harness.errors import JudgeError
from harness.process import running
from harness.sandbox import attempts
from harness.sandbox.cell import Folders, Sandbox
from harness.sandbox.start import environment

TRIAL_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What could be done from inside a cell that should not, by guarantee."""

    worked: dict[str, list[str]]
    wall_s: float


def try_cell(sandbox: Sandbox, *, loopback: bool = False, folder: Path | None = None) -> Trial:
    """Try a cell of this sandbox, below FOLDER or where temporary files are.

    Raises JudgeError where none can be started, or the interpreter does not run in it.
    """
    watch = Stopwatch()
    mark = f"harness-{secrets.token_hex(8)}"
    with (
        TemporaryDirectory(prefix="harness-trial-", dir=folder) as place,
        _Targets(mark) as targets,
    ):
        root = Path(place).resolve()
        root.chmod(0o711)  # a cell's user passes through to its own folder
        (root / "judge").mkdir(mode=0o700)
        (root / "judge" / "canary").write_text("what no submission may read\n")
        targets.listen_below(root / "judge")
        inside = root / "cell"
        facts = {
            "canary": str(root / "judge" / "canary"),
            "judge": os.getpid(),
            "mark": mark,
            **targets.facts(),
        }
        worked = _attempt(sandbox, inside, root / "log", facts, loopback=loopback)
    if _left_in_shared_memory(mark):
        worked["ipc"].append("a file in /dev/shm outlived its cell")
    return Trial(worked=worked, wall_s=watch.elapsed_s)


def start_s(sandbox: Sandbox, folder: Path) -> float:
    """Return how long it takes to start `true` in a cell below a new FOLDER and see all of it gone.

    Raises JudgeError where it cannot be started.
    """
    folder.mkdir(parents=True)
    inside = folder / "cell"
    inside.mkdir()
    folders = Folders(cwd=inside, writable=(inside,), private=(inside,))
    watch = Stopwatch()
    with running(sandbox, ["/bin/true"], {}, folders, logs=folder / "log") as (tree, _):
        tree.wait_gone(Deadline(TRIAL_S))
        return watch.elapsed_s


def _attempt(
    sandbox: Sandbox, inside: Path, logs: Path, facts: dict[str, object], *, loopback: bool
) -> dict[str, list[str]]:
    for name in ("", "home", "tmp"):
        (inside / name).mkdir()
    script = str(shutil.copy(attempts.__file__, inside / "attempts.py"))
    folders = Folders(cwd=inside, writable=(inside,), private=(inside,))
    command = [sys.executable, "-I", "-S", "-B", script, json.dumps(facts)]
    env = environment(inside / "home", inside / "tmp", {})
    with running(sandbox, command, env, folders, logs=logs, loopback=loopback) as (tree, _):
        tree.wait_exited(Deadline(TRIAL_S))
        status = tree.exit_status
        tree.kill()  # raises where the daemon that was left survives
    said = Path(f"{logs}.stdout").read_text("utf-8", "replace")
    try:
        worked = json.loads(said)
    except ValueError:
        words = Path(f"{logs}.stderr").read_text("utf-8", "replace").strip().splitlines()
        raise JudgeError(
            f"the interpreter {sys.executable} does not run in the sandbox (status {status}): "
            f"{words[-1] if words else 'it said nothing'}; make it readable for other users"
        ) from None
    assert isinstance(worked, dict)
    return worked


class _Targets:
    """Sockets of the judge's own that a cell must not reach."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._port = socket.create_server(("127.0.0.1", 0))
        self._abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._abstract.bind("\0" + mark)
        self._abstract.listen()
        self._file = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> _Targets:
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()
        self._abstract.close()
        self._file.close()

    def listen_below(self, folder: Path) -> None:
        """Listen on a socket file, too, whose path may be longer than an address."""
        opened = os.open(folder, os.O_PATH)
        self._file.bind(f"/proc/self/fd/{opened}/socket")
        os.close(opened)
        self._file.listen()

    def facts(self) -> dict[str, object]:
        """Return where they are."""
        return {"port": self._port.getsockname()[1], "abstract": self._mark}


def _left_in_shared_memory(mark: str) -> bool:
    left = Path("/dev/shm", mark)
    there = left.exists()
    left.unlink(missing_ok=True)
    return there
