"""The console with real keys: the messages of a session, page by page, folded and unfolded."""

from __future__ import annotations

import pytest

from console.panes.pages import MOST, PAGE
from console.screens.conversation import Conversation
from core.protocol import Message, RunChanged
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import AT, a_run, a_session

KEY = "api:ann/1"


def a_message(seq: int, text: str | None = None) -> Message:
    return Message(seq=seq, role="user", content=text or f"message {seq:04}.", timestamp=AT)


def a_house(count: int = 250, **texts: str) -> FakeCore:
    core = FakeCore(a_session(KEY, run_id="run-1"), a_run("run-1", session_key=KEY))
    core.messages[KEY] = [a_message(n, texts.get(f"m{n}")) for n in range(1, count + 1)]
    return core


async def look_in(console: Opened) -> Conversation:
    await console.press("3", "enter")
    await console.sees("message ")
    return console.app.screen.query_one(Conversation)


def long(lines: int) -> str:
    return "\n".join(f"line {n}." for n in range(1, lines + 1))


# -------------------------------------------------------------------------------------------------------------- pages


async def test_at_the_top_the_page_before_is_loaded_and_the_place_kept() -> None:
    core = a_house()
    async with opened(core) as console:
        await look_in(console)
        await console.sees("message 0250.")
        assert core.histories == [(None, None)]
        await console.press("home")
        await console.until(lambda: core.histories[-1] == (151, None))
        await console.sees("message 0150.")
        screen = console.screen()
        assert "▸ 12:00:00 user      message 0151." in screen
        assert "message 0149." not in screen
        await console.press("up")
        await console.sees("▸ 12:00:00 user      message 0150.")


async def test_it_says_that_it_loads_and_where_the_beginning_is() -> None:
    core = a_house(120)
    async with opened(core) as console:
        await look_in(console)
        core.slow.clear()
        await console.press("home")
        await console.sees("loading older …")
        core.slow.set()
        await console.sees("message 0020.")
        await console.press("home")
        await console.sees("this is the beginning")
        await console.press("up", "up")
        assert core.histories == [(None, None), (21, None)]


async def test_a_page_that_cannot_be_read_is_told_and_the_same_key_tries_again() -> None:
    core = a_house()
    async with opened(core) as console:
        await look_in(console)
        core.down = True
        await console.press("home")
        await console.sees("older messages cannot be loaded: connection refused")
        assert "message 0151." in console.screen()
        core.down = False
        await console.press("up")
        await console.sees("message 0150.")


async def test_only_so_many_are_held_and_what_was_let_go_comes_again() -> None:
    core = a_house(10 * PAGE)
    async with opened(core) as console:
        view = await look_in(console)
        while "this is the beginning" not in console.screen():
            await console.press("home")
            await console.pilot.pause(0.02)
        held = view._pages.messages
        assert len(held) == MOST
        assert held[0].seq == 1
        for _ in range(80):
            await console.press("pagedown")
            await console.pilot.pause(0.02)
            if "message 1000." in console.screen():
                break
        await console.sees("message 1000.")
        assert len(view._pages.messages) <= MOST
        assert view._pages.after is None


async def test_new_messages_come_at_the_end_and_who_reads_older_ones_is_left_alone() -> None:
    core = a_house(60)
    async with opened(core) as console:
        await look_in(console)
        await console.press("home")
        await console.sees("message 0001.")
        core.messages[KEY].append(a_message(61))
        ended = a_run("run-1", session_key=KEY, state="completed", ended_at=AT)
        core.happen(RunChanged(what="ended", run=ended))
        await console.until(lambda: len(core.histories) == 2)
        assert "▸ 12:00:00 user      message 0001." in console.screen()
        await console.press("end")
        await console.sees("message 0061.")


