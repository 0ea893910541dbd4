"""One tick: hear what others did, sweep, evict, drop, look at the health, then one round for each model.

Each part is isolated: one that fails is named in the report and the others go on (behaviours/admission.md,
decisions 11, 13 and 19). Every part works in small units, so that requests get their turn in between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial

import msgspec
from sqlalchemy import Connection

from core.admission import ledger, roll
from core.admission.answers import SkipReason, TickReport
from core.admission.changes import Change, Removal, SeatRemoved
from core.admission.floor import Floor
from core.admission.landing import Write
from core.admission.ledger import Missed
from core.admission.rounds import Rounds, TickRound, worst
from core.protocol import Health

_BATCH = 200


class TickTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of a tick; `grace` and `abandon` (0: never) in ms."""

    enabled: bool
    grace: int
    abandon: int
    admits_per_tick: int


class Tick:
    """One tick at one `now`. Abandoned, it begins no further part, and its report stays as it is."""

    def __init__(
        self,
        floor: Floor,
        rounds: Rounds,
        write: Write,
        health: Callable[[str, int], Health],
        terms: TickTerms,
        now: int,
        follow: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`follow` brings to the floor what other processes did, where there are any."""
        self._floor = floor
        self._rounds = rounds
        self._write = write
        self._health = health
        self._terms = terms
        self._now = now
        self._follow = follow
        self._abandoned = False
        self._counts: dict[str, int] = {"expired": 0, "evicted": 0, "dropped": 0, "admitted": 0}
        self._skipped: dict[str, SkipReason] = {}
        self._errors: dict[str, str] = {}
        self._undropped: set[str] = set()

    async def run(self) -> None:
        """Do every part in its order. With admission off there is only the sweep."""
        if self._follow is not None:
            # or whoever joined elsewhere a moment ago would wait for the tick after this one
            await self._part("follow", self._follow)
        await self._part("sweep", self._sweep)
        if not self._terms.enabled:
            return
        await self._part("evict", self._evict)
        await self._part("attendance", self._note_attendance)
        await self._drop()
        for model in self._floor.models():
            if self._floor.lines.depth(model) and not self._abandoned:
                healths: list[Health] = []
                await self._part("health", partial(self._read_health, model, healths), of=model)
                await self._round(model, healths[0] if healths else "unhealthy")

    def abandon(self, error: str) -> None:
        """Give up on it; whatever it waits for may still come to its end."""
        self._abandoned = True
        self._errors["watchdog"] = error

    def report(self) -> TickReport:
        """What was done so far."""
        return TickReport(
            expired=self._counts["expired"],
            evicted=self._counts["evicted"],
            dropped=self._counts["dropped"],
            admitted=self._counts["admitted"],
            skipped=dict(self._skipped),
            worst=worst(list(self._skipped.values())),
            errors=dict(self._errors),
        )

    async def _part(self, name: str, part: Callable[[], Awaitable[None]], *, of: str = "") -> bool:
        """Run one part, or what it does for the model `of`; False when it failed, which is noted under its name."""
        if self._abandoned:
            return True
        try:
            await part()
        except Exception as error:
            if not self._abandoned:
                message = str(error) or type(error).__name__
                self._note(name, f"{of}: {message}" if of else message)
            return False
        return True

    def _note(self, part: str, error: str) -> None:
        """A part that fails for several models tells all of them."""
        told = self._errors.get(part)
        self._errors[part] = f"{told}; {error}" if told else error

    async def _sweep(self) -> None:
        over = self._now - self._terms.grace
        await self._remove(
            "expired", "expired", lambda connection: ledger.remove_expired(connection, over, _BATCH)
        )

    async def _evict(self) -> None:
        for users in _batches(self._floor.banned_with_seat()):

            def evict(connection: Connection, users: Sequence[str] = users) -> list[tuple[str, str]]:
                return [(seat.user_id, seat.model) for seat in ledger.remove_banned(connection, users)]

            await self._remove("evicted", "evicted", evict, once=True)

    async def _note_attendance(self) -> None:
        await roll.write_down(self._floor.attendance, self._write, self._now)

    async def _drop(self) -> None:
        """Drop who queues for a model that is no longer configured, or was not heard of for too long."""
        absent: dict[str, list[str]] = {}
        await self._part("drop", partial(self._find_absent, absent))
        gone = [model for model in self._floor.lines.models() if model not in self._floor.catalog.models]
        for model in gone:
            await self._drop_part(model, partial(self._drop_all, model))
        for model, users in absent.items():
            if model not in gone:
                await self._drop_part(model, partial(self._drop_absent, model, users))

    async def _find_absent(self, absent: dict[str, list[str]]) -> None:
        for user_id in self._floor.attendance.absent(self._now) if self._terms.abandon else ():
            absent.setdefault(self._floor.seats[user_id].model, []).append(user_id)

    async def _drop_part(self, model: str, part: Callable[[], Awaitable[None]]) -> None:
        if not await self._part("drop", part, of=model):
            self._undropped.add(model)

    async def _drop_all(self, model: str) -> None:
        def drop(connection: Connection) -> list[tuple[str, str]]:
            return [(user_id, model) for user_id in ledger.remove_queue(connection, model, _BATCH)]

        await self._remove("dropped", "model_gone", drop)

    async def _drop_absent(self, model: str, users: list[str]) -> None:
        since = self._now - self._terms.abandon
        for batch in _batches(users):
            if self._abandoned:
                return

            def drop(connection: Connection, batch: Sequence[str] = batch) -> tuple[list[Change], Missed]:
                missed = ledger.remove_absent(connection, model, batch, since)
                return [SeatRemoved("abandoned", user_id, model) for user_id in missed.gone], missed

            missed = await self._write(drop, self._now)
            self._counts["dropped"] += len(missed.gone)
            for user_id, at in missed.seen.items():
                self._floor.attendance.learn(user_id, at)

    async def _read_health(self, model: str, found: list[Health]) -> None:
        found.append(self._health(model, self._now))

    async def _round(self, model: str, health: Health) -> None:
        def unit(connection: Connection) -> tuple[list[Change], TickRound]:
            done = self._rounds.tick(connection, model, health, self._now, self._terms.admits_per_tick)
            return done.changes, done

        async def part() -> None:
            done = await self._write(unit, self._now)
            self._counts["admitted"] += done.admitted
            if done.skipped is not None:
                self._skipped[model] = done.skipped

        if not await self._part(f"admit {model}", part) or model in self._undropped:
            self._skipped[model] = "failed"

    async def _remove(
        self,
        count: str,
        what: Removal,
        unit: Callable[[Connection], list[tuple[str, str]]],
        *,
        once: bool = False,
    ) -> None:
        """Run a unit that removes seats (user, model), again while it finds a full batch, unless `once`."""

        def removing(connection: Connection) -> tuple[list[Change], int]:
            gone = unit(connection)
            return [SeatRemoved(what, user_id, model) for user_id, model in gone], len(gone)

        while not self._abandoned:
            removed = await self._write(removing, self._now)
            self._counts[count] += removed
            if once or removed < _BATCH:
                return


def _batches(users: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(users), _BATCH):
        yield users[start : start + _BATCH]
