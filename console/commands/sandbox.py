"""``maitred sandbox``: the console over a workload, in a folder that is gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.commands.common import load_settings
from console.commands.health.terminal import require_terminal
from console.commands.live import console_over, run_console

if TYPE_CHECKING:
    import socket
    from types import ModuleType

    from core.embedded import EmbeddedCore
    from core.protocol import Core
    from core.settings import Loaded

_SEED, _SPEED, _USERS, _SCENARIO = 1, 10.0, 150, "peak"
_SCENARIOS = ("calm", "peak", "runaway", "outage")
"""The names of `console.sandbox.scenarios`, which are not imported for a line of help."""


@click.command()
@click.option(
    "--seed", type=int, default=_SEED, show_default=True, help="The same seed brings the same people."
)
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 200),
    default=_SPEED,
    show_default=True,
    help="How many times faster than real the sandbox's time runs.",
)
@click.option(
    "--users",
    type=click.IntRange(1, 50_000),
    default=_USERS,
    show_default=True,
    help="How many people there are.",
)
@click.option(
    "--scenario",
    type=click.Choice(_SCENARIOS),
    default=_SCENARIO,
    show_default=True,
    help="What happens to them.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="Also listen here for real clients, on loopback; 0 takes any free port.",
)
def sandbox(seed: int, speed: float, users: int, scenario: str, port: int | None) -> None:
    """Open the console over invented people who queue, talk, loop, cost, stall and leave.

    The core is a real one; its agents are not. Nothing is kept: no settings, no data, no log.
    """
    raise SystemExit(play(seed, speed, users, scenario, port))


def play(
    seed: int = _SEED,
    speed: float = _SPEED,
    users: int = _USERS,
    scenario: str = _SCENARIO,
    port: int | None = None,
    *,
    config_file: str | None = None,
) -> int:
    """Open the console over the sandbox; answers its exit code when nothing of it is left.

    Of the settings only `[console]` and `[keys]` count.
    """
    require_terminal()
    with contextlib.ExitStack() as stack:
        listener = None
        if port is not None:
            listener = stack.enter_context(contextlib.closing(_bind(port)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="maitred-sandbox-")))
        loaded = load_settings(config_file, with_keys=False)
        return _open(loaded, seed, speed, users, scenario, listener, folder)


def _open(
    loaded: Loaded,
    seed: int,
    speed: float,
    users: int,
    scenario: str,
    listener: socket.socket | None,
    folder: Path,
) -> int:
    from core.settings import user_name

    # a log would else go to the screen; it goes with the folder
    logging.basicConfig(filename=folder / "maitred.log", level=logging.WARNING, force=True)
    house: list[EmbeddedCore] = []

    async def start() -> Core:
        # imported behind the first picture, like any embedded core
        house_of_sandbox = await asyncio.get_running_loop().run_in_executor(None, _import_house)
        plan = house_of_sandbox.Plan(scenario=scenario, users=users, speed=speed, seed=seed)
        started: EmbeddedCore = await house_of_sandbox.embed_sandbox(
            plan, folder, listener=listener, actor=user_name()
        )
        house.append(started)
        return started

    async def let_go(_now: bool) -> None:
        for core in house:
            await core.aclose()

    options = {} if listener is None else {"address": f"http://127.0.0.1:{listener.getsockname()[1]}"}
    try:
        # nobody's work is lost, so leaving asks nobody
        app = console_over(
            start, loaded, title="maitred sandbox", embedded=False, on_quit=let_go, folder=folder, **options
        )
        return run_console(app)
    finally:
        asyncio.run(let_go(True))


def _bind(port: int) -> socket.socket:
    from core.server.listener import bind
    from core.settings import Server

    return bind(Server(port=port))


def _import_house() -> ModuleType:
    from console.sandbox import house

    return house
