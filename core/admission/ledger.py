"""Admission's tables as functions of a connection: seats, tickets, admits, bans, pauses.

Each runs inside the caller's unit of work. Where several writers share a database, every row that a decision rests on
is held until the unit is over, always in the same order: the models concerned (`places`), then the user's seat, then
the tickets, then whoever is let in. So no process loses another's write, and none waits for another in a ring; and
nobody in a model's queue changes while it is decided who is its head.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from core.admission import places, seat_records
from core.admission.quota import FULL_UNIT, Admit, Day
from core.admission.seat import Seat
from core.protocol import AccessTier
from core.store import counters, driver
from core.store.message import clean_text
from core.store.tables import admits, bans, pauses, seats

_TICKETS = "seat_tickets"

_BY_USER = seats.c.user_id == bindparam("who")
_BAN = "SELECT 1 FROM bans WHERE user_id = ?"
_OVER = seats.c.expires_at <= bindparam("over")
_MODELS_EXPIRED = select(seats.c.model).where(_OVER).distinct()
_EXPIRED = (
    select(seats.c.user_id)
    .where(_OVER)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("expired")
)
_REMOVE_EXPIRED = (
    delete(seats)
    .where(seats.c.user_id.in_(select(_EXPIRED.c.user_id)), _OVER)
    .returning(seats.c.user_id, seats.c.model)
)
_DRAW = "SELECT nextval('seat_tickets')"
_FREE = "SELECT user_id FROM seats WHERE user_id = ANY(?) ORDER BY user_id FOR UPDATE SKIP LOCKED"
_QUEUED = (
    select(seats.c.user_id)
    .where(seats.c.model == bindparam("which"), seats.c.status == "queued")
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("queued")
)
_REMOVE_QUEUE = delete(seats).where(seats.c.user_id.in_(select(_QUEUED.c.user_id))).returning(seats.c.user_id)
_USED = """
SELECT model, tenths FROM admits WHERE user_id = ? AND access_tier = ? AND admitted_at >= ? AND admitted_at < ?
"""
_LOG = """
INSERT INTO admits (user_id, model, access_tier, admitted_at, tenths) VALUES (?, ?, ?, ?, ?) RETURNING id
"""
_ADMITS = (
    select(admits).where(admits.c.user_id == bindparam("who")).order_by(admits.c.admitted_at, admits.c.id)
)
_ADMIT = select(admits).where(admits.c.id == bindparam("entry")).with_for_update()
_AT_ADDRESS = select(func.count(), func.min(seats.c.expires_at)).where(
    seats.c.address_hash == bindparam("address"),
    seats.c.user_id != bindparam("who"),
    or_(seats.c.expires_at.is_(None), seats.c.expires_at > bindparam("over")),
)
# No row is the address's own to be held. Two that share a number wait for each other, which harms nobody.
_HOLD_ADDRESS = "SELECT pg_advisory_xact_lock(hashtextextended(?, 0))"
_PAUSES = "SELECT model FROM pauses"


class Snapshot(msgspec.Struct, frozen=True):
    """Everything that a waiting room remembers in memory, as the database has it."""

    seats: list[Seat]
    bans: set[str]
    pauses: frozenset[str]
    admits: list[Admit]


# --------------------------------------------------------------------------------------------------- seats


def seat_of(connection: Connection, user_id: str, *models: str) -> Seat | None:
    """A user's seat as it is stored, gone or not; held until the unit is over, and with it its model and `models`."""
    if not driver.is_shared(connection):
        return seat_records.find(connection, user_id)
    concerned = {*models, *seat_records.models_of(connection, [user_id])}
    places.hold(connection, concerned)
    seat = seat_records.find(connection, user_id)
    if seat is not None and seat.model not in concerned:
        # it has moved in between; should two units cross here, the server breaks the ring and one runs again
        places.hold(connection, [seat.model])
    return seat


def save(connection: Connection, before: Seat | None, after: Seat) -> None:
    """Store a seat; `before` is what is stored of it now."""
    if before is None:
        seat_records.insert(connection, after)
    else:
        seat_records.update(connection, after)
    if before is not None and before.status == "active":
        places.move(connection, before.model, -1)
    if after.status == "active":
        places.move(connection, after.model, 1)


