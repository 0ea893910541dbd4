"""What an operator may do to the waiting room. Who did it, and why, is audited by the caller.

Rules: behaviours/admission.md, decision 15.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import Connection

from core.admission import ledger, places
from core.admission.answers import SeatAnswer
from core.admission.changes import BanLifted, BanSet, Change, PausesAre
from core.admission.desk import Served
from core.admission.parts import Parts
from core.admission.seat import Seat, check_user
from core.errors import InvalidArgument
from core.protocol import Health

T = TypeVar("T")


class OperatedRoom:
    """A waiting room as far as its operator is concerned."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._clock = parts.clock
        self._catalog = parts.catalog
        self._desk = parts.desk
        self._floor = parts.floor
        self._views = parts.views
        self._landing = parts.landing

    async def end_seat(self, user_id: str) -> bool:
        """End a user's seat, charged as an early end, even while admission is off; False when there is none."""
        check_user(user_id)
        now = self._clock.now()

        def unit(connection: Connection) -> tuple[list[Change], bool]:
            changes = self._desk.end(connection, user_id, now)
            return changes, bool(changes)

        return await self._landing.write(unit, now)

    async def admit_now(self, user_id: str) -> SeatAnswer:
        """Seat one waiting user out of turn; raises NotQueued, Banned or AtCapacity."""
        check_user(user_id)
        now = self._clock.now()

        def answer(served: Served) -> SeatAnswer:
            assert isinstance(served.outcome, Seat)
            return self._views.seat(served.outcome, served.outcome.access_tier, now)

        return await self._served(
            lambda connection: self._desk.admit_now(connection, user_id, now), answer, now
        )

    async def ban(self, user_id: str, *, actor: str, reason: str = "") -> bool:
        """Ban a user; the next tick takes their seat. False for one who is banned already."""
        check_user(user_id)
        now = self._clock.now()

        def unit(connection: Connection) -> tuple[list[Change], bool]:
            new = ledger.ban(connection, user_id, at=now, actor=actor, reason=reason)
            return [BanSet(user_id)], new

        return await self._landing.write(unit, now)

    async def unban(self, user_id: str, *, actor: str = "", reason: str = "") -> bool:
        """Lift a ban; a place that was not taken away meanwhile is there again. False when there is none.

        Who did it, and why, stands in the audit alone.
        """
        check_user(user_id)

        def unit(connection: Connection) -> tuple[list[Change], bool]:
            return [BanLifted(user_id)], ledger.unban(connection, user_id)

        return await self._landing.write(unit, self._clock.now())

    async def pause(self, model: str | None, *, actor: str) -> None:
        """Admit nobody to the model, or (None) to any; raises InvalidArgument for a model that nobody knows."""
        self._check_model(model)
        now = self._clock.now()
        concerned = self._floor.models() if model is None else [model]

        def unit(connection: Connection) -> tuple[list[Change], None]:
            # a round that is under way elsewhere ends first: who has paused sees nobody let in any more
            places.hold(connection, concerned)
            ledger.pause(connection, model or "", at=now, actor=actor)
            return [PausesAre(ledger.paused(connection))], None

        await self._landing.write(unit, now)

    async def resume(self, model: str | None, *, actor: str = "") -> None:
        """Admit again to the model; None lifts every pause. Raises InvalidArgument like `pause`.

        Who did it stands in the audit alone.
        """
        self._check_model(model)

        def unit(connection: Connection) -> tuple[list[Change], None]:
            ledger.resume(connection, model or "")
            return [PausesAre(ledger.paused(connection))], None

        await self._landing.write(unit, self._clock.now())

    def set_health(self, model: str, health: Health) -> None:
        """Say how a model's server is, until it is said otherwise; forgotten at a restart."""
        self._check_model(model)
        self._parts.health.set(model, health)
        self._parts.herald.tell_queues([model], self._clock.now())

    def _check_model(self, model: str | None) -> None:
        # an empty name is no model, though it is how the pause of all is written down
        known_to_us = model in self._floor.models() or model in self._floor.pauses
        if model is not None and not (model and known_to_us):
            known = ", ".join(self._catalog.models) or "none is configured"
            raise InvalidArgument(f"there is no model {model!r}; allowed: {known}", path="$.model")

    def _served(
        self, unit: Callable[[Connection], Served], answer: Callable[[Served], T], now: int
    ) -> Awaitable[T]:
        def parts(connection: Connection) -> tuple[list[Change], Served]:
            served = unit(connection)
            return served.changes, served

        return self._landing.answer(parts, answer, now)
