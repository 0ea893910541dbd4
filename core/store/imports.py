"""A history that is brought in from outside: staged in parts, then put in a session's place in one transaction.

An import is found by its target and by the digest of what is brought, so whoever comes again with the same goes on
where it stopped, and a part that is sent twice is there once. Nothing of it shows until it is complete. What belongs to
a message and to those before it alone is worked out when it is staged; so completing is a few statements, however
many messages there are. Before that what is staged is read once more, and must have the digest that was announced.
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
from core.errors import Conflict, ImportDiffers, ImportGap, ImportNotFound, InvalidArgument
from core.store import driver, message_records, pending, search, sessions
from core.store.database import Database
from core.store.history import given
from core.store.lines import line_of
from core.store.message import Prepared, chain, check_key
from core.store.sessions import Stamp
from core.store.tables import imports, staged_messages

KEPT_SECONDS = 7 * 86_400
"""After so long without another part, what was staged is removed by the purge (`core.store.retention`)."""

_MOST = 2**40
_READ_AT_ONCE = 500
_DIGEST = re.compile("[0-9a-f]{64}")

_OPEN = "SELECT import_id, staged FROM imports WHERE source = ? AND NOT done ORDER BY import_id LIMIT 1"
_GO_ON = "UPDATE imports SET owner = ?, touched_at = ? WHERE import_id = ?"
_BEGIN = """
INSERT INTO imports (import_id, source, session_key, owner, count, staged, done, touched_at)
VALUES (?, ?, ?, ?, ?, 0, FALSE, ?)
"""
_FIND = "SELECT source, session_key, owner, count, staged, tail, done FROM imports WHERE import_id = ?"
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
_LINES = """
SELECT role, content, at, run_id, partial, extra FROM staged_messages
WHERE import_id = ? AND place >= ? ORDER BY place LIMIT ?
"""
_ABANDONED = "SELECT import_id, staged, done FROM imports WHERE touched_at < ? ORDER BY touched_at LIMIT 1"
_UNSTAGE_LAST = "DELETE FROM staged_messages WHERE import_id = ? AND place >= ?"
_SHORTEN = """
UPDATE imports SET staged = ?, tail = (SELECT chain FROM staged_messages WHERE import_id = ? AND place = ?)
WHERE import_id = ?
"""


def create(connection: Connection) -> None:
    """Make the tables where an older version has made the others; a step of `core.store.migrations`."""
    for table in (imports, staged_messages):
        table.create(connection, checkfirst=True)


class _Import(msgspec.Struct, frozen=True, array_like=True):
    """The row of an import."""

    source: str
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

        `digest` is the SHA-256 of the messages' lines (`core.store.lines`), in hexadecimal; `owner` becomes the
        session's where it has none. Raises InvalidArgument.
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
        new = _Begin(
            import_id=self._new_id(),
            source=_source(digest, count, session_key),
            session_key=session_key,
            owner=owner,
            count=count,
            now=now,
        )
        return await self._database.write(new)

    async def stage(self, import_id: str, start: int, new: Sequence[Any]) -> int:
        """Take the messages from place `start` on, as a history page shows them; answers how many are there now.

        Those that are there already are passed over. Raises InvalidArgument for a malformed one, or for more than
        were announced; ImportGap when some are missing before them; Conflict when it is complete; ImportNotFound.
        """
        # in a thread: a part full of long texts takes longer than the loop may stand still
        prepared = await asyncio.to_thread(_prepared, new)
        return await self._database.write(_Stage(import_id, start, prepared, self._clock.now()))

    async def target(self, import_id: str) -> tuple[str, str | None]:
        """The session that an import is for, and for whom it is; raises ImportNotFound."""
        found = await self._database.read(lambda connection: _find(connection, import_id))
        return found.session_key, found.owner

    async def complete(self, import_id: str, *, actor: str) -> int:
        """Put the staged messages in the place of the session's history; answers how many there are now.

        Doing it again changes nothing and answers the same. Raises ImportGap while messages are missing, ImportDiffers
        when they are others than were announced, SessionNotFound for somebody else's session, ImportNotFound.
        """
        found = await self._database.read(lambda connection: _find(connection, import_id))
        if not found.done:
            _check_whole(found)
            digest = await self._digest(import_id, found.count)
            if _source(digest, found.count, found.session_key) != found.source:
                await self.drop(import_id)
                raise ImportDiffers(
                    f"the {found.count} messages that came have the digest {digest}, which is not the one that was "
                    "announced; they were thrown away: begin the import again"
                )
        stamp = Stamp(now=self._clock.now(), epoch=self._epoch, actor=actor)
        return await self._database.write(lambda connection: complete_in(connection, import_id, stamp))

    async def drop(self, import_id: str) -> None:
        """Remove what was staged; raises ImportNotFound."""

        def unit(connection: Connection) -> None:
            _find(connection, import_id, held=True)
            _remove(connection, import_id)

        await self._database.write(unit)

    async def _digest(self, import_id: str, count: int) -> str:
        """The digest of what is staged, read in parts: what is there does not change, it can only go."""
        digest = sha256()
        for start in range(0, count, _READ_AT_ONCE):
            digest.update(await self._database.read(_Lines(import_id, start)))
        return digest.hexdigest()


def complete_in(connection: Connection, import_id: str, stamp: Stamp) -> int:
    """See `Imports.complete`; like `message_records.replace_in`, with what is staged."""
    found = _find(connection, import_id, held=True)
    if found.done:
        return found.count
    _check_whole(found)
    key = found.session_key
    session = sessions.take(connection, key, found.count, msgspec.structs.replace(stamp, owner=found.owner))
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
            raise ImportGap(
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


class _Lines(msgspec.Struct, frozen=True):
    """The query for the lines of the next staged messages."""

    import_id: str
    start: int

    def __call__(self, connection: Connection) -> bytes:
        found = driver.rows(connection, _LINES, (self.import_id, self.start, _READ_AT_ONCE))
        return b"".join(
            line_of(role=role, content=content, at=at, run_id=run_id, partial=bool(partial), extra=extra)
            for role, content, at, run_id, partial, extra in found
        )


class Sweep(msgspec.Struct, frozen=True):
    """The unit of work that removes the last staged messages of an import that nobody has touched since `cutoff` (ms).

    Answers whether there was one. It goes from its end, `most` messages at a time: whoever comes back between two of
    them goes on from what is left.
    """

    cutoff: int
    most: int

    def __call__(self, connection: Connection) -> bool:
        for import_id, staged, done in driver.held(connection, _ABANDONED, (self.cutoff,)):
            left = 0 if done else max(0, staged - self.most)
            driver.changed(connection, _UNSTAGE_LAST, (import_id, left))
            if left:
                driver.changed(connection, _SHORTEN, (left, import_id, left - 1, import_id))
            else:
                driver.changed(connection, _REMOVE, (import_id,))
            return True
        return False


def _prepared(new: Sequence[Any]) -> list[Prepared]:
    return [given(message, f"$.messages[{index}]") for index, message in enumerate(new)]


def _find(connection: Connection, import_id: str, *, held: bool = False) -> _Import:
    rows = (driver.held if held else driver.rows)(connection, _FIND, (import_id,))
    if not rows:
        raise ImportNotFound(f"there is no import {import_id!r:.60}, or not any more; begin it again")
    source, session_key, owner, count, staged, tail, done = rows[0]
    return _Import(
        source, session_key, owner, count, staged, tail if tail is None else bytes(tail), bool(done)
    )


def _check_whole(found: _Import) -> None:
    if found.staged < found.count:
        raise ImportGap(
            f"only {found.staged} of {found.count} messages are there; send those from {found.staged} on"
        )


def _source(digest: str, count: int, session_key: str) -> str:
    """What an import is found by."""
    return sha256(f"{digest} {count} {session_key}".encode()).hexdigest()


def _remove(connection: Connection, import_id: str) -> None:
    driver.changed(connection, _UNSTAGE, (import_id,))
    driver.changed(connection, _REMOVE, (import_id,))
