"""A copy of a database: of one moment while others write, whole or not there, and a house that starts on it."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import DatabaseTooNew, DatabaseUnusable, FolderUnusable, StartRefused, StorageFailed
from core.settings import SQLITE
from core.store import backup_sqlite
from core.store.backup import BackedUp, back_up
from core.store.message import Prepared, prepare
from core.store.message_records import replace_in
from core.store.sessions import Stamp
from tests.storage.storage import Storage
from tests.store.remembered import NOON, Remembered

FORMER = [{"role": "user", "content": f"former {number}"} for number in range(300)]


def backed_up(storage: Storage, target: Path) -> BackedUp:
    return back_up(storage.url, storage.folder, target, lambda done, of: None)


def started_on(copy: Path, folder: Path) -> Remembered:
    """The services on a copy that was put into an empty data folder."""
    folder.mkdir()
    copy.rename(folder / "maitred.db")
    return Remembered(Storage("sqlite", SQLITE, folder))


async def test_a_house_starts_on_a_copy(store: Remembered, tmp_path: Path) -> None:
    for text in ("an apple", "a pear"):
        await store.history.append("k", "user", text, owner="ann")
    await store.configuration.set("k", "tone", "dry")
    await store.history.replace("other", FORMER)
    copy = tmp_path / "copy.db"
    made = await asyncio.to_thread(backed_up, store.storage, copy)
    assert (made.file, made.sessions, made.messages) == (str(copy), 2, 302)
    assert made.bytes == copy.stat().st_size
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.glob("copy*")) == ["copy.db"]
    before = await store.told("k")
    await store.history.append("k", "user", "later")

    again = started_on(copy, tmp_path / "copied")
    try:
        assert await again.messages("other") == await store.messages("other")
        assert await again.contents("k") == ["an apple", "a pear"]
        assert await again.found("apple") == [("k", 1)]
        assert await again.history.append("k", "user", "goes on") == 3
        assert await again.found("goes") == [("k", 3)]
        assert await again.configuration.get("k", "tone") == "dry"
        after = await again.told("k")
        assert [entry for entry in after if entry in before] == before
    finally:
        await again.database.aclose()


async def test_it_is_of_one_moment_while_others_write(store: Remembered, tmp_path: Path) -> None:
    """Two histories are replaced together again and again: no copy has one without the other."""
    texts = ["first", "second"]
    over = asyncio.Event()

    def alike(text: str) -> list[Prepared]:
        return [prepare({"role": "user", "content": f"{text} {place}"}) for place in range(50)]

    async def write() -> int:
        rounds = 0
        while not over.is_set():
            both = alike(texts[rounds % 2])
            stamp = Stamp(now=NOON, epoch=store.epoch, actor="ann")
            await store.database.write(
                lambda connection, both=both, stamp=stamp: [  # type: ignore[misc]  # mypy sees no type in defaults
                    replace_in(connection, key, both, stamp) for key in ("a", "b")
                ]
            )
            rounds += 1
        return rounds

    writing = asyncio.create_task(write())
    try:
        for number in range(3):
            while not await store.contents("b"):
                await asyncio.sleep(0)
            made = await asyncio.to_thread(backed_up, store.storage, tmp_path / f"copy-{number}.db")
            assert made.messages == 100
            with closing(sqlite3.connect(made.file)) as copy:
                said = [
                    [
                        text
                        for (text,) in copy.execute(
                            "SELECT content FROM messages WHERE session_key = ? ORDER BY seq", key
                        )
                    ]
                    for key in "ab"
                ]
            assert said[0] == said[1]
            assert len(said[0]) == 50
    finally:
        over.set()
        assert await writing > 3
    assert store.database.trouble is None


async def test_it_tells_how_far_it_is_and_an_interruption_leaves_nothing(
    store: Remembered, tmp_path: Path
) -> None:
    await store.history.replace("k", [{"role": "user", "content": "x" * 100_000}] * 100)
    told: list[tuple[int, int]] = []

    def interrupt(done: int, of: int) -> None:
        told.append((done, of))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(store.storage.url, store.storage.folder, tmp_path / "copy.db", interrupt)
    ((done, of),) = told
    assert 0 < done <= of
    assert list(tmp_path.glob("copy*")) == []
    assert await store.contents("k") == ["x" * 100_000] * 100


async def test_what_is_in_the_way_stays(store: Remembered, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("mine")
    with pytest.raises(StartRefused, match="is there already; choose another name"):
        backed_up(store.storage, target)
    assert target.read_text() == "mine"
    left = tmp_path / "other.db.partial"
    left.write_text("another's")
    with pytest.raises(
        StartRefused, match=r"other\.db\.partial: is there already, and no backup has left it"
    ):
        backed_up(store.storage, tmp_path / "other.db")
    assert left.read_text() == "another's"


KILLED = """
import os, signal, sys
from pathlib import Path
from core.store.backup import back_up
back_up(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), lambda done, of: os.kill(os.getpid(), signal.SIGKILL))
"""


async def test_what_a_killed_backup_has_left_is_taken_away_by_the_next(
    store: Remembered, tmp_path: Path
) -> None:
    await store.history.replace("k", [{"role": "user", "content": "x" * 100_000}] * 100)
    target = tmp_path / "copy.db"
    arguments = [store.storage.url, str(store.storage.folder), str(target)]
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, *arguments)
    assert await killed.wait() == -signal.SIGKILL
    assert "copy.db.partial" in {each.name for each in tmp_path.glob("copy*")}
    # such as a kill leaves in the middle of the last check
    (tmp_path / "copy.db.partial-wal").write_bytes(b"left")
    made = await asyncio.to_thread(backed_up, store.storage, target)
    assert made.messages == 100
    assert [each.name for each in tmp_path.glob("copy*")] == ["copy.db"]


@pytest.mark.parametrize("start", [b"", b"SQLite format 3\0", bytes(4096)])
async def test_a_copy_is_known_by_how_it_begins(store: Remembered, tmp_path: Path, start: bytes) -> None:
    left = tmp_path / "copy.db.partial"
    left.write_bytes(start)
    (tmp_path / "copy.db.partial-journal").write_bytes(b"left")
    assert backed_up(store.storage, tmp_path / "copy.db").messages == 0
    assert [each.name for each in tmp_path.glob("copy*")] == ["copy.db"]


async def test_what_a_living_backup_writes_stays(store: Remembered, tmp_path: Path) -> None:
    await store.history.append("k", "user", "an apple")
    target = tmp_path / "copy.db"
    refusals: list[str] = []

    def another(_done: int, _of: int) -> None:
        with pytest.raises(StartRefused) as caught:
            backed_up(store.storage, target)
        refusals.append(str(caught.value))

    made = back_up(store.storage.url, store.storage.folder, target, another)
    assert refusals
    assert {each.rpartition(": ")[2] for each in refusals} == {
        "another backup writes it; wait for it, or choose another name"
    }
    assert made.messages == 1
    assert [each.name for each in tmp_path.glob("copy*")] == ["copy.db"]


async def test_a_copy_that_was_put_in_its_place_by_a_kill_s_last_act_stays_whole(
    store: Remembered, tmp_path: Path
) -> None:
    """Killed between its two names: whoever moved the whole copy away keeps it as it is."""
    await store.history.append("k", "user", "an apple")
    kept, left = tmp_path / "kept.db", tmp_path / "copy.db.partial"
    backed_up(store.storage, kept)
    whole = kept.read_bytes()
    left.hardlink_to(kept)
    backed_up(store.storage, tmp_path / "copy.db")
    assert kept.read_bytes() == whole
    assert not left.exists()


async def test_a_folder_that_is_not_there(store: Remembered, tmp_path: Path) -> None:
    with pytest.raises(FolderUnusable, match="No such file or directory"):
        backed_up(store.storage, tmp_path / "nowhere" / "copy.db")


def test_nothing_to_copy(tmp_path: Path) -> None:
    storage = Storage("sqlite", SQLITE, tmp_path)
    with pytest.raises(FolderUnusable, match="there is no database to copy"):
        backed_up(storage, tmp_path / "copy.db")
    storage.path.write_bytes(b"nothing of ours" * 1000)
    with pytest.raises(FolderUnusable, match="is no database that can be copied"):
        backed_up(storage, tmp_path / "copy.db")
    assert list(tmp_path.glob("copy*")) == []


async def test_a_newer_or_a_foreign_house(store: Remembered, tmp_path: Path) -> None:
    await store.history.append("k", "user", "x")
    await store.database.write(
        lambda connection: connection.exec_driver_sql("UPDATE schema_version SET version = 99")
    )
    with pytest.raises(DatabaseTooNew, match="schema 99"):
        backed_up(store.storage, tmp_path / "copy.db")
    await store.database.write(lambda connection: connection.exec_driver_sql("DROP TABLE schema_version"))
    with pytest.raises((FolderUnusable, DatabaseUnusable)):
        backed_up(store.storage, tmp_path / "copy.db")
    assert list(tmp_path.glob("copy*")) == []


async def test_a_damaged_copy_is_not_kept(
    store: Remembered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if store.storage.kind != "sqlite":
        pytest.skip("what PostgreSQL holds is written anew into the copy")
    await store.history.append("k", "user", "x")
    whole = backup_sqlite.copy

    def copy(source: Path, target: Path, progress: object) -> None:
        whole(source, target, lambda done, of: None)
        with closing(sqlite3.connect(target, isolation_level=None)) as made:
            made.execute("DELETE FROM message_words_content")

    monkeypatch.setattr(backup_sqlite, "copy", copy)
    with pytest.raises(StorageFailed, match="the search index is damaged"):
        backed_up(store.storage, tmp_path / "copy.db")
    assert list(tmp_path.glob("copy*")) == []
