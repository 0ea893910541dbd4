"""The cores that a console is attached to: what is known of each, the link to it, and what they come to together.

Most consoles have one. Several may be instances of one house, with one database behind them: what they share, as
seats and costs, each of them tells, and it counts once. Who tells it is the *speaker* of that house.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from console.feed import Feed
from console.panes.merged import HOUSE_WIDE
from console.state import ConsoleState, Table, Totals


@dataclass(frozen=True, slots=True)
class Attached:
    """One core. `number` is its place among all of them, `name` what tells it from the others."""

    number: int
    name: str
    state: ConsoleState
    feed: Feed

    def now(self) -> int:
        """The core's own time in milliseconds."""
        return self.feed.now()

    @property
    def known(self) -> bool:
        """Whether a whole view of it has come."""
        return self.state.head is not None

    @property
    def stale(self) -> bool:
        """Whether what is shown of it may no longer be so."""
        return self.known and self.feed.link in ("lost", "connecting")


class Cores(Sequence[Attached]):
    """All of them, in the order in which they were named; there is always one at least."""

    def __init__(self, cores: Sequence[Attached]) -> None:
        if not cores:
            raise ValueError("a console without a core")
        self._cores = tuple(cores)
        self.speakers: frozenset[int] = frozenset()
        """The numbers of those that speak for their houses; see `choose_speakers`."""

    def __len__(self) -> int:
        return len(self._cores)

    def __getitem__(self, number: int) -> Attached:  # type: ignore[override]
        return self._cores[number]

    def __iter__(self) -> Iterator[Attached]:
        return iter(self._cores)

    @property
    def several(self) -> bool:
        """Whether there is more than one, so that each row has to tell whose it is."""
        return len(self._cores) > 1

    @property
    def known(self) -> bool:
        """Whether there is anything to show."""
        return any(core.known for core in self)

    @property
    def stale(self) -> bool:
        """Whether nothing of what is shown is sure to be so."""
        return self.known and all(core.stale for core in self if core.known)

    def now(self) -> int:
        """The time in milliseconds: that of the first core whose word is fresh."""
        live = next((core for core in self if core.feed.link == "live"), self._cores[0])
        return live.now()

    def choose_speakers(self) -> bool:
        """Have the first core of each house that is live speak for it, else the first that is known.

        Answers whether they are others than before.
        """
        chosen: dict[str, Attached] = {}
        for core in self:
            if core.state.head is None:
                continue
            before = chosen.setdefault(core.state.head.house, core)
            if before.stale and not core.stale:
                chosen[core.state.head.house] = core
        before_all, self.speakers = self.speakers, frozenset(core.number for core in chosen.values())
        return self.speakers != before_all

    # ------------------------------------------------------------------------------------- together

    def totals(self) -> Totals:
        """The figures of all of them together."""
        totals = Totals()
        for core in self:
            totals.in_flight += core.state.totals.in_flight
            if core.number in self.speakers:
                totals.waiting += core.state.totals.waiting
                totals.seated += core.state.totals.seated
                totals.micros += core.state.totals.micros
        return totals

    def in_flight(self) -> list[int | None]:
        """How many turns ran in each of the last minutes; None where no core knows."""
        series = [core.state.trends.in_flight.series(core.now()) for core in self if core.known]
        return [
            sum(figure for figure in minute if figure is not None)
            if any(figure is not None for figure in minute)
            else None
            for minute in zip(*series, strict=True)
        ]

    def micros_per_hour(self) -> int:
        """What an hour would cost if it went on like this; each core notes what its own turns spend."""
        return sum(
            core.state.trends.spent.per_hour(None, core.now())
            for core in self
            if core.number in self.speakers
        )

    def count(self, table: Table) -> int:
        """How many rows there are of a kind; those that a whole house shares count once."""
        return sum(
            core.state.count(table)
            for core in self
            if table not in HOUSE_WIDE or core.number in self.speakers
        )
