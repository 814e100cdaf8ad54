"""`harness report`: the verdict of a run's evidence, worked out again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import format_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@format_option
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def report(run: Path, style: str, as_json: bool) -> int:
    """Judge the evidence of RUN again, without running the submission, and show the result.

    Writes RUN/report.json and report.html anew; one of a newer schema is left as it is. To compare what is
    there with its evidence and write nothing, there is `harness regrade`. Steps that were never finished are
    reported as NOT-RUN. The exit code is the verdict's.
    """
    from harness.commands.show import conclude
    from harness.run import Run

    return conclude(Run(run), "json" if as_json else style)
