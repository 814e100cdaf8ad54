"""The page of each rule, as it stands in docs/rules: what it states, why, how it is measured, what to do."""

from __future__ import annotations

import re
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path


def page(check: str) -> str | None:
    """Return the Markdown page of a check, or None where there is none; `check` may be anybody's words."""
    if re.fullmatch(r"[a-z]+\.[a-z_]+", check) is None:
        return None
    try:
        return (_folder() / f"{check}.md").read_text("utf-8")
    except OSError:
        return None


def pages() -> list[str]:
    """Return the ids that have a page, sorted."""
    names = (entry.name for entry in _folder().iterdir())
    found = (re.fullmatch(r"([a-z]+\.[a-z_]+)\.md", name) for name in names)
    return sorted(match[1] for match in found if match)


def _folder() -> Traversable:
    """Return where the pages are: in the package if it came from a wheel, else in the checkout."""
    shipped = resources.files("harness") / "rules"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "docs" / "rules"
