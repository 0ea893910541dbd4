"""A real core behind a real server on a free port, asked by the official client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import openai
import pytest

from core.agents import Directory
from core.reconciler.rules import contradictions
from core.server.auth import local_token
from core.server.listener import bind
from core.server.serve import Server, asgi
from core.session_core import SessionCore
from core.settings import Model, Settings, Upstream
from tests.upstream.server import Upstream as TestUpstream

PRICED = Model(
    id="echo",
    tier="SIMPLE",
    input_usd_per_million=1.0,
    output_usd_per_million=2.0,
    cached_usd_per_million=0.5,
)


class House:
    """A running core with its server, and clients for it."""

    def __init__(self, core: SessionCore, server: Server, state: Path) -> None:
        self.core = core
        self.server = server
        self.url = server.url
        self.token = local_token(state)
        self._clients = contextlib.AsyncExitStack()

    def openai(self, **options: Any) -> openai.AsyncOpenAI:
        """The official client, without retries unless asked for."""
        asked: dict[str, Any] = {"api_key": "any", "max_retries": 0, **options}
        client = openai.AsyncOpenAI(base_url=f"{self.url}/v1", **asked)
        self._clients.push_async_callback(client.close)
        return client

    def http(self, **options: Any) -> httpx.AsyncClient:
        """A plain client with the operator's token."""
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False, **options)

    async def aclose(self) -> None:
        """Close the clients, then the house."""
        await self._clients.aclose()
        await self.server.leave(0)


Opening = Callable[..., AbstractAsyncContextManager[House]]


async def check_nothing_contradicts(core: SessionCore) -> None:
    """Whatever a test has broken, nothing may be left that the reconciler would find, also not much later."""
    await core.runs.settle()
    await core.database.write(lambda connection: None)
    held = await core.reconciler._inventory.take(core.clock.now() + 1)
    # a seat may still wait for the tick that sweeps it
    assert list(contradictions(msgspec.structs.replace(held, chairs=[]))) == []


@pytest.fixture
def open_house(tmp_path: Path, upstream: TestUpstream) -> Opening:
    """Opens a house with the test upstream behind it, on the same folder every time."""

    @contextlib.asynccontextmanager
    async def opened(**sections: Any) -> AsyncIterator[House]:
        settings = Settings(
            upstreams=[
                Upstream(name="test", base_url=upstream.base_url, first_byte_seconds=5, idle_seconds=5)
            ],
            **sections,
        )
        data, state = tmp_path / "data", tmp_path / "state"
        data.mkdir(exist_ok=True)
        state.mkdir(exist_ok=True)
        directory = Directory.of_upstreams(settings.upstreams, {})
        core = await SessionCore.open(settings, data, directory=directory)
        listener = bind(type(settings.server)(port=0))
        server = Server(core, listener, asgi(core, state))
        await server.start()
        house = House(core, server, state)
        try:
            yield house
            await check_nothing_contradicts(core)
        finally:
            await house.aclose()
            listener.close()

    return opened


@pytest.fixture
async def house(open_house: Opening) -> AsyncIterator[House]:
    """A house with the defaults."""
    async with open_house() as opened:
        yield opened
