"""``maitred serve``: the core without a console."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

import click

from console.commands.common import load_settings, ready_folders

if TYPE_CHECKING:
    import socket

    from core.settings import Folders, Loaded
    from core.store.lock import FolderLock


@click.command()
@click.option("--config", "config_file", type=click.Path(), help="The settings file to use.")
@click.option("--host", help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on; 0 takes any free one.")
def serve(config_file: str | None, host: str | None, port: int | None) -> None:
    """Serve the core without a console, until SIGTERM or ctrl+c."""
    from core.server.auth import check_exposure
    from core.server.listener import bind
    from core.server.loop import loop_factory
    from core.server.tls import server_context
    from core.store.lock import lock_for

    loaded = load_settings(config_file, host, port)
    check_exposure(loaded.settings.server.host, loaded.settings.tokens)
    server_context(
        loaded.settings.server
    )  # what is wrong with the certificate is told before anything is started
    folders = ready_folders()
    lock = lock_for(loaded.settings.storage.url, folders.data)
    listener = bind(loaded.settings.server)
    with contextlib.closing(listener), asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(loaded, folders, lock, listener))


async def _serve(loaded: Loaded, folders: Folders, lock: FolderLock | None, listener: socket.socket) -> None:
    from core.agents import Directory
    from core.server.loop import settle_down
    from core.server.serve import Server, asgi
    from core.session_core import SessionCore

    settings = loaded.settings
    directory = Directory.of_upstreams(settings.upstreams, loaded.api_keys, offered=loaded.offered)
    core = await SessionCore.open(settings, folders.data, directory=directory, lock=lock)
    try:
        server = Server(core, listener, asgi(core, folders.state))
        told = _signals()
        await server.start()
        settle_down()
        click.echo(f"maitred serves at {server.url}; stop it with ctrl+c", err=True)
        await told.get()
        click.echo(
            f"leaving: running turns have {settings.server.drain_seconds:g} s; again to cut them off",
            err=True,
        )
        leaving = asyncio.create_task(server.leave(settings.server.drain_seconds))
        again = asyncio.create_task(told.get())
        await asyncio.wait([leaving, again], return_when=asyncio.FIRST_COMPLETED)
        again.cancel()
        core.turns.cut_all()
        await leaving
    finally:
        await core.aclose()


def _signals() -> asyncio.Queue[signal.Signals]:
    """SIGTERM and ctrl+c, as they come."""
    told: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, told.put_nowait, each)
    return told
