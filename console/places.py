"""Who stands where in a queue: the places of those who wait, counted from the order of their tickets. Pure.

A change and a question cost O(log n) each, so that a queue of a hundred thousand moves without a redraw of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sortedcontainers import SortedList

from core.protocol import SeatRow


@dataclass(slots=True)
class Places:
    """The tickets of those who wait, by model; the banned are left out, as the queues leave them out."""

    _tickets: dict[str, Any] = field(default_factory=dict)

    def put(self, before: SeatRow | None, seat: SeatRow) -> None:
        """A seat is another one now."""
        if before is not None:
            self.drop(before)
        if _waits(seat):
            self._tickets.setdefault(seat.model, SortedList()).add(seat.ticket)

    def drop(self, seat: SeatRow) -> None:
        """A seat is no more."""
        tickets = self._tickets.get(seat.model)
        if tickets is not None and _waits(seat):
            tickets.discard(seat.ticket)
            if not tickets:
                del self._tickets[seat.model]

    def of(self, seat: SeatRow) -> int | None:
        """The place of that seat in its queue, from 1; None for somebody who does not wait."""
        if not _waits(seat):
            return None
        place: int = self._tickets.get(seat.model, SortedList()).bisect_left(seat.ticket) + 1
        return place


def _waits(seat: SeatRow) -> bool:
    return seat.state == "queued" and not seat.banned
