from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from harness.report import svg

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(finite, max_size=6), st.booleans(), st.integers(2, 7))
@example([1e300, -1e300, 1.7e308], False, 5)
@example([5e-324], False, 5)
@example([1.0, 1.0000000000000002], False, 5)
def test_a_scale_maps_every_value_and_has_few_round_ticks(
    values: list[float], zero: bool, most: int
) -> None:
    scale = svg.scale(values, 10.0, 110.0, zero=zero)
    assert scale.low < scale.high
    for value in values:
        assert 10.0 <= scale(value) <= 110.0
    ticks = scale.ticks(most)
    assert len(ticks) <= most + 1
    for value, text in ticks:
        assert math.isfinite(value)
        assert 9.9 <= scale(value) <= 110.1
        assert text


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_read_as_their_values(low: float, width: float) -> None:
    scale = svg.Scale(low, low + width, 0.0, 1.0)
    ticks = scale.ticks()
    assert len(ticks) >= 2
    texts = [text for _, text in ticks]
    assert len(set(texts)) == len(texts)


def test_order_is_kept_and_ends_are_held() -> None:
    scale = svg.Scale(0.0, 10.0, 100.0, 200.0)
    assert [scale(v) for v in (-5, 0, 5, 10, 15)] == [100, 100, 150, 200, 200]
    upwards = svg.Scale(0.0, 10.0, 200.0, 100.0)
    assert [upwards(v) for v in (0, 5, 10)] == [200, 150, 100]


def test_examples() -> None:
    assert [text for _, text in svg.Scale(1.866, 1.884, 0, 1).ticks(4)] == [
        "1.870",
        "1.875",
        "1.880",
    ]
    assert [text for _, text in svg.Scale(0, 16e6, 0, 1).ticks(4)] == ["0", "5M", "10M", "15M"]
    assert [text for _, text in svg.Scale(0, 1, 0, 1).ticks(4)] == [
        "0.00",
        "0.25",
        "0.50",
        "0.75",
        "1.00",
    ]


def test_a_path_of_dots() -> None:
    assert svg.cloud([(1, 2), (3.25, 4)], "cloud") == '<path d="M1 2h0M3.2 4h0" class="cloud"/>'
    assert svg.trace([(1, 2), (3, 4)], "line") == '<path d="M1 2L3 4" class="line"/>'


def test_long_names_are_cut_in_the_middle() -> None:
    assert svg.fitted("weights.safetensors", 70) == "weig…nsors"
    assert len(svg.fitted("x" * 4096, 70)) == 10
    assert svg.fitted("short", 70) == "short"
