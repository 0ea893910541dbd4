"""The palette with real keys: everything that can be done here, found by its name."""

from __future__ import annotations

import asyncio

import pytest
from textual import events

from console.keymap import keymap
from console.panes.finder import MOST
from console.screens.ask import AskScreen
from console.screens.main import MainScreen
from console.screens.menu import Menu
from console.screens.palette import PaletteScreen
from console.screens.session import SessionScreen
from core.protocol import AbortRun, MarkDirty, RunGone, SessionGone
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_cost, a_pin, a_queue, a_run, a_seat, a_session


def a_house() -> FakeCore:
    return FakeCore(
        a_queue("gpt"),
        a_queue("claude", waiting=3),
        a_seat("ann", model="gpt", state="active"),
        a_session("api:ann/1", run_id="run-1", generation=4),
        a_session("api:bob/2"),
        a_pin("api:old/9"),
        a_run("run-1", session_key="api:ann/1", user_id="ann", model="gpt", state="running", ended_at=None),
        a_run(
            "run-2", session_key="api:bob/2", user_id="bob", model="claude", state="running", ended_at=None
        ),
        a_cost(scope="user", key="carl"),
    )


async def palette(console: Opened, text: str = "", key: str = "colon") -> PaletteScreen:
    await console.press(key)
    await console.until(lambda: isinstance(console.app.screen, PaletteScreen))
    await console.press(*("space" if char == " " else char for char in text))
    screen = console.app.screen
    assert isinstance(screen, PaletteScreen)
    await console.until(lambda: screen._query == text and screen._finding.done)
    return screen


def listed(screen: PaletteScreen) -> list[tuple[str, str]]:
    return [(entry.kind, entry.id) for entry in screen._finding.found()]


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_it_lists_what_can_be_done_with_its_keys_and_reasons(key: str) -> None:
    async with opened(a_house(), size=(120, 60)) as console:
        await console.press("1")
        screen = await palette(console, key=key)
        await console.sees("nothing to undo")
        shown = console.screen()
        assert "2  runs" in shown
        assert "X  abort" in shown
        assert "✗ no run here to abort" in shown
        assert ("action", "palette") not in listed(screen)
        assert ("pane", "cost") in listed(screen)
        assert not [kind for kind, _ in listed(screen) if kind in ("session", "run", "user", "model")]


async def test_an_act_hits_the_row_that_the_cursor_was_on_when_it_was_opened() -> None:
    core = a_house()
    async with opened(core) as console:
        await console.press("down")
        before = console.cursor
        await palette(console, "abort")
        await console.sees(f"on run {before}")
        main = console.app.screen_stack[1]
        assert isinstance(main, MainScreen)
        main.model.move(1 if main.model.position == 0 else -1)
        assert console.cursor != before
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, AskScreen))
        await console.press("right", "enter")
        await console.until(lambda: core.executed)
        (command,) = core.executed
        assert isinstance(command, AbortRun)
        assert command.run_id == before


async def test_an_act_on_a_row_that_has_gone_meanwhile_hits_no_other() -> None:
    core = a_house()
    async with opened(core) as console:
        await console.press("3")
        before = console.cursor
        await palette(console, "dirty")
        core.happen(SessionGone(session_key=before, generation=4, reason="operator"))
        await console.until(lambda: console.cursor is None)
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, Menu))
        await console.press("o")
        await console.until(lambda: core.executed)
        (command,) = core.executed
        assert isinstance(command, MarkDirty)
        assert command.session_key == before


async def test_what_is_refused_says_why_and_does_nothing() -> None:
    core = a_house()
    async with opened(core, read_only=True, size=(120, 50)) as console:
        screen = await palette(console, "abort")
        assert listed(screen)[0] == ("action", "abort")
        await console.press("enter")
        await console.sees("read-only: this console only looks  ")
        assert console.app.screen is screen
        await console.press("escape")
        await console.leaves(screen)
        assert core.executed == []


