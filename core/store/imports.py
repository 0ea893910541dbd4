"""A history that is brought in from outside: staged in parts, then put in a session's place in one transaction.

An import is found by its target and by the digest of what is brought, so whoever comes again with the same goes on
where it stopped, and a part that is sent twice is there once. Nothing of it shows until it is complete. What belongs to
a message and to those before it alone is worked out when it is staged; so completing is a few statements, however
many messages there are.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Connection

from core.clock import Clock
from core.errors import Conflict, InvalidArgument, NotFound
from core.store import driver, message_records, pending, search, sessions
from core.store.database import Database
from core.store.history import given
from core.store.message import Prepared, chain, check_key
from core.store.sessions import Stamp
from core.store.tables import imports, staged_messages

KEPT_SECONDS = 7 * 86_400
"""After so long without another part, what was staged is removed by the next import."""

_MOST = 2**40
_DIGEST = re.compile("[0-9a-f]{64}")

_OPEN = "SELECT import_id, staged FROM imports WHERE source = ? AND NOT done ORDER BY import_id LIMIT 1"
_GO_ON = "UPDATE imports SET owner = ?, touched_at = ? WHERE import_id = ?"
_BEGIN = """
INSERT INTO imports (import_id, source, session_key, owner, count, staged, done, touched_at)
VALUES (?, ?, ?, ?, ?, 0, FALSE, ?)
"""
_FIND = "SELECT session_key, owner, count, staged, tail, done FROM imports WHERE import_id = ?"
_STAGE = """
INSERT INTO staged_messages
    (import_id, place, role, at, length, chain, run_id, partial, content, extra, entry)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_STAGED = "UPDATE imports SET staged = ?, tail = ?, touched_at = ? WHERE import_id = ?"
_BRING_IN = """
INSERT INTO messages (session_key, seq, role, at, length, chain, run_id, partial, audited, content, extra)
SELECT ?, ? + place, role, coalesce(at, ?), length, chain, run_id, partial, ?, content, extra
FROM staged_messages WHERE import_id = ? ORDER BY place
"""
_UNSTAGE = "DELETE FROM staged_messages WHERE import_id = ?"
_DONE = "UPDATE imports SET done = TRUE, touched_at = ? WHERE import_id = ?"
_REMOVE = "DELETE FROM imports WHERE import_id = ?"
_ABANDONED = "SELECT import_id FROM imports WHERE touched_at < ? LIMIT 1"


def create(connection: Connection) -> None:
    """Make the tables where an older version has made the others; a step of `core.store.migrations`."""
    for table in (imports, staged_messages):
        table.create(connection, checkfirst=True)


class _Import(msgspec.Struct, frozen=True, array_like=True):
    """The row of an import."""

    session_key: str
    owner: str | None
    count: int
    staged: int
    tail: bytes | None
    done: bool


