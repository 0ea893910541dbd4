"""Getting sessions: single flight, contexts, rebuilds (behaviours/router.md, decisions 1, 2, 10, 13 and 15)."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import InvalidArgument, SessionUnavailable, ShuttingDown
from core.router import Context, kind_of
from tests.router.fakes import House, settle


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("always-on/x", "always_on"),
        ("always-on:x", "user"),
        ("Always-on/x", "user"),
        ("cron:t", "cron"),
        ("cron/t", "user"),
        ("web:u", "user"),
    ],
)
def test_the_prefix_of_a_key_says_its_kind(key: str, kind: str) -> None:
    assert kind_of(key) == kind


@pytest.mark.parametrize(
    ("current", "project", "channel", "merged"),
    [
        (("pA", "web"), None, "cli", ("pA", "cli")),
        (("pA", "web"), "pB", "", ("pA", "web")),
        ((None, "web"), "pB", "web", ("pB", "web")),
        ((None, ""), "", "", (None, "")),
    ],
)
def test_the_first_project_and_the_last_channel_win(
    current: tuple[str | None, str], project: str | None, channel: str, merged: tuple[str | None, str]
) -> None:
    context = Context("s", *current).merged(project, channel)
    assert (context.project, context.channel) == merged


async def test_fifty_at_once_build_one() -> None:
    house = House()
    calls = (
        house.router.get_or_create("s", project=f"p{number}" if number else None, channel=f"c{number}")
        for number in range(50)
    )
    entries = await asyncio.gather(*calls)
    assert house.factory.creates == 1
    assert house.factory.contexts == [Context("s", None, "c0")]
    assert {(entry.generation, entry.project, entry.channel) for entry in entries} == {(1, "p1", "c49")}
    assert len({id(entry.session) for entry in entries}) == 1
    assert await house.changes() == ["created s#1"]


async def test_a_failing_build_fails_all_who_wait_and_is_tried_again() -> None:
    house = House()
    house.factory.fail_next.add("create")
    calls = [house.router.get_or_create("s", project="lost") for _ in range(5)]
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(failure) for failure in failures] == [SessionUnavailable] * 5
    entry = await house.router.get_or_create("s", project="kept")
    assert (entry.generation, entry.project, house.factory.creates) == (1, "kept", 2)


async def test_a_caller_who_leaves_takes_nobody_along() -> None:
    house = House()
    house.factory.gate = asyncio.Event()
    first = asyncio.create_task(house.router.get_or_create("s"))
    second = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    first.cancel()
    house.factory.gate.set()
    assert (await second).generation == 1
    assert first.cancelled()


async def test_an_empty_key_is_refused_everywhere() -> None:
    router = House().router
    with pytest.raises(InvalidArgument):
        await router.get_or_create("")
    with pytest.raises(InvalidArgument):
        router.begin_turn("", "r")
    with pytest.raises(InvalidArgument):
        router.end_turn("", "r")
    with pytest.raises(InvalidArgument):
        await router.abort("")
    with pytest.raises(InvalidArgument):
        await router.close("")


async def test_nothing_is_told_when_nothing_changed() -> None:
    house = House()
    await house.router.get_or_create("s", project="p", channel="c")
    await house.router.get_or_create("s", project="q", channel="c")
    await house.router.get_or_create("s", channel="d")
    assert await house.changes() == ["created s#1", "merged s#1"]


async def test_dirty_is_rebuilt_at_the_next_use_and_the_old_one_goes_after_it() -> None:
    house = House()
    old = (await house.router.get_or_create("s", project="p", channel="web")).session
    assert house.router.mark_dirty(session_key="s", reason="config_changed") == 1
    row = house.router.row("s")
    assert row is not None
    assert row.dirty == "config_changed"
    entry = await house.router.get_or_create("s", channel="cli")
    await settle()
    assert (entry.generation, entry.project, entry.channel) == (2, "p", "cli")
    assert house.factory.contexts[-1] == Context("s", "p", "cli")
    assert house.factory.previous == [old]
    assert house.factory.log == ["evicted s", "dispose s#1"]
    assert [(each.generation, each.snapshot.dirty) for each in house.evictions] == [(1, "config_changed")]
    assert await house.changes() == ["created s#1", "marked_dirty s#1", "rebuilt s#2"]
    assert (await house.router.get_or_create("s")).generation == 2


async def test_a_failing_rebuild_harms_nothing() -> None:
    house = House()
    old = (await house.router.get_or_create("s", channel="web")).session
    house.router.mark_dirty(all=True)
    house.factory.fail_next.add("recreate")
    with pytest.raises(SessionUnavailable):
        await house.router.get_or_create("s", project="p", channel="cli")
    row = house.router.row("s")
    assert row is not None
    assert (row.dirty, row.project, row.channel, row.generation) == ("runtime_changed", None, "web", 1)
    assert (house.gone(), old.disposed) == ([], 0)
    assert (await house.router.get_or_create("s")).generation == 2
    assert house.gone() == [("s", "dirty_recreate")]


async def test_a_session_whose_rebuild_failed_idles_like_any_other() -> None:
    house = House(idle_seconds=10)
    await house.router.get_or_create("s")
    house.router.mark_dirty(session_key="s")
    house.factory.fail_next.add("recreate")
    with pytest.raises(SessionUnavailable):
        await house.router.get_or_create("s")
    house.clock.advance(10.001)
    assert house.router.count() == 0


async def test_only_the_first_call_of_the_run_in_the_slot_has_it_rebuilt() -> None:
    house = House()
    await house.router.get_or_create("s")
    house.router.begin_turn("s", "r1")
    house.router.mark_dirty(session_key="s")
    assert (await house.router.get_or_create("s")).generation == 1
    assert (await house.router.get_or_create("s", run_id="r2")).generation == 1
    assert (await house.router.get_or_create("s", run_id="r1")).generation == 2
    house.router.mark_dirty(session_key="s")
    assert (await house.router.get_or_create("s", run_id="r1")).generation == 2
    house.router.end_turn("s", "r1")
    assert (await house.router.get_or_create("s")).generation == 3


async def test_who_does_not_hold_the_slot_gets_the_old_one_during_a_rebuild() -> None:
    house = House()
    await house.router.get_or_create("s")
    house.router.mark_dirty(session_key="s")
    house.factory.gate = asyncio.Event()
    rebuilding = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    joining = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    assert house.router.begin_turn("s", "r1")
    assert (await house.router.get_or_create("s", channel="old")).generation == 1
    turn = asyncio.create_task(house.router.get_or_create("s", run_id="r1"))
    await settle()
    assert not turn.done()
    house.factory.gate.set()
    assert {entry.generation for entry in await asyncio.gather(rebuilding, joining, turn)} == {2}
    assert (await turn).channel == "old"
    assert house.factory.recreates == 1


async def test_the_last_channel_wins_also_over_a_rebuild() -> None:
    house = House()
    await house.router.get_or_create("s", channel="web")
    house.router.mark_dirty(session_key="s")
    house.factory.gate = asyncio.Event()
    rebuilding = asyncio.create_task(house.router.get_or_create("s", channel="cli"))
    await settle()
    house.router.begin_turn("s", "r1")
    assert (await house.router.get_or_create("s", channel="chat")).generation == 1
    house.factory.gate.set()
    entry = await rebuilding
    assert (entry.generation, entry.channel) == (2, "chat")


async def test_a_turn_whose_rebuild_failed_goes_on_with_the_old_one() -> None:
    house = House()
    await house.router.get_or_create("s")
    house.router.begin_turn("s", "r1")
    house.router.mark_dirty(session_key="s")
    house.factory.fail_next.add("recreate")
    with pytest.raises(SessionUnavailable):
        await house.router.get_or_create("s", run_id="r1")
    assert (await house.router.get_or_create("s", run_id="r1")).generation == 1
    house.router.end_turn("s", "r1")
    assert (await house.router.get_or_create("s")).generation == 2


async def test_a_mark_made_during_a_build_is_kept() -> None:
    house = House()
    house.factory.gate = asyncio.Event()
    creating = asyncio.create_task(house.router.get_or_create("s", project="p"))
    await settle()
    assert house.router.count() == 0
    assert house.router.list().sessions == []
    assert house.router.mark_dirty(project="q") == 0
    assert house.router.mark_dirty(project="p", reason="first") == 0
    house.factory.gate.set()
    assert (await creating).generation == 1
    row = house.router.row("s")
    assert row is not None
    assert row.dirty == "first"
    house.factory.gate = asyncio.Event()
    rebuilding = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    assert house.router.mark_dirty(session_key="s", reason="second") == 1
    house.factory.gate.set()
    assert (await rebuilding).generation == 2
    row = house.router.row("s")
    assert row is not None
    assert row.dirty == "second"


async def test_marks_are_counted_by_target() -> None:
    house = House()
    for key, project in (("a", "A"), ("b", "B"), ("c", "A"), ("d", None)):
        await house.router.get_or_create(key, project=project)
    assert house.router.mark_dirty(project="A") == 2
    assert house.router.mark_dirty(project="A") == 2
    assert house.router.mark_dirty(project="none") == 0
    assert house.router.mark_dirty(session_key="nope") == 0
    assert house.router.mark_dirty(all=True, reason="runtime_changed") == 4
    marked = [change for change in await house.changes() if change.startswith("marked")]
    assert marked == ["marked_dirty a#1", "marked_dirty c#1", "marked_dirty b#1", "marked_dirty d#1"]


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"session_key": ""},
        {"project": ""},
        {"session_key": "s", "all": True},
        {"session_key": "s", "project": "p"},
    ],
)
async def test_a_mark_needs_exactly_one_target(target: dict[str, str | bool]) -> None:
    with pytest.raises(InvalidArgument):
        House().router.mark_dirty(**target)  # type: ignore[arg-type]


async def test_a_mark_can_be_taken_back() -> None:
    house = House()
    await house.router.get_or_create("s")
    assert not house.router.clear_dirty("s")
    house.router.mark_dirty(all=True)
    assert not house.router.clear_dirty("s", 2)
    assert house.router.clear_dirty("s", 1)
    assert not house.router.clear_dirty("nope")
    assert (await house.router.get_or_create("s")).generation == 1


async def test_a_mark_made_during_a_build_can_be_taken_back() -> None:
    house = House()
    house.factory.gate = asyncio.Event()
    creating = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    house.router.mark_dirty(session_key="s")
    assert not house.router.clear_dirty("s", 1)
    assert house.router.clear_dirty("s")
    assert not house.router.clear_dirty("s")
    house.factory.gate.set()
    await creating
    assert (await house.router.get_or_create("s")).generation == 1
    house.router.mark_dirty(session_key="s")
    house.factory.gate = asyncio.Event()
    rebuilding = asyncio.create_task(house.router.get_or_create("s"))
    await settle()
    house.router.mark_dirty(session_key="s")
    assert house.router.clear_dirty("s", 1)
    house.factory.gate.set()
    assert (await rebuilding).generation == 2
    assert (await house.router.get_or_create("s")).generation == 2


async def test_a_generation_belongs_to_a_key_and_is_never_used_again() -> None:
    house = House()
    for generation in (1, 2):
        assert (await house.router.get_or_create("s")).generation == generation
        await house.router.close("s")
    house.factory.fail_next.add("create")
    with pytest.raises(SessionUnavailable):
        await house.router.get_or_create("s")
    assert (await house.router.get_or_create("s")).generation == 3
    assert (await house.router.get_or_create("t")).generation == 1


async def test_lists_page_by_created_order() -> None:
    house = House()
    for key in "abcde":
        await house.router.get_or_create(key, project="A" if key in "ace" else "B")
    house.factory.built[0].text = "first"
    house.factory.built[2].text = ""
    page = house.router.list("A", 1)
    assert [(each.session_key, each.summary, each.project_key) for each in page.sessions] == [
        ("a", "first", "A")
    ]
    await house.router.close("a")
    house.router.mark_dirty(session_key="c")
    await house.router.get_or_create("c")
    page = house.router.list("A", 2, page.next_cursor)
    assert [(each.session_key, each.summary, each.generation) for each in page.sessions] == [
        ("c", "c", 2),
        ("e", "e", 1),
    ]
    assert page.next_cursor is None
    await house.router.get_or_create("a", project="A")
    assert [each.session_key for each in house.router.list().sessions] == ["b", "c", "d", "e", "a"]
    assert house.router.list("nope", 3).sessions == []


async def test_pages_neither_repeat_nor_hide_others_while_sessions_come_and_go() -> None:
    house = House()
    for key in "abcdefg":
        await house.router.get_or_create(key)
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = house.router.list(None, 2, cursor)
        seen += [each.session_key for each in page.sessions]
        if (cursor := page.next_cursor) is None:
            break
        await house.router.close(seen[-1])
        await house.router.close("e")
        house.router.mark_dirty(session_key="a")
        await house.router.get_or_create("a")
    assert seen == ["a", "b", "c", "d", "f", "g"]


async def test_a_list_neither_sweeps_nor_uses() -> None:
    house = House(idle_seconds=10)
    await house.router.get_or_create("s")
    house.clock.advance(11)
    assert len(house.router.list().sessions) == 1
    assert house.router.count() == 0


@pytest.mark.parametrize(
    ("limit", "cursor"), [(0, None), (-1, None), (1, "x"), (1, "-1"), (1, "1.5"), (1, "٣")]
)
async def test_a_list_refuses_what_makes_no_sense(limit: int, cursor: str | None) -> None:
    with pytest.raises(InvalidArgument):
        House().router.list(None, limit, cursor)


async def test_after_shutdown_there_is_nothing_more() -> None:
    house = House()
    await house.router.shutdown()
    with pytest.raises(ShuttingDown):
        await house.router.get_or_create("s")
    assert not house.router.begin_turn("s", "r")
