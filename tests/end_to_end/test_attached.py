"""A console's feed on a real core over a bad line: nothing is lost, nothing comes twice, and a dead link is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from msgspec.structs import replace

from console.feed import Feed
from console.state import ConsoleState, reduce
from core.clock import Clock, ScaledClock, SystemClock
from core.protocol import AnyEvent, Core
from core.remote import RemoteCore
from core.session_core import SessionCore
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.proxy import Proxy

EVENTS = 10_000
KEYS = [f"k{number}" for number in range(60)]


class Attached:
    """A feed behind a proxy, with the numbers of all events that it was given."""

    def __init__(self, house: House, proxy: Proxy, clock: Clock) -> None:
        self.house = house
        self.proxy = proxy
        self.state = ConsoleState()
        self.feed = Feed(
            self._connect,
            self.state,
            clock,
            on_change=lambda: None,
            on_fatal=lambda error: pytest.fail(error.message),
            pace=0.001,
        )

    async def _connect(self) -> Core:
        return RemoteCore(self.proxy.url, self.house.token)

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    @property
    def up_to_date(self) -> bool:
        return self.feed.link == "live" and self.state.cursor == self.house.core.journal.cursor


@contextlib.asynccontextmanager
async def attached(house: House, clock: Clock, seed: int = 7) -> AsyncIterator[Attached]:
    proxy = Proxy(house.url, random.Random(seed))
    async with proxy.running():
        console = Attached(house, proxy, clock)
        task = asyncio.create_task(console.feed.run())
        try:
            yield console
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if console.feed.core is not None:
                await console.feed.core.aclose()


async def act(core: SessionCore, dice: random.Random) -> None:
    """One thing that happens to sessions and runs."""
    key = dice.choice(KEYS)
    match dice.randrange(4):
        case 0:
            await core.router.get_or_create(key, project=dice.choice(["p", "q"]))
        case 1:
            core.router.mark_dirty(session_key=key)
        case 2:
            run = core.runs.current(key)
            if run is None or run.ended:
                run = core.runs.start(key, "elsewhere")
            core.runs.publish(run.id, {"kind": "text", "content": "word"})
        case _:
            run = core.runs.current(key)
            if run is not None and not run.ended:
                core.runs.complete(run.id, exit_code=0)
            await core.router.evict(key)


def rows_of(core: SessionCore) -> dict[str, dict[Any, Any]]:
    return {
        "sessions": {row.session_key: row for row in core.router.rows()},
        "runs": {row.run_id: row for row in core.runs.rows()},
        "costs": {(row.scope, row.key): row for row in core.costs.rows()},
    }


async def test_a_bad_line_loses_nothing_and_repeats_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut in the middle of answers, delayed and out of step, while ten thousand things happen."""
    seqs: list[int] = []

    def noting(state: ConsoleState, event: AnyEvent) -> None:
        seqs.append(event.seq)
        reduce(state, event)

    monkeypatch.setattr("console.feed.reduce", noting)
    core, dice = house.core, random.Random(11)
    # the feed's waits between two tries are a thirtieth of what they are: time enough for many cuts
    async with attached(house, ScaledClock(30)) as console:
        await console.until(lambda: console.up_to_date)
        first = core.journal.last
        proxy = console.proxy
        proxy.cut_every, proxy.delay = 60_000, 0.002
        while core.journal.last < first + EVENTS:
            for _ in range(20):
                await act(core, dice)
            await asyncio.sleep(0)
            # never so far ahead that the rest of the test is one quiet batch
            await console.until(lambda: core.journal.last - len(seqs) - first < 500)
        proxy.cut_every, proxy.delay = 0, 0.0
        await core.runs.settle()
        await console.until(lambda: console.up_to_date)
        assert proxy.cuts > 20
        assert seqs == [*range(first + 1, core.journal.last + 1)], "each event once, in order, none missing"
        rows, shown = rows_of(core), console.state.rows
        # a use that changes nothing else is not worth an event
        assert {key: replace(row, last_used_at="") for key, row in shown.sessions.items()} == {
            key: replace(row, last_used_at="") for key, row in rows["sessions"].items()
        }
        assert shown.costs.keys() == rows["costs"].keys()
        followed = {run_id: row for run_id, row in shown.runs.items() if row.ended_at is not None}
        assert followed == {run_id: row for run_id, row in rows["runs"].items() if row.ended_at is not None}
        assert shown.runs.keys() == rows["runs"].keys()


@pytest.mark.parametrize("trouble", ["frozen", "half_open"])
async def test_a_dead_link_is_noticed_within_ten_seconds(house: House, trouble: str) -> None:
    async with attached(house, SystemClock()) as console:
        await console.until(lambda: console.up_to_date)
        setattr(console.proxy, trouble, True)
        if trouble == "half_open":
            # what is open breaks, and the next connection leads nowhere
            console.proxy.cut_every = 1
            console.proxy.break_off()
        await console.until(lambda: console.feed.link == "lost", seconds=10)
        assert console.feed.trouble
        assert console.feed.age_ms() is not None
        assert console.state.head is not None, "the last data stays"
        setattr(console.proxy, trouble, False)
        console.proxy.cut_every = 0
        await house.core.router.get_or_create("meanwhile")
        await console.until(lambda: console.up_to_date, seconds=40)
        assert "meanwhile" in console.state.rows.sessions


async def test_a_core_that_was_started_anew_is_seen_anew(open_house: Opening) -> None:
    clock = ScaledClock(30)
    async with contextlib.AsyncExitStack() as stack:
        async with open_house() as house:
            console = await stack.enter_async_context(attached(house, clock))
            await house.core.router.get_or_create("before")
            await console.until(lambda: "before" in console.state.rows.sessions)
        await console.until(lambda: console.feed.link == "lost")
        before = console.state.head
        assert before is not None, "the last data stays"
        async with open_house() as reborn:
            console.house = reborn
            console.proxy.lead_to(reborn.url)
            await console.until(lambda: console.up_to_date)
            assert console.state.head is not None
            assert console.state.head.epoch == reborn.core.journal.epoch != before.epoch
