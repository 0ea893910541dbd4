"""Tells the journal what changed on the floor, and keeps the rows that a view is made of.

A row is replaced when something happens to it, and only then; a view and the later events always add up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, assert_never

from core.admission.changes import (
    BanLifted,
    BanSet,
    Booked,
    Change,
    PausesAre,
    SeatPut,
    SeatRemoved,
)
from core.admission.floor import Floor
from core.admission.views import Views
from core.journal import Journal
from core.protocol import Noticed, QueueChanged, QueueRow, SeatChanged, SeatGone, SeatRow


class Herald:
    """One for each waiting room."""

    def __init__(self, floor: Floor, views: Views, journal: Journal, now: int) -> None:
        """Start from the floor as it is; what it holds already is no news."""
        self._floor = floor
        self._views = views
        self._journal = journal
        # between which moments rows were made since time itself was told; it goes back when the clock is corrected
        self._earliest = self._latest = now
        self.seats: dict[str, SeatRow] = {
            user_id: views.seat_row(seat, now) for user_id, seat in floor.seats.items()
        }
        self.queues: dict[str, QueueRow] = {model: views.queue_row(model, now) for model in floor.models()}

    def follow(self, changes: Iterable[Change], now: int) -> set[str]:
        """Apply acknowledged changes to the floor, and tell each; the models whose queues may have moved.

        Those are told by `tell_queues`, once for all that happens at the same time.
        """
        self._earliest, self._latest = min(self._earliest, now), max(self._latest, now)
        models: set[str] = set()
        for change in changes:
            models |= self._touched(change)
            self._floor.apply(change, now)
            self._tell(change, now)
        return models

    def tell_queues(self, models: Iterable[str], now: int) -> None:
        """Tell the queues whose figures are others than those told last."""
        for model in models:
            row = self._views.queue_row(model, now)
            if row != self.queues.get(model):
                self.queues[model] = row
                self._journal.append(QueueChanged(queue=row))

    def tell_time(self, now: int) -> None:
        """Tell what time alone has changed: seats whose grace began, hours, drained places.

        A clock that is set back gives seats their time again, and their end is told when it comes.
        """
        since, until = min(self._earliest, now), max(self._latest, now)
        self._earliest = self._latest = now
        for seat in self._floor.ended_between(since, until):
            row = self._views.seat_row(seat, now)
            if row != self.seats.get(seat.user_id):
                self.seats[seat.user_id] = row
                self._journal.append(
                    SeatChanged(what="revived" if row.state == "active" else "ended", seat=row)
                )
        self.tell_queues(self._told_models(), now)

    def trouble(self, code: str, message: str) -> None:
        """Tell the operator that something went wrong; admission goes on."""
        self._journal.append(Noticed(level="error", code=code, message=message))

    def _told_models(self) -> list[str]:
        """The models that the floor knows, and those that only a row still shows: the last has left them."""
        return list(dict.fromkeys([*self._floor.models(), *self.queues]))

    def _touched(self, change: Change) -> set[str]:
        """The models whose queue the change may have moved; looked at before it is applied."""
        match change:
            case SeatPut(seat=seat):
                before = self._floor.seats.get(seat.user_id)
                return {seat.model} if before is None else {seat.model, before.model}
            case SeatRemoved(model=model):
                return {model}
            case BanSet(user_id=user_id) | BanLifted(user_id=user_id):
                seat_now = self._floor.seats.get(user_id)
                return set() if seat_now is None else {seat_now.model}
            case PausesAre():
                return set(self._told_models())
            case Booked():
                return set()
            case _:
                assert_never(change)

    def _tell(self, change: Change, now: int) -> None:
        match change:
            case SeatPut(what=what, seat=seat):
                row = self._views.seat_row(seat, now)
                self.seats[seat.user_id] = row
                self._journal.append(SeatChanged(what=what, seat=row))
            case SeatRemoved(what=removal, user_id=user_id, model=model):
                if self.seats.pop(user_id, None) is not None:
                    self._journal.append(SeatGone(what=removal, user_id=user_id, model=model))
            case BanSet(user_id=user_id):
                self._tell_ban(user_id, "banned", now)
            case BanLifted(user_id=user_id):
                self._tell_ban(user_id, "unbanned", now)
            case Booked() | PausesAre():
                return
            case _:
                assert_never(change)

    def _tell_ban(self, user_id: str, what: Literal["banned", "unbanned"], now: int) -> None:
        """A banned user keeps the seat until the next tick, and it shows that they are."""
        seat = self._floor.seats.get(user_id)
        if seat is None:
            return
        row = self._views.seat_row(seat, now)
        if row != self.seats.get(user_id):
            self.seats[user_id] = row
            self._journal.append(SeatChanged(what=what, seat=row))
