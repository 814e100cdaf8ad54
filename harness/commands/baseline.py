"""`harness baseline`: a finished run as the thing that the next one has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.report.model import Report


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out", "target", required=True, type=click.Path(path_type=Path), help="A .toml file."
)
@click.option("--name", default="", help="What the baseline is called; by default the submission.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def baseline(run: Path, target: Path, name: str, as_json: bool) -> None:
    """Write the seeds of RUN, which must have a report, as a baseline file for `harness run --baseline`.

    Every check but stats.margin must have passed: a score that is not valid is nothing to beat.
    """
    from harness.journal import write_atomically
    from harness.report.model import decode
    from harness.ruleset import parse_baseline

    if target.suffix != ".toml":
        raise UsageError(f"--out {target}: not the name of a .toml file; give one, as in base.toml")
    try:
        report = decode((run / "report.json").read_bytes(), str(run / "report.json"))
    except OSError as error:
        raise UsageError(f"{run / 'report.json'}: {error.strerror}; finish the run first") from None
    refuse_invalid(report)
    text = render(report, name or report.submission.name)
    written = parse_baseline(text, str(target))
    try:
        write_atomically(target, text.encode())
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}; choose a writable place") from None
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(written), indent=1))
        return
    click.echo(f"{target}: {len(report.seeds)} seeds of {report.run_id}")


def refuse_invalid(report: Report) -> None:
    """Raise UsageError where there is one seed, or a required check but stats.margin did not pass."""
    if len(report.seeds) < 2:
        raise UsageError(
            f"{report.run_id}: one seed has no deviation to compare with; "
            "make a baseline of a run of two seeds or more"
        )
    bad = [
        finding.id
        for finding in report.findings
        if finding.id in report.required
        and finding.id != "stats.margin"
        and finding.status != "PASS"
    ]
    if bad:
        raise UsageError(
            f"{report.run_id}: {bad[0]} did not pass, so its scores are nothing to beat; "
            "make a baseline of a run whose checks pass"
        )


def render(report: Report, name: str, *, source: str = "") -> str:
    """Return the baseline file.

    Raises UsageError where no seed has a score.
    """
    seeds = [seed for seed in report.seeds if seed.nats_per_token is not None]
    if not seeds:
        raise UsageError(f"{report.run_id}: no seed has a score; make a baseline of a finished run")
    first = seeds[0]
    source = source or f"harness run {report.run_id}, ruleset {report.ruleset.name}"
    values = ", ".join(repr(seed.nats_per_token) for seed in seeds)
    return "\n".join(
        [
            "schema = 1",
            f"name = {_quoted(name)}",
            f"date = {_quoted(report.created_utc[:10])}",
            f"source = {_quoted(source)}",
            f"seeds = [{', '.join(str(seed.seed) for seed in seeds)}]",
            f"nats_per_token = [{values}]",
            f"bytes_per_token = {first.bytes / first.tokens!r}",
            f"tokens = {first.tokens}",
            f"tokenizer_sha256 = {_quoted(report.data.tokenizer_sha256 or '')}",
            f"val_text_sha256 = {_quoted(report.data.val_text_sha256 or '')}",
            "",
        ]
    )


def _quoted(text: str) -> str:
    """Return a TOML string: a JSON string, but for what TOML forbids in it.

    Raises UsageError for text that is not Unicode, as an argument of the command line may be.
    """
    import json

    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text!r}: not UTF-8 text; choose another name") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
