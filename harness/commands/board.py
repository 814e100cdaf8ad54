"""`harness board`: a leaderboard of verified runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.board.model import Board

PathArgument = click.Path(path_type=Path)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=PathArgument)
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=PathArgument,
    help="A public key (PEM); a run must be signed by one of those given. More than once for several.",
)
@click.option(
    "--ruleset", "ruleset_name", help="Whose board: name or file.  [default: that of the runs]"
)
@click.option("--data", type=PathArgument, help="The runs' data folder, if it has moved.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown", "html"]),
    default="text",
    show_default=True,
    help="How to print it; html is one page that needs nothing else.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--out", type=PathArgument, help="Write there instead of to standard output.")
def board(
    runs: tuple[Path, ...],
    keys: tuple[Path, ...],
    ruleset_name: str | None,
    data: Path | None,
    style: str,
    as_json: bool,
    out: Path | None,
) -> int:
    """Rank the runs at or below RUNS: verified ones alone, in the order the ruleset defines.

    A run that does not verify, did not pass, is of another ruleset or other data, or repeats a submission is
    listed beneath with the reason. Exit codes: 0 the board was made; 2 usage, or nothing says which board.
    """
    from harness.board import folders, rows

    known = folders.keys_of(keys)
    text = None if data is None else rows.text_of_folder(data)
    verified, refused = folders.check(folders.find(runs), keys, data)
    rules = rows.ruleset_of(verified, ruleset_name)
    made = rows.board(verified, refused, rules, known, text=text)
    rendered = _rendered(made, "json" if as_json else style, to_file=out is not None)
    if out is None:
        click.echo(rendered, nl=False)
    else:
        _write(out, rendered)
    return 0


def _rendered(made: Board, style: str, *, to_file: bool) -> str:
    if style == "json":
        from harness.board.model import encode

        return encode(made).decode()
    if style == "markdown":
        from harness.board.markdown_page import render_markdown

        return render_markdown(made)
    if style == "html":
        from harness.board.html_page import render_html

        return render_html(made)
    from harness.board.text_page import render_text
    from harness.commands.screen import screen

    return render_text(made, screen(to_file=to_file))


def _write(target: Path, text: str) -> None:
    from harness.journal import write_atomically

    try:
        write_atomically(target, text.encode())
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}; choose a writable place") from None
