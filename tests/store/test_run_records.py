"""What the database keeps of runs: behaviours/runs.md, decisions 7, 12 and 13."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import psycopg
import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, select

from core.store import run_records
from core.store.run_records import Orphan, RunEnd, RunStart
from core.store.sessions import Stamp
from core.store.tables import checkpoints, runs, sessions
from tests.storage.storage import Storage

RUN = RunStart(
    run_id="r1", session_key="k", user_id="u", provider="openai", model="m", epoch="old", started_at=1000
)
END = RunEnd(
    run_id="r1",
    status="completed",
    exit_code=0,
    ended_at=2000,
    input_tokens=10,
    output_tokens=20,
    micros=30,
    estimated=True,
)

INTEGRITY = (sqlite3.IntegrityError, psycopg.IntegrityError)


@pytest.fixture
def connection(storage: Storage) -> Iterator[Connection]:
    with storage.scratch() as connection:
        yield connection


def texts(connection: Connection) -> dict[str, str]:
    return {row.run_id: row.text for row in connection.execute(select(checkpoints))}


def test_a_run_from_start_to_end(connection: Connection) -> None:
    assert run_records.status_of(connection, "r1") is None
    run_records.start(connection, RUN)
    assert run_records.status_of(connection, "r1") == "running"
    assert run_records.end(connection, END)
    assert run_records.status_of(connection, "r1") == "completed"
    row = connection.execute(select(runs)).one()
    assert (row.session_key, row.user_id, row.provider, row.model, row.epoch) == (
        "k",
        "u",
        "openai",
        "m",
        "old",
    )
    assert (row.started_at, row.ended_at, row.exit_code) == (1000, 2000, 0)
    assert (row.input_tokens, row.output_tokens, row.micros, row.estimated) == (10, 20, 30, True)


def test_a_run_ends_once(connection: Connection) -> None:
    run_records.start(connection, RUN)
    assert run_records.end(connection, END)
    assert not run_records.end(connection, replace(END, status="aborted"))
    assert run_records.status_of(connection, "r1") == "completed"
    assert not run_records.end(connection, replace(END, run_id="never-was"))


def test_a_run_starts_once(connection: Connection) -> None:
    run_records.start(connection, RUN)
    with pytest.raises(INTEGRITY):
        run_records.start(connection, RUN)


def test_the_text_of_a_running_answer(connection: Connection) -> None:
    run_records.start(connection, RUN)
    for number, text in enumerate(["He", "Hello", "Hello\0 \ud800"]):
        run_records.checkpoint(connection, "r1", "k", text, 1000 + number)
    run_records.checkpoint(connection, "r2", "k", "other", 1000)
    assert texts(connection) == {"r1": "Hello\ufffd \ufffd", "r2": "other"}
    run_records.drop_checkpoint(connection, "r2")
    run_records.drop_checkpoint(connection, "r2")
    run_records.end(connection, END)
    assert texts(connection) == {}


def test_what_another_epoch_left_running_is_found(connection: Connection) -> None:
    run_records.start(connection, RUN)
    run_records.start(connection, replace(RUN, run_id="r0", started_at=900, user_id=None, model=None))
    run_records.start(connection, replace(RUN, run_id="ended"))
    run_records.end(connection, replace(END, run_id="ended", status="aborted"))
    run_records.start(connection, replace(RUN, run_id="mine", epoch="new"))
    for run_id in ("r1", "mine"):
        run_records.checkpoint(connection, run_id, "k", "so far", 1500)
    none = Orphan(
        run_id="r0",
        session_key="k",
        project=None,
        user_id=None,
        model=None,
        started_at=900,
        text=None,
        at=None,
    )
    some = replace(none, run_id="r1", user_id="u", model="m", started_at=1000, text="so far", at=1500)
    assert run_records.orphans(connection, "new") == [none, some]


def test_the_providers_name_for_a_session(connection: Connection) -> None:
    stamp = Stamp(now=1000, epoch="new")
    assert run_records.provider_session_id(connection, "k") is None
    run_records.set_provider_session_id(connection, "k", "n7", stamp)
    assert run_records.provider_session_id(connection, "k") == "n7"
    run_records.set_provider_session_id(connection, "k", "n8", replace(stamp, now=2000))
    assert run_records.provider_session_id(connection, "k") == "n8"
    row = connection.execute(select(sessions)).one()
    assert (row.created_at, row.next_seq, row.messages, row.epoch) == (1000, 1, 0, "new")
