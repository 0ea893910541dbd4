"""Admission's tables as functions of a connection: seats, tickets, admits, bans, pauses.

Each runs inside the caller's unit of work. How many active seats a model has stored stands in a counter of its own,
moved with every seat that becomes active or goes; so the ceiling costs no counting of seats, and the counter's row
is what admissions to one model queue up at where several writers share a database.

There every row that a decision rests on is held until the unit is over, always in the same order: the user's seat,
then the tickets, then the model's counter, then whoever is let in. So no process loses another's write, and none
waits for another in a ring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from core.admission import seat_records
from core.admission.quota import FULL_UNIT, Admit
from core.admission.seat import Seat
from core.protocol import AccessTier
from core.store import driver
from core.store.message import clean_text
from core.store.tables import admits, bans, counters, pauses, seats

_TICKETS = "seat_tickets"
_ACTIVE = "active_seats:"

_BY_USER = seats.c.user_id == bindparam("who")
_BAN = "SELECT 1 FROM bans WHERE user_id = ?"
_BUMP = """
INSERT INTO counters (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value
RETURNING value
"""
_COUNTER = "SELECT value FROM counters WHERE name = ?"
_STALE = "SELECT model FROM seats WHERE expires_at <= ?"
_OVER = seats.c.expires_at <= bindparam("over")
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
_QUEUED = (
    select(seats.c.user_id)
    .where(seats.c.model == bindparam("which"), seats.c.status == "queued")
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
    .cte("queued")
)
_REMOVE_QUEUE = delete(seats).where(seats.c.user_id.in_(select(_QUEUED.c.user_id))).returning(seats.c.user_id)
_USED = """
SELECT model, tenths FROM admits WHERE user_id = ? AND access_tier = ? AND admitted_at >= ?
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
_PAUSES = "SELECT model FROM pauses"


class Snapshot(msgspec.Struct, frozen=True):
    """Everything that a waiting room remembers in memory, as the database has it."""

    seats: list[Seat]
    bans: set[str]
    pauses: frozenset[str]
    admits: list[Admit]


# --------------------------------------------------------------------------------------------------- seats


def seat_of(connection: Connection, user_id: str) -> Seat | None:
    """A user's seat as it is stored, gone or not; held until the unit is over."""
    return seat_records.find(connection, user_id)


def save(connection: Connection, before: Seat | None, after: Seat) -> None:
    """Store a seat; `before` is what is stored of it now."""
    if before is None:
        seat_records.insert(connection, after)
    else:
        seat_records.update(connection, after)
    if before is not None and before.status == "active":
        _bump(connection, _ACTIVE + before.model, -1)
    if after.status == "active":
        _bump(connection, _ACTIVE + after.model, 1)


def remove(connection: Connection, seat: Seat) -> None:
    """Delete a stored seat."""
    seat_records.delete(connection, seat.user_id)
    if seat.status == "active":
        _bump(connection, _ACTIVE + seat.model, -1)


def remove_expired(connection: Connection, over: int, most: int) -> list[tuple[str, str]]:
    """Delete at most `most` seats whose expiry is `over` (ms) or earlier; who they were, and their models."""
    gone = connection.execute(_REMOVE_EXPIRED, {"over": over, "most": most})
    found = [(row.user_id, row.model) for row in gone]
    for model, count in sorted(Counter(model for _, model in found).items()):
        _bump(connection, _ACTIVE + model, -count)
    return found


def waiting(connection: Connection, model: str, after: int, most: int) -> list[Seat]:
    """The first `most` of a model's queue behind ticket `after`, the banned left out."""
    return seat_records.waiting(connection, model, after, most, held=False)


def heads(connection: Connection, model: str, after: int, most: int) -> list[Seat]:
    """Like `waiting`, for letting them in: held until the unit is over, and without whom somebody else holds."""
    return seat_records.waiting(connection, model, after, most, held=True)


def remove_queue(connection: Connection, model: str, most: int) -> list[str]:
    """Delete at most `most` queued seats of a model; whose they were."""
    return list(connection.execute(_REMOVE_QUEUE, {"which": model, "most": most}).scalars())


def remove_absent(connection: Connection, model: str, users: Collection[str], since: int) -> list[str]:
    """Delete the seats of those among `users` who queue for the model and were not seen after `since` (ms)."""
    # looked up by user and sorted out here: by model, the planner would walk the whole queue
    rows = connection.execute(
        select(seats.c.user_id, seats.c.model, seats.c.status, seats.c.seen_at)
        .where(seats.c.user_id.in_(users))
        .order_by(seats.c.user_id)
        .with_for_update()
    )
    found = [
        row.user_id for row in rows if row.model == model and row.status == "queued" and row.seen_at <= since
    ]
    if found:
        connection.execute(delete(seats).where(seats.c.user_id.in_(found)))
    return found


def remove_banned(connection: Connection, users: Iterable[str]) -> list[Seat]:
    """Delete the seats of those among `users` who are banned; what they were."""
    gone = []
    for user_id in sorted(users):
        seat = seat_of(connection, user_id)
        if seat is not None and is_banned(connection, user_id):
            remove(connection, seat)
            gone.append(seat)
    return gone


def note_seen(connection: Connection, seen: Mapping[str, int]) -> None:
    """Write down when waiting users were last heard of (ms)."""
    connection.execute(
        update(seats).where(_BY_USER, seats.c.seen_at < bindparam("at")).values(seen_at=bindparam("at")),
        [{"who": user_id, "at": at} for user_id, at in sorted(seen.items())],
    )


def occupied(connection: Connection, model: str, over: int) -> int:
    """How many seats of the model occupy a place: stored as active, and not expired at `over` (ms) or earlier.

    Holds the model's counter until the unit is over, so that nobody else admits to it meanwhile.
    """
    stored = driver.held(connection, _COUNTER, (_ACTIVE + model,))
    if not stored and driver.is_shared(connection):
        # there must be a row to hold, or two processes would both admit the first
        stored = [(_bump(connection, _ACTIVE + model, 0),)]
    if not stored or not stored[0][0]:
        return 0
    stale = driver.rows(connection, _STALE, (over,))
    return int(stored[0][0]) - sum(1 for (each,) in stale if each == model)


def at_address(connection: Connection, address: str, user_id: str, over: int) -> tuple[int, int | None]:
    """How many seats of others come from that address, and when (ms) the first of them expires, if any does."""
    parameters = {"address": clean_text(address), "who": user_id, "over": over}
    count, first = connection.execute(_AT_ADDRESS, parameters).one()
    return int(count), first


def draw_ticket(connection: Connection) -> int:
    """The next ticket; never the same twice."""
    return _bump(connection, _TICKETS, 1)


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


def used(connection: Connection, user_id: str, tier: AccessTier, models: Sequence[str], since: int) -> int:
    """The tenths that a user's admissions to these models, in that access tier, cost since then (ms)."""
    found = driver.rows(connection, _USED, (user_id, tier, since))
    return sum(tenths for model, tenths in found if model in models)


def admits_of(connection: Connection, user_id: str) -> list[Admit]:
    """A user's admissions, the oldest first."""
    return [_admit(row) for row in connection.execute(_ADMITS, {"who": user_id})]


# ----------------------------------------------------------------------------------------- bans and pauses


def is_banned(connection: Connection, user_id: str) -> bool:
    """Whether the user is banned."""
    return bool(driver.rows(connection, _BAN, (user_id,)))


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
    if driver.is_shared(connection):
        # nobody else admits or ends while they are counted
        driver.changed(connection, "LOCK TABLE counters IN SHARE ROW EXCLUSIVE MODE", ())
    stored = seat_records.every(connection)
    connection.execute(delete(counters).where(counters.c.name.startswith(_ACTIVE, autoescape=True)))
    active = Counter(seat.model for seat in stored if seat.status == "active")
    for model, count in sorted(active.items()):
        _bump(connection, _ACTIVE + model, count)
    return Snapshot(
        seats=stored,
        bans=set(connection.execute(select(bans.c.user_id)).scalars()),
        pauses=paused(connection),
        admits=[
            _admit(row) for row in connection.execute(select(admits).where(admits.c.admitted_at >= since))
        ],
    )


def _bump(connection: Connection, name: str, by: int) -> int:
    return int(driver.rows(connection, _BUMP, (name, by))[0][0])


def _admit(row: Row[Any]) -> Admit:
    return Admit(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
