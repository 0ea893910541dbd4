"""How long what is remembered is kept: a purge in small batches, each of them told in the audit.

Messages go with the silence of their session, not one by one with their age: a conversation that goes on is never torn,
because the next request would bring back what was cut off (behaviours/history.md, decision 8). What a session has
cost stays for ever, and so does the number, time and length of a message until the audit's own time is over.

What an import has staged and nobody has completed goes after a week, whatever the settings say: it is part of nothing,
so the audit has nothing to tell of it.
"""

from __future__ import annotations

import logging
from typing import Literal

import msgspec
from sqlalchemy import Connection, text

from core.clock import Clock, timestamp
from core.errors import MaitredError
from core.settings import Retention as RetentionSettings
from core.store import audit_records, driver, imports, message_records
from core.store.database import Database

BATCH = 500
"""Rows in one unit of work, so that no unit keeps the others waiting for long."""

_LOOKED_AT_ONCE = 1000
_DAY_MS = 86_400_000

What = Literal["messages", "runs", "audit"]

_log = logging.getLogger(__name__)

_SILENT = """
SELECT session_key, messages > 0 AND updated_at < ? FROM sessions WHERE session_key > ? ORDER BY session_key LIMIT ?
"""
_STILL_SILENT = "SELECT next_seq FROM sessions WHERE session_key = ? AND updated_at < ?"
_OLDEST = "SELECT seq FROM messages WHERE session_key = ? ORDER BY seq LIMIT ?"
_ENDED = """
DELETE FROM runs WHERE run_id IN (
    SELECT run_id FROM runs WHERE ended_at < ? AND status <> 'running' ORDER BY ended_at LIMIT ?
)
"""
_TRACES = """
DELETE FROM removed_messages WHERE (session_key, seq) IN (
    SELECT session_key, seq FROM removed_messages WHERE at < ? ORDER BY at LIMIT ?
)
"""
# Entries come in the order of their ids, so the old ones are the first: looking further would cost what there is.
_FIRST_ENTRIES = "SELECT id, at FROM audit ORDER BY id LIMIT ?"
_ENTRIES = "DELETE FROM audit WHERE id <= ? AND at < ?"
_KEEP_SINCE = """
INSERT INTO facts (name, value) VALUES ('audit_kept_since', ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""

_INDEXES = (
    "CREATE INDEX IF NOT EXISTS sessions_by_owner ON sessions (owner, session_key)",
    "CREATE INDEX IF NOT EXISTS runs_by_end ON runs (ended_at)",
    "CREATE INDEX IF NOT EXISTS removed_messages_by_time ON removed_messages (at)",
)
# The audit stays append-only, but for what is older than the horizon that a purge has written down before.
_PURGEABLE_SQLITE = (
    "DROP TRIGGER audit_keeps_on_delete",
    """
    CREATE TRIGGER audit_keeps_on_delete BEFORE DELETE ON audit
    WHEN NOT EXISTS (
        SELECT 1 FROM facts WHERE name = 'audit_kept_since' AND OLD.at < CAST(value AS INTEGER)
    )
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
)
_PURGEABLE_POSTGRES = (
    "DROP TRIGGER audit_keeps ON audit",
    "DROP TRIGGER IF EXISTS audit_keeps_young ON audit",
    """
    CREATE TRIGGER audit_keeps BEFORE UPDATE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_keeps()
    """,
    """
    CREATE OR REPLACE FUNCTION audit_keeps_young() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN
        IF EXISTS (SELECT 1 FROM facts WHERE name = ''audit_kept_since'' AND OLD.at < CAST(value AS BIGINT)) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION ''the audit is append-only'';
    END'
    """,
    """
    CREATE TRIGGER audit_keeps_young BEFORE DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_keeps_young()
    """,
)


def create(connection: Connection) -> None:
    """Bring the schema to where it can be purged; a step of `core.store.migrations`."""
    purgeable = _PURGEABLE_POSTGRES if driver.is_shared(connection) else _PURGEABLE_SQLITE
    for statement in (*_INDEXES, *purgeable):
        connection.execute(text(statement))


class Purged(msgspec.Struct, frozen=True):
    """How many rows one round let go."""

    messages: int = 0
    runs: int = 0
    audit: int = 0


