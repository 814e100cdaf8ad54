"""An audit as Markdown for a comment or a file: tables whose cells cannot become markup."""

from __future__ import annotations

from harness.audit.model import Audit
from harness.audit.sections import Section, facts, page, table, worst_of
from harness.report.escape import for_markdown

_CELL = 600


def render_markdown(audit: Audit, sort: str = "id") -> str:
    """Return one page for a single folder, a table for more."""
    if len(audit.folders) != 1:
        return _section(table(audit, sort), level=2)
    folder = audit.folders[0]
    parts = [f"## {worst_of(folder)}: {words(folder.id)}\n"]
    parts.append("".join(f"- {name}: {words(value)}\n" for name, value in facts(folder)))
    parts += [_section(section, level=3) for section in page(folder)]
    return "\n".join(parts)


def words(text: str) -> str:
    """Return text of anybody's as Markdown that shows exactly it: no link, mention, table or element."""
    return for_markdown(text, _CELL)


def _section(section: Section, level: int) -> str:
    head = "| " + " | ".join(words(heading) for heading, _ in section.headings) + " |"
    rule = (
        "|"
        + "|".join("---:" if over_numbers else "---" for _, over_numbers in section.headings)
        + "|"
    )
    rows = [
        "| " + " | ".join(words(cell) or " " for cell in cells) + " |" for _, cells in section.rows
    ]
    note = f"\n{words(section.note)}\n" if section.note else ""
    return "\n".join([f"{'#' * level} {words(section.title)}", note, head, rule, *rows, ""])
