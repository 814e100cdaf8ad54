"""`harness selftest`: the attack corpus, tried on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import sandbox_option
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.selftest.corpus import Attack
    from harness.selftest.summary import Detail, Summary

COLOURS = {"CAUGHT": "green", "LEGAL": "green", "PASS": "green", "NOT-RUN": "yellow"}
REASON = 600
"""Characters of a reason that are shown; --json has it whole."""


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--corpus",
    type=click.Path(path_type=Path),
    help="A folder of attacks.  [default: the one shipped]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--list", "listed", is_flag=True, help="Say what there is, and try nothing.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Keep the runs in this folder, new or empty."
)
@sandbox_option
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=lambda: min(4, len(os.sched_getaffinity(0))),
    help="Trials side by side.  [default: one a core, at most 4]",
)
def selftest(
    names: tuple[str, ...],
    corpus: Path | None,
    as_json: bool,
    listed: bool,
    keep: Path | None,
    most: str,
    jobs: int,
) -> int:
    """Try every attack that this machine can host, or those of NAMES, each with its honest twin.

    Says CAUGHT and by which checks, ESCAPED, or NOT-RUN and what is missing. Exit codes: 0 all that ran were
    caught and every twin passed; 1 an attack escaped or a twin failed; 2 usage; 3 the judge failed, or
    nothing could be tried.
    """
    from harness.selftest.corpus import find_corpus, read_corpus

    attacks = read_corpus(find_corpus(corpus), names)
    if listed:
        _list(attacks, as_json)
        return 0
    with _place(keep) as folder:
        how = {"keep": keep is not None, "most": most, "jobs": min(jobs, len(attacks))}
        summary = _try(attacks, folder, how, to_stderr=as_json)
    _conclude(summary, as_json)
    return summary.exit_code


def _try(
    attacks: Sequence[Attack], folder: Path, how: Mapping[str, Any], *, to_stderr: bool
) -> Summary:
    """Try every attack and say of each how it went, when it has."""
    from harness.commands.run import passed_environment
    from harness.launch import Quiet
    from harness.selftest.pool import tried
    from harness.selftest.summary import detail, summarise

    widths = (
        max(len(attack.name) for attack in attacks),
        max(len(", ".join((*attack.catchers, *attack.expected.also))) for attack in attacks),
    )
    details = {}
    for attack, cheat, twin in tried(attacks, folder, Quiet(), passed_environment(), **how):
        details[attack.name] = each = detail(cheat, twin)
        for line in _lines(attack.name, each, widths):
            click.echo(line, err=to_stderr)
    return summarise({attack.name: details[attack.name] for attack in attacks})


def _lines(name: str, each: Detail, widths: tuple[int, int]) -> Iterator[str]:
    """Yield the line of an attack, and below it why it is not as it should be."""
    from harness.report.escape import for_terminal

    yield "   ".join(
        (
            _coloured(each.cheat, f"{each.cheat:<7}"),
            f"{name:<{widths[0]}}",
            f"{', '.join(each.caught_by) or '-':<{widths[1]}}",
            f"twin {_coloured(each.twin, f'{each.twin:<7}')}",
            f"{each.seconds:5.1f} s",
        )
    )
    for what, reason in (("", each.reason), ("twin: ", each.twin_reason)):
        if reason and not (what and reason == each.reason):
            yield f"          {what}{for_terminal(reason, REASON)}"


def _conclude(summary: Summary, as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(summary), indent=1))
        return
    click.echo(f"{summary.sentence} ({summary.seconds:.0f} s)")


def _list(attacks: Sequence[Attack], as_json: bool) -> None:
    """Print what the corpus holds."""
    if as_json:
        import json

        facts = [
            {
                "name": attack.name,
                "caught_by": attack.catchers,
                "needs": attack.expected.needs,
                "source": attack.expected.source,
                "says": attack.expected.says,
            }
            for attack in attacks
        ]
        click.echo(json.dumps(facts, indent=1))
        return
    width = max(len(attack.name) for attack in attacks)
    for attack in attacks:
        click.echo(f"{attack.name:<{width}}   {attack.expected.says}")


def _coloured(word: str, text: str) -> str:
    return click.style(text, fg=COLOURS.get(word, "red"))


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """Yield a folder for the trials: the one to keep, or one that is gone afterwards."""
    from harness.seal import remove

    if keep is None:
        try:
            folder = Path(tempfile.mkdtemp(prefix="harness-selftest-"))
        except OSError as error:
            raise UsageError(
                f"{error.filename}: {error.strerror}; set TMPDIR to a writable folder, or give --keep"
            ) from None
        try:
            yield folder
        finally:
            remove(folder)
        return
    try:
        keep.mkdir(parents=True, exist_ok=True)
        taken = any(keep.iterdir())
    except OSError as error:
        raise UsageError(f"--keep {keep}: {error.strerror}; choose a writable folder") from None
    if taken:
        raise UsageError(f"--keep {keep}: is not empty; choose a new folder")
    yield keep.resolve()
