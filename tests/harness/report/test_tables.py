"""Tables of words: nothing in a cell becomes markup or an escape, and no cell is lost."""

import io
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.report.tables import Table, blocks, markdown
from tests.harness.report.strategies import odd_text

TABLES = st.integers(1, 4).flatmap(
    lambda width: st.builds(
        lambda title, note, cells: Table(
            title=title,
            headings=tuple((cell, bool(index % 2)) for index, cell in enumerate(cells[0])),
            rows=tuple(map(tuple, cells[1:])),
            note=note,
        ),
        odd_text,
        odd_text,
        st.lists(st.lists(odd_text, min_size=width, max_size=width), min_size=1, max_size=4),
    )
)
ACTING = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


@given(TABLES)
def test_a_row_has_as_many_cells_as_headings(table):
    page = markdown(table)
    lines = page.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == len(table.rows) + 2
    for row in rows:
        # A backslash before a bar that itself is escaped would open the cell again.
        bars = re.findall(r"(?<!\\)(?:\\\\)*\|", row)
        assert len(bars) == len(table.headings) + 1
    assert lines[0].startswith("## ")
    assert not ACTING.search(page)


@given(TABLES)
def test_a_terminal_gets_no_acting_character(table):
    console = Console(file=io.StringIO(), width=90, force_terminal=False)
    for part in blocks(table):
        console.print(part, highlight=False, markup=False, emoji=False)
    assert not ACTING.search(console.file.getvalue())


def test_numbers_stand_to_the_right():
    table = Table(
        title="T", headings=(("name", False), ("n", True)), rows=(("a", "1"), ("b", "20"))
    )
    assert markdown(table, 3) == "### T\n\n| name | n |\n|---|---:|\n| a | 1 |\n| b | 20 |\n"
    console = Console(file=io.StringIO(), width=40)
    for part in blocks(table):
        console.print(part)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        "T",
        "  name   n",
        "  a      1",
        "  b     20",
    ]
