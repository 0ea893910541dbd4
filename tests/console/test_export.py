"""What leaves the console as a file: what is in it, who may read it, and that it is whole or not there at all."""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from console import exports
from console.exports import Unwritten, Written, write
from console.panes.catalog import BEHIND, PANES
from console.panes.export import cell_text, chunks
from console.panes.pane import Cell, Column
from console.panes.runs import RunLine
from console.text import neutral
from tests.console.busy_house import a_busy_house
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_run, a_session

SIZE = (120, 30)
NAMES = st.text(st.characters(codec=None) | st.sampled_from("=+-@\t\r\n,\"' \u202e"), max_size=20)


def columns(count: int) -> list[Column[Any]]:
    """Columns of rows that are lists of texts."""
    return [_column(n) for n in range(count)]


def _column(n: int) -> Column[Any]:
    return Column(
        f"c{n}",
        f"C{n}",
        5,
        lambda row, now: Cell(row[n]),
        lambda row: row,
        raw=lambda row, now: {f"c{n}": row[n]},
    )


# ------------------------------------------------------------------------------------------------- what is in it


@given(st.lists(st.lists(NAMES, min_size=3, max_size=3), max_size=8))
def test_what_a_spreadsheet_reads_is_what_was_shown(rows: list[list[str]]) -> None:
    text = "".join(chunks("csv", columns(3), rows, lambda: 0))
    text.encode()
    found = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert found == [["C0", "C1", "C2"], *([cell_text(cell) for cell in row] for row in rows)]


@given(NAMES)
def test_no_cell_is_a_formula_and_none_says_something_else(name: str) -> None:
    shown = cell_text(name)
    assert shown[:1] not in set("=+-@\t\r")
    assert shown.lstrip()[:1] not in set("=+-@\t\r")
    assert shown in (neutral(name), f"'{neutral(name)}")
    assert shown.isprintable()


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1", "-$1.20", "\n=cmd"]
)
def test_what_would_be_a_formula_is_marked_as_text(name: str) -> None:
    assert cell_text(name) == f"'{neutral(name)}"


@pytest.mark.parametrize("name", ["", "api:ann/1", "–", "● running", "a=b", "$1.20", "12"])
def test_what_is_none_is_left_alone(name: str) -> None:
    assert cell_text(name) == name


@given(st.lists(st.lists(NAMES, min_size=2, max_size=2), max_size=8))
def test_json_lines_have_the_exact_texts_and_nothing_that_a_terminal_obeys(rows: list[list[str]]) -> None:
    text = "".join(chunks("jsonl", columns(2), rows, lambda: 0))
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    lines = text.splitlines()
    assert [json.loads(line) for line in lines] == [{"c0": row[0], "c1": row[1]} for row in rows]


def test_numbers_are_numbers_money_is_exact_and_times_are_those_of_the_wire() -> None:
    core = a_busy_house()
    run = next(iter(core.rows.runs.values()))
    runs = next(pane for pane in PANES if pane.id == "runs")
    (line,) = "".join(chunks("jsonl", runs.columns, [RunLine(run, None, None)], core.clock.now)).splitlines()
    found = json.loads(line)
    assert found["micros"] == run.micros
    assert found["started_at"] == run.started_at
    assert found["last_seq"] == run.last_seq
    assert found["user_id"] == run.user_id
    assert found["events_per_second"] is None


async def test_every_pane_can_be_written_as_both(tmp_path: Path) -> None:
    async with opened(a_busy_house(), size=SIZE, folder=tmp_path) as console:
        desk = console.app.desk
        for pane in (*PANES, *BEHIND.values()):
            model = desk.model_of(pane)
            desk.catch_up(model)
            rows = model.picked()
            assert rows, pane.id
            table = "".join(chunks("csv", pane.columns, rows, desk.cores.now))
            found = list(csv.reader(io.StringIO(table, newline="")))
            assert len(found) == len(rows) + 1
            assert {len(line) for line in found} == {len(pane.columns)}
            lines = "".join(chunks("jsonl", pane.columns, rows, desk.cores.now)).splitlines()
            values = [json.loads(line) for line in lines]
            assert len(values) == len(rows)
            assert len({frozenset(value) for value in values}) == 1
            assert any(isinstance(each, int) for value in values for each in value.values()) or pane.id in (
                "journal",
                "findings",
            )


