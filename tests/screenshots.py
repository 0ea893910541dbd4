"""Makes the pictures of the README: the real console over the seeded sandbox, at one moment of its evening.

`python -m tests.screenshots` writes them; `tests/docs/test_screenshots.py` says when they are out of date.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from console.app import ConsoleApp
from console.sandbox.house import Plan
from tests.sandbox.stepping import stepped

TARGET = Path(__file__).parent.parent / "screenshots"
SIZE = (120, 36)
PLAN = Plan(scenario="peak", users=60, seed=7)
PLAYED_SECONDS = 600.0

SHOWN = {"queues": "1", "runs": "2", "sessions": "3", "strikes": "4", "cost": "5"}
"""Picture → the key of its pane."""


async def pictures() -> dict[str, str]:
    """Every picture by its name, as SVG. The same each time, because the clock of the house stands still."""
    with tempfile.TemporaryDirectory() as folder:
        async with stepped(Path(folder), PLAN) as play:
            await play.play(PLAYED_SECONDS)
            app = ConsoleApp(play.core, clock=play.clock, title="maitred sandbox")
            found = {}
            async with app.run_test(size=SIZE) as pilot:
                while app.desk.feed.link != "live":
                    await pilot.pause(0.05)
                for name, key in SHOWN.items():
                    for press in (key, "down", "down"):
                        await pilot.press(press)
                        app.draw()
                        await pilot.pause()
                    found[name] = app.export_screenshot(title="maitred sandbox")
            return found


def main() -> None:
    """Write all pictures."""
    TARGET.mkdir(exist_ok=True)
    for old in TARGET.glob("*.svg"):
        old.unlink()
    for name, picture in asyncio.run(pictures()).items():
        (TARGET / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
