"""What is kept for how long: purged in batches, audited, and never torn out of a conversation that goes on."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from core.clock import timestamp
from core.errors import StorageFailed
from core.settings import Retention as Settings
from core.store import audit_records, driver, run_records
from core.store.history import reconcile
from core.store.retention import BATCH, Purged, Retention
from core.store.sessions import Stamp
from core.store.tables import audit, messages, removed_messages, runs
from tests.store.remembered import NOON, Remembered

DAY = 86_400


def retention(store: Remembered, **days: float) -> Retention:
    return Retention(Settings(**days), store.database, store.clock)


async def count(store: Remembered, table: Any) -> int:
    return await store.database.read(
        lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
    )


async def run(store: Remembered, run_id: str, *, ended: bool) -> None:
    """The record of a run that began, and perhaps ended, now."""
    now = store.clock.now()
    start = run_records.RunStart(
        run_id=run_id,
        session_key="k",
        user_id=None,
        provider="p",
        model=None,
        epoch=store.epoch,
        started_at=now,
    )
    end = run_records.RunEnd(run_id=run_id, status="completed", exit_code=0, ended_at=now)

    def unit(connection: Connection) -> None:
        run_records.start(connection, start)
        if ended:
            run_records.end(connection, end)

    await store.database.write(unit)


def _execute(statement: str, connection: Connection) -> None:
    connection.execute(text(statement))


async def entry(store: Remembered) -> None:
    new = audit_records.NewEntry(at=store.clock.now(), action="act", target="t", of_session=False)
    await store.database.write(lambda connection: audit_records.record(connection, new))


async def purges(store: Remembered) -> list[tuple[str, dict[str, Any]]]:
    entries = (await store.audit.page(limit=1000)).entries
    return [(each.target, each.detail) for each in reversed(entries) if each.action == "purged"]


# -------------------------------------------------------------------------------------------- messages


async def test_messages_go_with_the_silence_of_their_session(store: Remembered) -> None:
    await store.history.append("silent", "user", "an old apple", owner="ann")
    await store.history.append("silent", "user", "an old pear")
    await store.history.append("spoken", "user", "an old plum")
    await store.configuration.set("silent", "tier", "x")
    store.clock.advance(DAY)
    await store.history.append("spoken", "user", "a new plum")
    store.clock.advance(1)
    assert await retention(store, message_days=1).purge() == Purged(messages=2)
    assert await store.contents("silent") == []
    assert await store.contents("spoken") == ["an old plum", "a new plum"]
    assert await store.found("apple") == []
    assert len(await store.found("plum")) == 2
    assert await store.configuration.get("silent", "tier") == "x"
    since = timestamp(NOON + 1000)
    assert await store.told("silent") == [
        ("created", {}),
        ("message", {"length": 12}),
        ("message", {"length": 11}),
        ("config_set", {"key": "tier"}),
        ("purged", {"count": 2, "silentSince": since}),
    ]
    assert await store.history.append("silent", "user", "again") == 3, "no number is given out twice"
    assert await retention(store, message_days=1).purge() == Purged()


@pytest.mark.parametrize(("seconds", "purged"), [(DAY, 0), (DAY + 0.001, 1)])
async def test_the_time_counts_to_the_millisecond(store: Remembered, seconds: float, purged: int) -> None:
    await store.history.append("k", "user", "x")
    store.clock.advance(seconds)
    assert (await retention(store, message_days=1).purge()).messages == purged


async def test_a_conversation_that_goes_on_is_never_torn(store: Remembered) -> None:
    conversation = [{"role": "user", "content": str(number)} for number in range(5)]

    async def request(length: int) -> Any:
        stamp = Stamp(now=store.clock.now(), epoch=store.epoch)
        return await store.database.write(
            lambda connection: reconcile(connection, "k", conversation[:length], stamp)
        )

    for length in range(1, 6):
        await request(length)
        store.clock.advance(DAY)
        await retention(store, message_days=1.5).purge()
    assert await store.contents("k") == ["0", "1", "2", "3", "4"]


async def test_many_messages_go_in_batches_between_which_others_write(store: Remembered) -> None:
    many = [{"role": "user", "content": f"word {number}"} for number in range(2 * BATCH + 7)]
    await store.history.replace("k", many)
    store.clock.advance(2 * DAY)
    purging = asyncio.ensure_future(retention(store, message_days=1).purge())
    while not await count(store, audit):
        await asyncio.sleep(0)
    written = await store.history.append("other", "user", "meanwhile")
    assert written == 1
    assert (await purging).messages == len(many)
    counts = [detail["count"] for _, detail in await purges(store)]
    assert counts == [BATCH, BATCH, 7]
    assert await count(store, messages) == 1


async def test_who_is_heard_of_in_between_keeps_the_rest(store: Remembered) -> None:
    await store.history.replace("k", [{"role": "user", "content": str(n)} for n in range(2 * BATCH)])
    store.clock.advance(2 * DAY)

    class Speaking(Retention):
        async def _batches(self, batch: Any) -> int:
            first: int = await store.database.write(batch)
            await store.history.append("k", "user", "I am back")
            return first + await super()._batches(batch)

    speaking = Speaking(Settings(message_days=1), store.database, store.clock)
    assert (await speaking.purge()).messages == BATCH
    assert await count(store, messages) == BATCH + 1


async def test_every_page_of_sessions_is_looked_at(
    store: Remembered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.store.retention._LOOKED_AT_ONCE", 3)
    for number in range(7):
        await store.history.append(f"k{number}", "user", "x")
    store.clock.advance(2 * DAY)
    assert (await retention(store, message_days=1).purge()).messages == 7


# ---------------------------------------------------------------------------------------- runs, audit


async def test_records_of_runs_go_some_time_after_their_end(store: Remembered) -> None:
    await run(store, "running", ended=False)
    for number in range(BATCH + 1):
        await run(store, f"old-{number}", ended=True)
    store.clock.advance(DAY)
    await run(store, "new", ended=True)
    store.clock.advance(1)
    assert await retention(store, run_days=1).purge() == Purged(runs=BATCH + 1)
    left = await store.database.read(
        lambda connection: connection.execute(select(runs.c.run_id)).scalars().all()
    )
    assert sorted(left) == ["new", "running"]
    before = timestamp(NOON + 1000)
    assert await purges(store) == [
        ("*", {"what": "runs", "count": BATCH, "before": before}),
        ("*", {"what": "runs", "count": 1, "before": before}),
    ]


async def test_old_entries_go_and_that_is_an_entry(store: Remembered) -> None:
    await store.history.append("k", "user", "x")
    await store.history.clear("k")
    for _ in range(BATCH):
        await entry(store)
    store.clock.advance(DAY)
    await entry(store)
    store.clock.advance(1)
    assert await retention(store, audit_days=1).purge() == Purged(audit=BATCH + 3)
    assert await count(store, removed_messages) == 0
    assert await store.told("k") == []
    entries = (await store.audit.page()).entries
    assert [each.action for each in entries] == ["purged", "purged", "act"]
    assert await retention(store, audit_days=1).purge() == Purged()


async def test_only_what_is_past_the_horizon_can_be_deleted(store: Remembered) -> None:
    await entry(store)
    store.clock.advance(2 * DAY)
    await entry(store)
    await retention(store, audit_days=1).purge()
    for statement in ("DELETE FROM audit", "UPDATE audit SET actor = 'nobody'"):
        with pytest.raises(StorageFailed, match="append-only"):
            await store.database.write(partial(_execute, statement))
    assert [each.action for each in (await store.audit.page()).entries] == ["purged", "act"]


_BACK_SQLITE = (
    "DROP TRIGGER audit_keeps_on_delete",
    """
    CREATE TRIGGER audit_keeps_on_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
    """,
)
_BACK_POSTGRES = (
    "DROP TRIGGER audit_keeps_young ON audit",
    "DROP FUNCTION audit_keeps_young",
    "DROP TRIGGER audit_keeps ON audit",
    """
    CREATE TRIGGER audit_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_keeps()
    """,
)


async def test_a_database_from_before_can_be_purged(store: Remembered) -> None:
    def older(connection: Connection) -> None:
        back = _BACK_POSTGRES if driver.is_shared(connection) else _BACK_SQLITE
        for statement in (*back, "DROP INDEX sessions_by_owner", "UPDATE schema_version SET version = 3"):
            connection.execute(text(statement))

    await entry(store)
    await store.database.write(older)
    store.clock.advance(2 * DAY)
    with pytest.raises(StorageFailed, match="append-only"):
        await retention(store, audit_days=1).purge()
    await store.restart()
    assert (await retention(store, audit_days=1).purge()).audit == 1


# -------------------------------------------------------------------------------------------- rounds


async def test_nothing_goes_by_default(store: Remembered) -> None:
    await store.history.append("k", "user", "x")
    await run(store, "r", ended=True)
    await entry(store)
    store.clock.advance(10_000 * DAY)
    assert await retention(store).purge() == Purged()


async def test_a_round_that_fails_is_followed_by_the_next(
    store: Remembered, caplog: pytest.LogCaptureFixture
) -> None:
    rounds: list[str] = []

    class Failing(Retention):
        async def purge(self) -> Purged:
            rounds.append("round")
            if len(rounds) == 1:
                raise StorageFailed("the disk is full")
            return await super().purge()

    await store.history.append("k", "user", "x")
    store.clock.advance(2 * DAY)
    purging = Failing(Settings(message_days=1, purge_seconds=60), store.database, store.clock)
    running = asyncio.ensure_future(purging.run())
    while len(rounds) < 2:
        await asyncio.sleep(0)
        store.clock.advance(1)
    while await count(store, messages):
        await asyncio.sleep(0)
    assert "the disk is full" in caplog.text
    running.cancel()