async def test_what_cannot_be_read_at_all_is_told() -> None:
    core = a_house()
    async with opened(core) as console:
        core.down = True
        await console.press("3", "enter")
        await console.sees("cannot be shown: connection refused")
        await console.press("home", "space", "a")
        core.down = False
        await console.press("up")
        await console.sees("message 0250.")


async def test_the_end_is_that_of_the_session_however_far_away() -> None:
    core = a_house(10 * PAGE)
    async with opened(core) as console:
        view = await look_in(console)
        while view._pages.after is None:
            await console.press("home")
            await console.pilot.pause(0.02)
        asked = len(core.histories)
        core.down = True
        await console.press("end")
        await console.sees("newer messages cannot be loaded: connection refused")
        core.down = False
        await console.press("end")
        await console.sees("message 1000.")
        assert core.histories[asked:] == [(None, None)]
        assert "▸ 12:00:00 user      message 1000." in console.screen()


async def test_with_the_link_what_is_shown_is_dimmed_and_lit_again() -> None:
    core = a_house(3)
    async with opened(core) as console:
        view = await look_in(console)
        core.down = True
        await console.until(lambda: view._stale)
        core.down = False
        await console.until(lambda: not view._stale)


async def test_a_session_without_messages_says_so() -> None:
    core = a_house(0)
    async with opened(core) as console:
        await console.press("3", "enter")
        await console.sees("no messages yet")
        await console.press("up", "down", "pageup", "space")
        await console.sees("there is no message here to fold")


# -------------------------------------------------------------------------------------------------------------- folds


async def test_a_long_message_is_folded_and_unfolds_where_it_is() -> None:
    core = a_house(5, m3=long(100))
    async with opened(core) as console:
        await look_in(console)
        await console.sees("… 90 more lines, space unfolds")
        await console.press("up", "up")
        await console.sees("▸ 12:00:00 user      line 1.")
        row = console.screen().split("\n").index
        before = next(line for line in console.screen().split("\n") if "line 1." in line)
        at = row(before)
        await console.press("space")
        await console.sees("line 11.")
        assert "line 1." in console.screen().split("\n")[at]
        assert "more lines" not in console.screen()
        await console.press("space")
        await console.sees("… 90 more lines")
        assert "line 1." in console.screen().split("\n")[at]


async def test_all_are_unfolded_and_folded_with_one_key() -> None:
    core = a_house(3, m2=long(30), m3=long(40))
    async with opened(core, size=(80, 40)) as console:
        await look_in(console)
        await console.sees("… 30 more lines")
        assert "… 20 more lines" in console.screen()
        await console.press("a")
        await console.until(lambda: "more lines" not in console.screen())
        assert "all messages are unfolded" in console.screen()
        await console.press("a")
        await console.sees("… 30 more lines")


async def test_a_short_one_has_nothing_to_unfold_and_other_parts_have_no_folds() -> None:
    async with opened(a_house(3)) as console:
        await look_in(console)
        assert "space fold  a all" in console.screen()
        await console.press("space")
        await console.sees("this message is short")
        await console.press("4")
        assert "space fold" not in console.screen()
        await console.press("space")
        await console.sees("only messages are folded")


async def test_one_reads_through_an_unfolded_one_line_by_line() -> None:
    core = a_house(3, m2=long(60))
    async with opened(core) as console:
        await look_in(console)
        await console.press("home", "down", "space")
        await console.sees("line 1.")
        for _ in range(60):
            await console.press("down")
        await console.sees("▸ 12:00:00 user      message 0003.")


@pytest.mark.parametrize("key", ["space", "a"])
async def test_a_megabyte_is_folded_and_unfolded(key: str) -> None:
    core = a_house(3, m2="many words " * 100_000)
    async with opened(core) as console:
        await look_in(console)
        await console.sees("more lines, space unfolds")
        await console.press("up", key)
        await console.until(lambda: "more lines" not in console.screen())
        await console.press("pagedown", "pagedown", "end", "up")
        await console.sees("message 0003.")
