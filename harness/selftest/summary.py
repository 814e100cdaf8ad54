"""What came of all trials: lists of names, details, and the exit code.

Field names are a published surface: `harness selftest --json` prints this record.
"""

from __future__ import annotations

import msgspec

from harness import __version__
from harness.errors import EXIT_JUDGE, EXIT_PASS, EXIT_RULE_BROKEN
from harness.selftest.trial import State, Trial

LEGAL = "LEGAL"
"""Shown for an entry without a cheat: a thing that looks odd and must pass."""


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one attack."""

    cheat: str
    """CAUGHT, ESCAPED, NOT-RUN or ERROR; LEGAL where there is none."""
    twin: str
    """PASS, FAIL, NOT-RUN or ERROR."""
    caught_by: tuple[str, ...]
    """The checks that failed the cheat, or "exit 2"."""
    reason: str
    """Why it is not CAUGHT; "" where it is."""
    twin_reason: str
    """Why the twin is not PASS; "" where it is."""
    seconds: float
    """Wall time of both."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a selftest: each attack's name in the lists that it belongs to."""

    harness_version: str
    exit_code: int
    caught: tuple[str, ...]
    escaped: tuple[str, ...]
    twins_passed: tuple[str, ...]
    twins_failed: tuple[str, ...]
    not_run: tuple[str, ...]
    """Those of which the cheat, or else the twin, could not be tried on this machine."""
    errors: tuple[str, ...]
    """Those of which one made the judge fail, or left it undecided."""
    attacks: dict[str, Detail]
    seconds: float

    @property
    def sentence(self) -> str:
        """Return the last line for people."""
        counts = [
            f"{len(self.caught)} caught",
            f"{len(self.escaped)} escaped",
            f"{len(self.twins_failed)} twins failed",
            f"{len(self.not_run)} not run",
        ]
        if self.errors:
            counts.append(f"{len(self.errors)} errors")
        return ", ".join(counts)


def detail(cheat: Trial | None, twin: Trial) -> Detail:
    """Return what came of one attack; `cheat` is None where it has none."""
    return Detail(
        cheat=str(cheat.state) if cheat else LEGAL,
        twin=str(twin.state),
        caught_by=cheat.caught_by if cheat else (),
        reason=cheat.reason if cheat else "",
        twin_reason=twin.reason,
        seconds=round((cheat.wall_s if cheat else 0.0) + twin.wall_s, 3),
    )


def summarise(attacks: dict[str, Detail]) -> Summary:
    """Return the lists and the exit code.

    0 where at least one trial was run, every cheat that ran was caught and every twin passed; 1 where one
    escaped or a twin failed; else 3: the judge failed, or nothing could be tried.
    """

    def named(*states: State, cheat: bool = True, twin: bool = True) -> tuple[str, ...]:
        return tuple(
            name
            for name, each in attacks.items()
            if (cheat and each.cheat in states) or (twin and each.twin in states)
        )

    caught = named(State.CAUGHT, twin=False)
    passed = named(State.PASS, cheat=False)
    escaped, failed = named(State.ESCAPED), named(State.FAIL)
    errors = named(State.ERROR)
    return Summary(
        harness_version=__version__,
        exit_code=_exit_code(bool(caught or passed), bool(escaped or failed), bool(errors)),
        caught=caught,
        escaped=escaped,
        twins_passed=passed,
        twins_failed=failed,
        not_run=named(State.NOT_RUN),
        errors=errors,
        attacks=attacks,
        seconds=round(sum(each.seconds for each in attacks.values()), 3),
    )


def _exit_code(ran: bool, broken: bool, failed: bool) -> int:
    if broken:
        return EXIT_RULE_BROKEN
    return EXIT_JUDGE if failed or not ran else EXIT_PASS