async def test_it_does_what_a_key_that_looks_does() -> None:
    async with opened(a_house()) as console:
        screen = await palette(console, "reverse")
        await console.press("enter")
        await console.leaves(screen)
        main = console.app.screen_stack[1]
        assert isinstance(main, MainScreen)
        assert main.model.descending
        await palette(console, "find")
        await console.press("enter")
        await console.sees("Type words")


async def test_panes_are_found_from_everywhere() -> None:
    async with opened(a_house()) as console:
        await palette(console, "strikes")
        await console.press("enter")
        await console.sees("▸4 strikes")
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await palette(console, "pane journal")
        await console.press("enter")
        await console.sees("▸6 journal")
        assert isinstance(console.app.screen, MainScreen)


async def test_a_session_opens_and_escape_comes_back_to_where_one_was() -> None:
    async with opened(a_house()) as console:
        await console.press("4")
        screen = await palette(console, "bob")
        assert listed(screen)[:2] == [("user", "bob"), ("session", "api:bob/2")]
        await console.press("down", "enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await console.sees("api:bob/2")
        screen = await palette(console, "old")
        await console.press("enter")
        await console.until(lambda: "api:old/9" in console.screen())
        for _ in range(2):
            opened_one = console.app.screen
            await console.press("escape")
            await console.leaves(opened_one)
        await console.sees("▸4 strikes")


async def test_a_run_opens_at_its_events() -> None:
    async with opened(a_house()) as console:
        await palette(console, "run-2")
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await console.sees("▸2 run events")
        await console.sees("api:bob/2")


async def test_a_run_that_has_gone_meanwhile_is_told() -> None:
    core = a_house()
    async with opened(core) as console:
        screen = await palette(console, "run-2")
        core.happen(RunGone(run_id="run-2", session_key="api:bob/2"))
        await console.until(lambda: "run-2" not in console.app.desk.cores[0].state.rows.runs)
        await console.press("enter")
        await console.leaves(screen)
        await console.sees("run run-2 is gone")


async def test_a_user_leads_to_their_sessions_and_escape_comes_back_with_the_filter() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "slash", *"bob", "enter", "2", "end")
        before = console.cursor
        await palette(console, "user ann")
        await console.press("enter")
        await console.sees('/session:"ann"')
        await console.sees("1 shown of 2")
        await console.press("escape")
        await console.sees("▸2 runs")
        assert console.cursor == before
        await console.press("3")
        await console.sees("/bob")


async def test_a_model_leads_to_its_queue() -> None:
    async with opened(a_house()) as console:
        await palette(console, "claude")
        await console.press("enter")
        await console.sees("▸1 queues")
        assert console.cursor == "claude"
        await console.press("escape")
        await console.sees("▸2 runs")


async def test_what_is_typed_at_once_is_the_palettes() -> None:
    core = a_house()
    async with opened(core) as console:
        focused = console.app.focused
        assert focused is not None
        for key in (events.Key(":", ":"), *(events.Key(char, char) for char in "XCq")):
            focused.post_message(key)
        await console.pilot.press(*"!sD")
        await console.sees("XCq!sD")
        await console.sees("nothing here is called so")
        await console.press("enter")
        assert isinstance(console.app.screen, PaletteScreen)
        assert core.executed == []


async def test_a_name_and_enter_typed_at_once_do_what_was_typed() -> None:
    async with opened(a_house()) as console:
        focused = console.app.focused
        assert focused is not None
        for key in (events.Key(":", ":"), *(events.Key(char, char) for char in "journal")):
            focused.post_message(key)
        await console.pilot.press("enter")
        await console.sees("▸6 journal")


