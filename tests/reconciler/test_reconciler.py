"""The reconciler over a real core: each contradiction is made, found, and let go of when it is proven dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.agents import AgentRequest, Answer, Directory, Output
from core.clock import ManualClock
from core.errors import StorageFailed
from core.protocol import FindingChanged, FindingRow
from core.reconciler.reconciler import EVERY_SECONDS, PATIENCE_SECONDS
from core.router import Context
from core.session_core import SessionCore
from core.settings import Admission, Model, Settings
from core.store import run_records
from core.store.audit import page
from core.store.history import page_in
from core.turn import TurnRequest

ABORT_SECONDS = Settings().runs.abort_seconds


class Patient:
    """An agent that says one word and waits; told to go on it ends. `deaf` ones do not let themselves be cut off."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.waits = asyncio.Event()
        self.deaf = False

    async def stream(self, request: AgentRequest, answer: Answer) -> AsyncGenerator[list[Output], None]:
        yield [Output(b'{"kind":"text","content":"hm"}', 0, 0)]
        while not self.go_on.is_set():
            self.waits.set()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise

    async def aclose(self) -> None:
        """Nothing to close."""


class House:
    """A core whose time a test moves."""

    def __init__(self, core: SessionCore, agent: Patient, clock: ManualClock) -> None:
        self.core = core
        self.agent = agent
        self.clock = clock

    async def look(self) -> list[FindingRow]:
        return await self.core.reconciler.look()

    async def look_later(self, seconds: float = PATIENCE_SECONDS) -> list[FindingRow]:
        self.clock.advance(seconds)
        return await self.look()

    def told(self) -> list[tuple[str, str, str]]:
        """What the journal heard: what, kind, key."""
        events = [each for each in self.core.journal._events if isinstance(each, FindingChanged)]
        return [(each.what, each.finding.kind, each.finding.key) for each in events]

    async def releases(self) -> list[tuple[str, str]]:
        """Target and kind of what the audit has as released."""
        read = await self.core.database.read(page)
        return [(each.target, each.detail["kind"]) for each in read.entries if each.action == "release"]

    async def turn(self) -> Any:
        """A turn whose agent has said its word."""
        turn = self.core.turns.open(
            TurnRequest(
                user_id="u",
                session_key="api:u/s",
                model="m",
                body={},
                messages=[{"role": "user", "content": "hello"}],
                stream=True,
                include_usage=False,
            )
        )
        await self.agent.waits.wait()
        return turn


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    agent, clock = Patient(), ManualClock(at=1_776_000_000_000)
    settings = Settings(
        admission=Admission(
            models=[Model(id="m", input_usd_per_million=1000.0, output_usd_per_million=1000.0)],
            session_seconds=60,
            grace_seconds=30,
        )
    )
    core = await SessionCore.open(
        settings, tmp_path, directory=Directory([("test", agent, ["m"])]), clock=clock, background=False
    )
    try:
        yield House(core, agent, clock)
    finally:
        agent.go_on.set()
        clock.advance(1000)
        closing = asyncio.ensure_future(core.aclose())
        while not closing.done():
            clock.advance(1)
            await asyncio.sleep(0.001)
        await closing


async def test_a_turn_under_way_is_in_order(house: House) -> None:
    turn = await house.turn()
    elsewhere = house.core.runs.start("k", "elsewhere")
    await house.core.runs.recorded(elsewhere)
    assert await house.look() == []
    house.agent.go_on.set()
    await turn.ended.wait()
    assert await house.look_later() == []
    assert await house.look_later(EVERY_SECONDS) == []
    assert house.told() == []


async def test_a_slot_whose_run_has_ended_is_freed(house: House) -> None:
    run = house.core.runs.start("k", "p")
    assert house.core.router.begin_turn("k", run.id)
    house.core.runs.complete(run.id)
    (found,) = await house.look()
    assert (found.kind, found.key, found.session_key, found.proven) == ("slot_without_run", run.id, "k", True)
    assert [found] == await house.look_later(PATIENCE_SECONDS - 1)  # nobody is hurried
    assert await house.look_later(1) == []
    assert house.core.router.turn_of("k") is None
    assert await house.releases() == [("k", "slot_without_run")]
    assert house.told() == [(what, "slot_without_run", run.id) for what in ("found", "released")]


async def test_a_slot_that_others_took_is_only_told(house: House) -> None:
    house.core.router.begin_turn("k", "theirs")
    for _ in range(3):
        (found,) = await house.look_later()
        assert (found.kind, found.proven) == ("slot_without_run", False)
    assert house.core.router.turn_of("k") == "theirs"
    house.core.router.end_turn("k", "theirs")
    assert await house.look() == []
    assert house.told() == [(what, "slot_without_run", "theirs") for what in ("found", "gone")]


async def test_a_turn_that_does_not_unwind_is_told_and_left_alone(house: House) -> None:
    house.agent.deaf = True
    turn = await house.turn()
    house.core.runs.abort(turn.run_id, "enough")
    house.clock.advance(ABORT_SECONDS)
    await asyncio.sleep(0)
    for _ in range(2):
        found = await house.look_later()
        assert {(each.kind, each.proven) for each in found} == {
            ("slot_without_run", False),
            ("upstream_without_run", False),
        }
        assert all("has not unwound" in each.evidence for each in found)
    house.agent.go_on.set()
    await turn.ended.wait()
    assert await house.look() == []
    assert await house.releases() == []


