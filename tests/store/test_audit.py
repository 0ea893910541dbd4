"""behaviours/history.md, decision 8: who did what to which target, when, and how it ended."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from core.errors import InvalidArgument, StorageFailed
from core.protocol import (
    AbortRun,
    AnyCommand,
    BanUser,
    CloseSession,
    Done,
    EvictSession,
    MarkDirty,
    Outcome,
    PauseAdmission,
    Refused,
)
from core.store import audit, history
from core.store.message import prepare
from core.store.sessions import Stamp
from tests.storage.storage import Storage
from tests.store.remembered import NOON, Remembered


async def act(store: Remembered, command: AnyCommand, outcome: Outcome) -> None:
    await store.database.write(
        lambda connection: audit.record_command(
            connection, command, outcome, actor="olga", at=store.clock.now()
        )
    )


def done(command: AnyCommand) -> Done:
    return Done(command_id=command.command_id, count=1, message="as you wish")


async def test_a_day_of_a_session(store: Remembered) -> None:
    await store.history.append("k", "user", "héllo")
    await store.history.append("k", "user", [{"type": "text", "text": "ab"}, {"type": "image", "url": "x"}])
    await store.configuration.set("k", "tier", "x")
    await store.configuration.delete("k", "tier")
    await store.configuration.delete("k", "tier")
    await store.history.replace("k", [{"role": "system", "content": "sum"}])
    await store.history.append("k", "user", "😀")
    await store.history.clear("k")
    await store.history.clear("k")
    await store.restart()
    await store.history.page("k")
    await store.search.search("x")
    await store.history.append("k", "user", "")
    await store.history.append("k", "user", "x")
    assert await store.told("k") == [
        ("created", {}),
        ("message", {"length": 5}),
        ("message", {"length": 2}),
        ("config_set", {"key": "tier"}),
        ("config_deleted", {"key": "tier"}),
        ("replaced", {"count": 1}),
        ("message", {"length": 1}),
        ("cleared", {"count": 2}),
        ("cleared", {"count": 0}),
        ("resumed", {}),
        ("message", {"length": 0}),
        ("message", {"length": 1}),
    ]


async def test_entries_say_who_and_when(store: Remembered) -> None:
    await store.history.append("k", "user", "x", owner="ann")
    store.clock.advance(1)
    await store.history.clear("k", actor="olga")
    created, message, cleared = await store.audit.of_session("k")
    assert [entry.actor for entry in (created, message, cleared)] == ["ann", "ann", "olga"]
    assert [entry.at for entry in (created, message)] == ["2026-04-17T12:00:00Z"] * 2
    assert (cleared.at, cleared.target, cleared.outcome) == ("2026-04-17T12:00:01Z", "k", "done")
    assert message.id == 0
    assert created.id < cleared.id


async def test_a_write_of_any_kind_begins_a_session(store: Remembered) -> None:
    await store.configuration.set("config", "a", "b")
    await store.history.replace("replace", [])
    await store.history.clear("clear")
    assert [entry[0] for entry in await store.told("config")] == ["created", "config_set"]
    assert [entry[0] for entry in await store.told("replace")] == ["created", "replaced"]
    assert [entry[0] for entry in await store.told("clear")] == ["created", "cleared"]


async def test_reads_write_nothing(store: Remembered) -> None:
    await store.history.page("k")
    await store.configuration.get("k", "a")
    await store.configuration.all("k")
    await store.configuration.delete("k", "a")
    await store.search.search("x", session_key="k")
    await store.search.reindex()
    assert await store.told("k") == []
    assert (await store.audit.page()).entries == []


async def test_a_session_is_resumed_once_a_life(store: Remembered) -> None:
    await store.history.append("k", "user", "x")
    for _ in range(2):
        await store.restart()
        await store.configuration.set("k", "a", "b")
        await store.configuration.set("k", "a", "c")
    actions = [action for action, _ in await store.told("k")]
    assert actions == ["created", "message", *["resumed", "config_set", "config_set"] * 2]


async def test_many_first_writes_create_once(store: Remembered) -> None:
    await asyncio.gather(*(store.history.append("k", "user", "x") for _ in range(10)))
    assert [action for action, _ in await store.told("k")] == ["created", *["message"] * 10]


async def test_a_session_shows_its_newest_entries(store: Remembered) -> None:
    for number in range(6):
        await store.history.append("k", "user", "x" * number)
    await store.history.clear("k")
    entries = await store.audit.of_session("k", limit=3)
    assert [(entry.action, entry.detail) for entry in entries] == [
        ("message", {"length": 4}),
        ("message", {"length": 5}),
        ("cleared", {"count": 6}),
    ]
    with pytest.raises(InvalidArgument):
        await store.audit.of_session("k", limit=0)


async def test_operators_acts_stand_among_the_session_s_entries(store: Remembered) -> None:
    await store.history.append("k", "user", "x")
    close = CloseSession(command_id="c1", session_key="k", reason="loops")
    await act(store, close, done(close))
    await store.history.append("k", "user", "y")
    evict = EvictSession(command_id="c2", session_key="k")
    await act(store, evict, Refused(command_id="c2", code="session_busy", message="close it"))
    actions = [(entry.action, entry.outcome, entry.reason) for entry in await store.audit.of_session("k")]
    assert actions == [
        ("created", "done", ""),
        ("message", "done", ""),
        ("close", "done", "loops"),
        ("message", "done", ""),
        ("evict", "refused", ""),
    ]


async def test_an_act_on_somebody_is_not_one_on_a_session_of_that_name(store: Remembered) -> None:
    ban, mark = BanUser(command_id="c1", user_id="k"), MarkDirty(command_id="c2", session_key="k")
    await act(store, ban, done(ban))
    await act(store, mark, done(mark))
    assert [action for action, _ in await store.told("k")] == ["dirty"]
    assert [entry.action for entry in (await store.audit.page(target="k")).entries] == ["dirty", "ban"]


async def test_a_command_s_outcome_is_found_again(store: Remembered) -> None:
    abort, pause = AbortRun(command_id="c1", run_id="r"), PauseAdmission(command_id="c2")
    done_ = Done(command_id="c1", count=3, message="done")
    refused = Refused(command_id="c2", code="gone", message="too late")
    await act(store, abort, done_)
    await act(store, pause, refused)
    assert await store.database.read(lambda connection: audit.outcome_of(connection, "c1")) == done_
    assert await store.database.read(lambda connection: audit.outcome_of(connection, "c2")) == refused
    assert await store.database.read(lambda connection: audit.outcome_of(connection, "c3")) is None
    with pytest.raises(StorageFailed):
        await act(store, abort, done_)
    with pytest.raises(InvalidArgument):
        await act(store, AbortRun(command_id="\0", run_id="r"), done_)


async def test_pages_go_back_from_the_newest(store: Remembered) -> None:
    for number in range(5):
        pause = PauseAdmission(command_id=f"c{number}", model=f"m{number % 2}")
        await act(store, pause, done(pause))
    page = await store.audit.page(limit=2)
    assert ([entry.target for entry in page.entries], page.before) == (["m0", "m1"], 4)
    page = await store.audit.page(limit=3, before=page.before)
    assert ([entry.id for entry in page.entries], page.before) == ([3, 2, 1], None)
    page = await store.audit.page(limit=2, target="m0")
    assert ([entry.id for entry in page.entries], page.before) == ([5, 3], 3)
    page = await store.audit.page(limit=2, target="m0", before=3)
    assert ([entry.id for entry in page.entries], page.before) == ([1], None)
    assert (await store.audit.page(before=10**40, limit=1000)).entries[0].id == 5


@pytest.mark.parametrize("limit", [0, 1001, -1])
async def test_a_page_that_is_none(store: Remembered, limit: int) -> None:
    with pytest.raises(InvalidArgument):
        await store.audit.page(limit=limit)


async def test_an_operator_s_reading_is_an_entry(store: Remembered) -> None:
    def read(connection: Connection) -> None:
        audit.reading(connection, at=NOON, actor="olga", what="history", session_key="k")
        audit.reading(connection, at=NOON, actor="olga", what="search", session_key=None)

    await store.history.append("k", "user", "secret")
    await store.database.write(read)
    everywhere, one, _ = (await store.audit.page()).entries
    assert (everywhere.action, everywhere.target, everywhere.detail) == ("read", "*", {"what": "search"})
    assert (one.action, one.target, one.actor, one.detail) == ("read", "k", "olga", {"what": "history"})
    assert [action for action, _ in await store.told("k")] == ["created", "message", "read"]


async def test_the_audit_holds_no_content(store: Remembered) -> None:
    await store.history.append("k", "user", "sesame")
    await store.configuration.set("k", "a", "sesame")
    await store.history.replace("k", [{"role": "user", "content": "sesame"}])
    await store.history.clear("k")

    def everything(connection: Connection) -> str:
        audit_rows = connection.execute(text("SELECT * FROM audit")).all()
        return repr([*audit_rows, *connection.execute(text("SELECT * FROM removed_messages")).all()])

    assert "sesame" not in await store.database.read(everything)


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
async def test_the_audit_is_append_only(store: Remembered, change: str) -> None:
    await store.history.append("k", "user", "x")
    with pytest.raises(StorageFailed, match="append-only"):
        await store.database.write(lambda connection: connection.execute(text(change)) and None)
    assert [action for action, _ in await store.told("k")] == ["created", "message"]


async def test_hostile_texts_are_kept_without_what_no_database_keeps(store: Remembered) -> None:
    dirty = MarkDirty(command_id="c", project="p\ud800", reason="a\0b")
    await act(store, dirty, Refused(command_id="c", code="gone", message="\udfff"))
    (entry,) = (await store.audit.page()).entries
    assert (entry.target, entry.reason, entry.detail["message"]) == ("project:p\ufffd", "a\ufffdb", "\ufffd")


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["append", "clear", "replace", "act"]), max_size=20), st.integers(1, 25))
def test_entries_come_in_the_order_of_events(storage: Storage, events: list[str], limit: int) -> None:
    expected: list[tuple[str, int]] = []
    stamp = Stamp(now=NOON, epoch="e")
    with storage.scratch() as connection:
        stored = 0
        for number, kind in enumerate(events):
            message = prepare({"role": "user", "content": "x" * number})
            if kind != "act" and not any(action == "created" for action, _ in expected):
                expected.append(("created", 0))
            match kind:
                case "append":
                    history.append_in(connection, "k", message, stamp)
                    expected.append(("message", number))
                    stored += 1
                case "clear":
                    history.clear_in(connection, "k", stamp)
                    expected.append(("cleared", stored))
                    stored = 0
                case "replace":
                    history.replace_in(connection, "k", [message, message], stamp)
                    expected.append(("replaced", 2))
                    stored = 2
                case _:
                    evict = EvictSession(command_id=f"c{number}", session_key="k")
                    audit.record_command(connection, evict, done(evict), actor="olga", at=NOON)
                    expected.append(("evict", 1))
        entries = audit.of_session(connection, "k", limit=limit)
    told = [(one.action, one.detail.get("length", one.detail.get("count", 0))) for one in entries]
    assert told == expected[-limit:]
