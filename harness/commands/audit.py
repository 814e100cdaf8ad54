"""`harness audit`: what published records really show."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.audit.model import Audit

TOGETHER = 8
"""Fewer records are there before a reader has seen the count."""
RESULTS = ("github", "junit", "sarif")
"""Formats of the one result that all commands have; the others here show more of an audit."""
SORTS = ["id", "date", "claimed", "logs", "train", "eval", "bytes", "fails"]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json", "markdown", "csv", "html", *RESULTS]),
    default="text",
    show_default=True,
    help="A table of many records, a page of one; json has everything, html both; github annotates.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--sort", type=click.Choice(SORTS), default="id", show_default=True, help="Order of the table."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write there instead of to standard output."
)
@click.option(
    "--baselines", type=click.Path(path_type=Path), help="Another table of earlier records (TOML)."
)
@click.option(
    "--write-baselines",
    type=click.Path(path_type=Path),
    help="Make a table of earlier records of the records among PATHS, and do nothing else.",
)
@click.option(
    "--title", default="", help="Of the pull request, where a score may be quoted; for one record."
)
@click.option("--jobs", type=click.IntRange(0, 256), default=0, help="Processes; 0 is one a core.")
def audit(
    paths: tuple[Path, ...],
    style: str,
    as_json: bool,
    sort: str,
    out: Path | None,
    baselines: Path | None,
    write_baselines: Path | None,
    title: str,
    jobs: int,
) -> int:
    """Say, claim by claim, what the record folders at or under PATHS show; nothing in them is executed.

    A record is a folder with a submission.json, or with logs. Exit codes: 0 all checks pass; 1 a claim or a
    rule does not hold; 2 usage; 3 something could not be judged.
    """
    from harness.audit.contest import load
    from harness.audit.discovery import find_folders

    contest = load(baselines=baselines)
    for path in paths:
        if not path.is_dir():
            kind = "is not a folder" if path.exists() else "does not exist"
            raise UsageError(f"{path}: {kind}; give record folders, or a folder of them")
    named = _named(list(find_folders(paths)), paths)
    if not named:
        raise UsageError(
            f"{', '.join(map(str, paths))}: no record in there; a record has a submission.json or logs"
        )
    if title and len(named) > 1:
        raise UsageError(
            f"--title is of one pull request, and there are {len(named)} records; give one"
        )
    if write_baselines is not None:
        from harness.audit.baselines import rows_of, write_table
        from harness.audit.folder import read_folder

        rows = rows_of(
            (read_folder(folder, name) for folder, name in named), contest.limits, contest.rows
        )
        _write(write_baselines, write_table(rows))
        click.echo(f"{write_baselines}: {len(rows)} of {len(named)} records")
        return 0
    from harness.audit.survey import survey

    result = survey(
        named,
        contest,
        jobs=jobs,
        title=title,
        done=_progress(len(named)),
    )
    if style in RESULTS and not as_json:
        _put(_as_result(result, named, style), out)
    else:
        _show(result, "json" if as_json else style, sort, out)
    return result.exit_code


def _named(folders: list[Path], paths: tuple[Path, ...]) -> list[tuple[Path, str]]:
    """Return each folder with what tells it from the others: its path below the one that was given."""
    named = []
    for folder in folders:
        base = next(
            (path for path in paths if folder != path and folder.is_relative_to(path)), None
        )
        name = str(folder.relative_to(base)) if base is not None else folder.absolute().name
        named.append((folder, name))
    names = [name for _, name in named]
    return [(folder, name if names.count(name) == 1 else str(folder)) for folder, name in named]


def _progress(total: int) -> Callable[[int], None]:
    """Return what counts finished records on a terminal, and nothing elsewhere."""

    def say(count: int) -> None:
        if total > TOGETHER and sys.stderr.isatty():
            click.echo(f"\r{count:,} of {total:,} records", err=True, nl=count == total)

    return say


def _show(result: Audit, style: str, sort: str, out: Path | None) -> None:
    if style == "text" and out is None:
        from harness.audit.text_page import print_audit
        from harness.commands.screen import screen

        # A pipe has no width: 80 columns would lay the table out for a small screen.
        wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
        print_audit(result, screen(width=wide), sort)
        return
    _put(_rendered(result, style, sort), out)


def _as_result(audit: Audit, named: list[tuple[Path, str]], style: str) -> str:
    """Return an audit in a format of the one result; places are relative to where the command was started."""
    from harness.audit.as_result import result_of_audit
    from harness.clock import utc_now
    from harness.commands.show import shown
    from harness.report.formats import render

    paths = {name: shown(folder.absolute()) for folder, name in named}
    return render(result_of_audit(audit, created_utc=utc_now(), prefixes=paths), style)


def _put(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        _write(out, text)


def _rendered(result: Audit, style: str, sort: str) -> str:
    if style == "json":
        from harness.audit.model import encode

        return encode(result).decode()
    if style == "csv":
        from harness.audit.csv_table import render_csv

        return render_csv(result, sort)
    if style == "html":
        from harness.audit.html_page import render_html

        return render_html(result, sort)
    if style == "markdown":
        from harness.audit.markdown_page import render_markdown

        return render_markdown(result, sort)
    from harness.audit.text_page import print_audit
    from harness.commands.screen import screen

    console = screen(width=160, to_file=True)
    print_audit(result, console, sort)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def _write(target: Path, text: str) -> None:
    from harness.journal import write_atomically

    try:
        write_atomically(target, text.encode())
    except OSError as error:
        raise UsageError(f"{target}: {error.strerror}; choose a writable place") from None
