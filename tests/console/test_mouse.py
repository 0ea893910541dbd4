"""What the mouse does: whatever a key does, by a click on its name."""

from __future__ import annotations

from typing import Any

import pytest

from console.screens.main import MainScreen
from console.screens.session import SessionScreen
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_cost, a_run, a_session

LARGE = (140, 40)


def a_house() -> FakeCore:
    return FakeCore(
        a_session("api:ann/1", run_id="run-1"),
        a_run("run-1", last_seq=7),
        a_run("run-2", session_key="api:bob/2", user_id="bob", last_seq=9),
        a_cost(),
        a_cost("ann", scope="user"),
    )


def model(console: Opened) -> Any:
    main = console.app.screen_stack[1]
    assert isinstance(main, MainScreen)
    return main.model


async def click(console: Opened, text: str, *, line: int | None = None, **how: Any) -> None:
    """Click on a text, which stands once on the screen, or in that line."""
    await console.sees(text)
    lines = console.screen().split("\n")
    places = [(each.index(text), y) for y, each in enumerate(lines) if text in each and line in (None, y)]
    assert len(places) == 1, (text, places)
    (x, y) = places[0]
    await console.pilot.click(offset=(x + len(text) // 2, y), **how)
    await console.pilot.pause()


@pytest.mark.parametrize("pane", ["queues", "sessions", "strikes", "cost", "journal", "findings", "runs"])
async def test_a_tab_is_clicked(pane: str) -> None:
    async with opened(a_house(), size=LARGE) as console:
        await click(console, f" {pane}", line=1)
        assert model(console).pane.id == pane


async def test_a_key_in_the_footer_is_clicked() -> None:
    async with opened(a_house(), size=LARGE) as console:
        await click(console, "help", line=39)
        await console.sees("Keys in the panes")
        await console.press("escape")
        await click(console, "abort", line=39)
        await console.sees("Cancel")
        assert console.sent() == []
        await console.press("escape")
        await click(console, "open", line=39)
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await click(console, "run events", line=1)
        await console.sees("▸2 run events")
        await click(console, "back", line=39)
        await console.until(lambda: isinstance(console.app.screen, MainScreen))


async def test_the_headings_sort_and_turn_round() -> None:
    async with opened(a_house(), size=LARGE) as console:
        await click(console, "SEQ", line=2)
        assert (model(console).sort, model(console).descending) == ("seq", True)
        await console.sees("▾SEQ")
        await click(console, "SEQ", line=2)
        assert (model(console).sort, model(console).descending) == ("seq", False)
        await click(console, "SESSION", line=2)
        assert (model(console).sort, model(console).descending) == ("session", False)
        y = next(y for y, each in enumerate(console.screen().split("\n")) if "WHAT" in each)
        await click(console, "WHAT", line=y)
        assert model(console).sort == "session", "the journal below has an order of its own"


async def test_a_click_with_ctrl_marks() -> None:
    async with opened(a_house(), size=LARGE) as console:
        await click(console, "api:bob/2", control=True)
        assert list(model(console).marks) == ["run-2"]
        await click(console, "api:bob/2", control=True)
        assert list(model(console).marks) == []
        await click(console, "api:bob/2")
        assert (model(console).cursor, list(model(console).marks)) == ("run-2", [])


async def test_a_kind_of_costs_is_clicked() -> None:
    async with opened(a_house(), size=LARGE) as console:
        await console.press("5")
        await click(console, " user ", line=2)
        assert model(console).scope == "user"
        await click(console, " all ", line=2)
        assert model(console).scope == ""


async def test_what_does_nothing_does_nothing() -> None:
    async with opened(a_house(), size=LARGE, read_only=True) as console:
        await console.pilot.click(offset=(139, 39))
        await console.pilot.click(offset=(0, 0))
        await console.pilot.click(offset=(139, 1))
        assert model(console).pane.id == "runs"
        assert "abort" not in console.screen().split("\n")[39]
