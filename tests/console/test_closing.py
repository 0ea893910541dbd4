"""Keys pressed faster than screens close: each closes its own screen, and none takes what lies under it."""

from __future__ import annotations

import pytest
from textual.events import Key

from console.screens.main import MainScreen
from tests.console.fake_core import FakeCore
from tests.console.opened import opened
from tests.console.rows import a_run, a_session


@pytest.mark.parametrize(
    "way",
    [
        ("question_mark",),
        ("3", "i"),
        ("3", "D"),
        ("X",),
        ("enter",),
        ("enter", "question_mark"),
        ("enter", "X"),
    ],
    ids=" ".join,
)
async def test_escape_pressed_again_and_again_leaves_the_panes_open(way: tuple[str, ...]) -> None:
    house = FakeCore(a_session("api:ann/1", run_id="run-1", project="billing"), a_run("run-1"))
    async with opened(house) as console:
        await console.press("down")
        for key in way:
            await console.press(key)
        await console.until(lambda: not isinstance(console.app.screen, MainScreen))
        top = console.app.screen
        for _ in range(4):  # before the first of them is worked off, as a terminal sends them
            (top.focused or top).post_message(Key("escape", None))
        await console.until(lambda: not top.is_attached)
        for _ in range(3):
            await console.press("escape")
        assert isinstance(console.app.screen, MainScreen)
        assert "live" in console.screen()


async def test_a_frame_that_comes_while_the_screens_are_taken_down_draws_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was asked for before the operator left; there is nothing left to draw on."""
    drawn: list[bool] = []

    def late(screen: MainScreen) -> None:
        screen.app.draw()  # type: ignore[attr-defined]
        drawn.append(True)

    monkeypatch.setattr(MainScreen, "on_unmount", late, raising=False)
    async with opened(FakeCore(a_run())) as console:
        await console.pilot.pause()
    assert drawn == [True]
