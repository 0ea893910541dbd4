"""A client leaves, or an operator stops the turn, at every step of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from core.protocol import AbortRun, RunChanged, SessionChanged
from core.settings import Admission, Model, Runs
from core.store.acknowledged import acknowledged
from core.store.tables import checkpoints, runs
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.test_chat import HELLO, finished, messages
from tests.turn.test_faults import unheard
from tests.upstream.server import Upstream

__all__ = ["unheard"]

STEPS = {
    "gate": ("waiting_room", "pass_turn"),
    "build": ("router", "get_or_create"),
    "count": ("pins", "count"),
}
CASES = [
    pytest.param(step, stream, id=f"{step}-{'stream' if stream else 'whole'}")
    for step in STEPS
    for stream in (False, True)
    # a whole answer is counted in its account, which nothing cuts short
    if stream or step != "count"
]


class Held:
    """Holds calls of a method back until they are let go."""

    def __init__(self, house: House, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
        part, name = STEPS[step]
        owner = getattr(house.core, part)
        self._real = getattr(owner, name)
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        monkeypatch.setattr(owner, name, self)

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.reached.set()
        await self.go.wait()
        return await self._real(*args, **kwargs)


def asking(house: House, stream: bool, model: str = "count-3") -> asyncio.Task[Any]:
    async def ask() -> Any:
        async with house.http(timeout=10) as http:
            return await http.post(
                "/v1/chat/completions",
                json={"model": model, "messages": HELLO, "stream": stream},
                headers={"x-session-id": "s"},
            )

    return asyncio.create_task(ask())


async def settled(house: House) -> None:
    for _ in range(500):
        if not house.core.turns._tasks:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("turns are left")


@pytest.mark.parametrize(("step", "stream"), CASES)
@pytest.mark.parametrize("then", ["abort", "continue"])
async def test_a_client_leaves_at_every_step(
    open_house: Opening,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    unheard: Any,
    step: str,
    then: Any,
    stream: bool,
) -> None:
    async with open_house(runs=Runs(on_disconnect=then)) as house:
        held = Held(house, step, monkeypatch)
        task = asking(house, stream)
        await held.reached.wait()
        task.cancel()
        await asyncio.sleep(0.1)
        held.go.set()
        await settled(house)
        cost = house.core.costs.total("user", "local")
        if then == "continue":
            (row,) = await finished(house)
            assert (row.state, row.exit_code) == ("completed", 0)
            assert (await messages(house, "api:local/s"))[-1] == ("assistant", "1 2 3", False)
            assert cost is not None
        elif step == "gate":
            assert list(house.core.runs.rows()) == []
            assert upstream.requests == []
            assert cost is None
        elif step == "build":
            (row,) = await finished(house)
            assert row.state == "aborted"
            assert upstream.requests == []
            assert cost is None
        else:
            (row,) = await finished(house)
            assert row.state == "aborted"
            assert cost is not None
        assert house.core.router.turn_of("api:local/s") is None


@pytest.mark.parametrize(("step", "stream"), CASES)
@pytest.mark.parametrize("act", ["abort", "close", "shutdown", "evict", "dirty"])
async def test_an_operator_acts_at_every_step(
    house: House,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    unheard: Any,
    step: str,
    act: str,
    stream: bool,
) -> None:
    async with house.http() as http:
        await http.post(
            "/v1/chat/completions", json={"model": "echo", "messages": HELLO}, headers={"x-session-id": "s"}
        )
        await finished(house)
        held = Held(house, step, monkeypatch)
        task = asking(house, stream)
        await held.reached.wait()
        key = "api:local/s"
        command: dict[str, Any] = {"commandId": "c", "sessionKey": key}
        acting: asyncio.Task[Any] | None = None
        if act == "shutdown":
            draining = asyncio.create_task(house.core.drain(0))
            await draining
            ready = await http.get("/readyz")
            assert ready.status_code == 503
            refused = await http.post("/v1/chat/completions", json={"model": "echo", "messages": HELLO})
            assert refused.status_code == 503
            house.core.turns.cut_all()
        else:
            if act == "abort":
                running = house.core.runs.running()
                command = {"commandId": "c", "runId": running[0].id if running else "none"}
            acting = asyncio.create_task(http.post("/v1/commands", json={"action": act, **command}))
            await asyncio.sleep(0.1)
        held.go.set()
        answer = await asyncio.wait_for(task, 10)
        await settled(house)
        rows = [row for row in await finished(house) if row.model == "count-3"]
        cut = act == "shutdown" or (step != "gate" and act in ("abort", "close"))
        if acting is not None:
            outcome = (await asyncio.wait_for(acting, 10)).json()
            assert outcome["outcome"] == (
                "refused" if (act, step == "gate") in (("abort", True), ("evict", False)) else "done"
            ), outcome
        if cut:
            assert "error" in answer.text
            assert "[DONE]" not in answer.text
            assert [row.state for row in rows] == (
                [] if step == "gate" else ["interrupted" if act == "shutdown" else "aborted"]
            )
            if act == "shutdown":
                assert "shutting_down" in answer.text
        else:
            assert answer.status_code == 200
            assert [row.state for row in rows] == ["completed"]
        stored = await house.core.database.read(
            lambda c: c.execute(select(runs.c.status).where(runs.c.model == "count-3")).scalars().all()
        )
        assert stored == [row.state for row in rows]
        assert house.core.router.turn_of(key) is None


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_each_step_of_an_abort_is_told_in_its_order(
    house: House, upstream: Upstream, stream: bool
) -> None:
    async with house.http() as http:
        # the session is there from the first turn on, so that its freeing is told
        await http.post(
            "/v1/chat/completions", json={"model": "echo", "messages": HELLO}, headers={"x-session-id": "s"}
        )
    cursor = house.core.journal.cursor
    task = asking(house, stream, "slow-between?s=30")
    while len(upstream.requests) < 2:
        await asyncio.sleep(0.01)
    (run,) = house.core.runs.running()
    await house.core.execute(AbortRun(command_id="c", run_id=run.id, reason="enough"))
    await task
    await settled(house)
    events = (await house.core.events(cursor, wait=0)).events
    told = [each.what for each in events if isinstance(each, RunChanged | SessionChanged)]
    assert told == ["turn_began", "started", "aborting", "upstream_closed", "ended", "turn_ended"]


async def test_no_checkpoint_outlives_its_run(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slowly(*args: Any) -> Any:
        answer = await acknowledged(*args)
        await asyncio.sleep(0.5)
        return answer

    monkeypatch.setattr("core.turn.checkpoints._SECONDS", 0.3)
    monkeypatch.setattr("core.turn.ledger.acknowledged", slowly)
    await asking(house, True)
    await finished(house)
    left = await house.core.database.read(lambda c: c.execute(select(checkpoints)).all())
    assert left == []


async def test_while_it_runs_it_shows_what_it_will_have_cost(open_house: Opening) -> None:
    priced = Model(
        id="slow-between?s=30", tier="SIMPLE", input_usd_per_million=500.0, output_usd_per_million=900.0
    )
    async with open_house(admission=Admission(models=[priced])) as house:
        asked = asking(house, stream=True, model=priced.id)
        while not any(row.last_seq for row in house.core.runs.rows()):
            await asyncio.sleep(0.01)
        (row,) = house.core.runs.rows()
        assert row.state == "running"
        assert row.estimated
        assert row.output_tokens > 0
        assert row.micros == row.input_tokens * 500 + row.output_tokens * 900
        preview = await house.core.preview(AbortRun(command_id="p", run_id=row.run_id))
        assert (preview.tokens, preview.micros) == (row.input_tokens + row.output_tokens, row.micros)
        asked.cancel()
        await settled(house)
        (ended,) = await finished(house)
        assert ended.estimated, "nobody reported what was cut off"
        assert ended.micros >= row.micros