class Retention:
    """Purges a database by the settings: nothing where they say 0, but for what imports have left behind."""

    def __init__(self, settings: RetentionSettings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """A round at once, and again every `purge_seconds`; a round that fails is tried again at the next time."""
        while True:
            try:
                purged = await self.purge()
            except MaitredError as error:
                _log.warning("the purge stopped half-way and goes on at the next time: %s", error)
            else:
                if purged != Purged():
                    _log.info("purged %s", purged)
            await self._clock.sleep(self._settings.purge_seconds)

    async def purge(self) -> Purged:
        """One round, in batches between which others write; may be cancelled between any two."""
        days, now = self._settings, self._clock.now()
        messages = runs = audit = 0
        if days.message_days:
            messages = await self._purge_messages(_cutoff(now, days.message_days))
        if days.run_days:
            runs = await self._batches(_Runs(_cutoff(now, days.run_days), now))
        if days.audit_days:
            cutoff = _cutoff(now, days.audit_days)
            audit = await self._batches(_Traces(cutoff)) + await self._batches(_Entries(cutoff, now))
        while await self._database.write(imports.Sweep(now - imports.KEPT_SECONDS * 1000, BATCH)):
            pass
        return Purged(messages, runs, audit)

    async def _purge_messages(self, cutoff: int) -> int:
        """Every session is looked at, a page at a time, by a reader: only those that are silent cost a write."""
        total, after = 0, ""
        while True:
            page = await self._database.read(_Look(cutoff, after))
            for session_key, silent in page:
                if silent:
                    total += await self._batches(_Messages(session_key, cutoff, self._clock.now()))
            if len(page) < _LOOKED_AT_ONCE:
                return total
            after = page[-1][0]

    async def _batches(self, batch: _Messages | _Runs | _Traces | _Entries) -> int:
        total = 0
        while count := await self._database.write(batch):
            total += count
        return total


class _Look(msgspec.Struct, frozen=True):
    """The next sessions by key, and whether each has messages and was not written to since `cutoff` (ms)."""

    cutoff: int
    after: str

    def __call__(self, connection: Connection) -> list[tuple[str, bool]]:
        found = driver.rows(connection, _SILENT, (self.cutoff, self.after, _LOOKED_AT_ONCE))
        return [(session_key, bool(silent)) for session_key, silent in found]


class _Messages(msgspec.Struct, frozen=True):
    """The oldest messages of a session that is still silent; they leave their trace in its audit."""

    session_key: str
    cutoff: int
    now: int

    def __call__(self, connection: Connection) -> int:
        held = driver.held(connection, _STILL_SILENT, (self.session_key, self.cutoff))
        oldest = driver.rows(connection, _OLDEST, (self.session_key, BATCH)) if held else []
        if not oldest:
            return 0
        count = message_records.remove_in(connection, self.session_key, 0, oldest[-1][0] + 1)
        entry = audit_records.NewEntry(
            at=self.now,
            action="purged",
            target=self.session_key,
            detail={"count": count, "silentSince": timestamp(self.cutoff)},
            at_seq=held[0][0],
        )
        audit_records.record(connection, entry)
        return count


class _Runs(msgspec.Struct, frozen=True):
    """The records of runs that ended first."""

    cutoff: int
    now: int

    def __call__(self, connection: Connection) -> int:
        count = driver.changed(connection, _ENDED, (self.cutoff, BATCH))
        _tell(connection, "runs", count, self.cutoff, self.now)
        return count


class _Traces(msgspec.Struct, frozen=True):
    """What the audit keeps of removed messages. The entries that tell of it are those of the audit itself."""

    cutoff: int

    def __call__(self, connection: Connection) -> int:
        return driver.changed(connection, _TRACES, (self.cutoff, BATCH))


class _Entries(msgspec.Struct, frozen=True):
    """The first entries of the audit, as far as they are older than the horizon, which is written down with it."""

    cutoff: int
    now: int

    def __call__(self, connection: Connection) -> int:
        first = driver.rows(connection, _FIRST_ENTRIES, (BATCH,))
        if not any(at < self.cutoff for _, at in first):
            return 0
        driver.changed(connection, _KEEP_SINCE, (str(self.cutoff),))
        count = driver.changed(connection, _ENTRIES, (first[-1][0], self.cutoff))
        _tell(connection, "audit", count, self.cutoff, self.now)
        return count


def _tell(connection: Connection, what: What, count: int, cutoff: int, now: int) -> None:
    if count:
        entry = audit_records.NewEntry(
            at=now,
            action="purged",
            target="*",
            detail={"what": what, "count": count, "before": timestamp(cutoff)},
            of_session=False,
        )
        audit_records.record(connection, entry)


def _cutoff(now: int, days: float) -> int:
    return now - round(days * _DAY_MS)
