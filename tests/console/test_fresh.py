"""A fresh house, in which nobody has come yet: what it offers, and the key that closes it for the sandbox."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from console.keymap import key_table_markdown
from console.panes.catalog import BEHIND, PANES
from console.panes.pane import Pane
from console.screens.ask import AskScreen
from core.protocol import AnyRow, RunChanged
from tests.console.fake_core import FakeCore
from tests.console.opened import opened
from tests.console.rows import a_cost, a_queue, a_run


@pytest.mark.parametrize("pane", [*PANES, *BEHIND.values()], ids=lambda pane: str(pane.id))
def test_what_an_empty_pane_says_fits_the_narrowest_terminal(pane: Pane[Any, Any]) -> None:
    assert [line for line in pane.empty if len(line) > 77] == []


async def test_every_pane_names_the_key_and_the_key_leaves() -> None:
    async with opened(FakeCore(), playable=True) as console:
        for key in "123456":
            await console.press(key)
            await console.sees("invented people first: press p")
            assert "p sandbox" in console.screen()
            assert "X abort" not in console.screen(), "there is nothing to act on"
            assert "q back/quit" in console.screen()
        await console.press("question_mark", "pagedown")
        await console.sees("Begin")
        await console.sees("p  sandbox     play: close this house")
        await console.press("escape")
        await console.press("p")
        await console.until(lambda: not console.app.is_running)
        assert console.app.play
        assert console.core.closed == 1


async def test_another_key_may_be_chosen_for_it() -> None:
    async with opened(FakeCore(), playable=True, keys={"sandbox": "ctrl+o"}) as console:
        await console.sees("press ctrl+o")
        await console.press("p")
        assert console.app.is_running
        await console.press("ctrl+o")
        await console.until(lambda: console.app.play)


async def test_who_only_quits_wants_no_sandbox() -> None:
    async with opened(FakeCore(), playable=True) as console:
        await console.press("q")
        await console.until(lambda: not console.app.is_running)
        assert not console.app.play


@pytest.mark.parametrize(
    ("row", "playable"),
    [(None, False), (a_run("r"), True), (a_cost("api:ann/1"), True), (a_queue(), True)],
    ids=["not ours", "a run", "a cost", "a queue"],
)
async def test_a_house_in_use_is_not_closed_for_it(row: AnyRow | None, playable: bool) -> None:
    core = FakeCore(*[row] if row else [])
    async with opened(core, playable=playable) as console:
        await console.press("p", "question_mark")
        await console.sees("Keys in the panes")
        assert "Begin" not in console.screen()
        await console.press("escape")
        assert "p sandbox" not in console.screen()
        assert "press p" not in console.screen()
        assert console.app.is_running
        assert not console.core.closed


async def test_the_first_who_comes_takes_the_offer_away() -> None:
    async with opened(FakeCore(), playable=True) as console:
        await console.sees("p sandbox")
        console.core.happen(RunChanged(what="started", run=a_run("run-1")))
        await console.sees("X abort")
        assert "p sandbox" not in console.screen()


async def test_a_turn_that_came_in_between_is_asked_about() -> None:
    async with opened(FakeCore(a_run("run-1")), playable=True) as console:
        play = console.app.desk.play
        assert play is not None
        play()
        await console.until(lambda: isinstance(console.app.screen, AskScreen))
        await console.press("escape")
        await console.until(lambda: not isinstance(console.app.screen, AskScreen))
        assert not console.app.play
        await console.press("q")
        await console.until(lambda: isinstance(console.app.screen, AskScreen))
        await console.press("right", "enter")
        await console.until(lambda: not console.app.is_running)
        assert not console.app.play, "who stayed, and then quit, wants to quit"


async def test_who_cuts_the_leaving_short_wants_no_sandbox() -> None:
    cut = asyncio.Event()

    async def let_go(now: bool) -> None:
        if now:
            cut.set()
        await cut.wait()

    async with opened(FakeCore(), playable=True, on_quit=let_go) as console:
        await console.press("p")
        await console.until(lambda: console.app.play)
        await console.press("ctrl+q")
        await console.until(lambda: not console.app.is_running)
        assert not console.app.play


def test_the_table_of_keys_says_when() -> None:
    (line,) = [line for line in key_table_markdown().splitlines() if "| sandbox |" in line]
    assert "while it is fresh" in line
