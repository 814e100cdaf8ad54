"""`harness explain`: the page of a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SCHEMA_VERSION = "1.0"
WIDEST = 100
"""Columns of running text that an eye can follow."""


def _complete(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem[str]]:
    from click.shell_completion import CompletionItem

    from harness.report.rule_pages import statements

    return [
        CompletionItem(check, help=says)
        for check, says in statements().items()
        if check.startswith(incomplete)
    ]


@click.command()
@click.argument("check", required=False, shell_complete=_complete)
@click.option("--raw", is_flag=True, help="Print the Markdown, on a terminal too.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def explain(check: str | None, raw: bool, as_json: bool) -> int:
    """Print the page of CHECK: what it states, why, how it is measured, what to do about a FAIL.

    CHECK is an id as reports have it: a check of a run, of a submission or of published records, advice
    (source.*), a guarantee of the sandbox (sandbox.*), a finding of `harness verify`. Without it, every id is
    listed with what it states.
    """
    from harness.report.rule_pages import explained, statements

    known = statements()
    if check is None:
        _list(known, as_json)
        return 0
    markdown = explained(check)
    if markdown is None:
        raise UsageError(_unknown(check, list(known)))
    if as_json:
        _json({"id": check, "states": known.get(check, ""), "markdown": markdown})
    else:
        _show(markdown, raw)
    return 0


def _unknown(check: str, known: list[str]) -> str:
    """Return a sentence with the ids that are nearest, letter by letter or by the part after the dot."""
    import difflib

    from harness.report.escape import for_terminal

    near = difflib.get_close_matches(check[:80], known, n=3, cutoff=0.6)
    last = check[:80].rpartition(".")[2]
    near += [name for name in known if last in name.split(".") and name not in near][:3]
    hint = f"did you mean {' or '.join(near)}?" if near else "`harness explain` lists them all"
    return f'no check "{for_terminal(check, 40)}": {hint}'


def _list(known: dict[str, str], as_json: bool) -> None:
    if as_json:
        _json({"checks": [{"id": check, "states": says} for check, says in known.items()]})
        return
    width = max(map(len, known))
    for check, says in known.items():
        click.echo(f"{check:<{width}}  {says}")


def _json(values: dict[str, object]) -> None:
    import json

    whole = {"schema_version": SCHEMA_VERSION, **values}
    click.echo(json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False))


def _show(markdown: str, raw: bool) -> None:
    """Print a page: laid out on a terminal, as it is elsewhere."""
    from harness.commands.screen import screen

    console = screen()
    if raw or not console.is_terminal:
        click.echo(markdown, nl=False)
        return
    from rich.markdown import Markdown

    console.print(Markdown(markdown, hyperlinks=False), width=min(console.width, WIDEST))
