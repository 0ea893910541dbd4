"""One cell of a row goes to the clipboard, or all of it: in full, and with nothing that a terminal obeys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from textual import events

from console.panes.columns import Arrangement
from console.panes.runs import RUNS, RunLine
from console.screens.copying import cell_menu, copied
from console.text import neutral
from tests.console.fake_core import FakeCore
from tests.console.opened import opened
from tests.console.rows import a_run, a_session

LONG = "api:" + "very-long-" * 20
EVIL = "api:\x1b]52;c;aGk=\x07\u202eevil\nrm -rf\t=1"


def a_house(*keys: str) -> FakeCore:
    return FakeCore(
        *(a_session(key, run_id=f"run-{n}") for n, key in enumerate(keys)),
        *(a_run(f"run-{n}", session_key=key, last_seq=1_234) for n, key in enumerate(keys)),
    )


async def test_a_cell_is_copied_in_full() -> None:
    async with opened(a_house(LONG)) as console:
        await console.press("k")
        await console.sees("0  the whole row")
        await console.press("2")
        await console.sees("copied session: api:very-long")
        assert console.app.clipboard == LONG


async def test_a_row_is_copied_with_the_columns_that_are_chosen() -> None:
    async with opened(a_house("=1")) as console:
        hidden = [column.id for column in RUNS.columns if column.id not in ("state", "session", "seq")]
        console.app.desk.show_columns("runs", Arrangement(hidden=tuple(hidden)))
        await console.press("k")
        await console.sees("3  SEQ")
        await console.press("0")
        await console.sees("copied the row")
        assert console.app.clipboard == "● running\t'=1\t1,234"


@given(st.text(st.characters(codec=None), max_size=60))
def test_what_is_copied_is_one_line_that_nothing_obeys(key: str) -> None:
    line = RunLine(a_run(session_key=key), None, None)
    cell = copied(RUNS.columns, line, 0, "cell-session")
    assert cell.text == neutral(key)
    assert cell.text.isprintable()
    row = copied(RUNS.columns, line, 0, "row").text
    assert len(row.split("\t")) == len(RUNS.columns)
    assert row.replace("\t", "").isprintable()


def test_each_column_has_a_letter_of_its_own_and_none_leaves() -> None:
    line = RunLine(a_run(), None, None)
    menu = cell_menu(RUNS.columns, line, 0, "run-1")
    letters = [choice.key for choice in menu.choices]
    assert len(set(letters)) == len(letters) == len(RUNS.columns) + 1
    assert "q" not in letters


async def test_the_row_is_the_one_that_the_key_was_pressed_on() -> None:
    """Also when all keys come at once, and the row has moved or gone meanwhile."""
    async with opened(a_house("api:ann/0", "api:ann/1")) as console:
        console.app.desk.models["runs"].sort_by("session", descending=False)
        for key in ("home", "k", "2", "down"):
            console.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await console.sees("copied session: api:ann/0")
        assert console.app.clipboard == "api:ann/0"


async def test_an_evil_name_does_nothing_on_its_way() -> None:
    async with opened(a_house(EVIL)) as console:
        await console.press("k")
        await console.sees("0  the whole row")
        await console.press("2")
        await console.sees("copied session: ")
        assert console.app.clipboard == neutral(EVIL)


async def test_a_list_that_is_longer_than_the_screen_scrolls() -> None:
    async with opened(a_house("api:ann/0"), size=(80, 12)) as console:
        await console.press("k")
        await console.sees("0  the whole row")
        assert "BUFFER" not in console.screen()
        await console.press("up", "up")
        await console.sees("BUFFER")
        await console.press("enter")
        await console.sees("copied buffer: 0%")


async def test_escape_copies_nothing_and_neither_does_an_empty_pane() -> None:
    async with opened(a_house("api:ann/0")) as console:
        await console.press("k")
        await console.sees("esc  cancel")
        await console.press("escape")
        await console.sees("nothing was copied")
        await console.press("7", "k")
        await console.sees("there is nothing here")
        assert console.app.clipboard == ""
