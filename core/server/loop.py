"""The event loop of a server, and the interpreter under it."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Uvloop's loop where it is installed (the extra `uvloop`), else None for the standard one."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def settle_down() -> None:
    """Tune the interpreter for a server: rarer collections, and quicker turns between its two threads.

    What was built for the start never dies, so the collector need not look at it; a turn makes few cycles. The
    database's writer gives the interpreter up at every statement, and should have it back soon.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    sys.setswitchinterval(0.001)
