"""`harness check`: what can be said of a submission without training it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import sandbox_option

if TYPE_CHECKING:
    from harness.report.result import Entry, Result
    from harness.ruleset import Loaded


@click.command()
@click.argument("submission", type=click.Path(path_type=Path))
@click.option("--ruleset", "ruleset_name", default="smoke", show_default=True, help="Name or file.")
@click.option(
    "--data",
    "data_folder",
    type=click.Path(path_type=Path),
    help="Take the excerpt from this data folder.  [default: the embedded corpus]",
)
@click.option(
    "--artifact",
    type=click.Path(path_type=Path),
    help="A folder with what training left; without it, an untrained artifact is asked for.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Keep the run with its report in this folder, new or empty.",
)
@sandbox_option
@click.option("--quiet", is_flag=True, help="Show no progress.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown", "github", "junit", "sarif"]),
    default="text",
    show_default=True,
    help="What is printed.",
)
def check(
    submission: Path,
    ruleset_name: str,
    data_folder: Path | None,
    artifact: Path | None,
    keep: Path | None,
    most: str,
    quiet: bool,
    as_json: bool,
    style: str,
) -> int:
    """Try SUBMISSION, a folder with a submission.toml, without training it.

    Manifest, files, byte cap and imports are read; setup and the submission's own scorer then go through a
    judged session on an excerpt, challenges included. Says what was not checked, and the command that would.
    Exit codes: 0 everything that was checked holds; 1 a rule is broken; 2 usage, manifest or data; 3 it could
    not be concluded.
    """
    from harness import ruleset

    rules = ruleset.load(ruleset_name)
    entry = _entry(submission, rules, ruleset_name, data_folder, artifact, keep, most, quiet)
    _show(_result(entry, rules), "json" if as_json else style)
    return _result(entry, rules).exit_code


def _entry(
    submission: Path,
    rules: Loaded,
    ruleset_name: str,
    data_folder: Path | None,
    artifact: Path | None,
    keep: Path | None,
    most: str,
    quiet: bool,
) -> Entry:
    from harness import manifest
    from harness.commands.run import passed_environment
    from harness.commands.show import listener
    from harness.commands.watched import Facts
    from harness.data.dataset import open_dataset
    from harness.fit import check_fit
    from harness.preflight.session import SEED
    from harness.preflight.trial import check_submission

    mine = manifest.load(submission)  # before anything is hashed: a typo should not have to wait
    check_fit(mine, rules.ruleset, submission)
    data = None if data_folder is None else open_dataset(data_folder)
    facts = Facts(name=mine.name, ruleset=rules.ruleset.name, seeds=(SEED,))
    with listener(facts, "none" if quiet else "auto") as watching:
        return check_submission(
            submission,
            rules,
            name=str(submission),
            data=data,
            artifact=artifact,
            most=most,  # type: ignore[arg-type]
            passed_env=passed_environment(),
            listener=watching,
            keep=keep,
            ruleset_named=ruleset_name,
        )


def _result(entry: Entry, rules: Loaded) -> Result:
    from harness import __version__
    from harness.clock import utc_now
    from harness.report.model import ruleset_facts
    from harness.report.result import EXIT_CODES, Result, over

    verdict, message = over([entry])
    return Result(
        harness_version=__version__,
        command="check",
        created_utc=utc_now(),
        verdict=verdict,
        message=message,
        exit_code=EXIT_CODES[verdict],
        ruleset=ruleset_facts(rules.ruleset, rules.sha256),
        entries=(entry,),
    )


def _show(result: Result, style: str) -> None:
    from harness.report.formats import render

    if style == "text":
        from harness.commands.screen import screen
        from harness.report.result_text import print_result

        print_result(result, screen())
        return
    click.echo(render(result, style), nl=False)
