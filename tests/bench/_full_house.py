"""The process under measurement of the bench `attached`: a core with very many live sessions behind its own server.

Prints its address and token as one JSON line. Then each line of its input is a number: so many events a second happen
to its sessions from now on. The end of the input ends it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
from itertools import islice
from pathlib import Path

from core.agents import Directory
from core.protocol import SessionChanged
from core.server.auth import local_token
from core.server.listener import bind
from core.server.loop import loop_factory, settle_down
from core.server.serve import Server, asgi
from core.session_core import SessionCore
from core.settings import Server as ServerSettings
from core.settings import Settings

_STEP_SECONDS = 0.02
"""What falls due meanwhile happens together."""


async def _serve(sessions: int, folder: Path) -> None:
    settings = Settings(server=ServerSettings(port=0))
    core = await SessionCore.open(settings, folder, directory=Directory.of_upstreams([], {}))
    for number in range(sessions):
        await core.router.get_or_create(
            f"api:user-{number % 977}/session-{number}", project=f"p{number % 40}"
        )
    listener = bind(settings.server)
    server = Server(core, listener, asgi(core, folder))
    await server.start()
    settle_down()
    print(json.dumps({"url": server.url, "token": local_token(folder)}), flush=True)
    rates: asyncio.Queue[int | None] = asyncio.Queue()
    threading.Thread(target=_listen, args=(asyncio.get_running_loop(), rates), daemon=True).start()
    happening: asyncio.Task[None] | None = None
    while (rate := await rates.get()) is not None:
        if happening is not None:
            happening.cancel()
        happening = asyncio.create_task(_happen(core, rate)) if rate else None
    if happening is not None:
        happening.cancel()
    await server.leave(0)


def _listen(loop: asyncio.AbstractEventLoop, rates: asyncio.Queue[int | None]) -> None:
    for line in sys.stdin:
        loop.call_soon_threadsafe(rates.put_nowait, int(line))
    loop.call_soon_threadsafe(rates.put_nowait, None)


async def _happen(core: SessionCore, rate: int) -> None:
    """The journal is told of one session after another, so many times a second; that itself costs little."""
    rows = [*islice(core.router.rows(), 1000)]
    began, told = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - began) * rate)
        for number in range(told, due):
            core.journal.append(SessionChanged(what="turn_began", session=rows[number % len(rows)]))
        told = due
        await asyncio.sleep(_STEP_SECONDS)


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="maitred-bench-", ignore_cleanup_errors=True) as name,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        runner.run(_serve(int(sys.argv[1]), Path(name)))
