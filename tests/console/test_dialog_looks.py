"""How dialogs look: what has the focus is filled and nothing else is, in every theme, with colours and without."""

from __future__ import annotations

from typing import Any

import pytest
from rich.style import Style
from textual.screen import Screen

from console.look import load_looks
from console.screens.ask import AskScreen
from console.screens.help import HelpScreen
from console.screens.menu import Menu
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_run, a_session

THEMES = [look.name for look in load_looks("dark").all()]


def a_house() -> FakeCore:
    return FakeCore(a_session("api:ann/1", run_id="run-1", project="billing"), a_run("run-1"))


def styles(console: Opened) -> list[tuple[str, Style]]:
    """Every piece of text with its style, before its colours are taken away."""
    strips = console.app.screen._compositor.render_strips(console.app.size)
    return [(segment.text, segment.style or Style()) for strip in strips for segment in strip]


def filled(style: Style, console: Opened) -> bool:
    """Whether it stands on the colour of a text; without colours only what is reversed does."""
    if console.app.native_ansi_color or style.bgcolor is None:
        return bool(style.reverse)
    return style.bgcolor.get_truecolor().hex != str(console.app.desk.looks.current.theme.surface)


def label(console: Opened, text: str) -> Style:
    (found,) = [style for said, style in styles(console) if said.strip() == text]
    return found


@pytest.mark.parametrize("colours", ["colours", "no colours"])
@pytest.mark.parametrize("theme", THEMES)
async def test_the_button_with_the_focus_is_filled_and_no_other(
    theme: str, colours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if colours == "no colours":
        monkeypatch.setenv("NO_COLOR", "1")
    async with opened(a_house(), theme=theme) as console:
        await console.press("down", "X")
        await console.until(lambda: isinstance(console.app.screen, AskScreen))
        for focused, other in (("Cancel", "Abort run"), ("Abort run", "Cancel")):
            assert console.focused_label() == focused
            assert filled(label(console, focused), console)
            assert not filled(label(console, other), console)
            await console.press("right")


async def test_without_colours_the_cursor_of_a_field_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(a_house()) as console:
        await console.press("slash", "a", "n", "n", "left")
        await console.sees("ann")
        assert ("n", True) in [(text, bool(style.reverse)) for text, style in styles(console)]


@pytest.mark.parametrize(("key", "kind"), [("X", AskScreen), ("D", Menu), ("question_mark", HelpScreen)])
async def test_the_themes_are_walked_in_front_of_a_dialog(key: str, kind: type[Screen[Any]]) -> None:
    async with opened(a_house()) as console:
        await console.press("down", key)
        await console.until(lambda: isinstance(console.app.screen, kind))
        theme, drawn = console.app.theme, styles(console)
        await console.press("ctrl+t")
        await console.until(lambda: console.app.theme != theme)
        await console.until(lambda: styles(console) != drawn)
        assert isinstance(console.app.screen, kind)
        await console.press("escape")
        await console.sees("theme: " if kind is HelpScreen else "nothing was done")
        assert console.sent() == []


async def test_other_keys_do_nothing_behind_a_dialog() -> None:
    async with opened(a_house()) as console:
        await console.press("question_mark")
        await console.until(lambda: isinstance(console.app.screen, HelpScreen))
        await console.press("1", "f", "X", "s")
        assert isinstance(console.app.screen, HelpScreen)
        await console.press("escape")
        await console.sees("▸2 runs")
        assert "frozen" not in console.screen()
