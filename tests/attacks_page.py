"""The tables of docs/attacks.md, from the corpus: `python -m tests.attacks_page` writes them anew.

A test compares. What stands around the tables, and the first three cells of the table of classes, are written
by hand.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.selftest.corpus import Attack, read_corpus

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "attacks.md"
OUT_OF_REACH = ROOT / "docs" / "rules" / "out-of-reach.md"
CORPUS = ROOT / "tests" / "attacks"
CLASSES = [
    f"{letter}{number:02d}"
    for letter, count in (("T", 17), ("R", 12), ("V", 13), ("D", 25), ("S", 8))
    for number in range(1, count + 1)
]


def rendered(page: str, attacks: Sequence[Attack]) -> str:
    """Return the page with its tables as they should be."""
    page = _with_rows(
        page, "## Caught", [row(a) for a in attacks if a.cheat and not a.expected.needs]
    )
    page = _with_rows(page, "## Caught where", [row(a) for a in attacks if a.expected.needs])
    page = _with_rows(page, "## Legal", [row(a) for a in attacks if not a.cheat])
    covered = covering(attacks)
    lines = []
    for line in page.split("\n"):
        cells = line.split(" | ")
        if len(cells) == 4 and cells[0][2:] in CLASSES:
            line = " | ".join([*cells[:3], f"{last_cell(cells[0][2:], covered)} |"])
        lines.append(line)
    return "\n".join(lines)


def row(attack: Attack) -> str:
    """Return the attack's line in its table."""
    expected = attack.expected
    joined = ", " if expected.caught_by else " or "
    caught = joined.join(f"`{check}`" for check in attack.catchers) or "-"
    caught = caught.replace("`exit 2`", "exit 2")
    if expected.needs:
        caught += f" where `{expected.needs}` is held"
    return f"| `{attack.name}` | {expected.says} | {caught} | {', '.join(expected.source)} |"


def covering(attacks: Iterable[Attack]) -> dict[str, list[str]]:
    """Return which attacks name which class as their source; legal things show no attack of a class."""
    covered: dict[str, list[str]] = {name: [] for name in CLASSES}
    for attack in attacks:
        for source in attack.expected.source:
            if source in covered and attack.cheat:
                covered[source].append(attack.name)
    return covered


def last_cell(name: str, covered: dict[str, list[str]]) -> str:
    """Return where a class is answered."""
    return ", ".join(f"`{attack}`" for attack in covered[name]) or (
        f"[out of reach](rules/out-of-reach.md#{name.lower()})"
    )


def explained() -> list[str]:
    """Return the classes that have a section of their own in docs/rules/out-of-reach.md, in order."""
    return re.findall(r"(?m)^## ([TRVDS]\d\d)$", OUT_OF_REACH.read_text("utf-8"))


def _with_rows(page: str, heading: str, rows: Sequence[str]) -> str:
    """Return the page with other rows under the head of the first table after a heading."""
    lines = page.split("\n")
    start = next(at for at, line in enumerate(lines) if line.startswith(heading))
    first = next(at for at in range(start, len(lines)) if lines[at].startswith("|")) + 2
    end = next(at for at in range(first, len(lines)) if not lines[at].startswith("|"))
    return "\n".join([*lines[:first], *rows, *lines[end:]])


if __name__ == "__main__":
    PAGE.write_text(rendered(PAGE.read_text("utf-8"), read_corpus(CORPUS)), "utf-8")
    print(f"{PAGE.relative_to(ROOT)}: written")