class Imports:
    """Histories that are brought in, on a database. Every part is durable when it is answered."""

    def __init__(self, database: Database, clock: Clock, epoch: str, new_id: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._epoch = epoch
        self._new_id = new_id

    async def begin(
        self, session_key: str, digest: str, count: int, *, owner: str | None = None
    ) -> tuple[str, int]:
        """Begin an import of `count` messages, or go on with it: its id, and how many messages are there already.

        `digest` is the SHA-256 of what is brought, in hexadecimal; `owner` becomes the session's where it has none.
        Removes what others have abandoned. Raises InvalidArgument.
        """
        check_key(session_key)
        if owner is not None:
            check_key(owner, "owner")
        if _DIGEST.fullmatch(digest) is None:
            raise InvalidArgument(
                f"$.digest: must be a SHA-256 in lower-case hexadecimal; found {digest!r:.80}",
                path="$.digest",
            )
        if not 0 <= count <= _MOST:
            raise InvalidArgument(
                f"$.count: must be the number of messages, 0 or more; found {count}", path="$.count"
            )
        now = self._clock.now()
        while await self._database.write(_Sweep(now - KEPT_SECONDS * 1000)):
            pass
        new = _Begin(
            import_id=self._new_id(),
            source=sha256(f"{digest} {count} {session_key}".encode()).hexdigest(),
            session_key=session_key,
            owner=owner,
            count=count,
            now=now,
        )
        return await self._database.write(new)

    async def stage(self, import_id: str, start: int, new: Sequence[Any]) -> int:
        """Take the messages from place `start` on, as a history page shows them; answers how many are there now.

        Those that are there already are passed over. Raises InvalidArgument for a malformed one, or for more than
        were announced; Conflict when some are missing before them; NotFound.
        """
        # in a thread: a part full of long texts takes longer than the loop may stand still
        prepared = await asyncio.to_thread(_prepared, new)
        return await self._database.write(_Stage(import_id, start, prepared, self._clock.now()))

    async def target(self, import_id: str) -> str:
        """The session that an import is for; raises NotFound."""
        return await self._database.read(lambda connection: _find(connection, import_id).session_key)

    async def complete(self, import_id: str, *, actor: str) -> int:
        """Put the staged messages in the place of the session's history; answers how many there are now.

        Doing it again changes nothing and answers the same. Raises Conflict while messages are missing, NotFound.
        """
        stamp = Stamp(now=self._clock.now(), epoch=self._epoch, actor=actor)
        return await self._database.write(lambda connection: complete_in(connection, import_id, stamp))

    async def drop(self, import_id: str) -> None:
        """Remove what was staged; raises NotFound."""

        def unit(connection: Connection) -> None:
            _find(connection, import_id, held=True)
            _remove(connection, import_id)

        await self._database.write(unit)


def complete_in(connection: Connection, import_id: str, stamp: Stamp) -> int:
    """See `Imports.complete`; like `message_records.replace_in`, with what is staged."""
    found = _find(connection, import_id, held=True)
    if found.done:
        return found.count
    if found.staged < found.count:
        raise Conflict(
            f"only {found.staged} of {found.count} messages are there; send those from {found.staged} on"
        )
    key = found.session_key
    session = sessions.take(connection, key, found.count, stamp)
    if session.owner is None and found.owner is not None:
        sessions.take(connection, key, 0, msgspec.structs.replace(stamp, owner=found.owner))
    message_records.remove_in(connection, key, 0, session.next_seq)
    message_records.record(connection, key, "imported", found.count, session.next_seq, stamp)
    driver.changed(connection, _BRING_IN, (key, session.next_seq, stamp.now, False, import_id))
    search.index_staged(connection, import_id, key, session.next_seq)
    pending.defer(connection, _UNSTAGE, (import_id,))  # the index still reads it
    driver.changed(connection, _DONE, (stamp.now, import_id))
    return found.count


class _Begin(msgspec.Struct, frozen=True, kw_only=True):
    """The unit of work that finds the import of a source, or makes it; answers its id and how many messages it has."""

    import_id: str
    source: str
    session_key: str
    owner: str | None
    count: int
    now: int

    def __call__(self, connection: Connection) -> tuple[str, int]:
        for import_id, staged in driver.held(connection, _OPEN, (self.source,)):
            driver.changed(connection, _GO_ON, (self.owner, self.now, import_id))
            return str(import_id), int(staged)
        values = (self.import_id, self.source, self.session_key, self.owner, self.count, self.now)
        driver.changed(connection, _BEGIN, values)
        return self.import_id, 0


class _Stage(msgspec.Struct, frozen=True):
    """The unit of work that takes a part; answers how many messages are there then."""

    import_id: str
    start: int
    new: list[Prepared]
    now: int

    def __call__(self, connection: Connection) -> int:
        found = _find(connection, self.import_id, held=True)
        if found.done:
            raise Conflict("the import is complete; begin it again to bring the same once more")
        if not 0 <= self.start <= found.staged:
            raise Conflict(
                f"messages from {self.start} on have come, and {found.staged} are there; "
                f"send those from {found.staged} on"
            )
        if self.start + len(self.new) > found.count:
            raise InvalidArgument(
                f"$.messages: {self.start + len(self.new)} have come where {found.count} were announced; "
                "begin the import with the right count",
                path="$.messages",
            )
        fresh = self.new[found.staged - self.start :]
        if not fresh:
            return found.staged
        rows, tail = self._rows(connection, found, fresh)
        driver.many(connection, _STAGE, rows)
        staged = found.staged + len(fresh)
        driver.changed(connection, _STAGED, (staged, tail, self.now, self.import_id))
        return staged

    def _rows(
        self, connection: Connection, found: _Import, fresh: list[Prepared]
    ) -> tuple[list[tuple[Any, ...]], bytes | None]:
        tail, rows = found.tail, []
        for place, message in enumerate(fresh, found.staged):
            tail = chain(tail, message.form)
            rows.append(
                (
                    self.import_id,
                    place,
                    message.role,
                    message.at,
                    message.length,
                    tail,
                    message.run_id,
                    message.partial,
                    message.content,
                    message.extra,
                    search.entry_of(connection, message.words),
                )
            )
        return rows, tail


class _Sweep(msgspec.Struct, frozen=True):
    """The unit of work that removes one import nobody has touched since `cutoff` (ms), if there is one."""

    cutoff: int

    def __call__(self, connection: Connection) -> bool:
        found = driver.rows(connection, _ABANDONED, (self.cutoff,))
        for (import_id,) in found:
            _remove(connection, import_id)
        return bool(found)


def _prepared(new: Sequence[Any]) -> list[Prepared]:
    return [given(message, f"$.messages[{index}]") for index, message in enumerate(new)]


def _find(connection: Connection, import_id: str, *, held: bool = False) -> _Import:
    rows = (driver.held if held else driver.rows)(connection, _FIND, (import_id,))
    if not rows:
        raise NotFound(f"there is no import {import_id!r:.60}, or not any more; begin it again")
    session_key, owner, count, staged, tail, done = rows[0]
    return _Import(session_key, owner, count, staged, tail if tail is None else bytes(tail), bool(done))


def _remove(connection: Connection, import_id: str) -> None:
    driver.changed(connection, _UNSTAGE, (import_id,))
    driver.changed(connection, _REMOVE, (import_id,))
