"""The feed: a view, then the journal; a new view after a gap; for ever, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest

from console.acting import Acting
from console.actions import BY_ID
from console.feed import Feed
from console.state import ConsoleState
from core.clock import ManualClock, parse_timestamp
from core.errors import CertificateNotBelieved, FolderInUse, MaitredError, StartRefused, Unauthorized
from core.protocol import (
    AbortRun,
    ClearDirty,
    Core,
    Done,
    EventBatch,
    MarkDirty,
    Noticed,
    Refused,
    RunChanged,
)
from tests.console.fake_core import FakeCore
from tests.console.rows import AT, a_run, a_session


class Fed:
    """A feed under test, with what it told."""

    def __init__(self, core: FakeCore, connect: Callable[[], Awaitable[Core]] | None = None) -> None:
        self.core = core
        self.clock = ManualClock(at=parse_timestamp(AT))
        core.clock = self.clock
        self.state = ConsoleState()
        self.changes = 0
        self.fatal: list[StartRefused] = []
        self.feed = Feed(
            connect or self._there,
            self.state,
            self.clock,
            on_change=self._changed,
            on_fatal=self.fatal.append,
            jitter=lambda: 1.0,
        )

    async def _there(self) -> Core:
        return self.core

    def _changed(self) -> None:
        self.changes += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until something is so."""
        for _ in range(400):
            if condition():
                return
            await asyncio.sleep(0.001)
            await self.clock.settle(0.1, turns=3)
        raise AssertionError("it never came to that")


@asynccontextmanager
async def running(fed: Fed) -> AsyncIterator[Fed]:
    task = asyncio.create_task(fed.feed.run())
    try:
        yield fed
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_view_and_then_what_happens() -> None:
    async with running(Fed(FakeCore(*[a_run(f"r{n}") for n in range(1_200)]))) as fed:
        await fed.until(lambda: fed.feed.link == "live")
        assert len(fed.state.rows.runs) == 1_200
        fed.core.happen(RunChanged(what="stalled", run=a_run("r7", state="stalled")))
        await fed.until(lambda: fed.state.rows.runs["r7"].state == "stalled")
        assert fed.core.views == 1


async def test_what_happened_shortly_before_is_in_the_journal() -> None:
    core = FakeCore(a_run("a"))
    core.happen(*(Noticed(level="info", code="x", message=str(n)) for n in range(500)))
    async with running(Fed(core)) as fed:
        await fed.until(lambda: fed.feed.link == "live")
        told = [entry.event.message for entry in fed.state.journal if isinstance(entry.event, Noticed)]
        assert told == [str(n) for n in range(200, 500)]
        core.happen(Noticed(level="info", code="x", message="new"))
        await fed.until(lambda: len(fed.state.journal) == 301)


async def test_a_gap_takes_a_new_view() -> None:
    core = FakeCore(a_run("a"), events=4)
    async with running(Fed(core)) as fed:
        await fed.until(lambda: fed.feed.link == "live")
        core.rows.put(a_run("b"))
        core.happen(*(Noticed(level="info", code="x", message=str(n)) for n in range(20)))
        await fed.until(lambda: "b" in fed.state.rows.runs)
        assert core.views == 2
        core.restart("e2")
        await fed.until(lambda: fed.state.head is not None and fed.state.head.epoch == "e2")
        assert any(
            isinstance(entry.event, Noticed) and entry.event.code == "gap" for entry in fed.state.journal
        )


async def test_a_lost_link_keeps_the_data_tells_its_age_and_comes_back() -> None:
    async with running(Fed(FakeCore(a_run("a")))) as fed:
        await fed.until(lambda: fed.feed.link == "live")
        fed.core.down = True
        fed.core.happen(Noticed(level="info", code="x", message="unheard"))
        await fed.until(lambda: fed.feed.link == "lost")
        assert "connection refused" in fed.feed.trouble
        assert set(fed.state.rows.runs) == {"a"}
        await fed.clock.settle(60)
        age = fed.feed.age_ms()
        assert age is not None
        assert age >= 60_000
        fed.core.happen(RunChanged(what="started", run=a_run("b")))
        fed.core.down = False
        await fed.until(lambda: fed.feed.link == "live")
        assert set(fed.state.rows.runs) == {"a", "b"}
        assert fed.feed.trouble == ""
        assert fed.core.views == 1, "it catches up from where it broke off"


@pytest.mark.parametrize("meanwhile", ["moved past", "restarted"])
async def test_a_link_that_comes_back_to_another_journal_takes_a_new_view(meanwhile: str) -> None:
    async with running(Fed(FakeCore(a_run("a"), events=10))) as fed:
        await fed.until(lambda: fed.feed.link == "live")
        fed.core.down = True
        fed.core.happen(Noticed(level="info", code="x", message="unheard"))
        await fed.until(lambda: fed.feed.link == "lost")
        fed.core.happen(RunChanged(what="started", run=a_run("b")))
        if meanwhile == "restarted":
            fed.core.restart("e2")
        else:
            fed.core.happen(*(Noticed(level="info", code="x", message=str(n)) for n in range(20)))
        fed.core.down = False
        await fed.until(lambda: fed.core.views == 2 and fed.feed.link == "live")
        assert set(fed.state.rows.runs) == {"a", "b"}
        assert any(
            isinstance(entry.event, Noticed) and entry.event.code == "gap" for entry in fed.state.journal
        )


