"""Links between the rows of several panes: where they lead, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.actions import Target
from console.panes.filter import Filter, parse, term
from console.panes.journal import JOURNAL, subject
from console.panes.links import LETTER_OF, links_of
from console.panes.model import PaneModel
from console.panes.pane import session_target
from console.panes.runs import RUNS
from console.screens.main import MainScreen
from console.screens.menu import Menu
from console.screens.session import SessionScreen
from console.state import At, ConsoleState, CostKey, reduce
from console.text import neutral
from core.protocol import (
    Acted,
    AnyEvent,
    QueueChanged,
    RunChanged,
    RunGone,
    SeatChanged,
    SeatGone,
    SessionGone,
)
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_cost, a_pin, a_queue, a_run, a_seat, a_session
from tests.console.test_several import attached

ROWS = (
    a_queue("gpt"),
    a_queue("claude"),
    a_seat("ann", model="gpt", state="active"),
    a_seat("bob", model="gpt", state="queued"),
    a_session("api:ann/1", run_id="run-1"),
    a_session("api:bob/2", run_id="run-2"),
    a_session("api:cid/3"),
    a_pin("api:ann/1", model="claude"),
    a_cost("api:ann/1"),
    a_cost(scope="user", key="ann"),
    a_run("run-1", session_key="api:ann/1", user_id="ann", model="gpt", state="running", ended_at=None),
    a_run("run-2", session_key="api:bob/2", user_id="bob", model="gpt", state="running", ended_at=None),
)


def a_house() -> FakeCore:
    return FakeCore(*ROWS)


def a_state() -> ConsoleState:
    state = ConsoleState()
    for row in ROWS:
        state.rows.put(row)
    return state


async def go(console: Opened, letter: str) -> None:
    """From the row under the cursor, by the menu of links."""
    await console.press("g")
    await console.until(lambda: isinstance(console.app.screen, Menu))
    menu = console.app.screen
    await console.press(letter)
    await console.leaves(menu)


def main_of(console: Opened) -> MainScreen:
    main = console.app.screen_stack[1]
    assert isinstance(main, MainScreen)
    return main


async def to(console: Opened, key: object) -> None:
    """Put the cursor there."""
    model = main_of(console).model
    await console.until(lambda: model.position_of(key) is not None)  # type: ignore[arg-type]
    at = model.position_of(key)  # type: ignore[arg-type]
    assert at is not None
    model.move_to(at)


# ------------------------------------------------------------------------------------------------------ where to


def test_a_run_leads_to_all_that_is_known_of_it() -> None:
    state = a_state()
    links = links_of(state.rows, session_target(state, "api:ann/1", run_id="run-1"))
    assert {link.id: (link.pane, link.key) for link in links} == {
        "session": ("sessions", "api:ann/1"),
        "run": ("runs", "run-1"),
        "pin": ("strikes", "api:ann/1"),
        "cost": ("cost", CostKey("session", "api:ann/1")),
        "sessions": ("sessions", None),
        "runs": ("runs", None),
        "seat": ("seats", "ann"),
        "queue": ("queues", "gpt"),
    }
    assert {link.id for link in links} == set(LETTER_OF)
    assert len(set(LETTER_OF.values()) - {"q"}) == len(LETTER_OF)


def test_what_is_not_there_is_not_led_to() -> None:
    state = a_state()
    assert [link.id for link in links_of(state.rows, session_target(state, "api:cid/3"))] == ["session"]
    assert links_of(state.rows, session_target(state, "gone")) == []
    assert links_of(state.rows, Target(label="x", run_id="gone", model="gone")) == []


def test_an_idle_session_leads_to_its_latest_run_and_to_whose_it_is() -> None:
    state = a_state()
    state.rows.put(a_session("api:bob/2", run_id=None))
    target = session_target(state, "api:bob/2")
    assert (target.run_id, target.user_id) == (None, "bob"), "there is nothing to abort"
    links = {link.id: link for link in links_of(state.rows, target)}
    assert list(links) == ["session", "run", "sessions", "runs", "seat", "queue"]
    assert (links["run"].key, links["run"].label) == ("run-2", "its latest run: run-2")


def acted(target: str) -> Acted:
    return Acted(
        command_id="c", actor="olga", action="abort", target=target, reason="", outcome="done", message=""
    )


@pytest.mark.parametrize(
    ("event", "leads_to"),
    [
        (SeatChanged(what="queued", seat=a_seat("ann", model="gpt")), ["sessions", "runs", "seat", "queue"]),
        (SeatGone(what="expired", user_id="ann", model="gpt"), ["sessions", "runs"]),
        (QueueChanged(queue=a_queue("gpt")), ["queue"]),
        (acted("run-2"), ["session", "run", "sessions", "runs", "seat", "queue"]),
        (acted("api:bob/2"), ["session", "run", "sessions", "runs", "seat", "queue"]),
        (acted("ann"), ["sessions", "runs", "seat", "queue"]),
        (acted("gpt"), ["queue"]),
        (acted("nobody"), []),
    ],
)
def test_what_the_journal_tells_of_leads_there(event: AnyEvent, leads_to: list[str]) -> None:
    state = a_state()
    reduce(state, event)
    (entry,) = state.journal
    target = JOURNAL.target(state, entry)
    assert target.label in (subject(event), target.session_key)
    found = [link.id for link in links_of(state.rows, target)]
    assert found == leads_to


def test_a_cost_leads_to_its_user_or_model() -> None:
    state = a_state()
    found = links_of(state.rows, Target(label="user ann"), CostKey("user", "ann"))
    assert [link.id for link in found] == ["sessions", "runs", "seat"]
    found = links_of(state.rows, Target(label="model gpt"), CostKey("model", "gpt"))
    assert [link.id for link in found] == ["queue"]


@given(st.text(max_size=20))
def test_a_filter_of_any_name_can_be_used_typed_and_shows_that_name(user_id: str) -> None:
    text = term("user", user_id)
    assert neutral(text) == text
    parsed = parse(RUNS, text)
    assert isinstance(parsed, Filter)
    state = ConsoleState()
    reduce(state, RunChanged(what="started", run=a_run("run-1", user_id=user_id or None)))
    row = RUNS.row(state, "run-1")
    assert parsed.test is None or parsed.test(row)


# ------------------------------------------------------------------------------------------------------- how a pane was


def a_model() -> tuple[ConsoleState, PaneModel]:
    state, model = ConsoleState(), PaneModel(RUNS)
    for number in range(30):
        reduce(state, RunChanged(what="started", run=a_run(f"run-{number:02}", last_seq=number)))
    model.catch_up(state)
    model.resize(5)
    return state, model


def test_a_pane_is_shown_again_as_it_was() -> None:
    _, model = a_model()
    model.sort_by("seq", descending=True)
    model.filter_by("-run-05")
    model.move_to(12)
    model.scroll(-2)
    window, held = model.window(), model.hold()
    model.filter_by("run-05")
    model.sort_by("state", descending=False)
    model.show_as(held)
    assert (model.filter, model.sort, model.descending) == ("-run-05", "seq", True)
    assert (model.cursor, model.window()) == ("run-17", window)


def test_a_row_that_went_meanwhile_is_lost_and_not_its_neighbour() -> None:
    state, model = a_model()
    model.move_to(12)
    held = model.hold()
    key = model.cursor
    model.release()
    reduce(state, RunGone(run_id=str(key), session_key="x"))
    model.note(state.take_changed(0))
    model.catch_up(state)
    model.show_as(held)
    assert model.cursor is None
    assert model.lost


def test_a_cursor_that_nobody_moved_is_at_the_top_again() -> None:
    _, model = a_model()
    model.sort_by("seq", descending=False)
    held = model.hold()
    model.move_to(20)
    model.show_as(held)
    assert (model.cursor, model.top, model.lost) == ("run-00", 0, False)


# ------------------------------------------------------------------------------------------------------- with real keys


async def test_from_a_run_to_its_session_and_back_with_filter_and_cursor() -> None:
    async with opened(a_house()) as console:
        await console.press("slash", *"bob", "enter")
        await console.until(lambda: console.cursor == "run-2")
        await go(console, "s")
        await console.sees("▸3 sessions")
        assert console.cursor == "api:bob/2"
        await console.sees("runs api:bob/2 › sessions")
        await console.press("escape")
        await console.sees("▸2 runs")
        await console.sees("/bob")
        assert console.cursor == "run-2"
        assert "›" not in console.screen()


async def test_a_filter_that_hides_the_row_is_dropped_until_one_goes_back() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "slash", *"cid", "enter", "2")
        await to(console, "run-1")
        await go(console, "s")
        await console.sees("'cid' hid this row")
        assert console.cursor == "api:ann/1"
        await console.press("escape", "3")
        await console.sees("/cid")
        assert console.cursor == "api:cid/3"


async def test_a_way_of_several_links_is_gone_back_step_by_step() -> None:
    async with opened(a_house(), size=(120, 30)) as console:
        await to(console, "run-2")
        await go(console, "t")
        await console.sees("▸1 queues › seats")
        assert console.cursor == "bob"
        await go(console, "n")
        await console.sees("▸2 runs")
        await console.sees('/user:"bob"')
        await console.sees("1 shown of 2")
        await go(console, "s")
        await console.sees("seats bob › runs api:bob/2 › sessions")
        for seen, cursor in (("▸2 runs", "run-2"), ("▸1 queues › seats", "bob"), ("▸2 runs", "run-2")):
            await console.press("escape")
            await console.sees(seen)
            assert console.cursor == cursor
        assert main_of(console).model.filter == ""
        assert console.app.desk.watching == [main_of(console)._tail]


async def test_the_operators_own_filter_is_dropped_before_one_goes_back() -> None:
    async with opened(a_house()) as console:
        await to(console, "run-1")
        await go(console, "u")
        await console.sees('/session:"ann"')
        await console.press("slash", *" x", "enter")
        await console.sees("No row matches")
        await console.press("escape")
        await console.sees("▸3 sessions")
        assert main_of(console).model.filter == ""
        await console.press("escape")
        await console.sees("▸2 runs")


async def test_a_key_of_a_pane_forgets_the_way() -> None:
    async with opened(a_house()) as console:
        await to(console, "run-1")
        await go(console, "t")
        await console.press("5")
        await console.sees("▸5 cost")
        await console.press("escape")
        await console.sees("▸5 cost")
        assert console.app.desk.watching == [main_of(console)._tail]


async def test_from_a_session_to_its_pin_and_back_into_it() -> None:
    async with opened(a_house()) as console:
        await console.press("3")
        await to(console, "api:ann/1")
        await console.press("enter", "2")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await console.sees("▸2 run events")
        await go(console, "p")
        await console.sees("▸4 strikes")
        assert console.cursor == "api:ann/1"
        await console.sees("session api:ann/1 › strikes")
        await console.press("escape")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await console.sees("▸2 run events")
        await console.sees("api:ann/1")
        screen = console.app.screen
        await console.press("escape")
        await console.leaves(screen)
        await console.sees("▸3 sessions")
        assert console.cursor == "api:ann/1"


async def test_a_row_that_goes_while_the_menu_is_open_is_told() -> None:
    core = a_house()
    async with opened(core) as console:
        await to(console, "run-1")
        await console.press("g")
        await console.until(lambda: isinstance(console.app.screen, Menu))
        core.happen(SessionGone(session_key="api:ann/1", generation=1, reason="idle"))
        await console.until(lambda: "api:ann/1" not in console.app.desk.cores[0].state.rows.sessions)
        await console.press("s")
        await console.sees("there is no such row now")
        await console.press("escape")
        await console.sees("▸2 runs")


async def test_a_letter_right_behind_the_key_is_the_menus_and_escape_leaves_all_as_it_was() -> None:
    async with opened(a_house()) as console:
        await to(console, "run-1")
        await console.pilot.press("g", "u")
        await console.sees('/session:"ann"')
        await console.press("escape", "g", "escape")
        await console.sees("▸2 runs")
        assert console.cursor == "run-1"
        assert console.sent() == []


async def test_where_nothing_is_linked_it_is_said() -> None:
    async with opened(FakeCore(a_session("api:cid/3"))) as console:
        await console.press("g")
        await console.sees("there is nothing here")
        await console.press("3", "down", "g")
        await console.sees("nothing else is known of api:cid/3")


async def test_among_several_cores_a_link_leads_to_the_row_of_its_own_core() -> None:
    async with attached() as console:
        await to(console, At(1, "run-us"))
        await go(console, "s")
        await console.sees("▸3 sessions")
        assert console.cursor == At(1, "api:ann/us")
        await console.press("escape")
        assert console.cursor == At(1, "run-us")


async def test_what_a_house_shares_is_found_whoever_speaks_for_it() -> None:
    async with attached(house="one") as console:
        await to(console, At(1, "run-us"))
        core = console.app.desk.cores[1]
        core.state.rows.put(a_run("run-us", session_key="api:ann/us", user_id="ann@us", model="gpt-mini"))
        await go(console, "m")
        await console.sees("▸1 queues")
        assert console.cursor == At(0, "gpt-mini")


async def test_a_session_says_from_where_one_came_where_there_is_room() -> None:
    async with opened(a_house(), size=(120, 30)) as console:
        await to(console, "run-2")
        await go(console, "s")
        await console.press("enter")
        await console.sees("runs api:bob/2 › sessions › session api:bob/2")
        await console.press("colon", *"session", "space", *"cid", "enter")
        await console.sees("session api:bob/2 › session api:cid/3")
    async with opened(a_house(), size=(56, 24)) as console:
        await to(console, "run-2")
        await console.press("enter")
        await console.sees("4 facts   api:b")
        assert "› session" not in console.screen()
