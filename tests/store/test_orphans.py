"""What a core that died left behind: no words and no money are lost."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, select

from core.settings import Model
from core.store import cost_records, run_records
from core.store.database import Database
from core.store.history import append_in, page_in
from core.store.message import prepare
from core.store.orphans import close_orphans
from core.store.prices import PriceList
from core.store.run_records import RunEnd, RunStart
from core.store.sessions import Stamp
from core.store.tables import checkpoints, runs
from tests.storage.storage import Storage

PRICES = PriceList([Model(id="m", input_usd_per_million=1.0, output_usd_per_million=2.0)])
OLD = Stamp(now=1_000, epoch="old", owner="u", project="p")
NEW = Stamp(now=9_000, epoch="new")
START = RunStart(
    run_id="r1", session_key="k", user_id="u", provider="x", model="m", epoch="old", started_at=1_000
)


@pytest.fixture
async def database(storage: Storage) -> AsyncIterator[Database]:
    opened = storage.open()
    yield opened
    await opened.aclose()


def left_behind(connection: Connection) -> None:
    append_in(
        connection,
        "k",
        prepare({"role": "user", "content": "a question of 40 characters, no more......"}),
        OLD,
    )
    run_records.start(connection, START)
    run_records.checkpoint(connection, "r1", "k", "twelve chars", 5_000)


async def test_text_becomes_a_message_and_cost_is_estimated(database: Database) -> None:
    await database.write(left_behind)
    assert await database.write(lambda connection: close_orphans(connection, PRICES, NEW)) == 1

    def look(connection: Connection) -> None:
        messages = page_in(connection, "k").messages
        assert [(each.role, each.content, each.partial) for each in messages[1:]] == [
            ("assistant", "twelve chars", True)
        ]
        row = connection.execute(select(runs)).one()
        assert (row.status, row.exit_code, row.ended_at, row.estimated) == ("interrupted", 1, 9_000, True)
        assert (row.input_tokens, row.output_tokens, row.micros) == (11, 3, 17)
        totals = {(cost.scope, cost.key): cost for cost in cost_records.load(connection)}
        assert set(totals) == {
            ("session", "k"),
            ("user", "u"),
            ("project", "p"),
            ("model", "m"),
            ("day", "1970-01-01"),
        }
        assert {(cost.micros, cost.estimated_micros) for cost in totals.values()} == {(17, 17)}
        assert connection.execute(select(checkpoints)).all() == []

    await database.read(look)
    assert await database.write(lambda connection: close_orphans(connection, PRICES, NEW)) == 0


async def test_an_agent_elsewhere_accounts_for_itself(database: Database) -> None:
    def left(connection: Connection) -> None:
        run_records.start(connection, replace(START, model=None))

    await database.write(left)
    assert await database.write(lambda connection: close_orphans(connection, PRICES, NEW)) == 1
    assert await database.read(lambda connection: list(cost_records.load(connection))) == []


async def test_what_has_ended_or_is_ours_is_left_alone(database: Database) -> None:
    def ended(connection: Connection) -> None:
        run_records.start(connection, START)
        run_records.end(connection, RunEnd(run_id="r1", status="completed", exit_code=0, ended_at=2_000))

    await database.write(ended)
    assert await database.write(lambda connection: close_orphans(connection, PRICES, NEW)) == 0
