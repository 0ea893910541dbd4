"""A console that is open over a played core, and how to read its screen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Button

from console.app import ConsoleApp
from tests.console.fake_core import FakeCore

FRAMES = 250
"""Frames a second: what is on its way to the screen is there within a few milliseconds."""


class Opened:
    """The app, its core, and the pilot that presses its keys."""

    def __init__(self, app: ConsoleApp, core: FakeCore, pilot: Pilot[None]) -> None:
        self.app = app
        self.core = core
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys, and let what they cause happen."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; fails with the screen after some seconds."""
        for _ in range(200):
            if condition():
                return
            await self.pilot.pause(0.02)
            if self.app.is_running:
                self.app.draw()
        raise AssertionError(f"it never came to that; the screen is:\n{self.screen()}")

    async def leaves(self, screen: Screen[Any]) -> None:
        """Wait until another screen is shown, and what follows has been done."""
        await self.until(lambda: self.app.screen is not screen)
        await self.pilot.pause(0.1)

    async def sees(self, text: str) -> None:
        """Wait until the screen shows this."""
        await self.until(lambda: text in self.screen())

    def screen(self) -> str:
        """What is on the screen, as plain text."""
        size = self.app.size
        strips = self.app.screen._compositor.render_strips(size)
        under = [screen for screen in self.app.screen_stack[:-1] if self.app.screen.is_modal]
        lines = ["".join(segment.text for segment in strip) for strip in strips]
        return "\n".join(lines) + ("" if not under else "\n(modal)")

    @property
    def cursor(self) -> Any:
        """The key that the cursor is on, in the pane that is shown."""
        return self.app.screen_stack[1].model.cursor  # type: ignore[attr-defined]

    def focused_label(self) -> str:
        """The label of the button that has the focus, else nothing."""
        focused = self.app.focused
        return str(focused.label) if isinstance(focused, Button) else ""

    def sent(self) -> list[str]:
        """The names of the commands that reached the core."""
        return [type(command).__name__ for command in self.core.executed]


@asynccontextmanager
async def opened(
    core: FakeCore, *, size: tuple[int, int] = (80, 24), wait: bool = True, **options: Any
) -> AsyncIterator[Opened]:
    """Open the console over this core, and wait until it is live."""
    app = ConsoleApp(core, **({"frames_per_second": FRAMES} | options))
    async with app.run_test(size=size) as pilot:
        console = Opened(app, core, pilot)
        if wait:
            await console.sees("● live")
        yield console
