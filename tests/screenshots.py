"""Makes the pictures of the README: the real console over the seeded sandbox, at one moment of its evening.

`python -m tests.screenshots` writes them; `tests/docs/test_screenshots.py` says when they are out of date.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from console.app import ConsoleApp
from console.sandbox.house import Plan
from tests.sandbox.stepping import Stepped, stepped

TARGET = Path(__file__).parent.parent / "screenshots"
SIZE = (120, 36)
PLAN = Plan(scenario="peak", users=60, seed=7)
PLAYED_SECONDS = 600.0
WATCHED_SECONDS = 540
"""So long the console has been open when the pictures are taken: its trends are those of what it has seen."""

_STEP_SECONDS = 15

SHOWN = {"queues": "1", "runs": "2", "sessions": "3", "strikes": "4", "cost": "5"}
"""Picture → the key of its pane."""


async def pictures() -> dict[str, str]:
    """Every picture by its name, as SVG. The same each time, because the clock of the house stands still."""
    with tempfile.TemporaryDirectory() as folder:
        async with stepped(Path(folder), PLAN) as play:
            await play.play(PLAYED_SECONDS - WATCHED_SECONDS)
            app = ConsoleApp(play.core, clock=play.clock, title="maitred sandbox")
            found = {}
            async with app.run_test(size=SIZE) as pilot:
                while app.desk.cores[0].feed.link != "live":
                    await pilot.pause(0.05)
                for _ in range(WATCHED_SECONDS // _STEP_SECONDS):
                    await play.play(_STEP_SECONDS)
                    await _caught_up(app, pilot, play)
                for name, key in SHOWN.items():
                    for press in (key, "down", "down"):
                        await pilot.press(press)
                        app.draw()
                        await pilot.pause()
                    found[name] = app.export_screenshot(title="maitred sandbox")
            return found


async def _caught_up(app: ConsoleApp, pilot: Pilot[None], play: Stepped) -> None:
    """The console reads by the clock that stands still: what has happened is on its screen when it has read it all."""
    while app.desk.cores[0].state.cursor != play.core.journal.cursor:
        await play.play(0.1)
        await pilot.pause()
    app.draw()
    await pilot.pause()


def main() -> None:
    """Write all pictures."""
    TARGET.mkdir(exist_ok=True)
    for old in TARGET.glob("*.svg"):
        old.unlink()
    for name, picture in asyncio.run(pictures()).items():
        (TARGET / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