def remove(connection: Connection, seat: Seat) -> None:
    """Delete a stored seat."""
    seat_records.delete(connection, seat.user_id)
    if seat.status == "active":
        places.move(connection, seat.model, -1)


def remove_expired(connection: Connection, over: int, most: int) -> list[tuple[str, str]]:
    """Delete at most `most` seats whose expiry is `over` (ms) or earlier; who they were, and their models."""
    if driver.is_shared(connection):
        places.hold(connection, connection.execute(_MODELS_EXPIRED, {"over": over}).scalars())
    gone = connection.execute(_REMOVE_EXPIRED, {"over": over, "most": most})
    found = [(row.user_id, row.model) for row in gone]
    for model, count in sorted(Counter(model for _, model in found).items()):
        places.move(connection, model, -count)
    return found


def waiting(connection: Connection, model: str, after: int, most: int) -> list[Seat]:
    """The first `most` of a model's queue behind ticket `after`, the banned left out."""
    return seat_records.waiting(connection, model, after, most, held=False)


def heads(connection: Connection, model: str, after: int, most: int) -> list[Seat]:
    """Like `waiting`, for letting them in: held until the unit is over. The model must be held already."""
    return seat_records.waiting(connection, model, after, most, held=True)


def remove_queue(connection: Connection, model: str, most: int) -> list[str]:
    """Delete at most `most` queued seats of a model; whose they were."""
    return list(connection.execute(_REMOVE_QUEUE, {"which": model, "most": most}).scalars())


class Missed(msgspec.Struct, frozen=True):
    """Of those who were not heard of here: who is gone, and when (ms) others were heard of elsewhere."""

    gone: list[str]
    seen: dict[str, int]


def remove_absent(connection: Connection, model: str, users: Collection[str], since: int) -> Missed:
    """Delete the seats of those among `users` who queue for the model and were not seen after `since` (ms)."""
    # looked up by user and sorted out here: by model, the planner would walk the whole queue
    rows = connection.execute(
        select(seats.c.user_id, seats.c.model, seats.c.status, seats.c.seen_at)
        .where(seats.c.user_id.in_(users))
        .order_by(seats.c.user_id)
        .with_for_update(skip_locked=True)
    )
    queued = [row for row in rows if row.model == model and row.status == "queued"]
    gone = [row.user_id for row in queued if row.seen_at <= since]
    if gone:
        connection.execute(delete(seats).where(seats.c.user_id.in_(gone)))
    return Missed(gone, {row.user_id: row.seen_at for row in queued if row.seen_at > since})


def remove_banned(connection: Connection, users: Collection[str]) -> list[Seat]:
    """Delete the seats of those among `users` who are banned; what they were."""
    gone = []
    if driver.is_shared(connection):
        places.hold(connection, seat_records.models_of(connection, users))
    for user_id in sorted(users):
        seat = seat_of(connection, user_id)
        if seat is not None and is_banned(connection, user_id):
            remove(connection, seat)
            gone.append(seat)
    return gone


def note_seen(connection: Connection, seen: Mapping[str, int]) -> list[str]:
    """Write down when waiting users were last heard of (ms); of whom it was, not of those whom others are busy with."""
    users = sorted(seen)
    if driver.is_shared(connection):
        users = [user_id for (user_id,) in driver.rows(connection, _FREE, (users,))]
    if users:
        connection.execute(
            update(seats).where(_BY_USER, seats.c.seen_at < bindparam("at")).values(seen_at=bindparam("at")),
            [{"who": user_id, "at": seen[user_id]} for user_id in users],
        )
    return users


def at_address(connection: Connection, address: str, user_id: str, over: int) -> tuple[int, int | None]:
    """How many seats of others come from that address, and when (ms) the first of them expires, if any does.

    Nobody else counts there until the unit is over.
    """
    address = clean_text(address)
    if driver.is_shared(connection):
        driver.rows(connection, _HOLD_ADDRESS, (address,))
    parameters = {"address": address, "who": user_id, "over": over}
    count, first = connection.execute(_AT_ADDRESS, parameters).one()
    return int(count), first


def draw_ticket(connection: Connection) -> int:
    """The next ticket; never the same twice. The model must be held: so tickets and joinings have the same order."""
    if driver.is_shared(connection):
        return int(driver.rows(connection, _DRAW, ())[0][0])
    return counters.add(connection, _TICKETS, 1)


