from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.evidence import Entry, flat, outline, readable
from tests.harness.report.strategies import json_values


@given(json_values, st.integers(1, 6))
def test_any_json_has_an_outline_of_bounded_size(value: object, most: int) -> None:
    lines = list(flat(outline(value, most=most)))
    assert all(isinstance(path, str) and isinstance(text, str) for path, text in lines)
    assert len(lines) <= (most + 1) ** 6


@pytest.mark.parametrize(
    ("name", "words", "unit"),
    [
        ("gain_upper_nats_per_token", "gain upper", "nats/token"),
        ("tolerance_nats", "tolerance", "nats"),
        ("cap_bytes", "cap", "bytes"),
        ("wall_s", "wall", "s"),
        ("peak_rss_mb", "peak rss", "MB"),
        ("smallest_tainted_fraction", "smallest tainted", "%"),
        ("challenges", "challenges", ""),
        ("_s", " s", ""),
    ],
)
def test_units_in_names_are_read(name: str, words: str, unit: str) -> None:
    assert readable(name) == (words, unit)


def test_an_example() -> None:
    evidence = {
        "gain_upper_nats_per_token": 0.00021,
        "span_fraction": 0.998,
        "tail_bytes": "none of them",
        "caught": True,
        "absent": None,
        "refusals": [],
        "sizes_bytes": [1, 2, 3],
        "worst": [{"position": 12, "gap_nats": 0.5}] * 30,
        "long": {"a": list(range(200))},
    }
    assert list(flat(outline(evidence, most=20)))[:10] == [
        ("gain upper", "0.000210 nats/token"),
        ("span", "99.8%"),
        ("tail bytes", "none of them"),
        ("caught", "yes"),
        ("absent", "none"),
        ("refusals", "none"),
        ("sizes", "1, 2, 3 bytes"),
        ("worst / 1", "position 12, gap 0.5 nats"),
        ("worst / 2", "position 12, gap 0.5 nats"),
        ("worst / 3", "position 12, gap 0.5 nats"),
    ]
    assert ("worst / 21", "... and 10 more") in list(flat(outline(evidence, most=20)))
    assert ("long / a / 21", "... and 180 more") in list(flat(outline(evidence, most=20)))


def test_what_is_too_deep_is_left_out() -> None:
    deep: object = "end"
    for _ in range(5000):
        deep = {"in": deep}
    assert list(flat(outline(deep)))[-1][1] == "..."
    assert outline("plain") == (Entry("", "plain"),)