async def record(house: House, run_id: str, text: str | None = None) -> None:
    start = run_records.RunStart(
        run_id=run_id,
        session_key="k",
        user_id="u",
        provider="test",
        model="m",
        epoch=house.core.journal.epoch,
        started_at=house.clock.now(),
    )
    await house.core.database.write(lambda connection: run_records.start(connection, start))
    if text is not None:
        await house.core.database.write(
            lambda connection: run_records.checkpoint(connection, run_id, "k", text, house.clock.now())
        )


@pytest.mark.parametrize("live", [True, False], ids=["still running", "only recorded"])
async def test_a_run_that_nobody_produces_is_closed_with_its_text_and_cost(house: House, live: bool) -> None:
    await record(house, "r", "half an answer")
    if live:
        house.core.runs.start("k", "test", user_id="u", model="m", run_id="r", recorded=False)
    (found,) = await house.look()
    assert (found.kind, found.key, found.proven) == ("run_without_slot", "r", True)
    assert await house.look_later() == []
    core = house.core
    assert await core.database.read(lambda c: run_records.status_of(c, "r")) == "interrupted"
    (message,) = (await core.database.read(lambda c: page_in(c, "k", None, 10))).messages
    assert message.partial
    booked = core.costs.total("session", "k")
    assert booked is not None
    assert booked.micros == booked.estimated_micros > 0
    if live:
        run = core.runs.get("r")
        assert run is not None
        assert run.state == "interrupted"
    assert await house.look_later() == []


async def test_an_end_on_its_way_to_the_disk_is_no_finding(house: House) -> None:
    await record(house, "r")
    house.core.runs.start("k", "test", run_id="r", recorded=False)
    house.core.runs.complete("r")
    assert await house.look() == []
    (found,) = await house.look_later(PATIENCE_SECONDS + 1)
    assert found.key == "r"


async def test_a_live_session_that_the_router_lost_is_disposed(house: House) -> None:
    await house.core.router.get_or_create("kept")
    lost = await house.core.sessions.create(Context("lost"))
    (found,) = await house.look()
    assert (found.kind, found.session_key, found.proven) == ("agent_without_session", "lost", True)
    assert await house.look_later() == []
    assert lost not in house.core.sessions.living()
    assert await house.releases() == [("lost", "agent_without_session")]


async def test_sessions_that_come_and_go_are_all_given_back(house: House) -> None:
    router = house.core.router
    for key in ("a", "b", "c", "d"):
        await router.get_or_create(key)
    router.mark_dirty(session_key="a")
    await router.get_or_create("a")
    await router.close("b")
    await router.evict("c")
    house.clock.advance(house.core.settings.router.idle_seconds + 1)
    router.count()
    assert await house.look() == []  # some are being disposed at this very moment
    await router.close("d")
    await asyncio.sleep(0)
    assert house.core.sessions.living() == []


def request(run_id: str) -> AgentRequest:
    return AgentRequest(model="m", run_id=run_id, body={}, messages=[], stream=True, include_usage=False)


async def test_a_request_that_nobody_reads_is_closed(house: House) -> None:
    entry = await house.core.router.get_or_create("k")
    stream = entry.session.stream(request("r"), Answer())
    await anext(stream)
    (found,) = await house.look()
    assert (found.kind, found.session_key, found.proven) == ("upstream_without_run", "k", True)
    assert await house.look_later() == []
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert house.core.sessions.calls.open() == []


async def test_a_request_that_somebody_reads_stays_and_that_is_told_once(house: House) -> None:
    entry = await house.core.router.get_or_create("k")
    stream = entry.session.stream(request("r"), Answer())
    await anext(stream)
    reader = asyncio.ensure_future(anext(stream, None))
    await asyncio.sleep(0)
    (found,) = await house.look()
    for _ in range(3):
        assert [found] == await house.look_later()
    house.agent.go_on.set()
    await reader
    assert await house.look() == []
    assert [what for what, *_ in house.told()] == ["found", "kept", "gone"]


async def test_a_seat_past_its_grace_is_given_up(house: House) -> None:
    await house.core.waiting_room.request("u", "m")
    house.clock.advance(60 + 30)
    assert await house.look() == []  # the next tick has time to sweep it
    (found,) = await house.look_later(PATIENCE_SECONDS + 1)
    assert (found.kind, found.user_id, found.proven) == ("seat_without_instance", "u", True)
    assert await house.look_later() == []
    assert house.core.waiting_room.seat_of("u") is None
    assert await house.releases() == [("u", "seat_without_instance")]


async def test_what_cannot_be_released_now_is_released_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.core.sessions.create(Context("lost"))
    await house.look()

    async def full(_: Any) -> str:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(house.core.reconciler._releases, "release", full)
        await house.look_later()
        (found,) = await house.look_later()
    assert await house.look_later() == []
    assert [what for what, *_ in house.told()] == ["found", "kept", "released"]
    assert found.evidence


async def test_a_view_has_the_findings(house: House) -> None:
    house.core.router.begin_turn("k", "theirs")
    found = await house.look()
    rows = [row async for part in house.core.view() for row in getattr(part, "rows", [])]
    assert [row for row in rows if isinstance(row, FindingRow)] == found


async def test_it_goes_on_when_a_look_fails(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = asyncio.Queue[str]()

    async def look() -> list[FindingRow]:
        looks.put_nowait("look")
        raise StorageFailed("the disk is full")

    monkeypatch.setattr(house.core.reconciler, "look", look)
    running = asyncio.ensure_future(house.core.reconciler.run())
    for _ in range(3):
        assert await looks.get() == "look"
        await asyncio.sleep(0)
        house.clock.advance(EVERY_SECONDS)
    running.cancel()
    codes = [getattr(each, "code", "") for each in house.core.journal._events]
    assert codes.count("reconciler_failed") >= 2
