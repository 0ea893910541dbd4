"""``maitred`` and ``maitred attach``: the console over an embedded or a remote core."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from console.commands.common import load_settings, ready_folders
from console.commands.health.terminal import require_terminal
from console.commands.way import Way, names_of, remote_core, ways_to_cores

if TYPE_CHECKING:
    from console.app import ConsoleApp
    from core.embedded import EmbeddedCore
    from core.protocol import Core
    from core.remote import RemoteCore
    from core.settings import Loaded


_TURN_SECONDS = 0.0005
"""For so long one thread keeps the interpreter while another one waits for it."""

_COLLECTED_AFTER = 5_000, 10, 50
"""What the collector waits for. Rows make no cycles, and to look at all of 100,000 takes it hundreds of milliseconds.

With Python's own figures it does so while they come in, and again while they are first shown.
"""


class Ended(NamedTuple):
    """How a console was left: its exit code, and whether the sandbox is wanted now."""

    code: int
    play: bool


def open_console(config_file: str | None, host: str | None, port: int | None) -> Ended:
    """Open the console over an embedded core; answers when everything that it held is free again.

    What can be refused is refused before the screen is taken: terminal, settings, folders, the lock, the port.
    """
    from core.server.auth import check_exposure
    from core.server.listener import bind, url_of
    from core.server.tls import server_context
    from core.settings import user_name
    from core.store.lock import lock_for

    require_terminal()
    loaded = load_settings(config_file, host, port)
    check_exposure(loaded.settings.server.host, loaded.settings.tokens)
    tls = server_context(loaded.settings.server) is not None
    folders = ready_folders()
    lock = lock_for(loaded.settings.storage.url, folders.data)
    listener = bind(loaded.settings.server)
    house: list[EmbeddedCore] = []

    async def start() -> Core:
        # imported behind the first picture: the core with its database and server takes longer than the screen
        embedded = await asyncio.get_running_loop().run_in_executor(None, _import_embedded)
        started = await embedded.start(loaded, folders, listener=listener, lock=lock, actor=user_name())
        house.append(started)
        return started

    async def let_go(now: bool) -> None:
        for core in house:
            await core.aclose(0.0 if now else loaded.settings.server.drain_seconds)

    bare = is_bare(loaded)
    where = url_of(listener, tls=tls)
    with contextlib.closing(listener):
        try:
            app = console_over(
                start,
                loaded,
                title=f"maitred {where.partition('://')[2]}",
                address=where,
                model="maitred/echo" if bare else "auto",
                playable=bare,
                on_quit=let_go,
            )
            return Ended(run_console(app), app.play)
        finally:
            asyncio.run(let_go(True))
            if lock is not None:
                lock.release()


def _import_embedded() -> type[EmbeddedCore]:
    from core.embedded import EmbeddedCore

    return EmbeddedCore


@click.command()
@click.argument("urls", nargs=-1, metavar="[URL ...]")
@click.option("--read-only", is_flag=True, help="Show only; no key acts.")
@ways_to_cores
def attach(urls: tuple[str, ...], read_only: bool, ways: list[Way]) -> None:
    """Open the console over one or several cores that run elsewhere; they stay when the console leaves."""
    require_terminal()
    loaded = load_settings(None, with_keys=False)
    cores = [remote_core(url, way) for url, way in zip(urls or (None,), ways, strict=True)]
    found = [core.url for core in cores]
    attached = [_attaching(*each) for each in zip(cores, urls or (None,), ways, strict=True)]
    app = console_over(
        attached[0] if len(attached) == 1 else dict(zip(names_of(found), attached, strict=True)),
        loaded,
        title=f"maitred {found[0]}" if len(cores) == 1 else "maitred",
        address=found[0],
        embedded=False,
        read_only=read_only,
    )
    raise SystemExit(run_console(app))


def _attaching(core: RemoteCore, url: str | None, way: Way) -> Callable[[], Awaitable[Core]]:
    """Answers this core first; when its token is taken no more, one with the token that is there by then."""
    first = [core]

    async def attached() -> Core:
        return first.pop() if first else await asyncio.to_thread(remote_core, url, way)

    return attached


def is_bare(loaded: Loaded) -> bool:
    """Whether nothing is set up yet: a first request may ask for the built-in model, and the sandbox is offered."""
    settings = loaded.settings
    return (loaded.offered or not settings.upstreams) and not settings.admission.models


def console_over(core: Any, loaded: Loaded, *, folder: Path | None = None, **options: Any) -> ConsoleApp:
    """The console over a core, or over a function that makes one, as the settings want it to look.

    Its files are kept in `folder`, else in the user's own.
    """
    from console.app import ConsoleApp
    from core.settings import folders

    settings = loaded.settings.console
    return ConsoleApp(
        core,
        theme=settings.theme,
        theme_folders=[folders().config / "themes"],
        folder=folder or folders().state,
        keys=loaded.settings.keys,
        frames_per_second=settings.frames_per_second,
        **options,
    )


def run_console(app: ConsoleApp) -> int:
    """Run the console until it leaves, by a key or by a signal; raises what kept the core from starting."""
    # The core is in a thread beside it, which after every system call has to wait for the interpreter: with the usual
    # 5 ms a frame that is drawn would hold up each of the dozen calls that an event takes on its way through.
    sys.setswitchinterval(_TURN_SECONDS)
    gc.set_threshold(*_COLLECTED_AFTER)
    app.run()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0
