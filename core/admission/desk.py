"""The front desk: one request, one early end, one admission out of turn; each inside one unit of work.

Rules: behaviours/admission.md, decisions 3 to 10, 15 and 21.
"""

from __future__ import annotations

from typing import assert_never

import msgspec
from sqlalchemy import Connection

from core.admission import ledger, places
from core.admission.answers import BannedUser, ModelLocked, ModelUnavailable, RateLimited, SeatAnswer
from core.admission.catalog import Catalog
from core.admission.changes import BanSet, Booked, Change, Put, SeatPut, SeatRemoved
from core.admission.quota import FULL_UNIT, Day, Meter, charged_tenths
from core.admission.rounds import Rounds, Spans
from core.admission.seat import Ask, Seat, claim, is_active, queued, reclaimed
from core.clock import timestamp
from core.errors import AtCapacity, Banned, NotQueued
from core.protocol import Health


class Served(msgspec.Struct, frozen=True):
    """What a request came to: a refusal with nothing written, or the user's seat."""

    changes: list[Change]
    outcome: SeatAnswer | Seat


class Desk:
    """Applies the rules of a request to what the database holds."""

    def __init__(
        self, catalog: Catalog, meter: Meter, rounds: Rounds, spans: Spans, *, address_cap: int, patience: int
    ) -> None:
        """`address_cap` is the most seats from one address (0: any number); `patience` (ms) how long to wait there
        when it cannot be told which seat ends first.
        """
        self._catalog = catalog
        self._meter = meter
        self._rounds = rounds
        self._spans = spans
        self._address_cap = address_cap
        self._patience = patience

    def request(self, connection: Connection, ask: Ask, health: Health) -> Served:
        """The way of a request, from the ban to the instant round."""
        if ledger.is_banned(connection, ask.user_id):
            return Served([BanSet(ask.user_id)], BannedUser())
        seat = ledger.seat_of(connection, ask.user_id, ask.model)
        fits = seat is not None and self._catalog.fits(seat.model, seat.access_tier, ask.access_tier)
        changes: list[Change] = []
        how = claim(seat, ask, fits=fits)
        match how:
            case "locked":
                assert seat is not None
                return Served([], _locked(ask, seat))
            case "kept":
                assert seat is not None
            case "reclaimed":
                assert seat is not None
                before, seat = seat, reclaimed(seat, ask)
                ledger.save(connection, before, seat)
                changes.append(SeatPut("taken_over", seat))
            case "fresh" | "replaced":
                refusal = self._refusal(connection, ask, seat if how == "replaced" else None)
                if refusal is not None:
                    return Served([], refusal)
                if seat is not None and how == "replaced":
                    changes += self._take_away(connection, seat, ask.now)
                    seat = None
                seat = self._join(connection, ask, seat, changes)
            case _:
                assert_never(how)
        if seat.status == "queued":
            round_changes, let_in = self._rounds.instant(
                connection, seat.model, health, ask.now, seat.user_id
            )
            changes += round_changes
            seat = let_in or seat
        return Served(changes, seat)

    def end(self, connection: Connection, user_id: str, now: int) -> list[Change]:
        """End a user's seat, charging its admission if it was active; no changes when there is none."""
        seat = ledger.seat_of(connection, user_id)
        return self._take_away(connection, seat, now) if seat is not None else []

    def admit_now(self, connection: Connection, user_id: str, now: int) -> Served:
        """Let one queued user in out of turn; raises NotQueued, Banned or AtCapacity."""
        seat = ledger.seat_of(connection, user_id)
        if seat is None or seat.status != "queued":
            raise NotQueued(f"{user_id} is not waiting in any queue; nothing to admit")
        if ledger.is_banned(connection, user_id):
            raise Banned(f"{user_id} is banned; lift the ban first")
        if seat.model not in self._catalog.models:
            raise NotQueued(
                f"{user_id} waits for {seat.model}, which is not among the models any more; the next tick drops the "
                "seat: have them request another model"
            )
        ceiling = self._catalog.max_active(seat.model)
        taken = places.occupied(connection, seat.model, now - self._spans.grace)
        if ceiling is not None and taken >= ceiling:
            raise AtCapacity(f"{seat.model} has all of its {ceiling} seats occupied; end one first")
        seat, changes = self._rounds.promote(connection, seat, now, "admitted_now")
        return Served(changes, seat)

    def _refusal(self, connection: Connection, ask: Ask, replaced: Seat | None) -> SeatAnswer | None:
        """Why there can be no new seat now, in order: hours, quota, address."""
        if not self._catalog.is_open(ask.model, ask.now):
            return ModelUnavailable(
                access_tier=ask.access_tier,
                requested_model=ask.asked,
                available_hours=self._catalog.hours_label(ask.model),
            )
        return self._over_quota(connection, ask, replaced) or self._over_address(connection, ask)

    def _over_quota(self, connection: Connection, ask: Ask, replaced: Seat | None) -> RateLimited | None:
        tier = ask.access_tier
        if not self._catalog.metered(ask.model, tier):
            return None
        day = self._meter.day(ask.now)
        pool = self._catalog.pool(tier)
        used = ledger.used(connection, ask.user_id, tier, pool, day)
        if replaced is not None and replaced.access_tier == tier and replaced.model in pool:
            used -= _given_back(replaced, day, ask.now)
        if not self._meter.spent(tier, used):
            return None
        return RateLimited(
            access_tier=tier,
            model=ask.model,
            requested_model=ask.asked if ask.asked != ask.model else None,
            limit=self._meter.limits[tier],
            period="day",
            reset_time_zone=self._meter.zone,
            reset_at=timestamp(day.reset),
            recent_count=used / 10,
            retry_after_ms=max(0, day.reset - ask.now),
        )

    def _over_address(self, connection: Connection, ask: Ask) -> RateLimited | None:
        address = ask.access.address_hash if ask.access else None
        if not self._address_cap or not address:
            return None
        over = ask.now - self._spans.grace
        count, first = ledger.at_address(connection, address, ask.user_id, over)
        if count < self._address_cap:
            return None
        wait = self._patience if first is None else first + self._spans.grace - ask.now
        return RateLimited(
            access_tier=ask.access_tier,
            model=ask.model,
            requested_model=ask.asked if ask.asked != ask.model else None,
            limit=self._address_cap,
            period="address",
            recent_count=count,
            retry_after_ms=wait,
        )

    def _join(self, connection: Connection, ask: Ask, before: Seat | None, changes: list[Change]) -> Seat:
        """Put the user at the back of the queue; `before` is an ended seat, or one queued for another model."""
        ticket = ledger.draw_ticket(connection)
        seat = queued(ask, ticket, before.created_at if before else ask.now)
        ledger.save(connection, before, seat)
        what: Put = "switched" if before is not None and before.status == "queued" else "queued"
        changes.append(SeatPut(what, seat))
        return seat

    def _take_away(self, connection: Connection, seat: Seat, now: int) -> list[Change]:
        changes: list[Change] = []
        if is_active(seat, now) and seat.admit_id is not None:
            admit = ledger.charge(connection, seat.admit_id, _price(seat, now))
            if admit is not None:
                changes.append(Booked(admit))
        ledger.remove(connection, seat)
        changes.append(SeatRemoved("ended", seat.user_id, seat.model))
        return changes


def _locked(ask: Ask, seat: Seat) -> ModelLocked:
    return ModelLocked(access_tier=ask.access_tier, current_model=seat.model, requested_model=ask.asked)


def _price(seat: Seat, now: int) -> int:
    """What ending the seat now costs, in tenths."""
    if not is_active(seat, now) or seat.admitted_at is None or seat.expires_at is None:
        return FULL_UNIT
    return charged_tenths(seat.admitted_at, seat.expires_at, now)


def _given_back(seat: Seat, day: Day, now: int) -> int:
    """The tenths that the day's pool gets back when the seat makes way for the new one."""
    if seat.admitted_at is None or not day.start <= seat.admitted_at < day.reset:
        return 0
    return FULL_UNIT - _price(seat, now)
