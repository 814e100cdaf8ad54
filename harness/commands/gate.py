"""`harness gate`: a pull request, judged in CI without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import sandbox_option

if TYPE_CHECKING:
    from harness.data.dataset import Dataset
    from harness.gate.judge import Check
    from harness.report.result import Result


@click.command()
@click.option("--base", required=True, help="The commit that rules come from: a branch or an id.")
@click.option("--head", required=True, help="The commit that is to be judged.")
@click.option(
    "--repo",
    "repository",
    default=".",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The repository that has both.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the result there in every format: JSON, Markdown, SARIF, JUnit, annotations.",
)
@click.option(
    "--summary",
    "summary_file",
    type=click.Path(path_type=Path),
    help="Append the step summary there ($GITHUB_STEP_SUMMARY).",
)
@click.option(
    "--result",
    "received",
    type=click.Path(path_type=Path),
    help="Judge nothing: take the result that another job left there, and check it.",
)
@click.option(
    "--data", "data_folder", type=click.Path(path_type=Path), help="A data folder for the trials."
)
@sandbox_option
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown", "github", "junit", "sarif"]),
    default="text",
    show_default=True,
    help="What is printed.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def gate(
    base: str,
    head: str,
    repository: Path,
    out: Path | None,
    summary_file: Path | None,
    received: Path | None,
    data_folder: Path | None,
    most: str,
    style: str,
    as_json: bool,
) -> int:
    """Judge what the commits from BASE to HEAD add: submissions are tried, records are audited.

    Rules come from the base alone (gate.toml); a change outside the folders in which a pull request may add
    is refused. Nothing is checked out, nothing is trained, and no GPU is needed. Exit codes: 0 everything
    that can be decided here holds; 1 a rule is broken; 2 usage, or nothing to judge; 3 the judge could not
    conclude.
    """
    from harness.gate.judge import judge, request

    asked = request(repository, base, head)
    if received is not None:
        from harness.gate.received import receive

        result = receive(asked, received)
    else:
        result = judge(asked, _check(data_folder, most))
    _show(result, "json" if as_json else style, out, summary_file)
    return result.exit_code


def _check(data_folder: Path | None, most: str) -> Check:
    from harness.commands.run import passed_environment
    from harness.gate.settings import Rules
    from harness.isolation import Survey
    from harness.preflight.trial import check_submission
    from harness.report.result import Entry

    data: Dataset | None = None
    if data_folder is not None:
        from harness.data.dataset import open_dataset

        data = open_dataset(data_folder)
    survey = Survey()

    def check(folder: Path, name: str, rules: Rules) -> Entry:
        return check_submission(
            folder,
            rules.ruleset,
            name=name,
            data=data,
            artifact=None,
            guarantees_required=True,
            most=most,  # type: ignore[arg-type]
            passed_env=passed_environment(),
            survey=survey,
            ruleset_named=rules.settings.ruleset,
        )

    return check


def _show(result: Result, style: str, out: Path | None, summary_file: Path | None) -> None:
    from harness.gate.outputs import append_summary, write_outputs
    from harness.report.formats import render

    if out is not None:
        write_outputs(result, out)
    if summary_file is not None:
        append_summary(result, summary_file)
    if style == "text":
        from harness.commands.screen import screen
        from harness.report.result_text import print_result

        print_result(result, screen())
        return
    click.echo(render(result, style), nl=False)
