"""A session's configuration: strings by name, apart from its history (behaviours/history.md, decisions 2 and 6)."""

from __future__ import annotations

from sqlalchemy import Connection, select

from core.clock import Clock
from core.errors import InvalidArgument
from core.store import audit_records, driver, sessions
from core.store.database import Database
from core.store.message import check_key, clean_text
from core.store.sessions import Stamp
from core.store.tables import configuration

_SET = """
INSERT INTO configuration (session_key, name, value) VALUES (?, ?, ?)
ON CONFLICT (session_key, name) DO UPDATE SET value = excluded.value
"""
_DELETE = "DELETE FROM configuration WHERE session_key = ? AND name = ?"
_COPY = """
INSERT INTO configuration (session_key, name, value)
SELECT ?, name, value FROM configuration WHERE session_key = ?
ON CONFLICT (session_key, name) DO UPDATE SET value = excluded.value
"""
_DELETE_ALL = "DELETE FROM configuration WHERE session_key = ?"
_KNOWN = "SELECT 1 FROM configuration WHERE session_key = ? AND name = ?"


def set_in(connection: Connection, session_key: str, name: str, value: str, stamp: Stamp) -> None:
    """Set one value; the last one counts. Raises InvalidArgument for a bad key or name, or a value that is no text."""
    check_key(session_key)
    check_key(name, "configuration key")
    if not isinstance(value, str):
        raise InvalidArgument(f"configuration value of {name!r:.60}: must be a text; found {value!r:.60}")
    session = sessions.take(connection, session_key, 0, stamp)
    driver.changed(connection, _SET, (session_key, name, clean_text(value)))
    _record(connection, "config_set", session_key, name, session.next_seq, stamp)


def delete_in(connection: Connection, session_key: str, name: str, stamp: Stamp) -> bool:
    """Delete one value and say whether there was one; only then is it a write, and audited."""
    check_key(session_key)
    check_key(name, "configuration key")
    if not driver.rows(connection, _KNOWN, (session_key, name)):
        return False
    session = sessions.take(connection, session_key, 0, stamp)
    driver.changed(connection, _DELETE, (session_key, name))
    _record(connection, "config_deleted", session_key, name, session.next_seq, stamp)
    return True


def merge_in(connection: Connection, source: str, target: str, *, move: bool) -> int:
    """Copy (or move) the source's values over the target's, the source winning; answers how many. Audits nothing."""
    count = driver.changed(connection, _COPY, (target, source))
    if move:
        driver.changed(connection, _DELETE_ALL, (source,))
    return count


def all_of(connection: Connection, session_key: str) -> dict[str, str]:
    """Every value of a session, by name."""
    check_key(session_key)
    query = select(configuration.c.name, configuration.c.value).where(
        configuration.c.session_key == session_key
    )
    return {row.name: row.value for row in connection.execute(query.order_by(configuration.c.name))}


def get_in(connection: Connection, session_key: str, name: str) -> str | None:
    """One value, None when it is not set."""
    check_key(session_key)
    check_key(name, "configuration key")
    query = select(configuration.c.value).where(
        configuration.c.session_key == session_key, configuration.c.name == name
    )
    return connection.execute(query).scalar()


class Configuration:
    """The configuration of sessions, on a database."""

    def __init__(self, database: Database, clock: Clock, epoch: str) -> None:
        self._database = database
        self._clock = clock
        self._epoch = epoch

    async def get(self, session_key: str, name: str) -> str | None:
        """See `get_in`."""
        return await self._database.read(lambda connection: get_in(connection, session_key, name))

    async def all(self, session_key: str) -> dict[str, str]:
        """See `all_of`."""
        return await self._database.read(lambda connection: all_of(connection, session_key))

    async def set(self, session_key: str, name: str, value: str, *, actor: str = audit_records.HOUSE) -> None:
        """See `set_in`."""
        stamp = self._stamp(actor)
        await self._database.write(lambda connection: set_in(connection, session_key, name, value, stamp))

    async def delete(self, session_key: str, name: str, *, actor: str = audit_records.HOUSE) -> bool:
        """See `delete_in`."""
        stamp = self._stamp(actor)
        return await self._database.write(lambda connection: delete_in(connection, session_key, name, stamp))

    def _stamp(self, actor: str) -> Stamp:
        return Stamp(now=self._clock.now(), epoch=self._epoch, actor=actor)


def _record(connection: Connection, action: str, session_key: str, name: str, seq: int, stamp: Stamp) -> None:
    entry = audit_records.NewEntry(
        at=stamp.now, actor=stamp.actor, action=action, target=session_key, detail={"key": name}, at_seq=seq
    )
    audit_records.record(connection, entry)
