"""Ranks are those of a sorted list, whatever is put in and taken out."""

from __future__ import annotations

import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.admission import ranks
from core.admission.ranks import Ranks

NUMBERS = st.integers(-50, 50)


@given(steps=st.lists(st.tuples(NUMBERS, st.booleans()), max_size=120), asked=st.lists(NUMBERS, min_size=1))
def test_small_pieces(steps: list[tuple[int, bool]], asked: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "_LONGEST", 3)
        _play(steps, asked)


def test_many_numbers() -> None:
    dice = random.Random(7)
    added = [(number, True) for number in dice.sample(range(30_000), 9_000)]
    removed = [(number, False) for number, _ in dice.sample(added, 6_000)]
    _play([*added, *removed], range(-1, 30_001, 97), every=500)


def test_what_is_not_there_cannot_be_taken_out() -> None:
    order = Ranks()
    with pytest.raises(KeyError):
        order.remove(1)
    order.add(1)
    for number in (0, 2):
        with pytest.raises(KeyError):
            order.remove(number)
    assert (list(order), order.first, order.rank(1)) == ([1], 1, 1)


def _play(steps: list[tuple[int, bool]], asked: list[int] | range, every: int = 1) -> None:
    """Put in and take out, in both; and compare."""
    order, plain = Ranks(), set[int]()
    for count, (number, wanted) in enumerate(steps):
        if wanted and number not in plain:
            order.add(number)
            plain.add(number)
        elif not wanted and number in plain:
            order.remove(number)
            plain.remove(number)
        if count % every:
            continue
        expected = sorted(plain)
        assert list(order) == expected
        assert [order.rank(each) for each in asked] == [bisect_right(expected, each) for each in asked]
        if expected:
            assert order.first == expected[0]
