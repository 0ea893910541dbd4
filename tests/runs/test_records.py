"""One suite for every implementation of `RunRecords`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from core.clock import ManualClock
from core.errors import SessionNotFound
from core.runs import Run, RunLog, RunRecords, StoredRuns
from core.store import run_records, sessions
from core.store.database import Database
from core.store.message_records import page_in
from core.store.prices import PriceList
from tests.runs.fakes import MemoryRecords
from tests.storage.storage import Storage

Lives = Callable[[str], RunRecords]
"""Records as a life of the core, named by its epoch, has them; all on one storage."""


@pytest.fixture
async def database(storage: Storage) -> AsyncIterator[Database]:
    database = storage.open()
    yield database
    await database.aclose()


@pytest.fixture(params=["memory", "database"])
def lives(request: pytest.FixtureRequest, database: Database) -> Lives:
    if request.param == "memory":
        memory = MemoryRecords()
        return lambda _epoch: memory
    clock = ManualClock(1_000)
    return lambda epoch: StoredRuns(database, epoch=epoch, clock=clock, prices=PriceList([]))


def a_run(run_id: str, session_key: str = "s1") -> Run:
    log = RunLog(b"", max_events=1, max_bytes=1)
    return Run(run_id, session_key, "acme", user_id="u", model="m", started_at=5, last_event=0.0, log=log)


def over(run: Run, *, exit_code: int, aborted: bool = False, interrupted: bool = False) -> Run:
    run.ended_at, run.exit_code, run.aborted, run.interrupted = 9, exit_code, aborted, interrupted
    return run


async def test_a_run_is_what_was_recorded_last(lives: Lives) -> None:
    records = lives("one")
    assert await records.status("r1") is None
    await records.started(a_run("r1"))
    assert await records.status("r1") == "running"
    await records.ended(over(a_run("r1"), exit_code=3))
    assert await records.status("r1") == "completed"


@pytest.mark.parametrize(
    ("aborted", "interrupted", "status"),
    [(False, False, "completed"), (True, False, "aborted"), (False, True, "interrupted")],
)
async def test_how_a_run_ended_is_recorded(
    lives: Lives, aborted: bool, interrupted: bool, status: str
) -> None:
    records, run = lives("one"), a_run("r1")
    started = records.started(run)
    # what is recorded is how the run stands now, not when it gets to the disk
    ended = records.ended(over(run, exit_code=1, aborted=aborted, interrupted=interrupted))
    run.aborted, run.interrupted = True, True
    await started
    await ended
    assert await lives("two").status("r1") == status


async def test_the_providers_name_for_a_session_outlives_the_core(lives: Lives) -> None:
    records = lives("one")
    assert await records.provider_id("s1") is None
    await records.save_provider_id("s1", "n7")
    await records.save_provider_id("s1", "n9")
    assert await lives("two").provider_id("s1") == "n9"
    assert await lives("two").provider_id("s2") is None


async def test_what_an_earlier_life_left_running_is_closed_once(lives: Lives) -> None:
    records = lives("one")
    await records.started(a_run("r1"))
    await records.started(a_run("r2"))
    await records.ended(over(a_run("r2"), exit_code=0))
    assert await lives("two").interrupt_orphans() == 1
    assert await lives("two").interrupt_orphans() == 0
    assert [await records.status(run_id) for run_id in ("r1", "r2")] == ["interrupted", "completed"]


async def test_the_text_of_an_orphan_becomes_a_partial_message(database: Database) -> None:
    clock = ManualClock(60_000)
    await StoredRuns(database, epoch="one", clock=clock, prices=PriceList([])).started(a_run("r1"))
    await database.write(
        lambda connection: run_records.checkpoint(connection, "r1", "s1", "half an ans", 7_000)
    )
    later = StoredRuns(database, epoch="two", clock=clock, prices=PriceList([]))
    assert await later.interrupt_orphans() == 1
    page = await database.read(lambda connection: page_in(connection, "s1"))
    assert [(each.role, each.content, each.partial, each.run_id) for each in page.messages] == [
        ("assistant", "half an ans", True, "r1")
    ]
    assert await later.interrupt_orphans() == 0


async def test_a_session_is_whose_run_was_its_first(database: Database) -> None:
    records = StoredRuns(database, epoch="one", clock=ManualClock(1_000), prices=PriceList([]))
    first, second, nobodys = a_run("r1"), a_run("r2"), a_run("r3", "s2")
    second.user_id, nobodys.user_id = "somebody else", None
    await records.started(first)
    with pytest.raises(SessionNotFound):
        await records.started(second)
    assert await records.status("r2") is None
    await records.started(nobodys)
    stored = await database.read(
        lambda connection: [sessions.look(connection, each) for each in ("s1", "s2")]
    )
    assert [each and each.owner for each in stored] == ["u", None]
