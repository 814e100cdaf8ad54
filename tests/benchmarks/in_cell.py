"""Start a Python command in a cell as a phase does, for benchmarks that measure what goes on inside."""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness import packages, ruleset
from harness.commands.run import passed_environment
from harness.isolation import Survey, sandbox_of
from harness.launch import importable
from harness.process import Tree, running
from harness.sandbox.cell import Folders, Sandbox
from harness.sandbox.mechanisms import Level
from harness.sandbox.start import environment


def sandbox(rules: str, most: Level = "namespaces") -> tuple[Sandbox, packages.Pinned]:
    """Return the strongest sandbox that works here under a shipped ruleset, `most` at most."""
    libraries = passed_environment().get("LD_LIBRARY_PATH", "")
    return sandbox_of(Survey(), ruleset.load(rules).ruleset, most=most, libraries=libraries)


@contextmanager
def python(
    box: Sandbox, pinned: packages.Pinned, arguments: Sequence[str], own: Path, logs: Path
) -> Iterator[tuple[Tree, socket.socket]]:
    """Start Python in a cell whose folder is OWN, which exists; yield as harness.process.running does."""
    for name in ("home", "tmp"):
        (own / name).mkdir()
    imports = importable(own / "import", pinned, ())
    env = environment(own / "home", own / "tmp", passed_environment())
    env["PYTHONPATH"] = os.pathsep.join(map(str, imports))
    folders = Folders(cwd=own, writable=(own,), private=(own,))
    with running(box, [sys.executable, *arguments], env, folders, logs=logs) as started:
        yield started
