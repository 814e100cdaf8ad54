from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.report import figures

numbers = st.none() | st.integers() | st.just(10**400) | st.floats()
units = st.sampled_from(("", "s", "bytes", "nats", "nats/token", "bits/byte"))


@given(numbers, units)
def test_any_number_is_a_short_line(value: float | None, unit: str) -> None:
    text = figures.quantity(value, unit)
    assert text
    assert len(text) < 120
    assert "nan" not in text.split()


ROUNDED = {"nats/token": 5.1e-7, "bits/byte": 5.1e-7, "s": 5.1e-4}


@given(st.floats(-1e12, 1e12), units)
@example(0.0014, "s")
def test_what_is_read_is_what_was_measured(value: float, unit: str) -> None:
    read = float(figures.figure(value, unit).replace(",", ""))
    assert read == pytest.approx(value, rel=2e-4, abs=ROUNDED.get(unit, 0))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), units)
def test_a_measure_beyond_the_limit_never_reads_as_equal(
    value: float, limit: float, unit: str
) -> None:
    measured, bound = figures.versus(value, limit, unit).removesuffix(f" {unit}").split(" / ")
    assert (measured == bound) == (value == limit)


@given(st.floats() | st.floats(0, 1e7))
def test_any_duration_is_read(seconds: float) -> None:
    assert len(figures.duration(seconds)) < 40


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "s", "n/a"),
        (16_000_000, "bytes", "16,000,000 bytes"),
        (16_000_000.0, "bytes", "16,000,000 bytes"),
        (1.88276292, "nats/token", "1.882763 nats/token"),
        (0.00012, "nats/token", "0.000120 nats/token"),
        (1.2e-7, "nats/token", "1.2e-07 nats/token"),
        (600.01, "s", "600.01 s"),
        (41.7, "s", "41.7 s"),
        (4821.52, "MB", "4,821.5 MB"),
        (0.0, "", "0"),
        (-0.0, "", "0"),
        (math.nan, "", "not a number"),
        (-math.inf, "", "minus infinite"),
    ],
)
def test_examples(value: float | None, unit: str, text: str) -> None:
    assert figures.quantity(value, unit) == text


def test_versus() -> None:
    assert figures.versus(0.0099999999, 0.01, "p") == "0.0099999999 / 0.01 p"
    assert figures.versus(None, 0.01, "p") == "- / 0.01 p"
    assert figures.versus(16_000_001, 16_000_000, "bytes") == "16,000,001 / 16,000,000 bytes"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.417, "0.42 s"),
        (41.23, "41.2 s"),
        (151, "2 min 31 s"),
        (3_840, "1 h 4 min"),
        (99.97, "1 min 40 s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.018, "1.8%"), (0.01783, "1.78%"), (1.0, "100%"), (0.0, "0%")]
)
def test_percent(share: float, text: str) -> None:
    assert figures.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(16e6, "16M"), (250_000, "250k"), (1500, "1,500"), (0.005, "0.005"), (0.0, "0")],
)
def test_short(value: float, text: str) -> None:
    assert figures.short(value) == text


def test_a_number_with_more_digits_than_python_prints() -> None:
    assert figures.figure(-(10**5000)) == "about -2^16609"
    assert figures.seed_name(1_234_567) == "1234567"
