"""behaviours/history.md, decisions 1, 2, 3, 4 and 9, on a real database."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, text

from core.errors import InvalidArgument, SessionNotFound, StorageFailed
from core.store import driver, pending, sessions
from core.store.history import append_in
from core.store.message import prepare
from core.store.sessions import Stamp
from tests.storage.refusing import refuse
from tests.store.remembered import NOON, Remembered

BAD_KEYS = ["", "\0", "a\ud800"]


async def test_messages_have_numbers_and_times(store: Remembered) -> None:
    assert await store.history.append("tg:7", "user", "a") == 1
    store.clock.advance(1.5)
    assert await store.history.append("tg:7", "assistant", "b") == 2
    assert await store.history.append("tg:8", "user", "c") == 1
    first, second = await store.messages("tg:7")
    assert (first.seq, first.role, first.content, first.timestamp) == (1, "user", "a", "2026-04-17T12:00:00Z")
    assert (second.seq, second.timestamp) == (2, "2026-04-17T12:00:01.500Z")
    assert (second.partial, second.run_id, second.extra) == (False, None, None)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T02:00:00.25+02:00", "2026-01-01T00:00:00.250Z"),
        (NOON + 1, "2026-04-17T12:00:00.001Z"),
        (None, "2026-04-17T12:00:00Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ],
)
async def test_a_time_that_is_given_is_kept(store: Remembered, given: Any, kept: str) -> None:
    await store.history.append("k", "user", "x", timestamp=given)
    (message,) = await store.messages("k")
    assert message.timestamp == kept


@pytest.mark.parametrize(
    "time",
    ["yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", 10**18, -(10**18), True, 1.5, [], ""],
)
async def test_a_time_that_is_none_is_refused(store: Remembered, time: Any) -> None:
    with pytest.raises(InvalidArgument, match="timestamp"):
        await store.history.append("k", "user", "x", timestamp=time)
    assert await store.messages("k") == []


async def test_everything_of_a_message_survives(store: Remembered) -> None:
    parts = [
        {"type": "text", "text": "é\0"},
        {"type": "image_url", "image_url": {"url": "data:x", "detail": 2**60}},
    ]
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    await store.history.append(
        "k", "user", parts, extra={"name": "bob\ud800", "tool_calls": calls}, run_id="r"
    )
    await store.history.append("k", "assistant", None, partial=True)
    await store.restart()
    first, second = await store.messages("k")
    assert first.content == [{"type": "text", "text": "é\ufffd"}, parts[1]]
    assert first.extra == {"name": "bob\ufffd", "tool_calls": calls}
    assert (first.run_id, second.content, second.partial) == ("r", None, True)


@pytest.mark.parametrize("key", BAD_KEYS)
async def test_a_bad_key_is_refused_everywhere(store: Remembered, key: str) -> None:
    calls = [
        store.history.append(key, "user", "x"),
        store.history.page(key),
        store.history.replace(key, []),
        store.history.clear(key),
        store.transfer.run(key, "a"),
        store.transfer.run("a", key),
        store.configuration.get(key, "k"),
        store.configuration.set(key, "k", "v"),
        store.configuration.set("a", key, "v"),
        store.configuration.delete(key, "k"),
        store.configuration.all(key),
        store.search.search("x", session_key=key),
        store.audit.of_session(key),
    ]
    for call in calls:
        with pytest.raises(InvalidArgument):
            await call
    assert await store.told("a") == []


@pytest.mark.parametrize("role", ["", None, 5])
async def test_a_message_needs_a_role(store: Remembered, role: Any) -> None:
    with pytest.raises(InvalidArgument, match="role"):
        await store.history.append("k", role, "x")


async def test_pages_go_back_from_the_newest(store: Remembered) -> None:
    for number in range(1, 8):
        await store.history.append("k", "user", number)
    page = await store.history.page("k", limit=3)
    assert ([message.seq for message in page.messages], page.before) == ([5, 6, 7], 5)
    page = await store.history.page("k", page.before, 3)
    assert ([message.seq for message in page.messages], page.before) == ([2, 3, 4], 2)
    page = await store.history.page("k", page.before, 3)
    assert ([message.seq for message in page.messages], page.before) == ([1], None)
    page = await store.history.page("k", 4, 3)
    assert ([message.seq for message in page.messages], page.before) == ([1, 2, 3], None)


@pytest.mark.parametrize(("before", "count"), [(1, 0), (0, 0), (-5, 0), (2, 1), (10**30, 1), (-(10**30), 0)])
async def test_before_may_be_any_number(store: Remembered, before: int, count: int) -> None:
    await store.history.append("k", "user", "x")
    assert len((await store.history.page("k", before)).messages) == count


async def test_pages_go_on_from_the_oldest(store: Remembered) -> None:
    for number in range(1, 8):
        await store.history.append("k", "user", number)
    page = await store.history.page("k", limit=3, after=0)
    assert ([message.seq for message in page.messages], page.after, page.before) == ([1, 2, 3], 3, None)
    page = await store.history.page("k", limit=4, after=3)
    assert ([message.seq for message in page.messages], page.after) == ([4, 5, 6, 7], None)
    for after in (7, 10**30):
        page = await store.history.page("k", after=after)
        assert (page.messages, page.after) == ([], None)
    assert len((await store.history.page("k", after=-5)).messages) == 7


async def test_a_page_that_is_read_forwards_is_never_large(store: Remembered) -> None:
    for size in (5_000_000, 1_500_000, 1_500_000, 1_500_000, 10):
        await store.history.append("k", "user", "x" * size)
    pages, after = [], 0
    while True:
        page = await store.history.page("k", limit=1000, after=after)
        pages.append([message.seq for message in page.messages])
        if page.after is None:
            break
        after = page.after
    assert pages == [[1], [2, 3], [4, 5]]


@pytest.mark.parametrize(
    "arguments",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": True},
        {"before": "1"},
        {"before": 1.0},
        {"after": "1"},
        {"after": 1, "before": 3},
    ],
)
async def test_a_page_that_is_none(store: Remembered, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        await store.history.page("k", **arguments)


async def test_replace_swaps_all_and_goes_on_counting(store: Remembered) -> None:
    for content in ("apples", "pears", "plums"):
        await store.history.append("k", "user", content)
    summary = {"role": "system", "content": "fruit salad", "timestamp": "2026-01-01T00:00:00Z"}
    assert await store.history.replace("k", [summary, {"role": "user", "content": "more"}]) == 2
    first, second = await store.messages("k")
    assert [(first.seq, first.timestamp), (second.seq, second.timestamp)] == [
        (4, "2026-01-01T00:00:00Z"),
        (5, "2026-04-17T12:00:00Z"),
    ]
    assert await store.found("apples") == []
    assert await store.found("salad") == [("k", 4)]
    assert await store.history.append("k", "user", "next") == 6


async def test_replace_takes_what_a_page_shows(store: Remembered) -> None:
    await store.history.append("k", "assistant", "x", extra={"name": "n"}, run_id="r", partial=True)
    (before,) = await store.messages("k")
    shown = {
        "seq": 1,
        "role": "assistant",
        "content": "x",
        "timestamp": before.timestamp,
        "partial": True,
        "runId": "r",
        "extra": {"name": "n"},
    }
    await store.history.replace("k", [shown])
    (after,) = await store.messages("k")
    assert (after.seq, after.extra, after.run_id, after.partial) == (2, before.extra, "r", True)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"role": ""},
        "x",
        {"role": "u", "content": b""},
        {"role": "u", "timestamp": "x"},
        {"role": "u", "extra": 5},
    ],
)
async def test_a_replacement_that_is_wrong_changes_nothing(store: Remembered, bad: Any) -> None:
    await store.history.append("k", "user", "x")
    with pytest.raises(InvalidArgument) as refused:
        await store.history.replace("k", [{"role": "user", "content": "y"}, bad])
    assert refused.value.path is not None
    assert refused.value.path.startswith("$.messages[1]")
    assert await store.contents("k") == ["x"]


async def test_clear(store: Remembered) -> None:
    await store.history.append("k", "user", "apples")
    await store.history.append("other", "user", "apples")
    assert await store.history.clear("k") == 1
    assert await store.contents("k") == []
    assert await store.found("apples") == [("other", 1)]
    assert await store.history.clear("k") == 0
    assert await store.history.append("k", "user", "y") == 2


async def test_a_replacement_that_breaks_leaves_everything_as_it_was(store: Remembered) -> None:
    for content in ("apples", "pears"):
        await store.history.append("k", "user", content)
    before = await store.messages("k"), await store.told("k")

    await store.database.write(
        lambda connection: refuse(connection, "INSERT", "messages", "new.content LIKE '%plums%'")
    )
    replacing = store.history.replace(
        "k", [{"role": "u", "content": "nuts"}, {"role": "u", "content": "plums"}]
    )
    neighbour = store.history.append("n", "user", "cherries")
    failure, seq = await asyncio.gather(replacing, neighbour, return_exceptions=True)
    assert isinstance(failure, StorageFailed)
    assert "disk refuses" in failure.message
    assert seq == 1
    assert (await store.messages("k"), await store.told("k")) == before
    assert await store.found("apples") == [("k", 1)]
    assert await store.found("nuts") == []
    assert await store.found("cherries") == [("n", 1)]
    assert await store.history.append("k", "user", "x") == 3


async def test_an_index_that_breaks_fails_the_append(store: Remembered) -> None:
    def break_index(connection: Connection) -> None:
        connection.execute(text("DROP TABLE message_words"))

    await store.database.write(break_index)
    with pytest.raises(StorageFailed, match="message_words"):
        await store.history.append("k", "user", "apples")
    assert await store.contents("k") == []
    await store.history.append("k", "user", "...")  # has no words, so it touches no index
    assert await store.contents("k") == ["..."]


async def test_what_fails_is_not_indexed(store: Remembered) -> None:
    stamp = Stamp(now=NOON, epoch="e")

    def fails(connection: Connection) -> None:
        append_in(connection, "k", prepare({"role": "user", "content": "ghost"}), stamp)
        raise InvalidArgument("no")

    failing = store.database.submit(fails)
    after = store.history.append("k", "user", "flesh")
    with pytest.raises(InvalidArgument):
        await failing
    assert await after == 1
    assert await store.found("ghost") == []
    assert await store.found("flesh") == [("k", 1)]


async def test_a_unit_sees_what_it_appended_and_removed(store: Remembered) -> None:
    """The index is written at the end of the transaction, in order: a message that comes and goes leaves nothing."""
    appended = store.history.append("k", "user", "apples")
    cleared = store.history.clear("k")
    again = store.history.append("k", "user", "pears")
    assert list(await asyncio.gather(appended, cleared, again)) == [1, 1, 2]
    assert await store.found("apples") == []
    assert await store.found("pears") == [("k", 2)]

    def left(connection: Connection) -> int:
        return int(connection.execute(text("SELECT count(*) FROM message_words")).scalar_one())

    assert await store.database.read(left) == 1


async def test_many_writers_one_order(store: Remembered) -> None:
    seen: list[tuple[int, str]] = []

    async def write(writer: int) -> None:
        for number in range(25):
            content = f"{writer}/{number}"
            seen.append((await store.history.append("k", "user", content), content))

    await asyncio.gather(*(write(writer) for writer in range(20)))
    stored = [(message.seq, message.content) for message in await store.messages("k")]
    assert stored == sorted(seen)
    assert [seq for seq, _ in stored] == list(range(1, 501))


async def test_a_session_has_one_owner(store: Remembered) -> None:
    await store.history.append("k", "user", "x")
    await store.history.append("k", "user", "x", owner="ann", project="p")
    await store.history.append("k", "user", "x", project="q")
    with pytest.raises(SessionNotFound):
        await store.history.append("k", "user", "x", owner="bob")
    assert await store.history.append("k", "user", "x", owner="ann") == 4
    stored = await store.database.read(lambda connection: sessions.look(connection, "k"))
    assert stored is not None
    assert (stored.owner, stored.project, stored.messages, stored.created_at) == ("ann", "q", 4, NOON)
    assert await store.database.read(lambda connection: sessions.look(connection, "unknown")) is None


async def test_what_was_deferred_runs_in_order(store: Remembered) -> None:
    def unit(connection: Connection) -> int:
        for name in ("a", "b"):
            pending.defer(connection, "INSERT INTO facts (name, value) VALUES (?, '')", (name,))
        pending.defer(connection, "DELETE FROM facts WHERE name = ?", ("a",))
        pending.defer(connection, "INSERT INTO facts (name, value) VALUES (?, '')", ("c",))
        return len(driver.rows(connection, "SELECT name FROM facts", ()))

    def names(connection: Connection) -> list[str]:
        return list(connection.execute(text("SELECT name FROM facts ORDER BY name")).scalars())

    assert await store.database.write(unit) == 0
    assert await store.database.read(names) == ["b", "c"]