async def test_tries_become_rarer_and_never_end() -> None:
    tries: list[float] = []

    async def refuse() -> Core:
        tries.append(fed.clock.monotonic())
        raise OSError("no route to host")

    fed = Fed(FakeCore(), refuse)
    async with running(fed):
        await fed.clock.settle(200)
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits[:5] == [0.5, 1.0, 2.0, 4.0, 8.0]
    assert set(waits[5:]) == {15.0}
    assert len(waits) > 10
    assert "no route to host" in fed.feed.trouble


async def test_a_core_that_refuses_to_start_is_fatal() -> None:
    async def refuse() -> Core:
        raise FolderInUse("another process works on this folder")

    fed = Fed(FakeCore(), refuse)
    await fed.feed.run()
    assert [error.code for error in fed.fatal] == ["folder_in_use"]


async def test_a_core_that_cannot_be_built_is_no_lost_link() -> None:
    async def build() -> Core:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        await Fed(FakeCore(), build).feed.run()


@pytest.mark.parametrize("error", [Unauthorized, CertificateNotBelieved])
async def test_a_token_or_certificate_that_is_no_longer_known_is_read_again(
    error: type[MaitredError],
) -> None:
    core, connections = FakeCore(a_run("a")), 0

    async def connect() -> Core:
        nonlocal connections
        connections += 1
        return core

    fed = Fed(core, connect)
    async with running(fed):
        await fed.until(lambda: fed.feed.link == "live")
        known = core.events

        async def unknown(after: str, *, wait: float = 25.0, limit: int = 1000) -> EventBatch:
            core.events = known  # type: ignore[method-assign]
            raise error("it is no longer known")

        core.events = unknown  # type: ignore[method-assign]
        await fed.until(lambda: connections == 2 and fed.feed.link == "live")
        assert core.closed == 1


async def test_the_cores_time_is_what_ages_are_reckoned_in() -> None:
    fed = Fed(FakeCore())
    async with running(fed):
        await fed.until(lambda: fed.feed.link == "live")
        assert abs(fed.feed.now() - fed.clock.now()) < 5_000


# ---------------------------------------------------------------------------------------------------- acting


async def test_read_only_lets_nothing_through() -> None:
    async with running(Fed(FakeCore(a_run("a")))) as fed:
        await fed.until(lambda: fed.feed.link == "live")
        acting = Acting(read_only=True)
        assert "read-only" in acting.toggle()
        outcome = await acting.perform(AbortRun(command_id="1", run_id="a"), fed.feed)
        preview = await acting.preview(AbortRun(command_id="1", run_id="a"), fed.feed)
        assert isinstance(outcome, Refused)
        assert isinstance(preview, Refused)
        assert not fed.core.executed
        assert not fed.core.previewed
        assert acting.refusal(BY_ID["abort"]) is not None
        assert acting.refusal(BY_ID["sort"]) is None


async def test_disarmed_lets_nothing_through_until_it_is_armed() -> None:
    async with running(Fed(FakeCore(a_run("a")))) as fed:
        await fed.until(lambda: fed.feed.link == "live")
        acting = Acting()
        acting.toggle()
        refused = await acting.perform(AbortRun(command_id="1", run_id="a"), fed.feed)
        assert isinstance(refused, Refused)
        assert "disarmed" in refused.message
        acting.toggle()
        assert isinstance(await acting.perform(AbortRun(command_id="2", run_id="a"), fed.feed), Done)
        assert [command.command_id for command in fed.core.executed] == ["2"]


async def test_without_a_link_nothing_is_sent() -> None:
    async with running(Fed(FakeCore(a_run("a")))) as fed:
        acting = Acting()
        refused = await acting.perform(AbortRun(command_id="1", run_id="a"), fed.feed)
        assert isinstance(refused, Refused)
        await fed.until(lambda: fed.feed.link == "live")
        fed.core.down = True
        failed = await acting.perform(AbortRun(command_id="2", run_id="a"), fed.feed)
        assert isinstance(failed, Refused)
        assert failed.code == "unreachable"
        assert not fed.core.executed


async def test_the_last_mark_can_be_taken_back_once() -> None:
    async with running(Fed(FakeCore(a_session("s")))) as fed:
        await fed.until(lambda: fed.feed.link == "live")
        acting = Acting(new_id=iter("abcdef").__next__)
        undos = [[command for _, command in acting.undo]]
        await acting.perform(MarkDirty(command_id="1", session_key="s", generation=1), fed.feed)
        undo = ClearDirty(command_id="a", reason="from the console", session_key="s", generation=1)
        undos.append([command for _, command in acting.undo])
        await acting.perform(undo, fed.feed)
        undos.append([command for _, command in acting.undo])
        assert undos == [[], [undo], []]
