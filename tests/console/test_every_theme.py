"""Every picture in every theme: it says the same, and it can be read.

The pictures themselves are kept in the first theme alone (`test_snapshots`): another theme has the same shapes, and
what can go wrong with it is a text that its ground swallows. All of them at all sizes take minutes: `make soak` looks
at those.
"""

from __future__ import annotations

import pytest
from rich.style import Style
from textual.screen import Screen

from console.look import Look
from tests.console.opened import Opened
from tests.console.pictures import PICTURES
from tests.console.test_contrast import ratio, shown
from tests.console.test_snapshots import _SIZES, Pictured, _come_to, _settled

_LEAST = 3.0
"""WCAG's ratio for what is no running text; `test_contrast` holds the tones of each theme to more."""


def unreadable(screen: Screen[object], look: Look, bounds: tuple[int, int, int, int]) -> list[str]:
    """The texts within these cells whose ground swallows them."""
    left, top, right, bottom = bounds
    found: list[str] = []
    size = screen.app.size
    for line in screen._compositor.render_strips(size)[top:bottom]:
        for segment in line.crop(left, right):
            style, text = segment.style or Style(), segment.text.strip()
            if not any(char.isalnum() for char in text):
                continue  # lines, bars and frames, which nobody reads
            front, behind = shown(style, look, str(look.theme.background))
            if ratio(front, behind) < _LEAST:
                found.append(f"{text!r}: {front} on {behind}")
    return found


def bounds_of(screen: Screen[object]) -> tuple[int, int, int, int]:
    """The cells that are read: of a dialog its own, since what is below it is dimmed, or hidden in 16 colours."""
    region = screen.children[0].region if screen.is_modal and screen.children else screen.region
    return region.x, region.y, region.right, region.bottom


def plain(screen: Screen[object]) -> str:
    left, top, right, bottom = bounds_of(screen)
    strips = screen._compositor.render_strips(screen.app.size)[top:bottom]
    return "\n".join(strip.crop(left, right).text for strip in strips)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        pytest.param(name, size, marks=() if size == "80x24" and number % 4 == 0 else pytest.mark.soak)
        for number, name in enumerate(PICTURES)
        for size in _SIZES
    ],
)
async def test_it_says_the_same_and_can_be_read(name: str, size: str) -> None:
    picture = PICTURES[name]
    core = picture.house()
    app = Pictured(core, picture)
    async with app.run_test(size=_SIZES[size]) as pilot:
        console = Opened(app, core, pilot)
        await _come_to(console, core, picture)
        said = plain(app.screen)
        for look in app.desk.looks.all():
            while app.desk.looks.current.name != look.name:
                app.desk.looks.next()
            app._restyle()
            await _settled(console)
            assert plain(app.screen) == said, look.name
            if look.name != "ansi":  # its colours are the terminal's own
                assert unreadable(app.screen, look, bounds_of(app.screen)) == [], look.name
