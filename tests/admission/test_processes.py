"""Four processes with 400 users on one database: no ceiling is crossed, nobody is overtaken, all know the same."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.admission.house import BIG, SMALL
from tests.admission.one_process import CAPACITY
from tests.storage.storage import Storage

PROCESSES, USERS = 4, 400
# The database itself watches: how many were in at most, and with which tickets they came in.
WATCH = """
CREATE TABLE peaks (model TEXT PRIMARY KEY, most BIGINT);
CREATE TABLE entered (id BIGINT PRIMARY KEY, model TEXT, ticket BIGINT, user_id TEXT);
CREATE FUNCTION count_in() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO peaks SELECT model, count(*) FROM seats WHERE status = 'active' GROUP BY model
    ON CONFLICT (model) DO UPDATE SET most = greatest(peaks.most, excluded.most);
    RETURN NULL;
END $$;
CREATE TRIGGER count_in AFTER UPDATE ON seats FOR EACH STATEMENT EXECUTE FUNCTION count_in();
CREATE FUNCTION note_entry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO entered SELECT NEW.id, NEW.model, ticket, user_id FROM seats WHERE user_id = NEW.user_id;
    RETURN NULL;
END $$;
CREATE TRIGGER note_entry AFTER INSERT ON admits FOR EACH ROW EXECUTE FUNCTION note_entry();
"""


class Process:
    """One process of the house, as the test drives it."""

    def __init__(self, url: str, name: str, users: int) -> None:
        command = [sys.executable, "-m", "tests.admission.one_process", url, name, str(users)]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def hear(self) -> str:
        """The next line that it says."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go(self) -> None:
        """Let it go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def leave(self) -> int:
        """Wait for its end; what it ended with."""
        return self._process.wait(30)

    def kill(self) -> None:
        """Let nothing of it be left."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def url(postgres: Storage) -> str:
    """A house whose database watches what happens there."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(WATCH)
    return postgres.url


@pytest.fixture
def processes(url: str) -> Iterator[list[Process]]:
    started = [Process(url, f"p{place}", USERS // PROCESSES) for place in range(PROCESSES)]
    yield started
    for process in started:
        process.kill()


def all_at(processes: list[Process], word: str) -> None:
    """Wait until every process has come to a point."""
    assert [process.hear() for process in processes] == [word] * len(processes)


def let_go(processes: list[Process]) -> None:
    """Let every process do its next step."""
    for process in processes:
        process.go()


def test_four_processes_and_400_users(url: str, processes: list[Process]) -> None:
    for word in ("ready", "served"):
        all_at(processes, word)
        let_go(processes)
    with psycopg.connect(url, autocommit=True) as database:
        peaks: dict[str, int] = dict(database.execute("SELECT model, most FROM peaks").fetchall())
        entered = database.execute("SELECT model, ticket, user_id FROM entered ORDER BY id").fetchall()
        for word in ("paused", "waiting"):
            all_at(processes, word)
            let_go(processes)
        queue = database.execute(
            "SELECT user_id FROM seats WHERE model = %s AND status = 'queued' ORDER BY ticket", (SMALL,)
        ).fetchall()
    known = [json.loads(process.hear()) for process in processes]
    assert [process.leave() for process in processes] == [0] * PROCESSES

    assert peaks == {SMALL: CAPACITY, BIG: CAPACITY}
    assert len({user for _, _, user in entered}) == len(entered) == USERS
    for model in (SMALL, BIG):
        tickets = [ticket for its, ticket, _ in entered if its == model]
        assert tickets == sorted(tickets)
    assert len(queue) == USERS // 10
    for each in known:
        assert each["positions"] == {user: place for place, (user,) in enumerate(queue, 1)}
        assert each["depth"] == len(queue)
        assert each["paused"]
        assert len(each["lags"]) == USERS // 10 * (PROCESSES - 1) // PROCESSES
    # at most a quarter of a second and a commit; a machine that stands still for a moment makes some of them late
    assert statistics.median(lag for each in known for lag in each["lags"]) < 1000
