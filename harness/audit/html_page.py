"""An audit as one HTML page that needs nothing else: the table of records, then a page of each.

Every word of a record passes through harness.report.markup, which escapes it; the page's
Content-Security-Policy forbids scripts and requests all the same.
"""

from __future__ import annotations

from checks.contract import Status
from harness.audit.model import Audit, Audited
from harness.audit.sections import FINDINGS, Section, facts, page, table, worst_of
from harness.report.escape import visible
from harness.report.html_parts import framed, state
from harness.report.markup import Safe, constant, lines, tag
from harness.report.page_style import sheet

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_CELL = 900
_OWN_STYLE = """
.wrap{max-width:88rem}
table.audit{width:100%;border-collapse:collapse;font-size:.82rem;margin-top:.6rem}
table.audit caption{text-align:left;color:var(--soft);font-size:.85rem;padding:.2rem 0}
table.audit th,table.audit td{padding:.28rem .6rem .28rem 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}
table.audit .num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
table.audit .stated{color:var(--state);font-weight:650;white-space:nowrap}
table.audit .name{white-space:nowrap}
dl.about{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin-top:.6rem}
dl.about dt{color:var(--soft)}
table.audit td:last-child:not(.num){min-width:16rem}
.scroll{overflow-x:auto}
"""


def render_html(audit: Audit, sort: str = "id") -> str:
    """Return the audit as a whole HTML document, UTF-8 when written, line feed at the end."""
    statuses = [worst_of(folder) for folder in audit.folders]
    worst = next(
        (s for s in (Status.FAIL, Status.ERROR, Status.NOT_RUN) if s in statuses), Status.PASS
    )
    count = len(audit.folders)
    title = (
        f"{count} record{'s' * (count != 1)} audited"
        if count != 1
        else visible(audit.folders[0].id, 120)
    )
    head = tag(
        "head",
        lines(
            (
                tag("meta", charset="utf-8"),
                tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
                tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                tag("meta", name="color-scheme", content="light dark"),
                tag("meta", name="referrer", content="no-referrer"),
                tag("title", f"{worst}: {title}"),
                tag("style", constant(sheet() + _OWN_STYLE)),
            )
        ),
    )
    rulesets = ", ".join(audit.rulesets)
    eyebrow = f"harness audit {audit.harness_version} · {audit.contest} · rulesets {rulesets}"
    top = tag(
        "header",
        tag(
            "div",
            tag("p", eyebrow, class_="eyebrow text"),
            tag("h1", tag("span", title, class_="who text")),
            class_="wrap",
        ),
        class_=state(worst),
    )
    anchors = {folder.id: f"r{index}" for index, folder in enumerate(audit.folders)}
    parts = [] if count == 1 else [_section(table(audit, sort), "records", anchors)]
    parts += [_folder(folder, anchors[folder.id]) for folder in audit.folders]
    body = tag("body", lines((top, tag("main", lines(parts), class_="wrap"))))
    document = tag("html", lines((head, body)), lang="en")
    return f"<!doctype html>\n{document}\n"


def _folder(folder: Audited, anchor: str) -> Safe:
    pairs = [
        part
        for name, value in facts(folder)
        for part in (tag("dt", name), tag("dd", visible(value, 400)))
    ]
    return tag(
        "section",
        tag("h2", f"{worst_of(folder)}: {visible(folder.id, 200)}", id=anchor),
        tag("dl", *pairs, class_="about"),
        *(_section(section, f"{anchor}-{index}") for index, section in enumerate(page(folder))),
        class_=state(worst_of(folder)),
    )


def _section(section: Section, ident: str, links: dict[str, str] | None = None) -> Safe:
    headings = [(heading, "num" if over else None) for heading, over in section.headings]
    short = section.title == FINDINGS
    rows = []
    for status, (first, *rest) in section.rows:
        anchor = (links or {}).get(first)
        shown = visible(first, _CELL)
        name = tag("a", shown, href=f"#{anchor}") if anchor else shown
        cells = [tag("th", name, scope="row", role="rowheader", class_="name" if short else None)]
        for cell, (heading, style) in zip(rest, headings[1:], strict=True):
            own = "stated" if status is not None and cell == status else style
            shown = visible(cell, _CELL)
            cells.append(tag("td", shown, role="cell", data_label=heading, class_=own))
        rows.append(
            tag("tr", *cells, role="row", class_=state(status) if status is not None else None)
        )
    caption = tag(
        "caption", section.note or section.title, class_=None if section.note else "hidden"
    )
    return tag(
        "div",
        tag("h3", section.title, id=ident),
        tag("div", framed(caption, headings, rows, "audit"), class_="scroll"),
    )
