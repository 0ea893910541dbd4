"""How often a turn waits for the disk, and in which order its parts become durable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from core.turn import ledger
from tests.end_to_end.conftest import House

HELLO: list[Any] = [{"role": "user", "content": "hello brave new world"}]


@pytest.fixture
def units(house: House, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The units of work that are submitted to the house's database, as they come."""
    submitted: list[Any] = []
    submit: Callable[[Any], Any] = house.core.database.submit

    def noting(unit: Any) -> Any:
        submitted.append(unit)
        return submit(unit)

    monkeypatch.setattr(house.core.database, "submit", noting)
    return submitted


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is over before its start is written by itself, however slow the machine is."""
    monkeypatch.setattr(ledger, "_START_SECONDS", 60)


@pytest.mark.usefixtures("short")
async def test_a_whole_answer_is_one_unit(house: House, units: list[Any]) -> None:
    await house.openai().chat.completions.create(model="echo", messages=HELLO)
    assert len(units) == 1
    (run,) = house.core.runs.rows()
    pin = house.core.pins.get(run.session_key)
    assert pin is not None
    assert pin.run == 1, "the attempt is counted in it"
    followed = house.core.runs.subscribe(run.run_id)
    kinds = [event.payload[:15] for event in await followed.next()]
    assert kinds == [b'{"kind":"text",', b'{"kind":"comple']


@pytest.mark.usefixtures("short")
async def test_a_short_stream_is_two_units(house: House, units: list[Any]) -> None:
    stream = await house.openai().chat.completions.create(model="count-5", messages=HELLO, stream=True)
    assert [chunk async for chunk in stream]
    assert len(units) == 2, "the strike before the first chunk, the rest before the end"


@pytest.mark.parametrize("model", ["echo", "count-5"])
async def test_a_slow_disk_writes_a_start_once(house: House, units: list[Any], model: str) -> None:
    free = threading.Event()
    blocked = house.core.database.submit(lambda _: free.wait(10))
    asked = asyncio.ensure_future(
        house.openai().chat.completions.create(model=model, messages=HELLO, stream=False)
    )
    while len(units) < 2:
        await asyncio.sleep(0.001)
    # longer than a start waits for its turn's end
    await asyncio.sleep(0.05)
    free.set()
    await asked
    assert await blocked
    assert len(units) == 2


async def test_a_long_stream_leaves_its_start_at_once(house: House, units: list[Any]) -> None:
    stream = await house.openai().chat.completions.create(
        model="slow-between?s=0.1", messages=HELLO, stream=True
    )
    assert [chunk async for chunk in stream]
    assert len(units) == 3, "a strike, a start, an end"
