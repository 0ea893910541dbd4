"""Admission rounds: who of a model's queue is let in now, inside one unit of work.

Everything that could forbid an admission is looked up again in the same transaction that writes it
(behaviours/admission.md, decisions 7, 8 and 13).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection

from core.admission import ledger, places
from core.admission.answers import SkipReason
from core.admission.catalog import Catalog
from core.admission.changes import Booked, Change, Put, SeatPut
from core.admission.queue import holds
from core.admission.quota import Meter
from core.admission.seat import Seat, admitted
from core.protocol import Health, PausedReason

SEVERITY: tuple[SkipReason, ...] = (
    "closed",
    "rate_limited",
    "at_capacity",
    "paused",
    "degraded",
    "unhealthy",
    "failed",
)
"""Why somebody was left waiting, in rising order."""

_FIRST_BATCH, _BATCH = 2, 128
"""How many heads are read at first, and at most: nearly always the very first may come in."""


def worst(reasons: list[SkipReason]) -> SkipReason | None:
    """The gravest of the reasons, None when there are none."""
    return max(reasons, key=SEVERITY.index, default=None)


class Spans(msgspec.Struct, frozen=True):
    """How long a seat lasts and drains, in ms."""

    session: int
    grace: int


class TickRound(msgspec.Struct, frozen=True):
    """What one model's round did, and why it ended short with somebody waiting, if it did."""

    changes: list[Change]
    admitted: int
    skipped: SkipReason | None


class Rounds:
    """Lets people in from the heads of the queues."""

    def __init__(self, catalog: Catalog, meter: Meter, spans: Spans) -> None:
        self._catalog = catalog
        self._meter = meter
        self._spans = spans

    def instant(
        self, connection: Connection, model: str, health: Health, now: int, caller: str
    ) -> tuple[list[Change], Seat | None]:
        """Admit heads while there is room for instant admission, until the caller is in or nobody is left.

        The changes, and the caller's seat if they were let in.
        """
        ceiling = self._catalog.instant_ceiling(model)
        changes: list[Change] = []
        if ceiling == 0:
            return changes, None
        room = ceiling - places.occupied(connection, model, now - self._spans.grace)
        if room <= 0 or self._holds(connection, model, health, now):
            return changes, None
        for head in self._eligible(connection, model, now):
            seat, its_changes = self.promote(connection, head, now, "admitted")
            changes += its_changes
            if seat.user_id == caller:
                return changes, seat
            room -= 1
            if room == 0:
                break
        return changes, None

    def tick(self, connection: Connection, model: str, health: Health, now: int, most: int) -> TickRound:
        """Admit up to `most` heads, never beyond the model's ceiling; and say what kept the others waiting."""
        places.hold(connection, [model])
        held = self._holds(connection, model, health, now)
        ceiling = self._catalog.max_active(model)
        room = most
        if ceiling is not None:
            room = max(0, ceiling - places.occupied(connection, model, now - self._spans.grace))
        changes: list[Change] = []
        count = 0
        if not held and room:
            for head in self._eligible(connection, model, now):
                changes += self.promote(connection, head, now, "admitted")[1]
                count += 1
                if count == min(most, room):
                    break
        if count == most or not ledger.waiting(connection, model, 0, 1):
            return TickRound(changes, count, None)
        reasons: list[SkipReason] = list(held)
        if ceiling is not None and count >= room:
            reasons.append("at_capacity")
        if next(self._eligible(connection, model, now), None) is None:
            reasons.append("rate_limited")
        return TickRound(changes, count, worst(reasons))

    def promote(self, connection: Connection, seat: Seat, now: int, what: Put) -> tuple[Seat, list[Change]]:
        """Flip a queued seat to active and log the admission, together."""
        admit = ledger.log_admit(connection, seat, now)
        after = admitted(seat, admit.id, now, self._spans.session)
        ledger.save(connection, seat, after)
        return after, [Booked(admit), SeatPut(what, after)]

    def _holds(self, connection: Connection, model: str, health: Health, now: int) -> list[PausedReason]:
        paused = ledger.paused(connection)
        return holds(
            is_open=self._catalog.is_open(model, now), paused="" in paused or model in paused, health=health
        )

    def _eligible(self, connection: Connection, model: str, now: int) -> Iterator[Seat]:
        """The queue from its head on, without the banned and those who are over their own quota.

        Each is looked at once, so the caller may admit them while it goes on.
        """
        after, most = 0, _FIRST_BATCH
        while batch := ledger.heads(connection, model, after, most):
            for seat in batch:
                after = seat.ticket
                if not self._spent(connection, seat, now):
                    yield seat
            if len(batch) < most:
                return
            most = min(4 * most, _BATCH)

    def _spent(self, connection: Connection, seat: Seat, now: int) -> bool:
        tier = seat.access_tier
        if not self._catalog.metered(seat.model, tier):
            return False
        used = ledger.used(connection, seat.user_id, tier, self._catalog.pool(tier), self._meter.day(now))
        return self._meter.spent(tier, used)
