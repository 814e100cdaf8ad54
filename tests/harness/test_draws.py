"""Draws from a secret: repeatable by anybody from the published secret, and fair."""

import hashlib
import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.draws import Draws, new_secret

secrets = st.text("0123456789abcdef", min_size=1, max_size=32)
labels = st.text(max_size=20)


def oracle(secret: str, label: str, count: int) -> list[int]:
    """Slow, from the description alone: SHAKE-256 of "secret/label/page", 1,024 bytes a page."""
    numbers: list[int] = []
    page = 0
    while len(numbers) < count:
        block = hashlib.shake_256(f"{secret}/{label}/{page}".encode()).hexdigest(1024)
        for at in range(0, 2048, 16):
            little = bytes.fromhex(block[at : at + 16])
            numbers.append(sum(byte << (8 * place) for place, byte in enumerate(little)))
        page += 1
    return numbers[:count]


@given(secrets, labels, st.integers(1, 300))
@settings(max_examples=30)
def test_numbers_are_those_of_the_description(secret, label, count):
    assert list(itertools.islice(Draws(secret).numbers(label), count)) == oracle(
        secret, label, count
    )


def test_draws_of_published_secrets_never_change():
    """Reports publish secrets: these values may not change without a new version of the rules."""
    draws = Draws("00112233445566778899aabbccddeeff")
    assert next(draws.numbers("round 1/blind")) == 7231140658822786744
    assert draws.distinct("round 1/blind", 5, 0, 10_000) == [4436, 4593, 6744, 9176, 9332]
    assert draws.shuffled("x", list(range(8))) == [2, 6, 0, 5, 3, 7, 4, 1]


@given(secrets, labels, st.integers(0, 60), st.integers(-5, 50), st.integers(0, 80))
def test_distinct_positions_are_distinct_ascending_and_in_range(secret, label, count, low, size):
    drawn = Draws(secret).distinct(label, count, low, low + size)
    assert len(drawn) == min(count, size)
    assert drawn == sorted(set(drawn))
    assert all(low <= position < low + size for position in drawn)
    assert drawn == Draws(secret).distinct(label, count, low, low + size)


@given(secrets, labels, st.integers(1, 1 << 40))
def test_below_is_in_range(secret, label, limit):
    assert 0 <= Draws(secret).below(label, limit) < limit


@given(secrets, labels, st.lists(st.integers(), max_size=30))
def test_a_shuffle_keeps_what_it_was_given(secret, label, items):
    before = list(items)
    assert sorted(Draws(secret).shuffled(label, items)) == sorted(before)
    assert items == before


@given(secrets, secrets, labels, labels)
def test_other_secrets_and_other_labels_draw_otherwise(secret, other, label, another):
    def first(secret, label):
        return list(itertools.islice(Draws(secret).numbers(label), 4))

    assert (first(secret, label) == first(other, label)) == (secret == other)
    assert (first(secret, label) == first(secret, another)) == (label == another)


def test_every_position_and_every_order_is_as_likely_as_any_other():
    """Chi-squared, at a secret that is fixed: 60 positions, 6 orders; limits at p = 1e-4."""
    draws = Draws("fair")
    counts = [0] * 60
    for number in range(2000):
        for position in draws.distinct(f"d/{number}", 6, 0, 60):
            counts[position] += 1
    assert sum((count - 200) ** 2 / 200 for count in counts) < 110  # 59 degrees of freedom
    orders: dict[tuple[int, ...], int] = {}
    for number in range(3000):
        order = tuple(draws.shuffled(f"s/{number}", [0, 1, 2]))
        orders[order] = orders.get(order, 0) + 1
    assert len(orders) == 6
    assert sum((count - 500) ** 2 / 500 for count in orders.values()) < 26  # 5 degrees


def test_secrets_are_fresh_and_128_bits_long():
    drawn = {new_secret() for _ in range(100)}
    assert len(drawn) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", secret) for secret in drawn)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_an_empty_range_gives_nothing(count):
    assert Draws("a").distinct("x", count, 5, 5) == []
