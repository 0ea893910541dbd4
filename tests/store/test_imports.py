"""Histories that are brought in, on every database: in parts, found again, all at once or not at all."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from core.clock import timestamp
from core.errors import (
    Conflict,
    ImportDiffers,
    ImportGap,
    ImportNotFound,
    InvalidArgument,
    SessionNotFound,
    StorageFailed,
)
from core.settings import Retention as RetentionSettings
from core.store import history, imports, pending, retention
from core.store.conversation import Reconciled, reconcile
from core.store.history import given as as_given
from core.store.lines import line_of_message, line_of_prepared
from core.store.sessions import Stamp
from core.store.tables import imports as imports_table
from core.store.tables import staged_messages
from tests.storage.refusing import refuse, relent
from tests.storage.storage import Storage
from tests.store.remembered import NOON, Remembered

WEEK = imports.KEPT_SECONDS


def said(*texts: str) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": each, "timestamp": timestamp(NOON + number)}
        for number, each in enumerate(texts)
    ]


def lines_of(messages: list[Any]) -> bytes:
    return b"".join(line_of_prepared(as_given(each, "$")) for each in messages)


def digest_of(messages: list[Any]) -> str:
    return sha256(lines_of(messages)).hexdigest()


async def begin(store: Remembered, messages: list[Any], key: str = "k", **more: Any) -> tuple[str, int]:
    return await store.imports.begin(key, digest_of(messages), len(messages), **more)


async def bring(store: Remembered, messages: list[Any], key: str = "k", **more: Any) -> int:
    import_id, staged = await begin(store, messages, key, **more)
    await store.imports.stage(import_id, staged, messages[staged:])
    return await store.imports.complete(import_id, actor="ann")


async def exported(store: Remembered, key: str) -> bytes:
    return b"".join(line_of_message(message) for message in await store.messages(key))


async def left(store: Remembered) -> tuple[int, int]:
    """Imports, and messages that are staged."""

    def query(connection: Connection) -> tuple[int, int]:
        first, second = (
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (imports_table, staged_messages)
        )
        return first, second

    return await store.database.read(query)


# ------------------------------------------------------------------------------------------ the whole way


async def test_nothing_shows_before_all_of_it_does(store: Remembered) -> None:
    await store.history.append("k", "user", "an old plum")
    messages = said("an apple", "a pear", "a fig")
    import_id, staged = await begin(store, messages, owner="ann")
    assert staged == 0
    assert await store.imports.stage(import_id, 0, messages[:2]) == 2
    before = await exported(store, "k"), await store.found("apple"), await store.told("k")
    with pytest.raises(ImportGap, match="2 of 3"):
        await store.imports.complete(import_id, actor="ann")
    assert await store.imports.stage(import_id, 2, messages[2:]) == 3
    assert (await exported(store, "k"), await store.found("apple"), await store.told("k")) == before
    assert await store.imports.complete(import_id, actor="ann") == 3
    assert await exported(store, "k") == lines_of(messages)
    assert [message.seq for message in await store.messages("k")] == [2, 3, 4], "no number comes twice"
    assert await store.found("apple") == [("k", 2)]
    assert await store.found("plum") == []
    assert (await store.told("k"))[-1] == ("imported", {"count": 3})
    assert (await store.audit.of_session("k"))[-1].actor == "ann"
    assert await left(store) == (1, 0)
    assert await store.history.append("k", "user", "the next") == 5


async def test_completing_again_changes_nothing(store: Remembered) -> None:
    messages = said("an apple")
    import_id, _ = await begin(store, messages)
    await store.imports.stage(import_id, 0, messages)
    await store.imports.complete(import_id, actor="ann")
    await store.history.append("k", "user", "more")
    told = await store.told("k")
    assert await store.imports.complete(import_id, actor="ann") == 1
    assert (len(await store.messages("k")), await store.told("k")) == (2, told)
    with pytest.raises(Conflict, match="begin it again"):
        await store.imports.stage(import_id, 1, messages)


async def test_the_conversation_goes_on_where_the_import_ends(store: Remembered) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "text", "text": "hi"}], "tool_calls": [{"id": "c"}]},
    ]
    await bring(store, messages)
    grown = [*messages, {"role": "user", "content": "and then"}]
    stamp = Stamp(now=NOON, epoch=store.epoch)
    told = await store.database.write(lambda connection: reconcile(connection, "k", grown, stamp))
    assert isinstance(told, Reconciled)
    assert await store.contents("k") == [each["content"] for each in grown]
    assert not [action for action, _ in await store.told("k") if action == "rewritten"]


async def test_an_empty_history(store: Remembered) -> None:
    await store.history.append("k", "user", "old")
    assert await bring(store, []) == 0
    assert await store.messages("k") == []


# --------------------------------------------------------------------------------------- parts that come


async def test_parts_that_come_again_are_there_once(store: Remembered) -> None:
    messages = said(*"abcdef")
    import_id, _ = await begin(store, messages)
    for start, end in ((0, 3), (0, 3), (1, 2), (2, 5), (0, 5), (3, 3), (0, 0)):
        await store.imports.stage(import_id, start, messages[start:end])
    assert await begin(store, messages) == (import_id, 5)
    assert await store.imports.stage(import_id, 0, messages) == 6
    await store.imports.complete(import_id, actor="ann")
    assert await exported(store, "k") == lines_of(messages)


@pytest.mark.parametrize("start", [-1, 3, 4, 2**40])
async def test_a_gap_is_refused(store: Remembered, start: int) -> None:
    messages = said(*"abcde")
    import_id, _ = await begin(store, messages)
    await store.imports.stage(import_id, 0, messages[:2])
    with pytest.raises(ImportGap, match="send those from 2 on") as refused:
        await store.imports.stage(import_id, start, messages[:1])
    assert refused.value.code == "import_gap"
    assert await begin(store, messages) == (import_id, 2)


async def test_more_than_were_announced_are_refused(store: Remembered) -> None:
    messages = said(*"ab")
    import_id, _ = await begin(store, messages)
    with pytest.raises(InvalidArgument, match="3 have come where 2 were announced"):
        await store.imports.stage(import_id, 0, [*messages, *said("c")])
    assert await left(store) == (1, 0)


async def test_a_part_with_a_bad_message_leaves_nothing_of_it(store: Remembered) -> None:
    messages = said(*"ab")
    import_id, _ = await begin(store, messages)
    with pytest.raises(InvalidArgument, match=r"\$\.messages\[1\]\.role"):
        await store.imports.stage(import_id, 0, [messages[0], {"content": "x"}])
    assert await begin(store, messages) == (import_id, 0)


async def test_another_digest_throws_it_away(store: Remembered) -> None:
    await store.history.append("k", "user", "old")
    messages = said("an apple", "a pear")
    import_id, _ = await begin(store, messages)
    await store.imports.stage(import_id, 0, said("an apple", "a fig"))
    with pytest.raises(ImportDiffers, match=digest_of(said("an apple", "a fig"))):
        await store.imports.complete(import_id, actor="ann")
    assert await store.contents("k") == ["old"]
    assert await left(store) == (0, 0)
    with pytest.raises(ImportNotFound):
        await store.imports.complete(import_id, actor="ann")
    assert await bring(store, messages) == 2


async def test_what_is_dropped_is_gone(store: Remembered) -> None:
    messages = said("an apple", "a pear")
    import_id, _ = await begin(store, messages)
    await store.imports.stage(import_id, 0, messages)
    await store.imports.drop(import_id)
    assert await left(store) == (0, 0)
    for call in (
        store.imports.drop(import_id),
        store.imports.stage(import_id, 0, messages),
        store.imports.complete(import_id, actor="ann"),
        store.imports.target(import_id),
    ):
        with pytest.raises(ImportNotFound):
            await call


@pytest.mark.parametrize(
    ("digest", "count"),
    [("", 1), ("0" * 63, 1), ("G" * 64, 1), ("A" * 64, 1), ("0" * 64, -1), ("0" * 64, 2**40 + 1)],
)
async def test_what_cannot_be_announced(store: Remembered, digest: str, count: int) -> None:
    with pytest.raises(InvalidArgument):
        await store.imports.begin("k", digest, count)


async def test_imports_of_different_things_do_not_meet(store: Remembered) -> None:
    one, other = said("an apple"), said("a pear")
    begun = [await begin(store, one), await begin(store, other), await begin(store, one, key="l")]
    assert len({import_id for import_id, _ in begun}) == 3
    assert await begin(store, one) == begun[0]


async def test_it_goes_on_after_a_restart(store: Remembered) -> None:
    messages = said(*"abcd")
    import_id, _ = await begin(store, messages)
    await store.imports.stage(import_id, 0, messages[:3])
    await store.restart()
    assert await begin(store, messages) == (import_id, 3)
    await store.imports.stage(import_id, 3, messages[3:])
    assert await store.imports.complete(import_id, actor="ann") == 4


# ------------------------------------------------------------------------------------------- whose it is


async def test_the_owner_becomes_the_sessions(store: Remembered) -> None:
    await bring(store, said("mine"), owner="ann")
    with pytest.raises(SessionNotFound):
        await bring(store, said("not mine"), owner="bob")
    assert await store.contents("k") == ["mine"]
    assert await bring(store, said("whoever"), owner=None) == 1
    with pytest.raises(SessionNotFound):
        await store.history.append("k", "user", "still not mine", owner="bob")


# ------------------------------------------------------------------------------------------ when it fails


async def test_a_failure_in_the_middle_changes_nothing(store: Remembered) -> None:
    await store.history.append("k", "user", "an old plum")
    messages = said("an apple", "a pear")
    import_id, _ = await begin(store, messages)
    await store.imports.stage(import_id, 0, messages)
    before = await store.told("k")
    await store.database.write(lambda connection: refuse(connection, "INSERT", "audit"))
    with pytest.raises(StorageFailed):
        await store.imports.complete(import_id, actor="ann")
    await store.database.write(lambda connection: relent(connection, "audit"))
    assert (await store.contents("k"), await store.told("k")) == (["an old plum"], before)
    assert await store.found("plum") == [("k", 1)]
    assert await store.found("apple") == []
    assert await store.imports.complete(import_id, actor="ann") == 2
    assert await store.contents("k") == ["an apple", "a pear"]


# ------------------------------------------------------------------------------------------ what is left


async def purge(store: Remembered) -> None:
    await retention.Retention(RetentionSettings(), store.database, store.clock).purge()


async def test_what_nobody_completes_goes_after_a_week(store: Remembered) -> None:
    messages = said(*(f"message {number}" for number in range(retention.BATCH + 2)))
    import_id, _ = await begin(store, messages)
    await store.imports.stage(import_id, 0, messages[: retention.BATCH + 1])
    store.clock.advance(WEEK)
    await purge(store)
    assert await left(store) == (1, retention.BATCH + 1)
    store.clock.advance(1)
    await purge(store)
    assert await left(store) == (0, 0)
    assert await store.told("k") == []


async def test_what_goes_on_stays(store: Remembered) -> None:
    messages = said("an apple", "a pear")
    import_id, _ = await begin(store, messages)
    store.clock.advance(WEEK)
    await store.imports.stage(import_id, 0, messages[:1])
    store.clock.advance(WEEK)
    await begin(store, messages)
    store.clock.advance(WEEK)
    await purge(store)
    assert await left(store) == (1, 1)


async def test_who_comes_back_during_the_purge_goes_on_from_what_is_left(store: Remembered) -> None:
    messages = said(*"abcdefg")
    import_id, _ = await begin(store, messages)
    await store.imports.stage(import_id, 0, messages[:5])
    store.clock.advance(WEEK + 1)
    sweep = imports.Sweep(store.clock.now() - WEEK * 1000, most=2)
    assert await store.database.write(sweep)
    assert await begin(store, messages) == (import_id, 3)
    assert not await store.database.write(sweep)
    await store.imports.stage(import_id, 3, messages[3:])
    assert await store.imports.complete(import_id, actor="ann") == 7
    grown = [*messages, {"role": "user", "content": "h"}]
    stamp = Stamp(now=NOON, epoch=store.epoch)
    await store.database.write(lambda connection: reconcile(connection, "k", grown, stamp))
    assert not [action for action, _ in await store.told("k") if action == "rewritten"], "the chain is whole"


async def test_the_note_of_a_complete_import_goes_too(store: Remembered) -> None:
    await bring(store, said(*"abc"))
    store.clock.advance(WEEK + 1)
    await purge(store)
    assert await left(store) == (0, 0)
    assert await store.contents("k") == ["a", "b", "c"]


# --------------------------------------------------------------------------------------------- any message

TEXT = st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
PARTS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}) | JSON, max_size=3)
EXTRA = TEXT.filter(lambda name: name not in ("role", "content")) | st.sampled_from(
    ["seq", "timestamp", "runId", "partial", "extra", "name", "tool_calls"]
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "é👍"])},
    optional={
        "content": TEXT | PARTS | JSON,
        "timestamp": st.integers(-30_000_000_000_000, 253_402_300_799_999).map(timestamp),
        "runId": TEXT,
        "partial": st.booleans(),
        "extra": st.dictionaries(EXTRA, JSON, max_size=3),
        "tool_calls": JSON,
        "seq": st.integers(1, 100),
        "naïve": JSON,
    },
)


def store_in(connection: Connection, key: str, messages: list[Any], stamp: Stamp) -> None:
    count = len(messages)
    new = imports._Begin(
        import_id=key,
        source=imports._source(digest_of(messages), count, key),
        session_key=key,
        owner=None,
        count=count,
        now=stamp.now,
    )
    new(connection)
    imports._Stage(key, 0, imports._prepared(messages), stamp.now)(connection)
    staged = imports._Lines(key, 0)(connection)
    assert staged == lines_of(messages), "what is staged has the lines of what was sent"
    imports.complete_in(connection, key, stamp)
    pending.of(connection).write(connection)


def lines_in(connection: Connection, key: str) -> list[bytes]:
    page = history.page_in(connection, key, after=0, limit=1000)
    return [line_of_message(message) for message in page.messages]


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MESSAGE, max_size=6))
def test_any_history_comes_back_byte_for_byte(storage: Storage, messages: list[Any]) -> None:
    stamp = Stamp(now=NOON, epoch="e")
    with storage.scratch() as connection:
        store_in(connection, "first", messages, stamp)
        first = lines_in(connection, "first")
        # through JSON, as over the wire
        again = [msgspec.json.decode(line) for line in first]
        store_in(connection, "second", again, msgspec.structs.replace(stamp, now=NOON + 1))
        assert lines_in(connection, "second") == first
        assert len(first) == len(messages)
        chains = [
            connection.exec_driver_sql(f"SELECT chain FROM messages WHERE session_key = '{key}' ORDER BY seq")
            for key in ("first", "second")
        ]
        assert [bytes(row[0]) for row in chains[0]] == [bytes(row[0]) for row in chains[1]]
