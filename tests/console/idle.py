"""When nothing is on its way in a console under test, told by the event loop itself.

Textual's pilot waits after every key, twice, until the whole process has been quiet for a fiftieth of a second: most of
the time that these tests would take.
"""

from __future__ import annotations

import asyncio
from typing import Any

_SOON_SECONDS = 0.02
"""What is due by then is awaited, too: Textual lays out what has changed with the next sixtieth of a second."""


async def wait_for_idle(min_sleep: float = 0, max_sleep: float = 1) -> None:
    """Wait until no callback is ready and none is due soon, but no longer than `max_sleep` seconds."""
    loop: Any = asyncio.get_running_loop()
    end = loop.time() + max_sleep
    quiet = 0
    while quiet < 2 and loop.time() < end:
        # what a socket or another thread has brought is seen by the loop when it goes round
        await asyncio.sleep(0)
        due = min((timer.when() for timer in loop._scheduled if not timer.cancelled()), default=end)
        if loop._ready:
            quiet = 0
        elif due < min(loop.time() + _SOON_SECONDS, end):
            quiet = 0
            await asyncio.sleep(max(0, due - loop.time()))
        else:
            quiet += 1
