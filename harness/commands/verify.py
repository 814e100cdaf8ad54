"""`harness verify`: whether a report is what it claims to be, without running the submission again."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.attest.verification import Verification


@click.command()
@click.argument("report", type=click.Path(path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A PEM public key that you trust; of several, one must have signed.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="The run's data folder, if it has moved."
)
@click.option(
    "--attestation",
    type=click.Path(path_type=Path),
    help="The attestation, if it is not in the run's folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def verify(
    report: Path, keys: tuple[Path, ...], data: Path | None, attestation: Path | None, as_json: bool
) -> int:
    """Check REPORT: its signature, the digests of its evidence, and its verdict, worked out again.

    REPORT is a run's folder, its report.json or its attestation. Without --key only consistency is checked,
    and the last line says that nobody vouches for where the report came from. Exit codes: 0 the report is
    what it claims to be, whatever its verdict; 1 it is not; 2 it cannot be read; 3 something that was asked
    for could not be checked.
    """
    from harness.attest.verification import locate
    from harness.attest.verification import verify as verified

    folder, named = locate(report)
    found = verified(folder, keys, data, attestation=attestation or named)
    if as_json:
        click.echo(_json(found), nl=False)
    else:
        _print(found)
    return found.exit_code


def _print(found: Verification) -> None:
    from harness.commands.regrade import show_differences
    from harness.report.escape import for_terminal

    for finding in found.findings:
        click.echo(
            _wrapped(f"{finding.status:<8} {finding.id:<16}  ", for_terminal(finding.message))
        )
        if finding.id == "verify.statement":
            show_differences(found.statement_differences)
        if finding.id == "verify.regrade" and found.regraded is not None:
            show_differences(found.regraded.differences)
    report = found.report
    run_id, said = for_terminal(report.run_id), for_terminal(report.verdict_message)
    click.echo(_wrapped(f"the report of {run_id} says: {report.verdict}, ", said))
    word = {0: "PASS", 1: "FAIL"}.get(found.exit_code, "NOT-RUN")
    click.echo(_wrapped(f"{word:<8} ", for_terminal(found.message)))


def _wrapped(head: str, text: str) -> str:
    """Return a line, on a terminal broken between words; a pipe gets it whole."""
    if not sys.stdout.isatty():
        return head + text
    columns = max(shutil.get_terminal_size().columns, 50)
    return textwrap.fill(
        text,
        columns,
        initial_indent=head,
        subsequent_indent=" " * 9,
        break_on_hyphens=False,
    )


def _json(found: Verification) -> bytes:
    import msgspec

    said = {
        "schema_version": "1.0",
        "run_id": found.report.run_id,
        "verdict": found.report.verdict,
        "ok": found.ok,
        "message": found.message,
        "exit_code": found.exit_code,
        "signed_by": found.signed_by,
        "findings": [
            {"id": each.id, "status": each.status, "message": each.message}
            for each in found.findings
        ],
        "statement_differences": found.statement_differences,
        "report_differences": found.regraded.differences if found.regraded else (),
    }
    return msgspec.json.format(msgspec.json.encode(said, order="sorted"), indent=2) + b"\n"
