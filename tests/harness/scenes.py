"""Phases of a submission that does one thing: folders and a context around one script.

Scripts speak the protocol with the standard library alone, so that a phase takes milliseconds.
"""

import json
import sys
import textwrap
from pathlib import Path

import numpy as np

from harness import launch, manifest, phases
from harness.handover import Handover
from harness.launch import Quiet
from harness.page_cache import PageCache
from harness.ruleset import Phases
from tests import cells
from tests.judged import SUBMISSIONS
from tests.processes import carrying

UNIFORM = (SUBMISSIONS / "uniform" / "uniform.py").read_text()
BEFORE_READY = UNIFORM.split("nats = ")[0].replace('["vocab_size"]', "")
"""Leaves what `open` said in `vocab`."""
PLENTY_S = 20.0
STREAM_N = np.arange(10, dtype=np.uint16)


class Watching(Quiet):
    def __init__(self):
        self.told = []

    def phase(self, seed, phase, budget_s):
        self.told.append(("begins", seed, phase))

    def ended(self, seed, time):
        self.told.append(("ends", seed, time.phase))


class Scene:
    """Folders and a context, around one script that is every command of the submission."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("code", "output", "sealed", "work"):
            (folder / name).mkdir()
        (folder / "shard").write_bytes(bytes(1024))
        self.listener = Watching()
        self.budgets = {}
        self.passed = {}
        self.env = {}
        self.package = ""
        self.level = "bare"
        self.page_cache = PageCache("none", ())

    def context(self) -> launch.Context:
        command = (sys.executable, "-I", "-S", str(self.folder / "script.py"))
        budgets = {
            f"{name}_s": PLENTY_S
            for name in ("setup", "train", "load", "score", "challenge", "answer")
        }
        return launch.Context(
            manifest=manifest.Manifest(
                schema=1,
                name="x",
                train=manifest.Train(command=command, env=self.env),
                artifact=manifest.ArtifactFiles(code=()),
                score=manifest.ScoreCommand(command=command, block_tokens=4, env=self.env),
                package=self.package,
            ),
            phases=Phases(
                **{**budgets, "train_grace_s": 0.0, "score_grace_s": 0.0, **self.budgets},
                export="in-train",
                data_in_setup=False,
                data_in_load=False,
            ),
            vocab_size=8,
            cap_bytes=1000,
            passed_env=self.passed,
            listener=self.listener,
            sandbox=cells.sandbox(self.level),
            pinned=cells.pinned(),
            page_cache=self.page_cache,
            project=(),
        )

    def train(self, script: str) -> phases.Trained:
        self._write(script)
        with Handover([self.folder / "shard"], None, 1 << 30) as handover:
            return phases.train(
                self.context(),
                seed=3,
                code=self.folder / "code",
                output=self.folder / "output",
                work=self.folder / "work",
                logs=self.folder / "logs" / "train",
                handover=handover,
            )

    def score(self, script: str) -> phases.Scored:
        self._write(script)
        return phases.score(
            self.context(),
            seed=3,
            sealed=self.folder / "sealed",
            work=self.folder / "work",
            logs=self.folder / "logs" / "score",
            stream_N=STREAM_N,
            nats=self.folder / "nats.f64",
        )

    def said(self, phase: str):
        return json.loads((self.folder / "logs" / f"{phase}.stdout").read_text())

    def _write(self, script: str) -> None:
        (self.folder / "script.py").write_text(BEFORE_READY + textwrap.dedent(script))

    def is_clean(self) -> bool:
        """Whether nothing is left of the phase: no process, no scratch."""
        return not carrying(str(self.folder)) and not list((self.folder / "work").iterdir())


TAKES_DATA = """
import os, time
send(READY)
_, payload = receive()
told = json.loads(payload)
"""
ANSWERS = """
send(READY)
while True:
    kind, payload = receive()
    if kind == CLOSE:
        break
    send(*((NATS, array.array("d", [0.5] * (len(payload) // 4)).tobytes()) if kind == SCORE else (DONE,)))
"""
SLOWLY = "\nimport time" + ANSWERS.replace("    send(*", "    time.sleep(0.05); send(*")
