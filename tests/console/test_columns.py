"""The columns that an operator chooses: what is shown, what follows it at once, and what a later start remembers."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from console.panes.columns import Arrangement, in_order, moved, resized, shown, toggled
from console.panes.layout import arrange
from console.panes.runs import RUNS
from console.panes.sessions import SESSIONS
from console.preferences import Preferences, keep_columns, recall
from console.screens.columns import ColumnsScreen
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_run, a_session

IDS = [column.id for column in RUNS.columns]
SOME_ID = st.sampled_from([*IDS, "instance", "gone", ""])
ARRANGEMENTS = st.builds(
    Arrangement,
    order=st.lists(SOME_ID).map(tuple),
    hidden=st.lists(SOME_ID).map(tuple),
    widths=st.dictionaries(SOME_ID, st.integers(-(10**20), 10**20)),
)


def ids(arrangement: Arrangement) -> list[str]:
    return [column.id for column in shown(RUNS.columns, arrangement)]


# ------------------------------------------------------------------------------------------------- what is chosen


@given(ARRANGEMENTS)
def test_whatever_was_kept_each_column_has_its_place_and_one_is_shown(arrangement: Arrangement) -> None:
    assert sorted(column.id for column in in_order(RUNS.columns, arrangement)) == sorted(IDS)
    visible = shown(RUNS.columns, arrangement)
    assert visible
    assert all(3 <= column.width <= 120 for column in visible)
    assert arrange(visible, 77)


@given(ARRANGEMENTS, st.sampled_from(IDS))
def test_what_is_shown_is_hidden_and_the_other_way_round(arrangement: Arrangement, column: str) -> None:
    before = ids(arrangement)
    after = ids(toggled(RUNS.columns, arrangement, column))
    if column not in before:
        assert sorted(after) == sorted([*before, column])
    elif len(before) > 1:
        assert after == [each for each in before if each != column]
        assert ids(toggled(RUNS.columns, toggled(RUNS.columns, arrangement, column), column)) == before
    else:
        assert after == before


@given(ARRANGEMENTS, st.sampled_from(IDS), st.integers(-20, 20))
def test_a_column_is_moved_and_no_other(arrangement: Arrangement, column: str, by: int) -> None:
    before = [each.id for each in in_order(RUNS.columns, arrangement)]
    after = [each.id for each in in_order(RUNS.columns, moved(RUNS.columns, arrangement, column, by))]
    assert after.index(column) == max(0, min(before.index(column) + by, len(IDS) - 1))
    assert [each for each in after if each != column] == [each for each in before if each != column]


def test_nothing_chosen_is_the_pane_s_own_way_and_so_is_what_was_moved_back() -> None:
    assert shown(RUNS.columns, Arrangement()) == RUNS.columns
    there = moved(RUNS.columns, Arrangement(), "seq", 2)
    assert moved(RUNS.columns, there, "seq", -2) == Arrangement()
    wide = resized(Arrangement(), "seq", 20)
    assert resized(wide, "seq", None) == Arrangement()
    hidden = toggled(RUNS.columns, Arrangement(), "seq")
    assert toggled(RUNS.columns, hidden, "seq") == Arrangement()


def test_a_new_column_comes_behind_the_one_that_the_pane_has_before_it() -> None:
    old = Arrangement(order=("cost", "gone", "state", "session", "model"))
    order = [column.id for column in in_order(RUNS.columns, old)]
    assert order[order.index("session") + 1] == "user"
    assert order[order.index("model") + 1] == "seq"
    assert order[0] == "cost"


def test_what_is_kept_of_columns_that_are_not_here_stays() -> None:
    several = Arrangement(hidden=("instance", "seq"))
    assert toggled(RUNS.columns, several, "seq") == Arrangement(hidden=("instance",))


def test_in_an_own_order_what_stands_left_comes_in_first() -> None:
    """`kind` has no room at 80 cells by itself, and has when it is moved to the front."""
    assert "kind" not in {place.column.id for place in arrange(SESSIONS.columns, 77)}
    front = moved(SESSIONS.columns, Arrangement(), "kind", -20)
    places = arrange(shown(SESSIONS.columns, front), 77)
    assert places[0].column.id == "kind"
    assert places[-1].column.id != "kind"


def test_an_own_width_is_kept_whatever_room_there_is() -> None:
    wide = resized(Arrangement(), "session", 30)
    for cells in (77, 117, 197):
        widths = {place.column.id: place.width for place in arrange(shown(RUNS.columns, wide), cells)}
        assert widths["session"] == 30


# -------------------------------------------------------------------------------------------------- what is kept


def test_what_is_kept_is_known_again_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    chosen = Arrangement(order=("seq", "state"), hidden=("cost",), widths={"seq": 9})
    assert keep_columns(folder, {"runs": chosen}) == ""
    assert keep_columns(folder, {"cost": Arrangement(hidden=("key",))}) == ""
    assert recall(folder).preferences.columns == {"runs": chosen, "cost": Arrangement(hidden=("key",))}
    assert recall(folder).trouble == ""
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert keep_columns(folder, {"runs": Arrangement()}) == ""
    assert list(recall(folder).preferences.columns) == ["cost"]


@given(ARRANGEMENTS)
def test_whatever_is_chosen_can_be_kept(arrangement: Arrangement) -> None:
    kept = msgspec.json.encode(Preferences(columns={"runs": toggled(RUNS.columns, arrangement, "seq")}))
    assert ids(msgspec.json.decode(kept, type=Preferences).columns["runs"]) == ids(
        toggled(RUNS.columns, arrangement, "seq")
    )


BAD = {
    "no text": b"\xff\xfe",
    "empty": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "numbers for names": b'{"columns": {"runs": {"order": [1]}}}',
    "text for a width": b'{"columns": {"runs": {"widths": {"seq": "wide"}}}}',
    "too deep": b"[" * 50_000,
    "too large": b'{"columns": {}, "x": "' + b"x" * 70_000 + b'"}',
    "of tomorrow": b'{"columns": {}, "version": 2}',
    "a huge width": b'{"columns": {"runs": {"widths": {"seq": 1e400}}}}',
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_file_is_passed_over_with_a_notice(name: str, tmp_path: Path) -> None:
    (tmp_path / "console.json").write_bytes(BAD[name])
    found = recall(tmp_path)
    assert found.preferences == Preferences()
    assert found.trouble.startswith("columns and layout are not as you left them: ")
    assert keep_columns(tmp_path, {"runs": Arrangement(hidden=("seq",))}) == ""
    assert recall(tmp_path).preferences.columns == {"runs": Arrangement(hidden=("seq",))}


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "console.json")
    assert "is no file" in recall(tmp_path).trouble
    (tmp_path / "console.json").unlink()
    (tmp_path / "console.json").mkdir()
    assert recall(tmp_path).trouble
    assert keep_columns(tmp_path, {"runs": Arrangement(hidden=("seq",))}) != ""
    assert [path.name for path in tmp_path.iterdir()] == ["console.json"]
    assert recall(tmp_path / "console.json" / "nothing").trouble == ""


def test_a_link_is_replaced_and_what_it_points_to_is_not(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "console.json").symlink_to(tmp_path / "victim")
    assert keep_columns(tmp_path, {"runs": Arrangement(hidden=("seq",))}) == ""
    assert (tmp_path / "victim").read_text() == "precious"


# ------------------------------------------------------------------------------------------------------- by keys


def a_house() -> FakeCore:
    return FakeCore(
        *(a_session(f"api:ann/{n}", run_id=f"run-{n}") for n in range(3)),
        *(a_run(f"run-{n}", session_key=f"api:ann/{n}", last_seq=n) for n in range(3)),
    )


def heading(console: Opened) -> str:
    """The head of the table, which the list never covers."""
    return console.screen().splitlines()[2]


async def chooses(console: Opened, *keys: str) -> None:
    await console.press("w")
    await console.until(lambda: isinstance(console.app.screen, ColumnsScreen))
    await console.press(*keys)
    console.app.draw()
    await console.pilot.pause()


async def test_the_table_behind_follows_at_once_and_a_later_start_knows_it(tmp_path: Path) -> None:
    async with opened(a_house(), folder=tmp_path) as console:
        assert heading(console).split()[:2] == ["STATE▴", "SESSION"]
        await chooses(console, "greater_than_sign")
        assert heading(console).split()[:2] == ["SESSION", "STATE▴"]
        at = IDS.index("run")
        await console.press("home", *["down"] * at, *["less_than_sign"] * at)
        assert heading(console).split()[:3] == ["RUN", "SESSION", "STATE▴"]
        await console.press("down", "down", "space")
        assert "STATE" not in heading(console)
        await console.sees("□ STATE")
        await console.press("escape")
        await console.until((tmp_path / "console.json").exists)
    async with opened(a_house(), folder=tmp_path) as console:
        assert heading(console).split()[:2] == ["RUN", "SESSION"]
        await chooses(console, "r")
        assert heading(console).split()[:2] == ["STATE▴", "SESSION"]
        await console.press("escape")
        await console.until(lambda: not json.loads((tmp_path / "console.json").read_text())["columns"])


async def test_who_leaves_the_console_from_there_has_the_columns_at_the_next_start(tmp_path: Path) -> None:
    async with opened(a_house(), folder=tmp_path) as console:
        await chooses(console, "space")
        assert "STATE" not in heading(console)
        await console.press("ctrl+q")
        await console.until(lambda: not console.app.is_running)
    async with asyncio.timeout(10):
        # the process ends when the thread that writes it has
        while not (tmp_path / "console.json").exists():
            await asyncio.sleep(0.01)
    async with opened(a_house(), folder=tmp_path) as console:
        assert "STATE" not in heading(console)


async def test_a_width_grows_from_what_is_seen_and_can_be_given_back() -> None:
    async with opened(a_house(), size=(100, 30)) as console:
        before = heading(console).index("MODEL")
        await chooses(console, "down", "plus", "plus", "plus")
        assert heading(console).index("MODEL") == before + 3
        await console.sees("fixed")
        await console.press("minus", "minus", "minus", "minus")
        assert heading(console).index("MODEL") == before - 1
        await console.press("equals_sign")
        assert heading(console).index("MODEL") == before
        assert "fixed" not in console.screen()


async def test_rows_are_sorted_and_filtered_by_what_is_hidden() -> None:
    async with opened(a_house()) as console:
        model = console.app.desk.models["runs"]
        model.sort_by("seq", descending=True)
        await chooses(console, "down", "down", "down", "down", "space", "escape")
        assert "SEQ" not in heading(console)
        await console.sees("by seq▾")
        assert [row.run.last_seq for _, row in model.window()] == [2, 1, 0]
        await console.press("slash", *"seq>1", "enter")
        await console.sees("1 shown of 3")


async def test_the_last_column_stays() -> None:
    async with opened(a_house()) as console:
        await chooses(console, *(key for _ in range(13) for key in ("space", "down")))
        assert len(console.app.desk.models["runs"].columns) == 1


async def test_keys_that_come_at_once_are_worked_off_in_their_order() -> None:
    """A terminal may send them all before the list is there."""
    async with opened(a_house()) as console:
        for key in ("w", "down", "space", "down", "space", "w"):
            console.app.post_message(events.Key(key, " " if key == "space" else key if key == "w" else None))
        await console.until(lambda: len(console.app.desk.models["runs"].columns) == len(IDS) - 2)
        await console.until(lambda: not isinstance(console.app.screen, ColumnsScreen))
        assert console.app.desk.models["runs"].arrangement.hidden == ("session", "user")


async def test_everything_works_by_mouse() -> None:
    async with opened(a_house()) as console:
        await chooses(console)
        offset = await _place_of(console, "■ SESSION")
        await console.pilot.click(offset=offset)
        await console.sees("□ SESSION")
        await console.pilot.click(offset=(offset[0] + 6, offset[1]), times=2)
        await console.sees("■ SESSION")


async def _place_of(console: Opened, text: str) -> tuple[int, int]:
    await console.sees(text)
    lines = console.screen().splitlines()
    ((x, y),) = [(line.index(text), y) for y, line in enumerate(lines) if text in line]
    return x, y


async def test_a_bad_file_does_not_keep_the_console_from_starting(tmp_path: Path) -> None:
    (tmp_path / "console.json").write_text('{"columns": "\x1b[31mred"}')
    async with opened(a_house(), size=(120, 30), folder=tmp_path) as console:
        await console.sees("columns and layout are not as you left them")
        assert heading(console).split()[:2] == ["STATE▴", "SESSION"]


async def test_what_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "console.json").mkdir()
    async with opened(a_house(), folder=tmp_path) as console:
        await chooses(console, "space", "escape")
        await console.sees("the columns stay so until this console is left")


async def test_a_pane_that_is_opened_anew_has_its_columns() -> None:
    async with opened(a_house()) as console:
        desk = console.app.desk
        desk.show_columns("runs", Arrangement(hidden=("state",)))
        assert "state" not in {column.id for column in desk.model_of(RUNS).columns}


async def test_an_export_has_the_columns_that_are_chosen(tmp_path: Path) -> None:
    async with opened(a_house(), folder=tmp_path) as console:
        hidden = tuple(column for column in IDS if column not in ("state", "run", "cost"))
        console.app.desk.show_columns("runs", Arrangement(order=("run", "cost"), hidden=hidden))
        await console.press("x")
        await console.sees("into")
        await console.press("c")
        await console.sees("✓ 3 rows")
        (path,) = (tmp_path / "exports").iterdir()
        assert path.read_text().splitlines()[0] == "STATE,RUN,COST"
