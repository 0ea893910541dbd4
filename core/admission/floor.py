"""The floor: every seat, queue, ban and pause in memory, following what the database has acknowledged.

Changes are applied in the order in which they were committed. Nothing here decides about an admission; it answers
polls, gates and views without asking the database, each in O(log n).
"""

from __future__ import annotations

from collections import Counter
from typing import assert_never

from sortedcontainers import SortedList

from core.admission.attendance import Attendance
from core.admission.catalog import Catalog
from core.admission.changes import (
    BanLifted,
    BanSet,
    Booked,
    Change,
    PausesAre,
    SeatPut,
    SeatRemoved,
)
from core.admission.ledger import Snapshot
from core.admission.queue import Lines
from core.admission.quota import Meter, Usage
from core.admission.seat import Seat


class Floor:
    """What is true now, for reading."""

    def __init__(self, catalog: Catalog, meter: Meter, *, grace: int, abandon: int, now: int) -> None:
        """`grace` and `abandon` in ms; `abandon` 0 lets anybody wait for ever."""
        self.catalog = catalog
        self.grace = grace
        self.seats: dict[str, Seat] = {}
        self.lines = Lines()
        self.bans: set[str] = set()
        self.pauses: frozenset[str] = frozenset()
        self.usage = Usage(meter, now)
        self.attendance = Attendance(abandon)
        self.addresses: Counter[str] = Counter()
        self._seated: dict[str, SortedList[tuple[int, str]]] = {}
        self._banned_with_seat: set[str] = set()

    def load(self, snapshot: Snapshot, now: int) -> None:
        """Take over what the database holds at the start; everybody who waits counts as just seen."""
        self.bans = set(snapshot.bans)
        self.pauses = snapshot.pauses
        for seat in snapshot.seats:
            self._put(seat, now)
        for admit in snapshot.admits:
            self.usage.book(admit)

    def apply(self, change: Change, now: int) -> None:
        """Follow one acknowledged change."""
        match change:
            case SeatPut(seat=seat):
                self._take(seat.user_id)
                self._put(seat, now)
            case SeatRemoved(user_id=user_id):
                self._take(user_id)
            case Booked(admit=admit):
                self.usage.book(admit)
            case BanSet(user_id=user_id):
                self._move(user_id, banned=True)
            case BanLifted(user_id=user_id):
                self._move(user_id, banned=False)
            case PausesAre(models=models):
                self.pauses = models
            case _:
                assert_never(change)

    def is_paused(self, model: str) -> bool:
        """Whether an operator holds the model, or all."""
        return "" in self.pauses or model in self.pauses

    def seated(self, model: str, now: int) -> tuple[int, int]:
        """How many seats of the model are active, and how many are draining."""
        line = self._seated.get(model)
        if line is None:
            return 0, 0
        ended = line.bisect_left((now + 1, ""))
        gone = line.bisect_left((now - self.grace + 1, ""))
        return len(line) - ended, ended - gone

    def frees_at(self, model: str, now: int) -> int | None:
        """When (ms) the first of the model's occupied seats is free, if nobody leaves before; None without any."""
        line = self._seated.get(model)
        if line is None:
            return None
        first = line.bisect_left((now - self.grace + 1, ""))
        return None if first == len(line) else line[first][0] + self.grace

    def ended_between(self, after: int, now: int) -> list[Seat]:
        """The seats whose time ran out later than `after` and not later than `now`, in that order."""
        ended = [
            each
            for line in self._seated.values()
            for each in line.irange((after + 1, ""), (now + 1, ""), inclusive=(True, False))
        ]
        return [self.seats[user_id] for _, user_id in sorted(ended)]

    def over_since(self, before: int) -> list[Seat]:
        """The seats whose grace was over before `before` (ms), the longest over first."""
        bound = (before - self.grace, "")
        over = [each for line in self._seated.values() for each in line.irange(None, bound, (True, False))]
        return [self.seats[user_id] for _, user_id in sorted(over)]

    def banned_with_seat(self) -> list[str]:
        """The banned users who still have a seat."""
        return sorted(self._banned_with_seat)

    def models(self) -> list[str]:
        """The configured models in their order, then others that somebody waits for or sits at."""
        others = {*self.lines.models(), *self._seated} - self.catalog.models.keys()
        return [*self.catalog.models, *sorted(others)]

    def _put(self, seat: Seat, now: int) -> None:
        user_id = seat.user_id
        banned = user_id in self.bans
        self.seats[user_id] = seat
        if banned:
            self._banned_with_seat.add(user_id)
        if seat.access and seat.access.address_hash:
            self.addresses[seat.access.address_hash] += 1
        if seat.status == "queued":
            self.lines.join(seat.model, seat.ticket, user_id, banned=banned)
            self.attendance.arrive(user_id, now, seat.seen_at)
        else:
            self._seated.setdefault(seat.model, SortedList()).add((seat.expires_at or 0, user_id))

    def _take(self, user_id: str) -> None:
        seat = self.seats.pop(user_id, None)
        if seat is None:
            return
        self._banned_with_seat.discard(user_id)
        if seat.access and seat.access.address_hash:
            self._leave_address(seat.access.address_hash)
        if seat.status == "queued":
            self.lines.leave(seat.model, seat.ticket)
            self.attendance.leave(user_id)
            return
        line = self._seated[seat.model]
        line.discard((seat.expires_at or 0, user_id))
        if not line:
            del self._seated[seat.model]

    def _leave_address(self, address: str) -> None:
        self.addresses[address] -= 1
        if not self.addresses[address]:
            del self.addresses[address]

    def _move(self, user_id: str, *, banned: bool) -> None:
        """Note a ban or its end, and hide or show the user's place in the queue."""
        (self.bans.add if banned else self.bans.discard)(user_id)
        seat = self.seats.get(user_id)
        if seat is None:
            return
        (self._banned_with_seat.add if banned else self._banned_with_seat.discard)(user_id)
        if seat.status == "queued":
            self.lines.leave(seat.model, seat.ticket)
            self.lines.join(seat.model, seat.ticket, user_id, banned=banned)
