"""Trials side by side: a few processes, each with a bench of its own.

Budgets of the corpus are generous, and what is expected is a verdict, never a time; so trials need not own
the machine, as the runs of a contest must.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Self

from harness.launch import Listener
from harness.sandbox.mechanisms import Level
from harness.selftest.corpus import Attack
from harness.selftest.trial import Bench, Trial

Tried = tuple[Attack, Trial | None, Trial]
"""An attack, what came of its cheat (None where it has none), and of its twin."""
_bench: list[Bench] = []
"""A worker's own."""


class Pool:
    """Some processes that try attacks; leaving the `with` block ends them."""

    def __init__(
        self,
        folder: Path,
        listener: Listener,
        passed_env: Mapping[str, str],
        *,
        jobs: int,
        keep: bool = False,
        most: Level = "namespaces",
    ) -> None:
        """Take what a Bench takes, and how many of them to have."""
        # Not forked: a process of the judge's own is started with nothing of this one's.
        self._pool = ProcessPoolExecutor(
            jobs, get_context("spawn"), _open, (folder, listener, dict(passed_env), keep, most)
        )

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give up what has not begun, and wait for the rest."""
        self._pool.shutdown(cancel_futures=True)

    def submit(self, attack: Attack) -> Future[Tried]:
        """Have an attack tried; they are begun in the order in which they came."""
        return self._pool.submit(_try, attack)


def tried(
    attacks: Sequence[Attack],
    folder: Path,
    listener: Listener,
    passed_env: Mapping[str, str],
    *,
    jobs: int,
    keep: bool = False,
    most: Level = "namespaces",
) -> Iterator[Tried]:
    """Yield each attack as it is done, `jobs` at a time; with one job in order, and in this process."""
    if jobs == 1:
        bench = Bench(folder, listener, passed_env, keep=keep, most=most)
        yield from (_both(bench, attack) for attack in attacks)
        return
    with Pool(folder, listener, passed_env, jobs=jobs, keep=keep, most=most) as pool:
        for done in as_completed([pool.submit(attack) for attack in attacks]):
            yield done.result()


def _open(
    folder: Path, listener: Listener, passed_env: dict[str, str], keep: bool, most: Level
) -> None:
    _bench.append(Bench(folder, listener, passed_env, keep=keep, most=most))


def _try(attack: Attack) -> Tried:
    return _both(_bench[0], attack)


def _both(bench: Bench, attack: Attack) -> Tried:
    return attack, bench.cheat(attack) if attack.cheat else None, bench.twin(attack)
