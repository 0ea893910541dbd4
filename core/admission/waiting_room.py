"""The waiting room: requests, polls, the gate, the operator's acts and the tick.

The database comes first and memory follows: everything that changes something is one unit of work on the writer,
decided there on rows read there, at the one `now` of the call. When it is durable the floor and the journal follow,
in commit order, whether or not the caller still waits. Polls and gates read memory only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from core.admission import ledger, turns
from core.admission.acts import OperatedRoom
from core.admission.answers import AdmitAnswer, BannedUser, Disabled, ModelUnknown, SeatAnswer, TickReport
from core.admission.desk import Served
from core.admission.gate import GateAnswer, Passenger, check, passed, refused
from core.admission.parts import assemble
from core.admission.seat import Access, Ask, HeldBy, Seat, check_user, is_active
from core.admission.why import no_seat, why
from core.clock import Clock, timestamp
from core.journal import Journal
from core.protocol import MOST_AHEAD, AccessTier, Explanation, Origin, QueueRow, SeatRow
from core.settings import Admission
from core.store.database import Database


class WaitingRoom(OperatedRoom):
    """Admission's service. Open it with `open`; there is one for each core."""

    @classmethod
    async def open(
        cls,
        settings: Admission,
        *,
        database: Database,
        clock: Clock,
        journal: Journal,
        new_id: Callable[[], str],
    ) -> WaitingRoom:
        """Open it on what the database holds: seats, queues, bans, pauses and today's units."""
        return cls(await assemble(settings, database=database, clock=clock, journal=journal, new_id=new_id))

    # ------------------------------------------------------------------------------------- the seat's own calls

    async def request(
        self,
        user_id: str,
        model: str,
        *,
        access_tier: AccessTier = "full",
        email: str | None = None,
        access: Access | None = None,
        held_by: HeldBy = "client",
    ) -> SeatAnswer:
        """Ask for a seat on a model: join its queue, take over a living seat, or be told why not (decision 3).

        Raises InvalidArgument for a malformed user id, StorageFailed when nothing could be written.
        """
        check_user(user_id)
        now = self._clock.now()
        if user_id in self._floor.bans:
            return BannedUser()
        if self._is_exempt(email):
            return Disabled()
        return await self._ask(user_id, model, access_tier, access, held_by, now)

    def state(
        self,
        user_id: str,
        *,
        instance_id: str | None = None,
        access_tier: AccessTier = "full",
        email: str | None = None,
    ) -> SeatAnswer:
        """Where a user stands; changes nothing. Raises InvalidArgument for a malformed user id."""
        check_user(user_id)
        now = self._clock.now()
        if user_id in self._floor.bans:
            return BannedUser()
        if self._is_exempt(email):
            return Disabled()
        seat = self._floor.seats.get(user_id)
        if seat is None or not self._catalog.fits(seat.model, seat.access_tier, access_tier):
            return self._views.none(user_id, access_tier, now)
        self._floor.attendance.poll(user_id, now)
        return self._views.state(seat, instance_id, access_tier, now)

    def gate(
        self,
        user_id: str,
        instance_id: str | None,
        *,
        model: str | None = None,
        access_tier: AccessTier = "full",
        email: str | None = None,
        require_active: bool = False,
    ) -> GateAnswer:
        """May a request of this user pass, from this instance, for this model? Memory only.

        Raises InvalidArgument for a malformed user id.
        """
        check_user(user_id)
        who = Passenger(
            instance_id=instance_id,
            model=model,
            access_tier=access_tier,
            banned=user_id in self._floor.bans,
            exempt=self._is_exempt(email),
            require_active=require_active,
        )
        return self._check(user_id, who, self._clock.now())

    async def pass_turn(
        self,
        user_id: str,
        instance_id: str | None,
        model: str,
        *,
        access_tier: AccessTier = "full",
        email: str | None = None,
    ) -> GateAnswer:
        """The gate of a turn: like `gate` for a caller with an instance, else the house takes care of the seat.

        A seat that is there and active costs no trip to the database.
        """
        check_user(user_id)
        now = self._clock.now()
        if user_id in self._floor.bans:
            return refused("banned")
        if not self._catalog.models or self._is_exempt(email):
            return passed("disabled")
        if not instance_id:
            if model in self._catalog.models and not self._catalog.offered(model, access_tier):
                return refused("session_model_mismatch", f"{model} is not offered to you; use another model.")
            seat = self._floor.seats.get(user_id)
            grace = self._parts.spans.grace
            care = (
                "request"
                if seat is None
                else turns.care(seat, model, access_tier, self._catalog, now=now, grace=grace)
            )
            if care == "request":
                answer = await self._ask(user_id, model, access_tier, None, "house", now)
                return turns.as_gate(answer, self._parts.pace.tick)
            instance_id = seat.instance_id if seat is not None and care == "gate" else None
        who = Passenger(
            instance_id=instance_id,
            model=model,
            access_tier=access_tier,
            banned=False,
            exempt=False,
            require_active=False,
        )
        return self._check(user_id, who, now)

    async def end(self, user_id: str, *, email: str | None = None) -> None:
        """Give a seat up; nothing happens without one, or while admission does not apply."""
        check_user(user_id)
        if not self._is_exempt(email):
            await self.end_seat(user_id)

    def may_use(self, user_id: str | None, model: str, access_tier: AccessTier) -> bool:
        """Whether the model is the user's without a new admission, as an escalation needs it.

        Allowed for their access tier, and not metered unless their active seat covers it; without admission, any.
        """
        if not self._parts.enabled or not self._catalog.models:
            return True
        if not self._catalog.offered(model, access_tier):
            return False
        if not self._catalog.metered(model, access_tier):
            return True
        seat = self._floor.seats.get(user_id) if user_id is not None else None
        return (
            seat is not None
            and is_active(seat, self._clock.now())
            and self._catalog.usable(seat.model, model, access_tier)
        )

    # ------------------------------------------------------------------------------------------------- looking

    def explain(self, user_id: str) -> Explanation:
        """Why a user waits, or does not, by what is known now. Raises InvalidArgument for a malformed user id."""
        check_user(user_id)
        seat, now = self._floor.seats.get(user_id), self._clock.now()
        if seat is None:
            summary, because = no_seat(user_id, banned=user_id in self._floor.bans)
            return Explanation(kind="seat", key=user_id, summary=summary, because=because)
        standing = self._views.standing(seat, now)
        summary, because = why(standing)
        queued = standing.stage == "queued"
        return Explanation(
            kind="seat",
            key=user_id,
            summary=summary,
            because=because,
            ahead=self._floor.lines.ahead(seat.model, seat.ticket, MOST_AHEAD) if queued else [],
            ahead_count=standing.position - 1 if queued else 0,
            origin=self._origin(seat),
        )

    def _origin(self, seat: Seat) -> Origin | None:
        access = seat.access
        if access is None:
            return None
        address = access.address_hash or ""
        return Origin(
            country_code=access.country_code or "",
            block_reason=access.block_reason or "",
            privacy_signals=access.privacy_signals,
            address_hash=address,
            checked_at=access.checked_at or "",
            seats_there=self.seats_at(address) if address else 0,
            address_cap=self._parts.address_cap,
        )

    def seat_of(self, user_id: str) -> Seat | None:
        """A user's stored seat, gone or not."""
        return self._floor.seats.get(user_id)

    def over_since(self, before: int) -> list[Seat]:
        """The seats that should have been swept: whose grace was over before `before` (ms), the longest over first."""
        return self._floor.over_since(before)

    def seat_count(self) -> int:
        """How many seats are stored, gone or not."""
        return len(self._floor.seats)

    def seats_at(self, address_hash: str) -> int:
        """How many stored seats come from that address."""
        return self._floor.addresses[address_hash]

    async def admits_of(self, user_id: str) -> list[AdmitAnswer]:
        """A user's admissions, the oldest first."""
        check_user(user_id)
        admits = await self._parts.database.read(lambda connection: ledger.admits_of(connection, user_id))
        return [
            AdmitAnswer(
                model=admit.model,
                access_tier=admit.access_tier,
                admitted_at=timestamp(admit.admitted_at),
                units=admit.tenths / 10,
            )
            for admit in admits
        ]

    def queue_rows(self) -> list[QueueRow]:
        """Every configured model's queue, as the journal told it last; then those that people still wait for."""
        return list(self._parts.herald.queues.values())

    def seat_rows(self) -> Iterable[SeatRow]:
        """Every stored seat, as the journal told it last."""
        return self._parts.herald.seats.values()

    def seat_row(self, user_id: str) -> SeatRow | None:
        """One user's seat, as the journal told it last."""
        return self._parts.herald.seats.get(user_id)

    # ------------------------------------------------------------------------------------------------- the tick

    async def tick(self) -> TickReport:
        """Sweep, evict, drop, and admit from every queue (decision 13); never raises for a part that fails."""
        return await self._parts.ticker.tick()

    async def run(self) -> None:
        """Tick at once, then every `tick_seconds`, until it is cancelled; a tick that fails is told and survived."""
        await self._parts.ticker.run(self._parts.pace.tick / 1000)

    async def catch_up(self) -> None:
        """Bring to memory what other processes have changed up to now; nothing to do where there are none.

        Raises StorageFailed when the database cannot be read.
        """
        if self._parts.following is not None:
            await self._parts.following.catch_up()

    async def follow(self) -> None:
        """Catch up with the other processes again and again; ends at once where there are none."""
        if self._parts.following is not None:
            await self._parts.following.run()

    async def watch_health(self) -> None:
        """Ask the server of every model with a `health_url`, again and again; ends at once where there is none."""
        await self._parts.prober.run()

    async def aclose(self) -> None:
        """Let go of ticks that were given up; the database is the caller's to close, after this."""
        await self._parts.ticker.aclose()
        await self._parts.prober.aclose()

    # ------------------------------------------------------------------------------------------------- plumbing

    def _check(self, user_id: str, who: Passenger, now: int) -> GateAnswer:
        seat = self._floor.seats.get(user_id)
        answer = check(who, seat, self._catalog, now=now, grace=self._parts.spans.grace)
        if answer.code == "waiting_room_queued" and seat is not None:
            return msgspec.structs.replace(answer, retry_after_ms=self._views.wait(seat))
        return answer

    async def _ask(
        self,
        user_id: str,
        model: str,
        access_tier: AccessTier,
        access: Access | None,
        held_by: HeldBy,
        now: int,
    ) -> SeatAnswer:
        """The way of a request from the model on, for somebody whom admission concerns."""
        resolved = self._catalog.resolve(model, access_tier)
        if resolved is None:
            return ModelUnknown(access_tier=access_tier, requested_model=model)
        ask = Ask(
            user_id=user_id,
            asked=model,
            model=resolved,
            access_tier=access_tier,
            held_by=held_by,
            instance_id=self._parts.new_id(),
            access=access,
            now=now,
        )
        health = self._parts.health.of(resolved, now)

        def answer(served: Served) -> SeatAnswer:
            self._saw(user_id, access_tier, now)
            if isinstance(served.outcome, Seat):
                return self._views.seat(served.outcome, access_tier, now, asked=model)
            return served.outcome

        return await self._served(lambda connection: self._desk.request(connection, ask, health), answer, now)

    def _is_exempt(self, email: str | None) -> bool:
        """Whether admission is off, or the address on the bypass list: any case, no trimming."""
        return not self._parts.enabled or (bool(email) and str(email).lower() in self._parts.bypass)

    def _saw(self, user_id: str, access_tier: AccessTier, now: int) -> None:
        """Remember that somebody who waits was heard of, if the seat is one for their access tier."""
        seat = self._floor.seats.get(user_id)
        if seat is not None and self._catalog.fits(seat.model, seat.access_tier, access_tier):
            self._floor.attendance.poll(user_id, now)
