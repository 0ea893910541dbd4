"""Consoles without a screen: so many feeds on the core at an address, until the end of the input.

Prints a line once all of them have their first view.
"""

from __future__ import annotations

import asyncio
import os
import sys

from console.feed import Feed
from console.state import ConsoleState
from core.clock import SystemClock
from core.protocol import Core
from core.remote import RemoteCore


def feed_on(url: str, token: str) -> tuple[Feed, ConsoleState]:
    """A feed as a console has it, and the state that it keeps."""

    async def connect() -> Core:
        return RemoteCore(url, token)

    def refused(error: Exception) -> None:
        raise error

    state = ConsoleState()
    return Feed(connect, state, SystemClock(), on_change=lambda: None, on_fatal=refused), state


async def _follow(url: str, count: int) -> None:
    feeds = [feed_on(url, os.environ["BENCH_TOKEN"])[0] for _ in range(count)]
    tasks = [asyncio.create_task(feed.run()) for feed in feeds]
    while any(feed.link != "live" for feed in feeds):
        await asyncio.sleep(0.05)
    print("all are live", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(_follow(sys.argv[1], int(sys.argv[2])))
