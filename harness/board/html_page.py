"""A board as one static HTML page that needs nothing else: no script, no request, light and dark, any width.

Every word of a submission passes through harness.report.markup, which escapes it; the page's
Content-Security-Policy forbids scripts and requests all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.board import words
from harness.board.model import Board, Entry
from harness.report.escape import visible
from harness.report.figures import figure
from harness.report.html_parts import section, table
from harness.report.markup import Child, Safe, constant, join, lines, tag
from harness.report.page_style import sheet

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_NAME, _LINE, _LONG = 120, 400, 1200
_OWN_STYLE = """
.wrap{max-width:80rem}
.board{font-size:.9rem}
.entries th:first-child{min-width:2.6rem}
.entries td:nth-child(2),.entries td:nth-child(3){min-width:9rem}
.entries td:nth-child(n+9){overflow-wrap:normal}
.entries td:nth-child(9){white-space:nowrap}
.board small{display:block;color:var(--soft);font-weight:400}
.board .badge{min-width:0;font-size:.7rem;padding:0 .35rem}
.board strong{font-weight:650}
.scroll{overflow-x:auto}
"""


def render_html(board: Board) -> str:
    """Return the board as a whole HTML document, UTF-8 when written, line feed at the end."""
    document = tag("html", lines((_head(board), _body(board))), lang="en")
    return f"<!doctype html>\n{document}\n"


def _head(board: Board) -> Safe:
    parts = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="generator", content=f"harness {board.harness_version}"),
        tag("title", visible(words.title(board), _NAME)),
        tag("style", constant(sheet() + _OWN_STYLE)),
    )
    return tag("head", lines(parts))


def _body(board: Board) -> Safe:
    parts = [_entries(board), _order(board), _left_out(board)]
    main = tag("main", lines(part for part in parts if part is not None), class_="wrap")
    skip = tag("a", "Skip to the entries", href="#entries", class_="skip")
    said = f"Written by harness board {board.harness_version}."
    footer = tag("footer", tag("div", said, class_="wrap text"))
    return tag("body", lines((skip, _header(board), main, footer)))


def _header(board: Board) -> Safe:
    ruleset = f"Ruleset {board.ruleset.name} {board.ruleset.version}"
    return tag(
        "header",
        tag(
            "div",
            tag("p", visible(ruleset, _NAME), class_="eyebrow text"),
            tag("h1", tag("span", visible(words.title(board), _NAME), class_="who text")),
            tag("p", words.summary(board), class_="message text"),
            tag("dl", *_keys(board), class_="keys") if board.entries else None,
            class_="wrap",
        ),
        class_="pass" if board.entries else "open",
    )


def _keys(board: Board) -> Iterator[Safe]:
    """Yield the figures that everybody looks for first."""
    best = board.entries[0]
    records = [entry for entry in board.entries if entry.record]
    yield _key("Best score", figure(best.nats_per_token_mean, "nats/token"), best.name)
    if records:
        last = max(records, key=lambda entry: (entry.created_utc, entry.run_id))
        yield _key("Record", figure(last.nats_per_token_mean, "nats/token"), last.name)
    if board.bar is not None:
        mean = figure(board.bar.nats_per_token_mean, "nats/token")
        yield _key("Bar at the start", mean, board.bar.name)


def _key(term: str, value: str, below: str) -> Safe:
    small = tag("small", visible(below, _NAME))
    return tag("div", tag("dt", f"{term}, nats/token"), tag("dd", value, small, class_="text"))


def _entries(board: Board) -> Safe:
    if not board.entries:
        return section("entries", "Entries", tag("p", "None of the runs can be ranked."))
    caption = "Lower is better; p is against the record that stood when an entry came"
    rows = [_row(entry, board.question.alpha) for entry in board.entries]
    whole = table(caption, words.HEADINGS, rows, "stack board entries")
    return section("entries", "Entries", tag("div", whole, class_="scroll"))


def _row(entry: Entry, alpha: float) -> tuple[Child, ...]:
    rank, name, authors, *figures, p, date, ruleset, signed = words.cells(entry, alpha)
    return (
        rank,
        join((tag("strong", visible(name, _NAME)), *_below(entry))),
        visible(authors, _LINE),
        *figures,
        p,
        visible(date, _NAME),
        visible(ruleset, _NAME),
        visible(signed, _LINE),
    )


def _below(entry: Entry) -> Iterator[Safe]:
    """Yield what stands under an entry's name: whether it was a record, and what there is to know."""
    said = visible(words.standing(entry), _LINE)
    if entry.record:
        against = said.removeprefix("record").removeprefix(",").strip()
        badge = tag("span", tag("span", "record", class_="badge"), class_="pass")
        yield tag("small", join((badge, f" {against}")))
    else:
        yield tag("small", said)
    if entry.notes:
        yield tag("small", visible(words.remarks(entry), _LINE))


def _order(board: Board) -> Safe:
    said = (tag("li", visible(each, _LONG)) for each in words.sentences(board))
    return section("order", "How it is ordered", tag("ul", *said, class_="steps"))


def _left_out(board: Board) -> Safe | None:
    if not board.left_out:
        return None
    rows = [
        (
            visible(each.place, _LINE),
            visible(each.name or words.NONE, _NAME),
            visible(each.reason, _LINE),
        )
        for each in board.left_out
    ]
    caption = "Runs that were given and are not ranked, each with the reason"
    whole = table(caption, words.LEFT_OUT, rows, "stack board")
    return section("left-out", "Not ranked", whole)
