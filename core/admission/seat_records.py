"""The rows of seats: read, written and removed inside the caller's unit of work, in the driver's own words.

A request is a handful of such statements, and SQLAlchemy's way would cost more than all that they do.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import Connection

from core.admission.seat import Access, Seat
from core.store import driver
from core.store.message import clean_text

_FIELDS = Seat.__struct_fields__
_ACCESS = _FIELDS.index("access")
_NAMES = tuple(_FIELDS.index(name) for name in ("status", "held_by", "model", "access_tier"))
"""The texts that many seats have in common."""
_QUEUED_AT = _FIELDS.index("queued_at")
_TIMES = tuple(_FIELDS.index(name) for name in ("seen_at", "created_at", "updated_at"))
"""The times that are often the one of queueing."""
_COLUMNS = ", ".join(f"seats.{name}" for name in _FIELDS)
_WRITTEN = (*_FIELDS, "address_hash")

_SEAT = f"SELECT {_COLUMNS} FROM seats WHERE user_id = ?"
_SEVERAL = f"SELECT {_COLUMNS} FROM seats WHERE user_id = ANY(?)"
_MODELS = "SELECT DISTINCT model FROM seats WHERE user_id = ANY(?)"
_ALL = f"SELECT {_COLUMNS} FROM seats"
_WAITING = f"""
SELECT {_COLUMNS} FROM seats LEFT JOIN bans ON bans.user_id = seats.user_id
WHERE seats.model = ? AND seats.status = 'queued' AND seats.ticket > ? AND bans.user_id IS NULL
ORDER BY seats.ticket LIMIT ?
"""
_INSERT = f"INSERT INTO seats ({', '.join(_WRITTEN)}) VALUES ({', '.join('?' * len(_WRITTEN))})"
_UPDATE = f"UPDATE seats SET {', '.join(f'{name} = ?' for name in _WRITTEN)} WHERE user_id = ?"
_DELETE = "DELETE FROM seats WHERE user_id = ?"

_decode_access = msgspec.json.Decoder(Access).decode
_encode = msgspec.json.Encoder().encode


def find(connection: Connection, user_id: str) -> Seat | None:
    """A user's seat as it is stored; held until the unit is over."""
    found = driver.held(connection, _SEAT, (user_id,))
    return _seat(found[0]) if found else None


def models_of(connection: Connection, users: Collection[str]) -> set[str]:
    """The models that the seats of these users are on, at this moment."""
    return {model for (model,) in driver.rows(connection, _MODELS, (list(users),))}


def several(connection: Connection, users: Collection[str]) -> list[Seat]:
    """Those of the users' seats that there are, as they are at this moment."""
    return [_seat(row) for row in driver.rows(connection, _SEVERAL, (list(users),))]


def every(connection: Connection) -> list[Seat]:
    """All of them."""
    return [_seat(row) for row in driver.each(connection, _ALL, ())]


def waiting(connection: Connection, model: str, after: int, most: int, *, held: bool) -> list[Seat]:
    """The first `most` of a model's queue behind ticket `after`, the banned left out; `held` until the unit is over."""
    locking = " FOR UPDATE OF seats" if held and driver.is_shared(connection) else ""
    return [_seat(row) for row in driver.rows(connection, _WAITING + locking, (model, after, most))]


def insert(connection: Connection, seat: Seat) -> None:
    """Store a new seat."""
    driver.changed(connection, _INSERT, _values(seat))


def update(connection: Connection, seat: Seat) -> None:
    """Store a seat in place of the user's former one."""
    driver.changed(connection, _UPDATE, (*_values(seat), seat.user_id))


def delete(connection: Connection, user_id: str) -> None:
    """Remove a user's seat."""
    driver.changed(connection, _DELETE, (user_id,))


def _values(seat: Seat) -> tuple[Any, ...]:
    values = msgspec.structs.astuple(seat)
    if seat.access is None:
        return (*values, None)
    access, address = _encode(seat.access).decode(), seat.access.address_hash
    address = None if address is None else clean_text(address)
    return (*values[:_ACCESS], access, *values[_ACCESS + 1 :], address)


def _seat(row: tuple[Any, ...]) -> Seat:
    """The seat of a row. Many are kept for long, so what they have in common is in memory once."""
    values = list(row)
    for place in _NAMES:
        values[place] = sys.intern(values[place])
    queued_at = values[_QUEUED_AT]
    for place in _TIMES:
        if values[place] == queued_at:
            values[place] = queued_at
    if values[_ACCESS]:
        values[_ACCESS] = _decode_access(values[_ACCESS])
    return Seat(**dict(zip(_FIELDS, values, strict=True)))
