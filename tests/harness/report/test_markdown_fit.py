from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.contract import Status
from harness.report.markdown_fit import Group, Part, Row, fitted

HEAD = "the head\n"
texts = st.text("aé文", min_size=1, max_size=12)


@st.composite
def pages(draw: st.DrawFn) -> list[Part]:
    """Parts whose rows are told apart by a number in front, P.G.R, and whose headings are P."""
    parts = []
    for p in range(draw(st.integers(0, 4))):
        groups = []
        for g in range(draw(st.integers(0, 3))):
            rows = [
                Row(draw(st.integers(0, 4)), f"<{p}.{g}.{r}>{draw(texts)}\n")
                for r in range(draw(st.integers(1, 4)))
            ]
            groups.append(Group(f"noun{g}", f"[{p}.{g}\n", rows, f"{p}.{g}]\n"))
        head = Row(draw(st.integers(0, 4)), f"<{p}>{draw(texts)}\n")
        parts.append(Part(draw(st.sampled_from(list(Status))), head, groups))
    return parts


def ranks(parts: list[Part]) -> dict[str, tuple[int, int, int, int]]:
    """Return the importance of every heading and row, by its number."""
    found = {}
    for p, part in enumerate(parts):
        found[f"{p}"] = (part.head.rank, p, -1, 0)
        for g, group in enumerate(part.groups):
            for r, row in enumerate(group.rows):
                found[f"{p}.{g}.{r}"] = (max(row.rank, part.head.rank), p, g, r)
    return found


def shown(text: str) -> set[str]:
    return set(re.findall(r"<([0-9.]+)>", text))


@settings(max_examples=300, deadline=None)
@given(st.data(), pages())
def test_a_page_fits_and_holds_the_most_important(data: st.DataObject, parts: list[Part]) -> None:
    whole = fitted(HEAD, parts, 1_000_000)
    every = ranks(parts)
    assert shown(whole) == set(every)
    assert "Left out" not in whole
    for part in parts:
        for row in (part.head, *(row for group in part.groups for row in group.rows)):
            row.shown = False
    limit = data.draw(st.integers(0, len(whole.encode()) + 200))
    try:
        text = fitted(HEAD, parts, limit)
    except ValueError:
        assert limit < len(HEAD) + 200
        return
    assert len(text.encode()) <= limit
    here = shown(text)
    # Whatever is shown is at least as important as everything that is not.
    missing = set(every) - here
    assert not here or not missing or max(every[n] for n in here) < min(every[n] for n in missing)
    # A row has the heading of its part, and a group its ends, whole and once.
    for name in here:
        p, *rest = name.split(".")
        assert p in here
        if rest:
            assert text.count(f"[{p}.{rest[0]}\n") == text.count(f"{p}.{rest[0]}]\n") == 1
    # And what is left out is counted.
    heads = {name for name in missing if "." not in name}
    said = re.search(r"([0-9]+) of what was judged", text)
    assert (int(said[1]) if said else 0) == len(heads)
    rows = sum(map(int, re.findall(r"([0-9]+) noun", text)))
    assert rows == sum("." in name and name.split(".")[0] not in heads for name in missing)


def test_a_head_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        fitted(HEAD, [], 5)
    assert fitted(HEAD, [], len(HEAD)) == HEAD
