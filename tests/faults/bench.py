"""Judges as people start them, each a process of its own, and what became of the run and the machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.clock import Deadline, Stopwatch, sleep
from harness.seal import remove
from tests.faults import machine
from tests.judged import ROOT, command, environment

WAIT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a judge ended, and what it said."""

    status: int
    err: str
    run: Path | None
    """The folder that it named."""
    report: dict[str, Any] = field(default_factory=dict)
    wall_s: float = 0.0

    def findings(self, status: str) -> dict[str, str]:
        """Return the messages of the required findings that came out so."""
        return {
            finding["id"]: finding["message"]
            for finding in self.report["findings"]
            if finding["status"] == status and finding["id"] in self.report["required"]
        }

    def verdict(self) -> dict[str, Any]:
        """Return what a run that was cut off and resumed shares with one that was not."""
        seeds = self.report["seeds"]
        return {
            "status": self.status,
            "findings": {f["id"]: f["status"] for f in self.report["findings"]},
            "nats": [seed["nats_per_token"] for seed in seeds],
            "artifact": [seed["artifact_digest"] for seed in seeds],
            "submission": self.report["submission"],
        }


class Judge:
    """One judge at work."""

    def __init__(self, line: list[str], place: Path, env: dict[str, str]) -> None:
        self._watch = Stopwatch()
        self._err = place / f"stderr-{uuid.uuid4().hex[:8]}"
        self._out = self._err.with_name(self._err.name.replace("err", "out"))
        with self._err.open("wb") as err, self._out.open("wb") as out:
            self.process = subprocess.Popen(line, stdout=out, stderr=err, cwd=place, env=env)

    @property
    def said(self) -> str:
        return self._err.read_text("utf-8", "replace")

    @property
    def run(self) -> Path | None:
        """The folder of the run, once the judge has named it."""
        named = [line for line in self.said.splitlines(keepends=True) if line.startswith("run ")]
        if not named or not named[0].endswith("\n"):
            return None
        path = Path(named[0][4:].strip())
        return path if path.is_absolute() else self._err.parent / path

    def wait_for(self, reached: Callable[[], object], *, in_s: float = 60.0) -> bool:
        """Wait until something is so, or the judge has ended; return whether it came to pass."""
        patience = Deadline(in_s)
        while not reached():
            assert not patience.passed, self.said
            if self.process.poll() is not None:
                return bool(reached())
            sleep(0.002)
        return True

    def wait_named(self) -> bool:
        """Wait until the run has a folder; return whether it has."""
        return self.wait_for(lambda: self.run)

    def keepers(self) -> list[int]:
        """Return the keepers that the judge has at this moment."""
        found = []
        try:
            text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            for pid in map(int, text.split()):
                if b"keeper.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        except OSError:
            pass
        return found

    def ended(self, *, in_s: float = WAIT_S) -> Ended:
        """Wait for the end."""
        status = self.process.wait(in_s)
        said = self._out.read_text("utf-8")
        report = json.loads(said) if said.startswith("{") else {}
        return Ended(
            status=status, err=self.said, run=self.run, report=report, wall_s=self._watch.elapsed_s
        )

    def kill(self, number: int = signal.SIGKILL) -> Ended:
        """End it by a signal; it may have ended by itself just before."""
        self.process.send_signal(number)
        return self.ended(in_s=30.0)


class Bench:
    """A folder with a data set, in which judges are started one after another."""

    def __init__(self, place: Path, data: Path, row: str = "") -> None:
        """Take an empty folder and a data set; `row` is the machine to put on (tests/machines.py)."""
        self.place, self.data = place, data
        self.row = row
        self.out = place / "runs"
        (place / "tmp").mkdir(parents=True)
        self._env = {
            **environment(),
            "TMPDIR": str(place / "tmp"),
            "OPENBLAS_NUM_THREADS": "1",
        }
        self.judges: set[int] = set()
        self.begin()

    def start(self, *arguments: object) -> Judge:
        """Start `harness ARGUMENTS`."""
        machine_of = [sys.executable, ROOT / "tests" / "machines.py", self.row, "--"]
        return self.started([*(machine_of if self.row else []), *command(*arguments)])

    def started(self, line: list[object]) -> Judge:
        """Start a judge by a command line of one's own."""
        judge = Judge(list(map(str, line)), self.place, self._env)
        self.judges.add(judge.process.pid)
        return judge

    def judging(
        self, submission: Path, rules: Path, level: str = "namespaces", **how: Any
    ) -> Judge:
        """Start a judge on a submission."""
        line = ["--seeds", "5", "--ruleset", rules, "--data", self.data, "--out", self.out]
        return self.start("run", submission, *line, "--sandbox", level, "--json")

    def judge(self, submission: Path, rules: Path, level: str = "namespaces") -> Ended:
        """Judge a submission to its end."""
        return self.judging(submission, rules, level).ended()

    def resume(self, run: Path | None, level: str = "namespaces") -> Ended:
        """Go on with a run, to its end."""
        assert run is not None
        return self.resuming(run, level).ended()

    def resuming(self, run: Path, level: str = "namespaces") -> Judge:
        """Start a judge that goes on with a run."""
        return self.start("run", "--resume", run, "--sandbox", level, "--json")

    def begin(self) -> None:
        """Take the machine as it is now for what is there without a judge."""
        self._before = machine.snapshot(self.place, ())

    def left(self, *, in_s: float = 5.0) -> list[str]:
        """Return what is on the machine that was not there when the bench was made."""
        return machine.left(self._before, self.place, self.judges, in_s=in_s)

    def clear(self) -> None:
        """Delete the runs: what they are made of is nobody's leftover."""
        for run in self.out.iterdir() if self.out.exists() else ():
            remove(run)


@contextmanager
def bench(folder: Path, data: Path, row: str = "") -> Iterator[Bench]:
    """Make a bench whose folder's name is found nowhere else, and delete it."""
    place = folder / f"faults-{uuid.uuid4().hex}"
    place.mkdir(parents=True)
    try:
        yield Bench(place, data, row)
    finally:
        remove(place)


def tmpfs(where: Path, size_bytes: int) -> None:
    """Mount a disk of this size; the caller is root and may mount."""
    where.mkdir()
    how = ["-t", "tmpfs", "-o", f"size={size_bytes}", "harness-test"]
    subprocess.run(["mount", *how, where], check=True)


def unmount(where: Path) -> None:
    subprocess.run(["umount", where], check=True)


def fill(file: Path) -> None:
    """Take all the room that is left."""
    with file.open("wb") as rest:
        for chunk in (1 << 20, 4096, 1):
            try:
                while True:
                    os.write(rest.fileno(), b"\0" * chunk)
            except OSError:
                continue
