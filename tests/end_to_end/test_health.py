"""A model whose server falls ill and recovers, behind a real house."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from core.protocol import Noticed
from core.settings import Admission, Model
from core.settings.schema import HealthProbe
from tests.end_to_end.conftest import House, Opening

QUICK = HealthProbe(interval_seconds=0.02, timeout_seconds=2)


class Ward:
    """A server that is as a test says."""

    def __init__(self) -> None:
        self.url = ""
        self.answer: tuple[int, str] = (200, '{"status": "healthy"}')

    async def health(self, request: web.Request) -> web.Response:
        status, text = self.answer
        return web.Response(status=status, text=text)


@pytest.fixture
async def ward() -> AsyncIterator[Ward]:
    ward = Ward()
    app = web.Application()
    app.router.add_get("/health", ward.health)
    server = TestServer(app)
    await server.start_server()
    ward.url = str(server.make_url("/health"))
    yield ward
    await server.close()


async def until(house: House, user: str, **expected: Any) -> dict[str, Any]:
    """The user's seat, once it is as expected."""
    told: dict[str, Any] = {}
    async with house.http() as http:
        for _ in range(500):
            told = (await http.get(f"/v1/seats/{user}")).json()
            if all(told.get(name) == value for name, value in expected.items()):
                return told
            await asyncio.sleep(0.01)
    raise AssertionError(told)


async def test_a_queue_is_held_while_the_server_is_ill(open_house: Opening, ward: Ward) -> None:
    models = [Model(id="echo", health_url=ward.url, max_active=1), Model(id="count-3")]
    rules = Admission(models=models, tick_seconds=0.02, health=QUICK)
    async with open_house(admission=rules) as house, house.http() as http:

        async def request(user: str, model: str = "echo") -> dict[str, Any]:
            answer: dict[str, Any] = (
                await http.post("/v1/seats", json={"userId": user, "model": model})
            ).json()
            return answer

        ward.answer = (503, "")
        for _ in range(500):
            if house.core.waiting_room.queue_rows()[0].health == "unhealthy":
                break
            await asyncio.sleep(0.01)
        asked = await request("ann")
        assert (asked["status"], asked["paused"], asked["pausedReason"]) == ("queued", True, "unhealthy")
        assert "held (unhealthy)" in asked["message"]
        assert (await request("bob", "count-3"))["status"] == "active", "other models go on"
        ward.answer = (200, "vllm:kv_cache_usage_perc 0.9\n")
        await until(house, "ann", status="queued", pausedReason="degraded")
        ward.answer = (200, "vllm:kv_cache_usage_perc 0.1\n")
        await until(house, "ann", status="active")
        events = (await house.core.events("", wait=0)).events
        assert [each.code for each in events if isinstance(each, Noticed)] == ["health_unknown"]