async def test_each_column_has_values_for_machines_and_two_that_share_a_name_agree() -> None:
    async with opened(a_busy_house(), size=SIZE) as console:
        desk = console.app.desk
        for pane in (*PANES, *BEHIND.values()):
            assert [column.id for column in pane.columns if column.raw is None] == []
            model = desk.model_of(pane)
            desk.catch_up(model)
            now = desk.cores.now()
            for row in model.picked():
                told: dict[str, object] = {}
                for column in pane.columns:
                    for name, value in column.values(row, now).items():
                        assert told.setdefault(name, value) == value, f"{pane.id}.{column.id} {name}"


# ---------------------------------------------------------------------------------------------- how it is written


async def test_only_its_owner_may_read_it_and_nothing_is_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "exports"
    first = await write(folder, "runs", "csv", ["a", "b"])
    second = await write(folder, "runs", "csv", ["c"])
    assert first == Written(folder / "runs.csv")
    assert second == Written(folder / "runs-2.csv")
    assert (folder / "runs.csv").read_text() == "ab"
    assert (folder / "runs-2.csv").read_text() == "c"
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    assert (folder / "runs.csv").stat().st_mode & 0o777 == 0o600


async def test_a_link_that_somebody_laid_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").symlink_to(tmp_path / "victim")
    assert await write(tmp_path, "runs", "csv", ["x"]) == Written(tmp_path / "runs-2.csv")
    assert not (tmp_path / "victim").exists()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("a file")
    answer = await write(tmp_path / "exports", "runs", "csv", ["x"])
    assert isinstance(answer, Unwritten)
    assert str(tmp_path / "exports") in answer.why


@pytest.mark.parametrize("fails", ["write", "close"])
async def test_of_a_full_disk_nothing_half_written_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    class Full(io.BufferedWriter):
        def write(self, data: Any) -> int:
            if fails == "write" and data == b"second":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

        def close(self) -> None:
            already = self.closed
            super().close()
            if fails == "close" and not already:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdopen", lambda number, mode: Full(io.FileIO(number, mode)))
    answer = await write(tmp_path, "runs", "csv", ["first", "second"])
    assert answer == Unwritten(f"No space left on device ({tmp_path})")
    assert list(tmp_path.iterdir()) == []


async def test_who_leaves_meanwhile_finds_nothing_of_it(tmp_path: Path) -> None:
    def pieces() -> Iterator[str]:
        while True:
            yield "x"

    task = asyncio.create_task(write(tmp_path, "runs", "csv", pieces()))
    while not list(tmp_path.iterdir()):
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(tmp_path.iterdir()) == []


async def test_what_is_stopped_is_taken_away(tmp_path: Path) -> None:
    written: list[str] = []

    def pieces() -> Iterator[str]:
        for piece in ("first", "second", "third"):
            written.append(piece)
            yield piece

    answer = await write(tmp_path, "runs", "csv", pieces(), stopped=lambda: len(written) > 1)
    assert answer == Unwritten("it was stopped")
    assert list(tmp_path.iterdir()) == []
    assert len(written) == 2


async def test_between_two_pieces_others_have_their_turn(tmp_path: Path) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    rows = [["x"]] * 20_000
    assert isinstance(
        await write(tmp_path, "runs", "csv", chunks("csv", columns(1), rows, lambda: 0)), Written
    )
    task.cancel()
    assert turns >= 200
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 20_001


# --------------------------------------------------------------------------------------------------- by its key


def a_house() -> FakeCore:
    return FakeCore(
        *(a_session(f"api:ann/{n}", run_id=f"run-{n}") for n in range(6)),
        *(a_run(f"run-{n}", session_key=f"api:ann/{n}", micros=n * 1_000_000, last_seq=n) for n in range(6)),
    )


def files(folder: Path) -> list[Path]:
    return sorted((folder / "exports").iterdir()) if (folder / "exports").exists() else []


