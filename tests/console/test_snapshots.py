"""How it looks: every pane, every screen and every question, at the smallest size, a comfortable and a large one.

After a change on purpose: `pytest tests/console/test_snapshots.py --snapshot-update`, and look at what changed.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, get_args

import pytest
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

import console.screens
from console.app import ACore, ConsoleApp
from console.instances import INSTANCES
from console.panes.catalog import BEHIND, PANES
from console.screens import session
from core.protocol import Core
from tests.console.busy_core import BusyCore
from tests.console.opened import FRAMES, Opened
from tests.console.pictures import MENUS, PICTURES, Picture, dialogs, seen

_SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x60": (200, 60)}
_FOLDER = Path(__file__).parent / "__snapshots__" / "test_snapshots"

_UNSEEN = re.compile(
    r' shape-rendering="crispEdges"| clip-path="url\(#[^"]*-line-\d+\)"'
    r'|<clipPath id="[^"]*-line-\d+">.*?</clipPath>\n?|<text [^>]*>\n</text>',
    re.DOTALL,
)
"""What shows nothing: clips around each line, the ends of lines."""
_FILLED = r'<rect fill="([^"]+)" x="([^"]+)" y="([^"]+)" width="([^"]+)" height="24.65"/>'


class Never(asyncio.Lock):
    """Lets nobody in: what a picture shows of a folder is not written there."""

    async def acquire(self) -> Literal[True]:
        await asyncio.Event().wait()
        return True


class Pictured(ConsoleApp):
    """The console with nothing left to chance, and with pictures that leave out what nobody sees."""

    def __init__(self, core: BusyCore, picture: Picture) -> None:
        async def never() -> Core:
            await asyncio.Event().wait()
            return core

        one: ACore = core if picture.connects else never
        super().__init__(
            one if picture.beside is None else {"eu-1": one, "us-1": picture.beside(core)},
            clock=core.clock,
            frames_per_second=FRAMES,
            read_only=picture.read_only,
            playable=picture.playable,
            folder=Path("/home/ann/.local/state/maitred"),
        )
        ids = itertools.count(1)
        self.desk.keeping = Never()
        self.desk.acting._new_id = lambda: f"command-{next(ids)}"
        for each in self.desk.cores:
            each.feed._jitter = lambda: 0.5

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        return slimmed(super().export_screenshot(title=title, simplify=simplify))


def slimmed(svg: str) -> str:
    """The same picture in fewer characters."""
    return re.sub(f"(?:{_FILLED})+", _joined, _UNSEEN.sub("", svg).replace("&#160;", "\xa0"))


def _joined(cells: re.Match[str]) -> str:
    """What is filled alike, side by side, filled at once."""
    joined: list[tuple[str, str, float, float]] = []
    for fill, x, y, width in re.findall(_FILLED, cells.group()):
        left, right = float(x), float(x) + float(width)
        if joined and joined[-1][:2] == (fill, y) and abs(joined[-1][3] - left) < 0.1:
            left = joined.pop()[2]
        joined.append((fill, y, left, right))
    return "".join(
        f'<rect fill="{fill}" x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="24.65"/>'
        for fill, y, left, right in joined
    )


async def _come_to(console: Opened, core: BusyCore, picture: Picture) -> None:
    """To where the picture is taken."""
    await console.sees(picture.opens)
    await console.press(picture.pane)
    if picture.on is not None:
        model = console.app.screen_stack[1].model  # type: ignore[attr-defined]
        model.move_to(model.position_of(picture.on))
        console.app.draw()
    for key in picture.keys:
        # one by one: a key that opens something is followed by keys for what it opens
        await console.press(key)
        if not isinstance(console.app.focused, Input):
            await _settled(console)
    if picture.then is not None:
        await picture.then(console, core)
    await console.sees(picture.sees)
    for field in console.app.screen.query(Input):
        field.cursor_blink = False
        field._cursor_visible = True
        field.refresh()
    await _settled(console)


async def _settled(console: Opened) -> None:
    """When two frames in a row are the same, nothing is on its way any more."""
    before = ""
    while before != (before := console.screen()):
        await console.pilot.pause()
        console.app.draw()
        await console.pilot.pause()


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("name", PICTURES)
def test_the_picture(name: str, size: str, snap_compare: Callable[..., bool]) -> None:
    picture = PICTURES[name]
    core = picture.house()
    app = Pictured(core, picture)

    async def before(pilot: Pilot[None]) -> None:
        await _come_to(Opened(app, core, pilot), core, picture)
        assert set(picture.covers) <= seen(app, picture)

    assert snap_compare(app, terminal_size=_SIZES[size], run_before=before)


# ------------------------------------------------------------------------------------------- nothing is left out


def test_there_is_a_picture_of_everything() -> None:
    covered = {what for picture in PICTURES.values() for what in picture.covers}
    wanted = {f"pane {pane.id}" for pane in (*PANES, *BEHIND.values())} | {f"pane {INSTANCES.id}"}
    wanted |= {f"screen {screen.__name__}" for screen in _screens()}
    wanted |= {f"dialog {action}" for action in dialogs()}
    wanted |= {f"choice {choice}" for choices in MENUS.values() for choice in choices.values()}
    wanted |= {f"tab {tab}" for tab in get_args(session.Tab)}
    assert wanted - covered == set(), "add pictures of these to tests/console/pictures.py"
    assert covered - wanted == {"dialog quit"}, "these are gone; take them out of tests/console/pictures.py"


def test_no_picture_is_left_over(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("update_snapshots"):
        return  # they are written, and the others removed, when the last test is over
    wanted = {f"test_the_picture[{name}-{size}].svg" for name in PICTURES for size in _SIZES}
    assert {path.name for path in _FOLDER.iterdir()} == wanted


def _screens() -> Iterator[type[Screen[object]]]:
    """The screens of the console that others are not made from."""
    for module in pkgutil.iter_modules(console.screens.__path__, "console.screens."):
        importlib.import_module(module.name)
    todo: list[type[Screen[object]]] = [Screen]
    while todo:
        cls = todo.pop()
        below = cls.__subclasses__()
        todo += below
        if not below and cls.__module__.startswith("console."):
            yield cls
