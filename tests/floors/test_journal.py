"""Events in order, bounded, with cursors."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import ShuttingDown
from core.journal import Journal
from core.protocol import Noticed


def journal(*, max_events: int = 100, max_bytes: int = 1 << 20) -> Journal:
    return Journal(ManualClock(), "e1", max_events=max_events, max_bytes=max_bytes)


def notice(text: str = "x") -> Noticed:
    return Noticed(level="info", code="test", message=text)


async def seqs(journal: Journal, after: str, *, limit: int = 1000) -> list[int]:
    return [event.seq for event in (await journal.read(after, wait=0, limit=limit)).events]


async def test_events_get_their_number_and_time() -> None:
    clock = ManualClock(at=1_776_427_200_000)
    log = Journal(clock, "e1", max_events=9, max_bytes=1 << 20)
    log.append(notice())
    batch = await log.read("", wait=0, limit=9)
    assert [(event.seq, event.at) for event in batch.events] == [(1, "2026-04-17T12:00:00Z")]
    assert (batch.cursor, batch.gap) == ("e1.1", False)


async def test_a_reader_that_comes_back_misses_nothing() -> None:
    log = journal()
    for _ in range(5):
        log.append(notice())
    first = await log.read("", wait=0, limit=3)
    assert await seqs(log, first.cursor) == [4, 5]
    assert await seqs(log, log.cursor) == []


@pytest.mark.parametrize("cursor", ["e0.1", "1", "e1.x", "e1.", "e1.99", "e1.-1", "nonsense", "e1.²"])
async def test_a_cursor_that_is_not_ours_is_a_gap(cursor: str) -> None:
    log = journal()
    log.append(notice())
    batch = await log.read(cursor, wait=0, limit=10)
    assert (batch.gap, batch.events, batch.cursor) == (True, [], "e1.1")


async def test_what_has_fallen_out_is_a_gap() -> None:
    log = journal(max_events=3)
    for _ in range(5):
        log.append(notice())
    assert (await log.read("e1.1", wait=0, limit=10)).gap
    assert await seqs(log, "e1.2") == [3, 4, 5]
    assert await seqs(log, "") == [3, 4, 5], "an empty cursor is the oldest that is kept"


async def test_bytes_are_bounded_too_and_the_newest_stays() -> None:
    log = journal(max_bytes=1000)
    for _ in range(20):
        log.append(notice("y" * 300))
    kept = await seqs(log, "")
    assert kept[-1] == 20
    assert len(kept) <= 3
    log.append(notice("z" * 5000))
    assert await seqs(log, "") == [21]


async def test_a_reader_waits_for_the_next_event() -> None:
    log = journal()
    waiting = asyncio.create_task(log.read(log.cursor, wait=30, limit=10))
    await asyncio.sleep(0)
    assert not waiting.done()
    log.append(notice())
    log.append(notice())
    batch = await waiting
    assert [event.seq for event in batch.events] == [1, 2], "all that has gathered comes at once"


async def test_waiting_ends_empty() -> None:
    log = journal()
    batch = await log.read(log.cursor, wait=0.01, limit=10)
    assert (batch.events, batch.gap, batch.cursor) == ([], False, "e1.0")


async def test_a_closed_journal_is_read_to_its_end_and_keeps_nobody_waiting() -> None:
    log = journal()
    log.append(notice())
    waiting = asyncio.create_task(log.read(log.cursor, wait=30, limit=10))
    await asyncio.sleep(0)
    log.close()
    with pytest.raises(ShuttingDown):
        await waiting
    with pytest.raises(ShuttingDown):
        await log.read(log.cursor, wait=30, limit=10)
    assert await seqs(log, "e1.0") == [1], "what came before its end can still be read"


@given(st.integers(1, 30), st.integers(0, 60), st.integers(0, 60), st.integers(1, 20))
def test_any_place_in_any_journal(bound: int, appended: int, after: int, limit: int) -> None:
    async def check() -> None:
        log = journal(max_events=bound)
        for _ in range(appended):
            log.append(notice())
        batch = await log.read(f"e1.{after}", wait=0, limit=limit)
        oldest = max(1, appended - bound + 1)
        if after > appended or after + 1 < oldest:
            assert batch.gap
        else:
            assert [event.seq for event in batch.events] == list(range(after + 1, appended + 1))[:limit]

    asyncio.run(check())