async def exported(console: Opened, folder: Path, letter: str) -> str:
    await console.press("x")
    await console.sees("into")
    await console.press(letter)
    await console.sees("✓ ")
    (path,) = files(folder)
    return path.read_text()


async def test_what_is_written_is_what_is_shown_in_its_order(tmp_path: Path) -> None:
    async with opened(a_house(), size=SIZE, folder=tmp_path) as console:
        model = console.app.desk.models["runs"]
        model.sort_by("seq", descending=True)
        await console.press("slash", *"-ann/3", "enter")
        lines = [json.loads(line) for line in (await exported(console, tmp_path, "j")).splitlines()]
        assert [line["last_seq"] for line in lines] == [5, 4, 2, 1, 0]
        assert [line["micros"] for line in lines] == [5_000_000, 4_000_000, 2_000_000, 1_000_000, 0]
        await console.sees("✓ 5 rows: runs-")
        assert files(tmp_path)[0].name.endswith("Z.jsonl")


async def test_where_rows_are_marked_only_these_are_written(tmp_path: Path) -> None:
    async with opened(a_house(), size=SIZE, folder=tmp_path) as console:
        console.app.desk.models["runs"].sort_by("seq", descending=False)
        await console.press("home", "space", "space", "end", "space", "slash", *"-ann/5", "enter")
        found = list(csv.reader(io.StringIO(await exported(console, tmp_path, "c"), newline="")))
        assert found[0][:2] == ["STATE", "SESSION"]
        assert [line[1] for line in found[1:]] == ["api:ann/0", "api:ann/1", "api:ann/5"]
        await console.sees("✓ 3 marked rows: runs-")


async def test_escape_writes_nothing_and_so_does_an_empty_pane(tmp_path: Path) -> None:
    async with opened(a_house(), size=SIZE, folder=tmp_path) as console:
        await console.press("x")
        await console.sees("JSON Lines")
        await console.press("escape")
        await console.sees("nothing was exported")
        await console.press("7", "x")
        await console.sees("nothing here to export")
        assert files(tmp_path) == []


async def test_a_long_export_says_how_far_it_is_and_escape_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, real = threading.Semaphore(0), exports._NewFile.write

    def slow(self: exports._NewFile, data: bytes) -> None:
        assert go_on.acquire(timeout=20)
        real(self, data)

    monkeypatch.setattr(exports._NewFile, "write", slow)
    many = FakeCore(*(a_run(f"run-{n}", session_key=f"api:ann/{n}") for n in range(1_000)))
    async with opened(many, size=SIZE, folder=tmp_path) as console:
        try:
            await console.press("x", "j")
            await console.sees("exporting 1,000 rows: 0 % … esc stops it")
            go_on.release(3)
            await console.sees("exporting 1,000 rows: 30 % … esc stops it")
            await console.press("x")
            await console.sees("30 % … esc stops it")
            await console.press("escape")
            await console.sees("stopping")
        finally:
            go_on.release(100)
        await console.sees("✗ nothing was exported: it was stopped")
        assert files(tmp_path) == []


async def test_a_letter_right_behind_the_key_is_the_menu_s(tmp_path: Path) -> None:
    async with opened(a_house(), size=SIZE, folder=tmp_path) as console:
        for key in "xj":
            console.app.post_message(events.Key(key, key))
        await console.sees("✓ 6 rows")
        assert files(tmp_path)[0].suffix == ".jsonl"


async def test_what_cannot_be_written_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "exports").write_text("")
    async with opened(a_house(), size=SIZE, folder=tmp_path) as console:
        await console.press("x", "c")
        await console.sees("✗ nothing was exported: ")
    async with opened(a_house(), size=SIZE) as console:
        await console.press("x")
        await console.sees("keeps no files")


async def test_it_looks_only_so_it_is_there_in_read_only_mode(tmp_path: Path) -> None:
    async with opened(a_house(), size=(80, 24), folder=tmp_path, read_only=True) as console:
        assert len((await exported(console, tmp_path, "c")).splitlines()) == 7
        assert console.sent() == []
