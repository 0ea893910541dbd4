"""What is being spent on something: a minute, an hour, and how it went; the same words in every pane."""

from __future__ import annotations

from typing import NamedTuple

from console import units
from console.panes.pane import Cell
from console.state import ConsoleState, CostKey
from console.trends import Amounts, spark

_SEEN = 50
"""Micro-USD that are rounded to the smallest figure that is shown."""


class Spent(NamedTuple):
    """The last minutes of one key's money; turns in flight count with what they cost so far."""

    amounts: Amounts[CostKey | None]
    key: CostKey

    @property
    def lately(self) -> int:
        """Micro-USD of the last minutes. They are as many for every key, so this orders by the rates as well."""
        return self.amounts.total(self.key)

    def per_hour(self, now: int) -> int:
        """Micro-USD in an hour like the last minutes; a guess that was too high is no income."""
        return max(0, self.amounts.per_hour(self.key, now))

    def by_minute(self, now: int) -> list[int]:
        """Micro-USD of each of the last minutes, the latest last."""
        return self.amounts.series(self.key, now)


def spent_on(state: ConsoleState, key: CostKey) -> Spent:
    """What is spent on that key."""
    return Spent(state.trends.spent, key)


def minute(spent: Spent, now: int) -> Cell:
    """Dollars a minute, to the hundredth of a cent."""
    rate = spent.per_hour(now) // 60
    if rate < _SEEN:
        return Cell("<$0.0001" if rate else "–", "dim")
    return Cell(units.money(rate))


def hour(spent: Spent, now: int) -> Cell:
    """Dollars an hour, if it goes on like this."""
    rate = spent.per_hour(now)
    return Cell(f"{units.cents(rate)}/h") if rate else Cell("–", "dim")


def trend(spent: Spent, now: int) -> Cell:
    """The last ten minutes, one character each."""
    figures = spent.by_minute(now)
    return Cell(spark(figures, max(1, *figures)), "accent")