# -------------------------------------------------------------------------------------------------- admits


def log_admit(connection: Connection, seat: Seat, now: int) -> Admit:
    """Write an admission into the log, at the full unit."""
    values = {
        "user_id": seat.user_id,
        "model": seat.model,
        "access_tier": seat.access_tier,
        "admitted_at": now,
        "tenths": FULL_UNIT,
    }
    entry = driver.rows(connection, _LOG, tuple(values.values()))[0][0]
    return Admit(id=entry, **values)  # type: ignore[arg-type]  # the same names, just written


def charge(connection: Connection, entry: int, tenths: int) -> Admit | None:
    """Lower the units of one admission; the entry as it is then, None when there is none."""
    row = connection.execute(_ADMIT, {"entry": entry}).one_or_none()
    if row is None:
        return None
    admit = _admit(row)
    if tenths >= admit.tenths:
        return admit
    connection.execute(update(admits).where(admits.c.id == entry).values(tenths=tenths))
    return msgspec.structs.replace(admit, tenths=tenths)


def used(connection: Connection, user_id: str, tier: AccessTier, models: Sequence[str], day: Day) -> int:
    """The tenths that a user's admissions to these models, in that access tier, cost that day."""
    found = driver.rows(connection, _USED, (user_id, tier, day.start, day.reset))
    return sum(tenths for model, tenths in found if model in models)


def admits_of(connection: Connection, user_id: str) -> list[Admit]:
    """A user's admissions, the oldest first."""
    return [_admit(row) for row in connection.execute(_ADMITS, {"who": user_id})]


def admits_among(connection: Connection, entries: Collection[int]) -> list[Admit]:
    """Those of the log's entries that there are, as they are now."""
    return [_admit(row) for row in connection.execute(select(admits).where(admits.c.id.in_(entries)))]


# ----------------------------------------------------------------------------------------- bans and pauses


def is_banned(connection: Connection, user_id: str) -> bool:
    """Whether the user is banned."""
    return bool(driver.rows(connection, _BAN, (user_id,)))


def banned_among(connection: Connection, users: Collection[str]) -> set[str]:
    """Those of the users who are banned."""
    return set(connection.execute(select(bans.c.user_id).where(bans.c.user_id.in_(users))).scalars())


def ban(connection: Connection, user_id: str, *, at: int, actor: str, reason: str) -> bool:
    """Ban a user; False for one who is banned already, which then stays as it was."""
    if is_banned(connection, user_id):
        return False
    connection.execute(
        insert(bans), {"user_id": user_id, "at": at, "actor": clean_text(actor), "reason": clean_text(reason)}
    )
    return True


def unban(connection: Connection, user_id: str) -> bool:
    """Lift a ban; False when there is none."""
    return connection.execute(delete(bans).where(bans.c.user_id == user_id)).rowcount > 0


def paused(connection: Connection) -> frozenset[str]:
    """The paused models; the empty name stands for all."""
    return frozenset(model for (model,) in driver.rows(connection, _PAUSES, ()))


def pause(connection: Connection, model: str, *, at: int, actor: str) -> None:
    """Pause a model, or (the empty name) all."""
    if model not in paused(connection):
        connection.execute(insert(pauses), {"model": model, "at": at, "actor": clean_text(actor)})


def resume(connection: Connection, model: str) -> None:
    """Lift a model's pause, or (the empty name) every pause."""
    connection.execute(delete(pauses).where(pauses.c.model == model) if model else delete(pauses))


# ------------------------------------------------------------------------------------------------- opening


def load(connection: Connection, since: int) -> Snapshot:
    """Everything at the start, with the admits since then (ms); counts the active seats anew."""
    counters.lock_all(connection)
    found = snapshot(connection, since)
    places.recount(connection, Counter(seat.model for seat in found.seats if seat.status == "active"))
    return found


def snapshot(connection: Connection, since: int) -> Snapshot:
    """Everything as it is now, with the admits since then (ms)."""
    return Snapshot(
        seats=seat_records.every(connection),
        bans=set(connection.execute(select(bans.c.user_id)).scalars()),
        pauses=paused(connection),
        admits=[
            _admit(row) for row in connection.execute(select(admits).where(admits.c.admitted_at >= since))
        ],
    )


def _admit(row: Row[Any]) -> Admit:
    return Admit(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
