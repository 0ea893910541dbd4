"""What stands beside the table: chosen by key, kept over a start, part of a view."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.panes.columns import Arrangement
from console.preferences import LAYOUTS, Layout, Preferences, keep_columns, keep_layout, recall
from console.screens.main import MainScreen
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_run, a_session

LARGE = (140, 40)
_SHOWN: dict[Layout, tuple[bool, bool]] = {
    "all": (True, True),
    "facts": (True, False),
    "journal": (False, True),
    "table": (False, False),
}


def a_house() -> FakeCore:
    return FakeCore(a_session(run_id="run-1"), a_run())


def beside(console: Opened) -> tuple[bool, bool]:
    """Whether the facts, and whether the journal."""
    main = console.app.screen_stack[1]
    assert isinstance(main, MainScreen)
    return bool(main.query_one("#facts").display), bool(main.query_one("#tail").display)


async def test_the_key_goes_round_and_a_start_later_it_is_so_again(tmp_path: Path) -> None:
    async with opened(a_house(), size=LARGE, folder=tmp_path) as console:
        assert beside(console) == (True, True)
        for layout in (*LAYOUTS[1:], LAYOUTS[0], LAYOUTS[1]):
            await console.press("l")
            assert beside(console) == _SHOWN[layout]
            await console.sees("beside the table: ")
            await console.until(lambda layout=layout: recall(tmp_path).preferences.layout == layout)  # type: ignore[misc]  # mypy sees no type in defaults
    async with opened(a_house(), size=LARGE, folder=tmp_path) as console:
        assert beside(console) == _SHOWN["facts"]


async def test_maximised_there_is_nothing_and_then_what_was_there() -> None:
    async with opened(a_house(), size=LARGE) as console:
        await console.press("l", "m")
        assert beside(console) == (False, False)
        await console.press("m")
        assert beside(console) == (True, False)
        await console.press("m", "l")
        assert beside(console) == (False, True), "who asks for something beside it wants to see that"


async def test_where_there_is_no_room_that_is_said() -> None:
    async with opened(a_house()) as console:
        await console.press("l")
        await console.sees("as soon as the terminal is large")
        assert beside(console) == (False, False)


async def test_a_view_brings_its_layout() -> None:
    async with opened(a_house(), size=LARGE) as console:
        await console.press("l", "l", "b", *"mine", "enter")
        await console.until(lambda: "mine" in console.app.desk.kept.views)
        await console.press("l")
        assert beside(console) == (False, False)
        await console.press("colon", *"mine", "enter")
        await console.until(lambda: beside(console) == (False, True))
        await console.press("escape")
        await console.until(lambda: beside(console) == (False, False))


async def test_a_layout_chosen_since_a_view_was_shown_stays_when_one_goes_back() -> None:
    async with opened(a_house(), size=LARGE) as console:
        await console.press("l", "b", *"mine", "enter")
        await console.until(lambda: "mine" in console.app.desk.kept.views)
        await console.press("l", "colon", *"mine", "enter")
        await console.until(lambda: beside(console) == (True, False))
        await console.sees(" › runs")
        await console.press("l", "l", "escape")
        await console.until(lambda: " › runs" not in console.screen())
        assert beside(console) == (False, False)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_and_columns_are_kept_beside_each_other(layout: Layout, tmp_path: Path) -> None:
    chosen = {"runs": Arrangement(hidden=("seq",))}
    assert keep_columns(tmp_path, chosen) == ""
    assert keep_layout(tmp_path, layout) == ""
    assert recall(tmp_path).preferences == Preferences(columns=chosen, layout=layout)
    assert keep_columns(tmp_path, {"runs": Arrangement()}) == ""
    assert recall(tmp_path).preferences == Preferences(layout=layout)
