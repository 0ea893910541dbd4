"""The order of the queues, in memory. No I/O.

Tickets are drawn from the database at joining and decide alone; the banned keep theirs but are skipped in positions
and depths (behaviours/admission.md, decisions 14 and 16). A position costs O(log n).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, takewhile

from core.admission.ranks import Ranks
from core.protocol import Health, PausedReason


class Line:
    """Who waits for one model."""

    def __init__(self) -> None:
        self._waiting: dict[int, str] = {}
        self._order = Ranks()
        self._banned: dict[int, str] = {}

    def __len__(self) -> int:
        """How many wait, the banned left out."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[str]:
        """The waiting users from the head on, the banned left out."""
        return (self._waiting[ticket] for ticket in self._order)

    @property
    def empty(self) -> bool:
        """Whether nobody holds a ticket, not even somebody banned."""
        return not self._waiting and not self._banned

    @property
    def head(self) -> str | None:
        """The first who is not banned."""
        return self._waiting[self._order.first] if self._waiting else None

    def join(self, ticket: int, user_id: str, *, banned: bool) -> None:
        """Take the place of that ticket."""
        if banned:
            self._banned[ticket] = user_id
            return
        if ticket not in self._waiting:
            self._order.add(ticket)
        self._waiting[ticket] = user_id

    def leave(self, ticket: int) -> None:
        """Give the place up; leaving twice does nothing."""
        if self._waiting.pop(ticket, None) is not None:
            self._order.remove(ticket)
        self._banned.pop(ticket, None)

    def ahead(self, ticket: int, most: int) -> list[str]:
        """The first `most` of those with an earlier ticket."""
        earlier = takewhile(lambda each: each < ticket, self._order)
        return [self._waiting[each] for each in islice(earlier, most)]

    def position(self, ticket: int) -> int:
        """How many wait up to and including that ticket; never below 1."""
        return self._order.rank(ticket) or 1


class Lines:
    """The queue of every model that somebody waits for."""

    def __init__(self) -> None:
        self._by_model: dict[str, Line] = {}
        self._depths: dict[str, int] = {}

    def join(self, model: str, ticket: int, user_id: str, *, banned: bool) -> None:
        """Put somebody into a model's queue."""
        line = self._by_model.get(model)
        if line is None:
            line = self._by_model[model] = Line()
        line.join(ticket, user_id, banned=banned)
        self._measure(model, line)

    def leave(self, model: str, ticket: int) -> None:
        """Take somebody out of a model's queue."""
        line = self._by_model.get(model)
        if line is not None:
            line.leave(ticket)
            self._measure(model, line)
            if line.empty:
                del self._by_model[model]

    def position(self, model: str, ticket: int) -> int:
        """The 1-based place of a ticket in its model's queue."""
        line = self._by_model.get(model)
        return line.position(ticket) if line is not None else 1

    def ahead(self, model: str, ticket: int, most: int) -> list[str]:
        """The first `most` of those who come before a ticket, from the head on, the banned left out."""
        line = self._by_model.get(model)
        return [] if line is None else line.ahead(ticket, most)

    def depth(self, model: str) -> int:
        """How many wait for the model, the banned left out."""
        return self._depths.get(model, 0)

    def depths(self) -> dict[str, int]:
        """Model → how many wait; models that nobody waits for are left out."""
        return self._depths.copy()

    def head(self, model: str) -> str | None:
        """The first in a model's queue who is not banned."""
        line = self._by_model.get(model)
        return line.head if line is not None else None

    def models(self) -> list[str]:
        """The models with a queue, even one of banned people only."""
        return list(self._by_model)

    def _measure(self, model: str, line: Line) -> None:
        """Keep the depth at hand: every answer to somebody who waits tells all of them."""
        if depth := len(line):
            self._depths[model] = depth
        else:
            self._depths.pop(model, None)


def estimated_wait(position: int, admits_per_tick: int, tick: int) -> int:
    """How long (ms) somebody at `position` will probably wait: whole ticks of `tick` ms (decision 14)."""
    return (position - 1) // admits_per_tick * tick


_HEALTH_HOLDS: dict[Health, PausedReason] = {"degraded": "degraded", "unhealthy": "unhealthy"}


def holds(*, is_open: bool, paused: bool, health: Health) -> list[PausedReason]:
    """What holds a model's queue now, the mildest first (decision 13); nobody is admitted while anything does."""
    found: list[PausedReason] = []
    if not is_open:
        found.append("closed")
    if paused:
        found.append("paused")
    if health in _HEALTH_HOLDS:
        found.append(_HEALTH_HOLDS[health])
    return found
