"""A whole house on PostgreSQL: a turn, what is left of it, and what is told while the database is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import core.store.postgres
from core.errors import DatabaseUnusable, StorageFailed
from core.settings import Admission
from core.settings import Storage as StorageSettings
from tests.end_to_end.conftest import PRICED, Opening
from tests.storage.server import PostgresServer
from tests.storage.storage import Storage

HELLO: list[Any] = [{"role": "user", "content": "hello brave new world"}]
SESSION = {"x-session-id": "s", "x-user-id": "ann"}


async def test_a_turn_is_there_after_a_restart(open_house: Opening, postgres: Storage) -> None:
    sections = {"storage": StorageSettings(url=postgres.url), "admission": Admission(models=[PRICED])}
    async with open_house(**sections) as house:
        await house.openai().chat.completions.create(model="echo", messages=HELLO, extra_headers=SESSION)
        cost = house.core.costs.total("model", "echo")
        first = house.core.house
    assert cost is not None
    async with open_house(**sections) as house:
        assert house.core.house == first
        assert house.core.costs.total("model", "echo") == cost
        page = await house.core.history("api:ann/s")
        assert [message.role for message in page.messages] == ["user", "assistant"]
        assert [hit.session_key for hit in await house.core.search("brave")][:1] == ["api:ann/s"]
        assert house.core.waiting_room.seat_of("ann") is not None


async def test_a_second_core_is_refused_and_harms_nothing(
    open_house: Opening, postgres: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.store.postgres, "_ALONE_SECONDS", 1)
    storage = StorageSettings(url=postgres.url)
    async with open_house(storage=storage) as house:
        with pytest.raises(DatabaseUnusable, match=r"another maitred works on it.*attach to that one"):
            async with open_house(storage=storage):
                raise AssertionError("two cores on one database")
        await house.openai().chat.completions.create(model="echo", messages=HELLO)
    async with open_house(storage=storage) as house:
        assert house.core.database.trouble is None


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.close()


async def test_who_asks_whether_it_is_ready_is_told_of_a_lost_database(
    open_house: Opening, server: PostgresServer
) -> None:
    async with open_house(storage=StorageSettings(url=server.url())) as house, house.http() as http:
        assert (await http.get("/readyz")).status_code == 200
        await asyncio.to_thread(server.kill)
        with pytest.raises(StorageFailed):
            await house.core.database.write(lambda connection: None)
        told = await http.get("/readyz")
        assert (told.status_code, told.json()["error"]["code"]) == (503, "storage_failed")
        assert "cannot be reached" in told.json()["error"]["message"]
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(20):
            while (await http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)
        await house.openai().chat.completions.create(model="echo", messages=HELLO)