async def test_among_many_sessions_enter_waits_for_the_best() -> None:
    core = FakeCore(*(a_session(f"api:user-{n}/x-ann") for n in range(5_000)), a_session("ann"))
    async with opened(core) as console:
        await console.press("colon")
        await console.until(lambda: isinstance(console.app.screen, PaletteScreen))
        await console.press(*"ann", "enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        opened_one = console.app.screen
        assert isinstance(opened_one, SessionScreen)
        assert opened_one.session_key == "ann"
        await console.press("escape")
        screen = await palette(console, "session ann")
        assert len(listed(screen)) == MOST


async def test_strangers_names_are_shown_as_text() -> None:
    core = FakeCore(
        a_session("api:\x1b[31mred\u202e/[bold]x"), a_seat("\x1b]0;evil\x07", model="gpt", state="active")
    )
    async with opened(core, size=(120, 40)) as console:
        await palette(console, "red")
        await console.sees("api:␛[31mred�/[bold]x")
        await console.press("escape")
        await palette(console, "evil")
        await console.sees("␛]0;evil␇")
        await console.press("enter")
        await console.sees('/session:"]0;evil"')


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (20, 5), (200, 60)])
async def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    async with opened(a_house(), size=size, wait=False) as console:
        screen = await palette(console, "a")
        await console.press("down", "pagedown", "up", "pageup")
        assert len(console.screen().split("\n")) == size[1] + 1
        await console.press("escape")
        await console.leaves(screen)


async def test_its_keys_may_be_others() -> None:
    assert keymap({"palette": "h"}).find("session", "h", "h", acting=False)
    async with opened(a_house(), keys={"palette": "h"}) as console:
        await palette(console, "queues", key="h")
        await console.press("enter")
        await console.sees("▸1 queues")


async def test_escape_right_behind_the_key_leaves_all_as_it_was() -> None:
    core = a_house()
    async with opened(core) as console:
        for _ in range(3):
            focused = console.app.focused
            assert focused is not None
            for key in (
                events.Key(":", ":"),
                events.Key("a", "a"),
                events.Key("escape", None),
                events.Key("X", "X"),
            ):
                focused.post_message(key)
            await console.until(lambda: len(console.app.screen_stack) == 2)
            await console.pilot.pause(0.1)
        await console.press("3")
        await console.sees("▸3 sessions")
        assert core.executed == []


async def test_the_loop_is_given_back_between_the_steps_of_a_search() -> None:
    core = FakeCore(*(a_session(f"api:user-{n}/topic") for n in range(20_000)))
    async with opened(core) as console:
        screen = await palette(console)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while screen._query != "nobody" or not screen._finding.done:
                turns += screen._query == "nobody"
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        screen._field.value = "nobody"
        await counting
        await console.sees("nothing here is called so")
        # 20,000 names at 1,000 a step
        assert turns > 10


def at_once(console: Opened, text: str) -> None:
    """What a terminal sends in one go to the field that has the focus; the enter key is a line's end."""
    focused = console.app.focused
    assert focused is not None
    for char in text:
        focused.post_message(events.Key("enter", "\r") if char == "\n" else events.Key(char, char))


async def test_all_of_it_may_come_in_one_go_the_key_that_opens_it_and_enter() -> None:
    core = a_house()
    async with opened(core) as console:
        at_once(console, ":journal\n")
        await console.sees("▸6 journal")
        at_once(console, ":sessions\n")
        await console.sees("▸3 sessions")
        at_once(console, ":dirty\no")
        await console.until(lambda: core.executed)
        (marked,) = core.executed
        assert isinstance(marked, MarkDirty)
        assert marked.session_key is not None


async def test_what_is_typed_behind_enter_is_for_what_that_opens() -> None:
    core = a_house()
    async with opened(core) as console:
        await console.press("3")
        before = console.cursor
        await palette(console)
        at_once(console, "dirty\no")
        await console.until(lambda: core.executed)
        (command,) = core.executed
        assert isinstance(command, MarkDirty)
        assert command.session_key == before
        await palette(console)
        at_once(console, "find\nneedle")
        await console.sees("No message holds 'needle'")


async def test_what_is_typed_behind_enter_acts_on_nothing_where_nothing_opens() -> None:
    core = a_house()
    async with opened(core) as console:
        screen = await palette(console)
        at_once(console, "reverse\nXCE")
        await console.leaves(screen)
        await console.pilot.pause(0.2)
        assert isinstance(console.app.screen, MainScreen)
        await palette(console, "no such thing")
        await console.press("enter", *"x")
        await console.sees("no such thingx")
        assert core.executed == []
