"""Chance that can be repeated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.sandbox.dice import Dice, seeded_ids, spread, weighed

KEYS = st.lists(st.integers(0, 2**63), min_size=1, max_size=4)


@given(KEYS)
def test_the_same_key_rolls_the_same_and_within_bounds(key: list[int]) -> None:
    one, other = Dice(*key), Dice(*key)
    for _ in range(20):
        roll = one.roll()
        assert roll == other.roll()
        assert 0 <= roll < 1


@given(KEYS, st.integers(0, 2**32))
def test_another_key_rolls_otherwise(key: list[int], more: int) -> None:
    assert Dice(*key).bits() != Dice(*key, more).bits()


@given(st.integers(), st.integers(-5, 5), st.integers(0, 9), st.floats(-9, 9), st.floats(0, 9))
def test_numbers_stay_in_their_span(seed: int, low: int, more: int, from_: float, wide: float) -> None:
    dice = Dice(seed % 2**64)
    assert low <= dice.whole((low, low + more)) <= low + more
    assert from_ <= dice.between((from_, from_ + wide)) <= from_ + wide
    assert dice.gap(2.0) >= 0


def test_rolls_are_even_and_gaps_have_their_mean() -> None:
    dice = Dice(4)
    rolls = [dice.roll() for _ in range(20_000)]
    assert sum(rolls) / len(rolls) == pytest.approx(0.5, abs=0.01)
    assert sum(roll < 0.1 for roll in rolls) / len(rolls) == pytest.approx(0.1, abs=0.01)
    gaps = [dice.gap(4.0) for _ in range(20_000)]
    assert sum(gaps) / len(gaps) == pytest.approx(0.25, abs=0.01)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=6).filter(any), st.floats(0, 1, exclude_max=True))
def test_nothing_without_a_weight_is_ever_chosen(weights: list[float], at: float) -> None:
    choices = list(enumerate(weights))
    assert weights[weighed(choices, at)] > 0


def test_weights_are_shares() -> None:
    found = [weighed((("a", 1.0), ("b", 3.0)), at / 100) for at in range(100)]
    assert found == ["a"] * 25 + ["b"] * 75


@pytest.mark.parametrize("count", [10, 40, 1000])
def test_places_lie_evenly_from_the_first_on(count: int) -> None:
    tenths = [int(spread(number) * 10) for number in range(count)]
    assert {tenths.count(tenth) for tenth in range(10)} <= {count // 10 - 1, count // 10, count // 10 + 1}


def test_ids_are_the_same_row_for_the_same_seed() -> None:
    rows = []
    for seed in (1, 1, 2):
        new_id = seeded_ids(seed)
        rows.append([new_id() for _ in range(1000)])
    assert rows[0] == rows[1] != rows[2]
    assert len({*rows[0], *rows[2]}) == 2000
    assert {len(each) for each in rows[0]} == {32}
