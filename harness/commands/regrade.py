"""`harness regrade`: the verdict of a run's evidence, worked out again and compared with its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.attest.regrading import Difference, Regraded

SHOWN = 20
"""Differences that are printed; --json has all."""
LONGEST = 100


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), help="The run's data folder, if it has moved."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def regrade(run: Path, data: Path | None, as_json: bool) -> int:
    """Work out the verdict of RUN again from its stored evidence, and compare it with its report.json.

    The submission is not run and nothing is written. Where both agree, the exit code is the verdict's; a
    report that its evidence does not give is a broken claim: 1, or 3 if another version wrote it.
    """
    from harness.attest.regrading import regrade as regraded_from
    from harness.report.escape import for_terminal

    regraded = regraded_from(run, data)
    if as_json:
        click.echo(_json(regraded), nl=False)
        return regraded.exit_code
    click.echo(f"{regraded.status:<8} {for_terminal(regraded.message)}")
    for line in regraded.contradictions[1 : SHOWN + 1]:
        click.echo(f"         {for_terminal(line)}")
    show_differences(regraded.differences)
    if regraded.recomputed is not None:
        verdict = regraded.recomputed
        click.echo(f"{verdict.verdict:<8} {for_terminal(verdict.verdict_message)}")
        click.echo(f"not compared: {', '.join(regraded.not_compared)}")
    return regraded.exit_code


def show_differences(differences: Sequence[Difference], *, err: bool = False) -> None:
    """Print the first differences, a line each; their texts may be anybody's."""
    from harness.report.escape import for_terminal

    for each in differences[:SHOWN]:
        stored, recomputed = (
            for_terminal(text, LONGEST) for text in (each.stored, each.recomputed)
        )
        click.echo(
            f"         {for_terminal(each.path, LONGEST)}: {stored} -> {recomputed}", err=err
        )
    if len(differences) > SHOWN:
        click.echo(f"         and {len(differences) - SHOWN} more", err=err)


def _json(regraded: Regraded) -> bytes:
    import msgspec

    recomputed = regraded.recomputed
    said = {
        "schema_version": "1.0",
        "run_id": regraded.stored.report.run_id,
        "equal": regraded.status == "PASS",
        "status": regraded.status,
        "message": regraded.message,
        "exit_code": regraded.exit_code,
        "verdict": recomputed.verdict if recomputed else None,
        "contradictions": regraded.contradictions,
        "differences": regraded.differences,
        "not_compared": regraded.not_compared,
        "unfinished": regraded.unfinished,
    }
    return msgspec.json.format(msgspec.json.encode(said, order="sorted"), indent=2) + b"\n"
