"""The sandbox put together: a core with scripted agents in a folder of its own, and a workload beside it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from console.sandbox.cast import Cast
from console.sandbox.dice import seeded_ids
from console.sandbox.fleet import PROVIDERS, settings_for
from console.sandbox.scenarios import DEFAULT, SCENARIOS
from console.sandbox.workload import Workload
from core.agents import Directory
from core.agents.scripted import ScriptedAgent
from core.clock import Clock, ScaledClock
from core.embedded import EmbeddedCore
from core.session_core import SessionCore
from core.settings import Server as ServerSettings

if TYPE_CHECKING:
    from core.server.serve import Server


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to play: the name of a scenario, how many people, how fast, and from which seed."""

    scenario: str = DEFAULT
    users: int = 150
    speed: float = 10.0
    seed: int = 1


class SandboxCore(SessionCore):
    """A core with a workload, which stops before anything else does. Open it with `open_sandbox`."""

    workload: Workload | None = None

    async def drain(self, seconds: float) -> None:
        """Stop the workload. Its turns are nobody's: they are cut, not waited for."""
        await self._stop()
        await super().drain(0.0 if self.workload else seconds)

    async def aclose(self) -> None:
        """Leave in order, the workload first."""
        await self._stop()
        await super().aclose()

    async def _stop(self) -> None:
        if self.workload is not None:
            await self.workload.aclose()


async def open_sandbox(
    plan: Plan, folder: Path, *, clock: Clock | None = None, server: ServerSettings | None = None
) -> SandboxCore:
    """Open a core for the plan in an empty folder, and let its people in; raises StartRefused of some kind.

    `clock` replaces the scaled one, for those who drive the time. Sockets, storage and screen keep real time anyway.
    """
    scenario = SCENARIOS[plan.scenario]
    clock = clock or ScaledClock(plan.speed)
    cast = Cast(plan.seed, plan.users, scenario)
    agents = [(name, ScriptedAgent(name, cast.plan, clock), models) for name, models in PROVIDERS.items()]
    core = await SandboxCore.open(
        settings_for(scenario, plan.users, server),
        folder,
        directory=Directory(agents),
        clock=clock,
        new_id=seeded_ids(plan.seed),
    )
    assert isinstance(core, SandboxCore)
    core.workload = Workload(core, cast, scenario, plan.seed)
    core.workload.start()
    return core


async def embed_sandbox(
    plan: Plan, folder: Path, *, listener: socket.socket | None, actor: str
) -> EmbeddedCore:
    """The same on a loop of its own, in a thread of its own, serving on `listener` if there is one."""

    async def build() -> tuple[SessionCore, Server | None]:
        if listener is None:
            return await open_sandbox(plan, folder), None
        # a server is not even imported where nobody can ask it anything
        from core.server.serve import Server, asgi

        host, port = listener.getsockname()[:2]
        core = await open_sandbox(plan, folder, server=ServerSettings(host=host, port=port))
        try:
            server = Server(core, listener, asgi(core, folder))
            await server.start()
        except BaseException:
            await core.aclose()
            raise
        return core, server

    return await EmbeddedCore.over(build, actor=actor)
