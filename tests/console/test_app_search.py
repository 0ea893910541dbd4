"""The console with real keys: searching from anywhere, and looking at a hit in its session."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Input

from console.keymap import keymap
from console.screens.everywhere import EVERYWHERE
from console.screens.main import MainScreen
from console.screens.search import LIMIT, SearchScreen
from console.screens.session import SessionScreen
from core.clock import ManualClock
from core.protocol import Message
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import AT, a_run, a_session


def a_message(seq: int, text: str, role: str = "user") -> Message:
    return Message(seq=seq, role=role, content=text, timestamp=AT)


def a_house() -> FakeCore:
    core = FakeCore(a_session("api:ann/1", run_id="run-1"), a_session("api:bob/2"), a_run("run-1"))
    core.messages["api:ann/1"] = [
        a_message(n, "the needle of ann" if n == 150 else f"hay {n}", "assistant") for n in range(1, 400)
    ]
    core.messages["api:bob/2"] = [
        a_message(1, "a needle of bob"),
        a_message(2, "\x1b[2J needle\u202e three\nlines"),
        a_message(3, "Größe: deploy"),
    ]
    return core


async def search(console: Opened, query: str) -> None:
    await console.press("ctrl+f")
    await console.until(lambda: isinstance(console.app.screen, SearchScreen))
    await console.press(*query)


def underlined(console: Opened) -> list[str]:
    """What is underlined on the screen."""
    strips = console.app.screen._compositor.render_strips(console.app.size)
    return [
        segment.text for strip in strips for segment in strip if segment.style and segment.style.underline
    ]


async def test_what_is_typed_is_found_and_opened_at_its_message() -> None:
    async with opened(a_house(), size=(100, 24)) as console:
        await search(console, "needle ann")
        await console.sees("1/1 for needle ann")
        assert "assistant api:ann/1" in console.screen()
        assert underlined(console) == ["needle", "ann"]
        await console.press("enter")
        await console.sees("▸ 12:00:00 assistant the needle of ann")
        assert "message 150 of 2026-04-17" in console.screen()
        assert "hay 149" in console.screen()
        assert "hay 151" in console.screen()
        assert underlined(console) == ["needle", "ann"]


async def test_escape_comes_back_to_the_search_and_then_to_where_one_was() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "down")
        before = console.cursor
        await search(console, "needle")
        await console.sees("1/3 for needle")
        await console.press("down")
        await console.sees("2/3 for needle")
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        for key in ("escape", "ctrl+f", "q"):
            await console.until(lambda: isinstance(console.app.screen, SessionScreen))
            await console.press(key)
            await console.until(lambda: isinstance(console.app.screen, SearchScreen))
            await console.sees("2/3 for needle")
            assert console.app.screen.query_one(Input).value == "needle"
            await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await console.press("escape", "escape")
        await console.until(lambda: isinstance(console.app.screen, MainScreen))
        assert console.cursor == before
        assert "▸3 sessions" in console.screen()


async def test_it_opens_from_a_session_too() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await search(console, "groesse")
        await console.sees("No message holds 'groesse'.")
        await console.press(*["backspace"] * 7, *"GRÖßE")
        await console.sees("1/1 for GRÖßE")
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))


async def test_an_older_question_is_never_answered() -> None:
    core = a_house()
    async with opened(core) as console:
        await search(console, "bob")
        await console.sees("1/1 for bob")
        core.slow.clear()
        await console.press(*" nee")
        await console.until(lambda: "bob nee" in core.searched)
        await console.sees("◐ searching")
        assert "a needle of bob" in console.screen()
        await console.press(*"dle")
        core.slow.set()
        await console.sees("1/1 for bob needle")
        assert "No message" not in console.screen()
        assert core.searched[-1] == "bob needle"


async def test_an_answer_that_cannot_be_called_back_is_not_shown() -> None:
    core = a_house()
    async with opened(core) as console:
        await search(console, "bob")
        await console.sees("1/1 for bob")
        screen = console.app.screen
        assert isinstance(screen, SearchScreen)
        screen._asked = "other"
        await screen._search_for("ann", 0)
        await console.pilot.pause()
        assert "for ann" not in console.screen()
        assert "1/1 for bob" in console.screen()


async def test_it_waits_until_the_typing_rests() -> None:
    clock = ManualClock()
    core = FakeCore(a_session("api:bob/2"), clock=clock)
    core.messages["api:bob/2"] = [a_message(1, "a needle of bob")]
    async with opened(core, clock=clock) as console:
        await search(console, "needle of bob")
        await console.sees("◐ searching")
        clock.advance(0.1)
        await console.press(*["backspace"] * 4)
        clock.advance(0.1)
        await console.pilot.pause(0.05)
        assert core.searched == []
        clock.advance(0.1)
        await console.sees("1/1 for needle of")
        assert core.searched == ["needle of"]
        await console.press(*["backspace"] * 9, "space", "space")
        await console.sees("Type words")
        clock.advance(1)
        await console.pilot.pause(0.05)
        assert core.searched == ["needle of"]


@pytest.mark.parametrize(
    ("query", "told"),
    [("nobody said", "No message holds 'nobody said'."), ("!?", "'!?' holds no word")],
)
async def test_when_nothing_is_found_it_says_why(query: str, told: str) -> None:
    async with opened(a_house()) as console:
        await search(console, query)
        await console.sees(told)
        await console.press("enter", "down")
        assert isinstance(console.app.screen, SearchScreen)


async def test_trouble_is_told_and_enter_tries_again() -> None:
    core = a_house()
    async with opened(core) as console:
        core.down = True
        await search(console, "needle")
        await console.sees("Not searched: connection refused")
        core.down = False
        await console.press("enter")
        await console.sees("1/3 for needle")


async def test_enter_opens_no_hit_of_other_words_after_trouble_but_tries_again() -> None:
    core = a_house()
    async with opened(core) as console:
        await search(console, "needle")
        await console.sees("1/3 for needle")
        core.down = True
        await console.press(*" bob")
        await console.sees("✗ these are for needle; not searched")
        core.down = False
        await console.press("enter")
        await console.sees("1/1 for needle bob")
        assert isinstance(console.app.screen, SearchScreen)


async def test_hits_stay_when_the_core_is_lost_and_it_asks_again_when_it_is_back() -> None:
    core = a_house()
    async with opened(core) as console:
        await search(console, "needle")
        await console.sees("1/3 for needle")
        core.down = True
        await console.sees("✗ lost")
        await console.press(*" bob")
        await console.sees("✗ these are for needle; not searched: connection refused")
        assert "a needle of bob" in console.screen()
        core.down = False
        await console.sees("1/1 for needle bob")


async def test_more_hits_than_are_asked_for_are_told() -> None:
    core = a_house()
    core.messages["api:ann/1"] = [a_message(n, f"hay {n}") for n in range(1, LIMIT + 50)]
    async with opened(core) as console:
        await search(console, "hay")
        await console.sees(f"1/{LIMIT}+ for hay")
        await console.press(*["pagedown"] * 20)
        await console.sees(f"these are the best {LIMIT}")


async def test_what_strangers_said_is_shown_as_text() -> None:
    core = a_house()
    core.messages["api:\x1b]0;x\x07"] = [a_message(1, "needle \x1b[31m[bold]{x}\u2066")]
    async with opened(core) as console:
        await search(console, "needle")
        await console.sees("1/4 for needle")
        screen = console.screen()
        assert "␛[2J needle� three lines" in screen
        assert "api:␛]0;x␇" in screen
        assert "needle ␛[31m[bold]{x}�" in screen


async def test_nothing_acts_and_read_only_searches() -> None:
    core = a_house()
    async with opened(core, read_only=True) as console:
        await search(console, "needle")
        await console.sees("1/3 for needle")
    async with opened(core) as console:
        # at once, before the field has the focus
        await console.pilot.press("ctrl+f", *"XEDq!needle")
        await console.sees("XEDq!needle")
        assert isinstance(console.app.screen, SearchScreen)
        assert console.sent() == []


async def test_what_is_typed_before_the_screen_stands_is_for_it_and_in_order() -> None:
    core = a_house()
    async with opened(core) as console:
        focused = console.app.focused
        assert focused is not None
        early = [events.Key("ctrl+f", "\x06"), *(events.Key(char, char) for char in "XCq")]
        for key in early:  # a terminal gives them all at once, before any of them is worked off
            focused.post_message(key)
        await console.pilot.press(*"needle")
        await console.sees("XCqneedle")
        assert isinstance(console.app.screen, SearchScreen)
        assert console.sent() == []
        await console.press("escape")
        await console.press("q")
        await console.sees("in flight?")


async def test_a_message_that_is_gone_is_told() -> None:
    core = a_house()
    async with opened(core) as console:
        await search(console, "ann needle")
        await console.sees("1/1 for ann needle")
        core.messages["api:ann/1"] = core.messages["api:ann/1"][200:]
        await console.press("enter")
        await console.sees("message 150 is no longer there")


async def test_a_match_deep_in_a_long_message_is_in_sight() -> None:
    core = a_house()
    text = "\n".join(f"line {n}" for n in range(3_000)).replace("line 2345", "the pin")
    core.messages["api:bob/2"].append(a_message(9, text))
    async with opened(core) as console:
        await search(console, "pin")
        await console.sees("1/1 for pin")
        await console.press("enter")
        await console.sees("the pin")
        assert "line 2344" in console.screen()
        assert underlined(console) == ["pin"]
        await console.press("space")
        await console.sees("more lines, space unfolds")


async def test_the_mouse_chooses_and_opens() -> None:
    async with opened(a_house()) as console:
        await search(console, "needle")
        await console.sees("1/3 for needle")
        await console.pilot.click("#hits", offset=(10, 3))
        await console.sees("2/3 for needle")
        await console.pilot.click("#hits", offset=(10, 3), times=2)
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (20, 5), (200, 60)])
async def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    async with opened(a_house(), size=size, wait=False) as console:
        await search(console, "needle")
        await console.until(lambda: console.core.searched)
        await console.pilot.pause(0.3)
        await console.press("down", "pagedown", "up", "enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await console.press("space", "a", "up", "home", "pagedown", "end", "escape")
        assert len(console.screen().split("\n")) == size[1]
        assert isinstance(console.app.screen, SearchScreen)


async def test_opened_by_something_else_than_its_key_it_takes_what_is_typed() -> None:
    async with opened(a_house()) as console:
        await console.app.push_screen(SearchScreen(console.app.desk, EVERYWHERE))
        await console.press(*"needle")
        await console.sees("1/3 for needle")


async def test_its_key_may_be_another() -> None:
    assert keymap({"search": "h"}).find("session", "h", "h", acting=False)
    async with opened(a_house(), keys={"search": "h"}) as console:
        await console.press("h")
        await console.until(lambda: isinstance(console.app.screen, SearchScreen))
