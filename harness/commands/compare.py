"""`harness compare`: two runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

PathArgument = click.Path(path_type=Path)


@click.command()
@click.argument("a", type=PathArgument)
@click.argument("b", type=PathArgument)
@click.option(
    "--data",
    type=PathArgument,
    help="The runs' data folder, if it is no longer where it was; for the documents alone.",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def compare(a: Path, b: Path, data: Path | None, style: str, as_json: bool) -> int:
    """Compare the runs A and B: paired by seed where both have it, with the difference and its interval.

    A and B are run folders, or the report.json of two runs. Differences are B minus A; scores are nats, so
    below 0 B is better. Exit codes: 0 they were compared, whichever is better; 2 they cannot be.
    """
    from harness.compare import runs

    found = runs.compare(a, b, data=data)
    if as_json or style == "json":
        from harness.compare.model import encode

        click.echo(encode(found), nl=False)
    elif style == "markdown":
        from harness.compare.page import render_markdown

        click.echo(render_markdown(found), nl=False)
    else:
        from harness.commands.screen import screen
        from harness.compare.page import render_text

        click.echo(render_text(found, screen()), nl=False)
    return 0
