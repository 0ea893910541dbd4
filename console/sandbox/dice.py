"""Chance that can be repeated: what is rolled depends on a key, and on nothing that happened before.

A generator of its own for each of 50,000 people would hold 125 MB; a key holds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

Span = tuple[float, float]
"""From, to."""

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_GOLDEN = 0.6180339887498949


class Dice:
    """Rolls in a row that are the same for the same key."""

    __slots__ = ("_state",)

    def __init__(self, *key: int) -> None:
        state = 0
        for part in key:
            state = _mixed((state + part + _STEP) & _MASK)
        self._state = state

    def bits(self) -> int:
        """64 of them."""
        self._state = (self._state + _STEP) & _MASK
        return _mixed(self._state)

    def roll(self) -> float:
        """From 0 to below 1."""
        return (self.bits() >> 11) / 2**53

    def chance(self, share: float) -> bool:
        """True in that share of all cases."""
        return self.roll() < share

    def between(self, span: Span) -> float:
        """Somewhere in the span."""
        low, high = span
        return low + (high - low) * self.roll()

    def whole(self, span: tuple[int, int]) -> int:
        """A whole number in the span, both ends included."""
        low, high = span
        return low + int(self.roll() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """One of them, each as likely; there must be one."""
        return choices[int(self.roll() * len(choices))]

    def weigh(self, choices: Sequence[tuple[T, float]]) -> T:
        """One of them, as likely as its weight."""
        return weighed(choices, self.roll())

    def gap(self, rate: float) -> float:
        """The time to the next of events that come `rate` times per unit, each by itself."""
        return -math.log(1.0 - self.roll()) / rate


def weighed(choices: Sequence[tuple[T, float]], at: float) -> T:
    """The choice at that place (0 to below 1) when each takes room by its weight; there must be a weight above 0."""
    left = at * sum(weight for _, weight in choices)
    for choice, weight in choices:
        left -= weight
        if left < 0:
            return choice
    return next(choice for choice, weight in reversed(choices) if weight)


def spread(number: int) -> float:
    """A place from 0 to below 1 such that the first so many numbers always lie evenly."""
    return number * _GOLDEN % 1.0


def seeded_ids(seed: int) -> Callable[[], str]:
    """32 hex characters at each call, the same row of them for the same seed. They are no secrets."""
    dice = Dice(seed, 0x1D5)
    return lambda: f"{dice.bits():016x}{dice.bits():016x}"


def _mixed(value: int) -> int:
    """64 bits that look random: the finaliser of splitmix64."""
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)
