"""The pins of a house: which model each session stays on, in memory for reading and in the database for keeps.

Every change is one unit of the database that reads the row, applies a rule of `core.store.pin` and writes the row;
memory and the journal follow when it is durable. behaviours/pins.md, decisions 1 to 7, 11 and 12.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from core.clock import Clock
from core.errors import StorageFailed
from core.journal import Journal
from core.protocol import PinRow
from core.settings import Model
from core.settings import Pins as PinSettings
from core.store import choice as choices
from core.store import pin as rules
from core.store import pin_records
from core.store.acknowledged import acknowledged
from core.store.choice import Choice
from core.store.database import Database, Unit
from core.store.live_pins import LivePins
from core.store.message import check_key
from core.store.pin import NOT_RECORDED, Change, Escalated, Ladder, MayUse, Pin, Recorded

T = TypeVar("T")

_FORGOTTEN_AT_ONCE = 500
"""Rows in one unit of work, so that no unit keeps the others waiting for long."""

_log = logging.getLogger(__name__)


class Changed(msgspec.Struct, frozen=True):
    """A pin as it was written, and what the journal calls that."""

    pin: Pin
    what: Change


_Rule = Callable[[Pin | None], tuple[Pin | None, Change, T]]
"""A living pin, or None, to the pin afterwards, the word for the change, and the answer."""


class Pins:
    """Pins, strikes and escalations. Make it with `open`; it has nothing to close."""

    def __init__(
        self,
        settings: PinSettings,
        models: Sequence[Model],
        *,
        database: Database,
        clock: Clock,
        journal: Journal,
    ) -> None:
        self._idle_ms = round(settings.idle_seconds * 1000)
        self._repeat_limit = settings.repeat_limit
        self._ladder = Ladder({model.id: model.tier for model in models})
        self._database = database
        self._clock = clock
        self._live = LivePins(
            journal, most=settings.max_entries, idle_ms=self._idle_ms, repeat_limit=settings.repeat_limit
        )

    @classmethod
    async def open(
        cls,
        settings: PinSettings,
        models: Sequence[Model],
        *,
        database: Database,
        clock: Clock,
        journal: Journal,
    ) -> Pins:
        """Load the living pins; their idle time has run on. What is expired is dropped from the database."""
        pins = cls(settings, models, database=database, clock=clock, journal=journal)
        cutoff, most = clock.now() - pins._idle_ms, settings.max_entries
        pins._live.load(await database.write(lambda connection: pin_records.load(connection, cutoff, most)))
        return pins

    def get(self, session_key: str) -> Pin | None:
        """The living pin of a session, from memory; None when it has none or its idle time is over.

        Raises InvalidArgument for a key that cannot be one.
        """
        return self._live.get(check_key(session_key), self._clock.now())

    def row(self, session_key: str) -> PinRow | None:
        """The session's pin as the view shows it."""
        return self._live.row(session_key, self._clock.now())

    def rows(self) -> list[PinRow]:
        """All living pins, least recently used first; the journal has heard of those that are over."""
        self.expire()
        return self._live.rows(self._clock.now())

    async def pin(
        self, session_key: str, model: str, *, tier: str | None = None, explicit: bool = False
    ) -> Pin:
        """Pin the session to a model; raises InvalidArgument for a key or model that cannot be one."""
        check_key(model, "model")
        now = self._clock.now()

        def rule(before: Pin | None) -> tuple[Pin, Change, Pin]:
            after = rules.pinned(
                before, session_key, model, tier=tier, explicit=explicit, ladder=self._ladder, now=now
            )
            return after, rules.pinning_change(before, after), after

        return await self._change(session_key, now, rule)

    async def touch(self, session_key: str) -> Pin | None:
        """One request more, and the idle time begins anew; None without a pin."""
        now = self._clock.now()

        def rule(before: Pin | None) -> tuple[Pin | None, Change, Pin | None]:
            after = None if before is None else rules.touched(before, now)
            return after, "touched", after

        return await self._change(session_key, now, rule)

    async def record(self, session_key: str, fingerprint: str) -> Recorded:
        """Count a request by its fingerprint; without a pin nothing is counted."""

        def rule(before: Pin | None) -> tuple[Pin | None, Change, Recorded]:
            if before is None:
                return None, "touched", NOT_RECORDED
            after, answer = rules.recorded(before, fingerprint, self._repeat_limit)
            return after, rules.recording_change(before, after), answer

        return await self._change(session_key, self._clock.now(), rule)

    async def escalate(self, session_key: str, may_use: MayUse) -> Escalated:
        """Lift the session by one tier, to the first model there that the user may use."""
        usable = {
            model for model in self._ladder.tiers if may_use(model)
        }  # asked here: the unit runs in a thread

        def rule(before: Pin | None) -> tuple[Pin | None, Change, Escalated]:
            if before is None:
                return None, "escalated", Escalated(changed=False, tier=None, model=None)
            after, answer = rules.escalated(before, self._ladder, usable.__contains__)
            return after, "escalated", answer

        return await self._change(session_key, self._clock.now(), rule)

    async def release(self, session_key: str) -> Pin | None:
        """Take an explicit choice back; None without a pin."""

        def rule(before: Pin | None) -> tuple[Pin | None, Change, Pin | None]:
            after = None if before is None else rules.released(before, self._ladder)
            return after, "released", after

        return await self._change(session_key, self._clock.now(), rule)

    async def override(self, session_key: str, model: str) -> Pin:
        """Keep the session on a model by an operator's choice, whether it has a pin or not; the idle time runs on.

        Raises InvalidArgument for a key or model that cannot be one.
        """
        check_key(model, "model")
        now = self._clock.now()

        def rule(before: Pin | None) -> tuple[Pin, Change, Pin]:
            after = rules.overridden(before, session_key, model, ladder=self._ladder, now=now)
            return after, "pinned", after

        return await self._change(session_key, now, rule)

    async def reset_strikes(self, session_key: str) -> Pin | None:
        """Forget a session's strikes; None without a pin."""

        def rule(before: Pin | None) -> tuple[Pin | None, Change, Pin | None]:
            after = None if before is None else rules.forgiven(before)
            return after, "reset", after

        return await self._change(session_key, self._clock.now(), rule)

    async def clear(self, session_key: str) -> bool:
        """Drop a session's pin, never its cost; answers whether a living one was dropped."""
        check_key(session_key)
        now = self._clock.now()

        def unit(connection: Connection) -> bool:
            before = self._living(connection, session_key, now)
            pin_records.remove(connection, session_key)
            return before is not None

        def follow(_was_alive: bool) -> None:
            self._live.remove(session_key, "cleared")

        return await acknowledged(self._database, unit, follow)

    def foresee(
        self, session_key: str, requested: str | None, fingerprint: str, may_use: MayUse, *, fallback: str
    ) -> Choice:
        """What a request would get, with nothing changed: the model named, else the pin's, else `fallback`.

        The pin's model is that of the next tier when this request is the one repetition too many. Raises
        InvalidArgument for a key or model that cannot be one.
        """
        if requested is not None:
            check_key(requested, "model")
        return choices.chosen(
            self.get(session_key),
            session_key,
            requested,
            fingerprint,
            fallback=fallback,
            ladder=self._ladder,
            may_use=may_use,
            repeat_limit=self._repeat_limit,
        )

    async def count(self, choice: Choice) -> Pin:
        """The choice has brought its first output: pin, record and perhaps escalate, as one change."""
        changed = await acknowledged(self._database, self.count_unit(choice, self._clock.now()), self.apply)
        return changed.pin

    def count_unit(self, choice: Choice, now: int) -> Unit[Changed]:
        """The same as a unit, to be part of a larger one; `apply` its result when that is durable.

        Raises InvalidArgument for a key or model that cannot be one.
        """
        check_key(choice.session_key)
        check_key(choice.model, "model")

        def unit(connection: Connection) -> Changed:
            before = self._living(connection, choice.session_key, now)
            after, what = choices.counted(
                before, choice, ladder=self._ladder, repeat_limit=self._repeat_limit, now=now
            )
            pin_records.write(connection, after)
            return Changed(after, what)

        return unit

    def apply(self, changed: Changed) -> None:
        """Memory and journal follow a durable change. Call it in the order of the commits: see `acknowledged`."""
        for dropped in self._live.put(changed.pin, changed.what):
            # a change still on its way to the disk keeps its row, and brings the pin back when it arrives
            self._forget(partial(pin_records.remove_unchanged, pin=dropped))

    def expire(self) -> list[str]:
        """Drop the pins whose idle time is over; answers their keys. Costs what it drops."""
        now = self._clock.now()
        expired = self._live.expire(now)
        if expired:
            cutoff = now - self._idle_ms
            for start in range(0, len(expired), _FORGOTTEN_AT_ONCE):
                some = expired[start : start + _FORGOTTEN_AT_ONCE]
                self._forget(partial(pin_records.remove_expired, session_keys=some, cutoff=cutoff))
        return expired

    async def _change(self, session_key: str, now: int, rule: _Rule[T]) -> T:
        check_key(session_key)

        def unit(connection: Connection) -> tuple[Changed | None, T]:
            before = self._living(connection, session_key, now)
            after, what, answer = rule(before)
            if after is None or after == before:
                return None, answer
            pin_records.write(connection, after)
            return Changed(after, what), answer

        def follow(result: tuple[Changed | None, T]) -> None:
            if result[0] is not None:
                self.apply(result[0])

        _, answer = await acknowledged(self._database, unit, follow)
        return answer

    def _living(self, connection: Connection, session_key: str, now: int) -> Pin | None:
        pin = pin_records.read(connection, session_key)
        return pin if pin is not None and rules.alive(pin, now, self._idle_ms) else None

    def _forget(self, unit: Unit[None]) -> None:
        """Take rows out that memory no longer has; nobody waits, and what fails is dropped at the next start."""

        def settled(done: asyncio.Future[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                _log.warning("pins that are over stay in the database until the next start: %s", error)

        try:
            self._database.submit(unit).add_done_callback(settled)
        except StorageFailed:
            _log.debug("the database is closed; pins that are over go at the next start")
