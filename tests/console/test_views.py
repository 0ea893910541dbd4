"""Views under names, and the filters of earlier starts: kept, shown again, removed; and a file that is not ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.panes.columns import Arrangement
from console.panes.model import PaneModel
from console.panes.runs import RUNS
from console.screens.main import MainScreen
from console.screens.palette import PaletteScreen
from console.screens.session import SessionScreen
from console.views import (
    NAME,
    Kept,
    View,
    change_kept,
    name_of,
    recall_kept,
    trouble_of,
    view_of,
    with_filter,
    with_view,
    without_view,
)
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_cost, a_run, a_session

SLOW = View("runs", "state:running", "", "seq", True)


def a_house() -> FakeCore:
    return FakeCore(
        a_session("api:ann/1", run_id="run-1"),
        a_session("api:bob/2", run_id="run-2"),
        a_run("run-1", session_key="api:ann/1", user_id="ann", state="running", ended_at=None, last_seq=1),
        a_run("run-2", session_key="api:bob/2", user_id="bob", state="running", ended_at=None, last_seq=2),
        a_cost("api:ann/1"),
    )


def main_of(console: Opened) -> MainScreen:
    main = console.app.screen_stack[1]
    assert isinstance(main, MainScreen)
    return main


async def typed(console: Opened, text: str) -> PaletteScreen:
    """In the palette that is open by now."""
    await console.until(lambda: isinstance(console.app.screen, PaletteScreen))
    await console.press(*("space" if char == " " else char for char in text))
    screen = console.app.screen
    assert isinstance(screen, PaletteScreen)
    await console.until(lambda: screen._query.endswith(text) and screen._finding.done)
    return screen


async def choose(console: Opened, text: str) -> None:
    await console.press("colon")
    screen = await typed(console, text)
    await console.press("enter")
    await console.leaves(screen)


# ------------------------------------------------------------------------------------------------------------ the file


def test_what_is_kept_is_known_again_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    view = View("cost", "x", "user", "cost", True, Arrangement(hidden=("kind",), widths={"cost": 12}))
    assert change_kept(folder, lambda kept: with_view(kept, "dear", view)) == ""
    assert change_kept(folder, lambda kept: with_view(kept, "slow", SLOW)) == ""
    assert change_kept(folder, lambda kept: with_filter(kept, "runs", "gpt")) == ""
    recalled = recall_kept(folder)
    assert recalled.trouble == ""
    assert recalled.kept == Kept({"dear": view, "slow": SLOW}, {"runs": ["gpt"]})
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert change_kept(folder, lambda kept: without_view(kept, "dear")) == ""
    assert list(recall_kept(folder).kept.views) == ["slow"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"views": {"x": 1}}',
        '{"views": {"x": {}}}',
        '{"filters": {"runs": "gpt"}}',
        '{"version": 2}',
        "[" * 10_000,
        '"' + "x" * 1_100_000 + '"',
    ],
)
def test_a_bad_file_is_passed_over_and_put_aside_when_something_is_kept(text: str, tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text(text)
    recalled = recall_kept(tmp_path)
    assert recalled.kept == Kept()
    assert NAME in recalled.trouble
    assert path.read_text() == text
    assert change_kept(tmp_path, lambda kept: with_view(kept, "slow", SLOW)) == ""
    assert recall_kept(tmp_path).kept.views == {"slow": SLOW}
    assert path.with_name(f"{NAME}.unreadable").read_text() == text


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    assert change_kept(tmp_path / "state", lambda kept: with_view(kept, "slow", SLOW)) != ""


def test_of_a_file_that_others_made_larger_only_so_much_is_taken(tmp_path: Path) -> None:
    views = {f"view {n}": {"pane": "runs"} for n in range(250)}
    views |= {
        "": {"pane": "runs"},
        "x" * 61: {"pane": "runs"},
        "a\x1b[31m": {"pane": "runs"},
        " x": {"pane": "runs"},
    }
    filters = {"runs": [*(f"f{n}" for n in range(80)), "y" * 2_000, " "]}
    (tmp_path / NAME).write_text(json.dumps({"views": views, "filters": filters}))
    kept = recall_kept(tmp_path).kept
    assert list(kept.views) == [f"view {n}" for n in range(50, 250)]
    assert kept.filters["runs"] == [f"f{n}" for n in range(30, 80)]


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=5))
def test_whatever_is_kept_can_be_read_again(names: dict[str, str]) -> None:
    kept = Kept()
    for name, text in names.items():
        kept = with_filter(with_view(kept, name, View("runs", text)), name, text)
    encoded = json.dumps(msgspec.to_builtins(kept))
    assert msgspec.json.decode(encoded, type=Kept) == kept


def test_the_latest_is_last_and_the_oldest_goes() -> None:
    kept = Kept()
    for n in range(60):
        kept = with_filter(kept, "runs", f"f{n}")
    kept = with_filter(kept, "runs", "f30")
    assert len(kept.filters["runs"]) == 50
    assert kept.filters["runs"][-1] == "f30"
    assert kept.filters["runs"].count("f30") == 1
    kept = with_view(with_view(with_view(kept, "a", SLOW), "b", SLOW), "a", View("cost"))
    assert list(kept.views) == ["b", "a"]
    assert kept.views["a"].pane == "cost"


def test_a_name_is_neutral_and_has_single_blanks() -> None:
    assert name_of("  my \t view ") == "my ␉ view"
    assert name_of("a\x1bb") == "a␛b"
    assert name_of("   ") == ""


# ------------------------------------------------------------------------------------------------------------ the views


def test_a_view_is_how_a_pane_is_shown() -> None:
    model = PaneModel(RUNS)
    model.sort_by("seq", descending=True)
    model.filter_by("gpt")
    model.show_columns(Arrangement(hidden=("user",)))
    view = view_of(model)
    assert view == View("runs", "gpt", "", "seq", True, Arrangement(hidden=("user",)))
    other = PaneModel(RUNS)
    other.show_as(view.held())
    assert view_of(other) == view
    assert other.columns == model.columns


def test_a_filter_with_a_fault_is_kept_as_the_one_that_is_in_force() -> None:
    model = PaneModel(RUNS)
    model.filter_by("gpt")
    model.filter_by("gpt )")
    assert view_of(model).filter == "gpt"


@pytest.mark.parametrize(
    ("view", "trouble"),
    [
        (SLOW, ""),
        (View("seats", sort="user"), "there is no pane 'seats' here"),
        (View("runs", sort="size"), "no column 'size'"),
        (View("runs", sort="seq", scope="user"), "has no 'user'"),
        (View("runs", "cost>x", sort="seq"), "its filter cannot be used"),
        (View("runs", "x )", sort="seq"), "its filter cannot be used"),
    ],
)
def test_what_cannot_be_shown_here_says_why(view: View, trouble: str) -> None:
    told = trouble_of(view, {"runs": PaneModel(RUNS)})
    assert trouble in told
    assert bool(told) == bool(trouble)


# ------------------------------------------------------------------------------------------------------ with real keys


async def test_a_view_is_saved_shown_again_after_a_start_and_removed(tmp_path: Path) -> None:
    async with opened(a_house(), folder=tmp_path) as console:
        await console.press("s", "slash", *"user:ann", "enter")
        main = main_of(console)
        before = (main.model.sort, main.model.descending)
        await choose(console, "save view as My Anns")
        await console.sees("kept as the view My Anns")
        await console.until(lambda: (tmp_path / NAME).exists() and "My Anns" in (tmp_path / NAME).read_text())
    async with opened(a_house(), folder=tmp_path) as console:
        await console.press("3")
        await choose(console, "anns")
        await console.sees("▸2 runs")
        await console.sees("/user:ann")
        await console.sees("1 shown of 2")
        main = main_of(console)
        assert (main.model.sort, main.model.descending) == before
        await console.press("escape")
        await console.sees("▸3 sessions")
        await console.press("2")
        assert main.model.filter == ""
        await choose(console, "remove my")
        await console.sees("the view My Anns is removed")
        await console.until(lambda: "My Anns" not in (tmp_path / NAME).read_text())
        await console.press("colon")
        screen = await typed(console, "my anns")
        assert screen._finding.found() == []


async def test_the_key_asks_for_the_name(tmp_path: Path) -> None:
    async with opened(a_house(), folder=tmp_path) as console:
        await console.press("5", "c", "c")
        await console.pilot.press("b", *"Users", "enter")
        await console.sees("kept as the view Users")
        assert console.app.desk.kept.views["Users"].scope == "user"
        await console.press("1")
        await choose(console, "view users")
        await console.sees("▸5 cost")
        assert main_of(console).model.scope == "user"


async def test_saving_without_a_name_asks_for_one_and_a_second_of_that_name_takes_its_place() -> None:
    async with opened(a_house(), size=(120, 40)) as console:
        await choose_and_stay(console, "save")
        await typed(console, "a")
        await console.press("enter")
        await console.sees("kept as the view a")
        await console.press("3")
        await console.press("b")
        await typed(console, "a")
        await console.sees("instead of the one of that name: sessions")
        await console.press("enter")
        await console.sees("kept as the view a")
        assert console.app.desk.kept.views["a"].pane == "sessions"


async def choose_and_stay(console: Opened, text: str) -> None:
    await console.press("colon")
    screen = await typed(console, text)
    await console.press("enter")
    await console.until(lambda: screen._query == "save view as ")
    assert console.app.screen is screen


async def test_too_long_a_name_is_refused() -> None:
    async with opened(a_house(), size=(120, 40)) as console:
        await console.press("b")
        screen = await typed(console, "x" * 61)
        await console.press("enter")
        await console.sees("a name has no more than 60 characters  ")
        assert console.app.screen is screen
        assert not console.app.desk.kept.views


async def test_neither_a_session_nor_the_seats_of_one_model_are_views() -> None:
    from tests.console.rows import a_queue, a_seat

    async with opened(FakeCore(a_queue("gpt"), a_seat("ann", model="gpt"), a_session("s"))) as console:
        await console.press("1", "enter")
        await console.sees("queues › seats")
        await console.press("b")
        await typed(console, "x")
        await console.press("enter")
        await console.sees("of one model cannot")
        await console.press("escape", "3", "enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await console.press("b")
        assert isinstance(console.app.screen, SessionScreen)
        await console.press("colon")
        await typed(console, "save view as x")
        await console.press("enter")
        await console.sees("only what a pane shows")
        assert not console.app.desk.kept.views


async def test_a_view_of_another_version_says_why_it_cannot_be_shown(tmp_path: Path) -> None:
    kept = {"views": {"old": {"pane": "runs", "sort": "size"}, "new": {"pane": "runs", "sort": "seq"}}}
    (tmp_path / NAME).write_text(json.dumps(kept))
    async with opened(a_house(), folder=tmp_path, size=(120, 40)) as console:
        await console.press("colon")
        screen = await typed(console, "view old")
        await console.press("enter")
        await console.sees("the pane runs has no column 'size' here  ")
        assert console.app.screen is screen


async def test_a_bad_file_is_told_and_the_console_opens(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{")
    async with opened(a_house(), folder=tmp_path, size=(200, 30)) as console:
        await console.sees("is passed over")


async def test_the_columns_of_a_view_go_when_one_goes_back(tmp_path: Path) -> None:
    view = View("runs", sort="seq", columns=Arrangement(hidden=("user", "model")))
    change_kept(tmp_path, lambda kept: with_view(kept, "narrow", view))
    async with opened(a_house(), folder=tmp_path, size=(120, 30)) as console:
        await console.sees("MODEL")
        await choose(console, "narrow")
        await console.until(lambda: "MODEL" not in console.screen())
        await console.press("escape")
        await console.sees("MODEL")


async def test_filters_are_there_after_a_start(tmp_path: Path) -> None:
    def written() -> bool:
        return (tmp_path / NAME).exists() and "state:running" in (tmp_path / NAME).read_text()

    async with opened(a_house(), folder=tmp_path) as console:
        await console.press("slash", *"ann", "enter", "slash", *["backspace"] * 3, *"state:running", "enter")
        await console.until(written)
    async with opened(a_house(), folder=tmp_path) as console:
        await console.press("slash", "up")
        await console.until(lambda: main_of(console).model.filter == "state:running")
        await console.press("up")
        await console.until(lambda: main_of(console).model.filter == "ann")


async def test_without_a_folder_a_view_is_there_until_the_console_is_left() -> None:
    async with opened(a_house()) as console:
        await choose(console, "save view as here")
        await choose(console, "view here")
        await console.sees("view here")


async def test_what_cannot_be_kept_is_told_and_is_there_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    async with opened(a_house(), folder=tmp_path / "state", size=(120, 30)) as console:
        await choose(console, "save view as here")
        await console.sees("that is so until this console is left")
        assert "here" in console.app.desk.kept.views


async def test_changes_that_come_at_once_are_all_kept(tmp_path: Path) -> None:
    def keeps(name: str) -> Callable[[Kept], Kept]:
        return lambda kept: with_view(kept, name, SLOW)

    async with opened(a_house(), folder=tmp_path) as console:
        for n in range(10):
            console.app.run_worker(console.app.desk.keep(keeps(f"view {n}")))
        await console.until(lambda: len(recall_kept(tmp_path).kept.views) == 10)
