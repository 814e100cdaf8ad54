"""What a trial does not tell, with the command that would; and its figures, a line each.

A command here is one that can be pasted: names are quoted for a shell.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from checks.submitted import Tried
from harness import machine, ruleset
from harness.preflight.folder import Folder
from harness.preflight.session import Session
from harness.report.result import NotChecked
from harness.ruleset import Loaded

SEEDS = "1337,42,2025"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a trial was asked for."""

    name: str
    rules: Loaded
    ruleset_named: str
    """What to call the ruleset on a command line; "" for its own name."""
    own_data: bool
    given: bool
    """Whether the artifact was given."""
    guarantees_required: bool

    @property
    def named(self) -> str:
        """Return the ruleset as a command takes it, quoted."""
        name = self.ruleset_named or self.rules.ruleset.name
        is_path = name.endswith(".toml") or name in ruleset.shipped()
        return shlex.quote(name if is_path else f"{name}.toml")

    def run(self, *, seeds: str = "") -> str:
        """Return the command of a run that counts."""
        chosen = f" --seeds {seeds}" if seeds else ""
        return f"harness run {shlex.quote(self.name)}{chosen} --ruleset {self.named}{self._data}"

    def check(self) -> str:
        """Return the command of this trial again."""
        data = " --data DATA" if self.own_data else ""
        return f"harness check {shlex.quote(self.name)} --ruleset {self.named}{data}"

    def check_weights(self) -> str:
        """Return the command of a trial of trained weights, on data of the tokenizer that they know."""
        command = f"harness check {shlex.quote(self.name)} --ruleset {self.named}{self._data}"
        return f"{command} --artifact FOLDER"

    @property
    def _data(self) -> str:
        is_embedded = self.rules.ruleset.data.name == "synthetic-1"
        return " --data DATA" if self.own_data or not is_embedded else ""


def untold(asked: Asked, tried: Tried, session: Session | None) -> tuple[NotChecked, ...]:
    """Return everything that a trial leaves open."""
    return tuple(_untold(asked, tried, session))


def _untold(asked: Asked, tried: Tried, session: Session | None) -> Iterator[NotChecked]:
    if tried.why_not:
        yield NotChecked(
            what="what a whole judged session shows",
            why=tried.why_not,
            command=asked.check(),
        )
    yield NotChecked(
        what="time.train, training and export within the budget",
        why="nothing was trained",
        command=asked.run(seeds=SEEDS),
    )
    yield NotChecked(
        what="stats.margin, better than the baseline by the ruleset's test",
        why="scores of a check are of an excerpt, and compare with nothing",
        command=asked.run(seeds=SEEDS),
    )
    if not asked.given:
        yield NotChecked(
            what="trained weights: their bytes and what the scorer does with them",
            why="the artifact was untrained; trained weights may compress worse",
            command=asked.check_weights(),
        )
    yield NotChecked(
        what="the whole validation text, and the time that scoring it takes",
        why=_excerpt(asked, session),
        command=asked.run(),
    )
    if len(machine.describe().gpus) < 2:
        yield NotChecked(
            what="a machine with several GPUs",
            why=f"this one has {len(machine.describe().gpus) or 'none'}",
            command=asked.run(),
        )
    yield from _guarantees(asked, session)


def _excerpt(asked: Asked, session: Session | None) -> str:
    if session is None:
        return "nothing was scored"
    whose = "the data given" if asked.own_data else "the embedded corpus"
    return f"an excerpt of {session.run.data.val.tokens:,} tokens of {whose} was used"


def _guarantees(asked: Asked, session: Session | None) -> Iterator[NotChecked]:
    """Yield what the ruleset wants held and a check does not insist on."""
    if session is None or asked.guarantees_required:
        return
    states = {line.name: line for line in session.report.guarantees}
    for name in asked.rules.ruleset.verdict.guarantees:
        line = states.get(name)
        if line is None or line.state != "enforced":
            yield NotChecked(
                what=f"sandbox.{name}, which the ruleset requires",
                why=f"not held here: {line.means if line else 'unknown to this judge'}",
                command=f"harness doctor --ruleset {asked.named}",
            )


def facts(
    asked: Asked, read: Folder | None, session: Session | None, wall_s: float, *, kept: bool
) -> dict[str, str]:
    """Return the figures of a trial, by name, as text with units."""
    found = {}
    if read is not None and read.copied is not None:
        copied = read.copied
        found["code"] = (
            f"{copied.code_bytes:,} of {copied.cap_bytes:,} bytes, the manifest included"
        )
    if session is not None:
        found |= _of_session(session)
        if kept:
            found["run"] = session.run.folder.name
    found["time"] = ", ".join([*_times(session), f"the whole check {wall_s:.1f} s"])
    return found


def _of_session(session: Session) -> dict[str, str]:
    seed, weights = session.report.seeds[0], f"{session.tried.weights} weights"
    data = session.run.data
    found = {"data": f"{data.name}, {data.val.tokens:,} tokens, vocabulary {data.vocab_size:,}"}
    if seed.artifact_bytes is not None:
        cap = session.run.ruleset.bytes.cap_bytes
        found["artifact"] = f"{seed.artifact_bytes:,} of {cap:,} bytes, {weights}"
    if seed.nats_per_token is not None:
        found["score"] = f"{seed.nats_per_token:.4f} nats/token, {weights}: no result"
    return found


def _times(session: Session | None) -> list[str]:
    phases = session.report.seeds[0].phases if session is not None else ()
    return [f"{time.phase} {time.wall_s:.1f} s" for time in phases if time.wall_s]
