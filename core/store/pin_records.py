"""The pins table: functions of a connection, for the units of `core.store.pins`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, select

from core.store import driver
from core.store.pin import Pin, tier_named
from core.store.tables import pins

_COLUMNS = (
    pins.c.session_key,
    pins.c.model,
    pins.c.tier,
    pins.c.explicit,
    pins.c.escalated,
    pins.c.last_hash,
    pins.c.run,
    pins.c.request_count,
    pins.c.created_at,
    pins.c.last_used_at,
)
_NAMES = [column.name for column in _COLUMNS]

# these two belong to every turn, so they go to the driver as they are
_READ = f"SELECT {', '.join(_NAMES)} FROM pins WHERE session_key = ?"
_WRITE = (
    f"INSERT INTO pins ({', '.join(_NAMES)}) VALUES ({', '.join('?' for _ in _NAMES)}) "
    "ON CONFLICT (session_key) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES if name != "session_key")
)

_DELETE = delete(pins).where(pins.c.session_key == bindparam("key"))
_DELETE_EXPIRED = _DELETE.where(pins.c.last_used_at < bindparam("cutoff"))
_DELETE_SAME = delete(pins).where(*(column == bindparam(f"its_{column.name}") for column in _COLUMNS))
_DELETE_ALL_EXPIRED = delete(pins).where(pins.c.last_used_at < bindparam("cutoff"))

_NEWEST_FIRST = (pins.c.last_used_at.desc(), pins.c.session_key.desc())
_LIVE = select(*_COLUMNS).order_by(*_NEWEST_FIRST).limit(bindparam("most"))
_DELETE_BEYOND = delete(pins).where(
    pins.c.session_key.not_in(select(pins.c.session_key).order_by(*_NEWEST_FIRST).limit(bindparam("most")))
)


def read(connection: Connection, session_key: str) -> Pin | None:
    """The stored pin, living or not, held until the unit is over."""
    found = driver.held(connection, _READ, (session_key,))
    return _pin(found[0]) if found else None


def write(connection: Connection, pin: Pin) -> None:
    """Store the pin in place of what was there."""
    _ = driver.changed(connection, _WRITE, tuple(getattr(pin, name) for name in _NAMES))


def remove(connection: Connection, session_key: str) -> bool:
    """Drop a session's pin; answers whether there was one."""
    return connection.execute(_DELETE, {"key": session_key}).rowcount > 0


def remove_unchanged(connection: Connection, pin: Pin) -> None:
    """Drop this very pin; one that was written since stays."""
    connection.execute(
        _DELETE_SAME, {f"its_{name}": value for name, value in msgspec.structs.asdict(pin).items()}
    )


def remove_expired(connection: Connection, session_keys: Sequence[str], cutoff: int) -> None:
    """Drop those of the sessions' pins that were last used before `cutoff`."""
    connection.execute(_DELETE_EXPIRED, [{"key": key, "cutoff": cutoff} for key in session_keys])


def load(connection: Connection, cutoff: int, most: int) -> list[Pin]:
    """The living pins, least recently used first; drops what is expired, and what is more than `most`."""
    connection.execute(_DELETE_ALL_EXPIRED, {"cutoff": cutoff})
    living = [_pin(row) for row in connection.execute(_LIVE, {"most": most})]
    if len(living) == most:
        connection.execute(_DELETE_BEYOND, {"most": most})
    living.reverse()
    return living


def _pin(row: Sequence[Any]) -> Pin:
    session_key, model, tier, explicit, escalated, last_hash, run, request_count, created_at, last_used_at = (
        row
    )
    return Pin(
        session_key=session_key,
        model=model,
        tier=tier_named(tier),
        explicit=bool(explicit),
        escalated=bool(escalated),
        last_hash=last_hash,
        run=run,
        request_count=request_count,
        created_at=created_at,
        last_used_at=last_used_at,
    )
