"""The console with real keys: acting. Three tiers of confirmation, and what is shown only when the event returns."""

from __future__ import annotations

import asyncio
import contextvars
import re

import pytest
from textual import events
from textual.widgets import Button, Input

from console.screens.ask import AskScreen
from console.screens.menu import Menu
from console.screens.session import SessionScreen
from core.errors import RunNotFound, SessionBusy
from core.protocol import (
    AbortRun,
    AnyCommand,
    ClearDirty,
    CloseSession,
    Done,
    EvictSession,
    MarkDirty,
    Outcome,
    Preview,
    Refused,
    RunGone,
    SessionChanged,
    SessionGone,
    target_of,
)
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_run, a_session


def a_house() -> FakeCore:
    return FakeCore(
        a_session("api:ann/1", run_id="run-1", project="billing", generation=4),
        a_session("api:bob/2", project="billing", created_at="2026-04-16T12:00:00Z"),
        a_session("api:cid/3", created_at="2026-04-15T12:00:00Z"),
        a_run("run-1", session_key="api:ann/1", output_tokens=50),
    )


async def asked(console: Opened) -> AskScreen:
    await console.until(lambda: isinstance(console.app.screen, AskScreen))
    screen = console.app.screen
    assert isinstance(screen, AskScreen)
    return screen


def answers_late(core: FakeCore) -> asyncio.Event:
    """From now on commands are carried out when the event is set."""
    answers = asyncio.Event()

    async def late(command: AnyCommand) -> Outcome:
        await answers.wait()
        core.executed.append(command)
        return Done(command_id=command.command_id, count=1, message="done")

    core.execute = late  # type: ignore[method-assign]
    return answers


# ------------------------------------------------------------------------------------- what loses work asks first


async def test_abort_asks_with_cancel_focused_and_is_shown_when_the_event_returns() -> None:
    async with opened(a_house()) as console:
        await console.press("X")
        await asked(console)
        assert console.focused_label() == "Cancel"
        await console.sees("Abort run run-1?")
        await console.sees("1 running turn will be cut off")
        assert console.sent() == []
        await console.press("right")
        assert console.focused_label() == "Abort run"
        await console.press("enter")
        steps = r"✓ aborted run-1: acknowledged \d+ms, upstream closed \d+ms, slot freed \d+ms"
        await console.until(lambda: re.search(steps, console.screen()))
        await console.sees("■ aborted")
        command = console.core.executed[0]
        assert isinstance(command, AbortRun)
        assert (command.run_id, command.reason) == ("run-1", "from the console")
        assert command.command_id
        await console.press("6")
        await console.sees("! abort")


@pytest.mark.parametrize("way", ["enter", "escape"])
async def test_cancel_and_escape_do_nothing(way: str) -> None:
    async with opened(a_house()) as console:
        await console.press("X")
        await asked(console)
        await console.press(way)
        await console.sees("nothing was done")
        assert console.sent() == []


async def test_every_button_does_what_its_label_says() -> None:
    expected: dict[str, list[type]] = {"Cancel": [], "Abort run": [AbortRun], "Close session": [CloseSession]}
    for key in ("X", "C"):
        labels = ["Cancel", {"X": "Abort run", "C": "Close session"}[key]]
        for label in labels:
            async with opened(a_house()) as console:
                await console.press(key)
                screen = await asked(console)
                assert [str(button.label) for button in screen.query(Button)] == labels
                button = next(button for button in screen.query(Button) if str(button.label) == label)
                button.press()
                await console.leaves(screen)
                assert [type(command) for command in console.core.executed] == expected[label]


async def test_nothing_can_be_consented_to_before_the_core_has_said_what_would_be_lost() -> None:
    core = a_house()
    async with opened(core) as console:
        core.slow.clear()
        await console.press("X")
        await console.sees("asking what would be lost …")
        assert "Abort run run-1?" in console.screen()
        assert console.focused_label() == "Cancel"
        await console.press("right")
        assert console.focused_label() == "Cancel"
        core.slow.set()
        await console.sees("1 running turn will be cut off")
        await console.press("right", "enter")
        await console.sees("✓ aborted run-1")
        assert console.sent() == ["AbortRun"]


@pytest.mark.parametrize("way", ["enter", "escape"])
async def test_a_question_is_left_before_the_core_has_said_what_would_be_lost(way: str) -> None:
    core = a_house()
    async with opened(core) as console:
        core.slow.clear()
        await console.press("X")
        await console.sees("asking what would be lost …")
        await console.press(way)
        await console.sees("nothing was done")
        assert len(console.app.screen_stack) == 2
        core.slow.set()
        await console.press("down", "up")
        assert "Abort run" not in console.screen()
        assert core.previewed == console.core.executed == []


async def test_a_question_that_the_core_refuses_to_answer_goes_by_itself() -> None:
    core = a_house()
    async with opened(core) as console:

        async def refuses(command: AnyCommand) -> Preview:
            await core.slow.wait()
            raise RunNotFound("run run-1 is gone")

        core.preview = refuses  # type: ignore[method-assign]
        await console.press("X")
        await console.sees("abort refused: run run-1 is gone")
        await console.until(lambda: len(console.app.screen_stack) == 2)
        core.slow.clear()
        await console.press("X")
        await console.sees("asking what would be lost …")
        core.slow.set()
        await console.until(lambda: len(console.app.screen_stack) == 2)
        await console.sees("abort refused: run run-1 is gone")


async def test_a_reason_goes_along_and_is_no_consent() -> None:
    async with opened(a_house()) as console:
        await console.press("X")
        screen = await asked(console)
        screen.query_one("#reason", Input).focus()
        await console.press(*"loops", "enter")
        assert console.sent() == []
        assert console.focused_label() == "Abort run"
        await console.press("enter")
        await console.until(lambda: console.core.executed)
        assert console.core.executed[0].reason == "loops"


async def test_what_died_while_the_question_stood_is_refused_by_the_core() -> None:
    async with opened(a_house()) as console:
        await console.press("X")
        await asked(console)
        console.core.happen(RunGone(run_id="run-1", session_key="api:ann/1"))
        console.core.rows.runs.clear()
        await console.press("right", "enter")
        await console.sees("✗ abort refused: run run-1 has ended")


async def test_close_names_the_generation_that_was_seen() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "C")
        await asked(console)
        await console.press("right", "enter")
        await console.until(lambda: "api:ann/1" not in "".join(console.screen().split("\n")[2:20]))
        assert console.core.executed == [
            CloseSession(
                command_id=console.core.executed[0].command_id,
                reason="from the console",
                session_key="api:ann/1",
                generation=4,
            )
        ]


# --------------------------------------------------------------------------------------------- one target at once


async def test_evict_goes_at_once_and_a_busy_session_is_refused() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "E")
        await console.sees("✗ evict refused: a turn is running")
        assert "C aborts its turn" in console.screen()
        await console.press("down", "E")
        await console.sees("✓ evict api:bob/2")
        assert console.sent() == ["EvictSession", "EvictSession"]
        assert isinstance(console.core.executed[1], EvictSession)
        assert "api:bob/2" not in console.core.rows.sessions


async def test_that_the_link_was_lost_is_told_until_it_is_back() -> None:
    core = a_house()
    async with opened(core) as console:
        core.down = True
        await console.sees("✗ lost")
        await console.press("3", "E")
        await console.sees("not sent: the link to the core is not there")
        core.down = False
        await console.sees("● live")
        await console.until(lambda: "not sent" not in console.screen())
        assert console.sent() == []


async def test_a_session_that_is_busy_without_a_turn_is_refused_in_the_words_of_the_core() -> None:
    core = a_house()
    why = "session 'api:bob/2' is being rebuilt; ask again in a moment"

    async def busy(command: AnyCommand) -> Outcome:
        return Refused(command_id=command.command_id, code=SessionBusy.code, message=why)

    async with opened(core, size=(120, 24)) as console:
        core.execute = busy  # type: ignore[method-assign]
        await console.press("3", "down", "E")
        await console.sees(f"✗ evict refused: {why}")


async def test_one_act_does_not_call_off_the_one_before_it() -> None:
    core = a_house()
    answers = answers_late(core)
    async with opened(core) as console:
        await console.press("3", "down", "E", "down", "E")
        await console.sees("evict api:cid/3: sent …")
        answers.set()
        await console.until(lambda: len(console.sent()) == 2)
        assert [target_of(command) for command in core.executed] == ["api:bob/2", "api:cid/3"]


async def test_nothing_is_shown_before_the_event_returns() -> None:
    core = a_house()
    answered = asyncio.Event()

    async def silent(command: AnyCommand) -> Outcome:
        core.executed.append(command)
        answered.set()
        return Done(command_id=command.command_id, count=1, message="done")

    async with opened(core) as console:
        core.execute = silent  # type: ignore[method-assign]
        await console.press("3", "down", "E")
        await asyncio.wait_for(answered.wait(), 5)
        await console.sees("✓ evict api:bob/2")
        await console.sees("3 sessions 3")
        core.happen(SessionGone(session_key="api:bob/2", generation=1, reason="operator"))
        await console.sees("3 sessions 2")


async def test_one_session_is_marked_at_once_and_the_mark_taken_back() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "D")
        await console.until(lambda: isinstance(console.app.screen, Menu))
        await console.press("o")
        await console.sees("Z takes it back")
        await console.sees("◆")
        await console.press("Z")
        await console.until(lambda: console.core.rows.sessions["api:ann/1"].dirty is None)
        assert console.core.executed[0] == MarkDirty(
            command_id=console.core.executed[0].command_id,
            reason="from the console",
            session_key="api:ann/1",
            generation=4,
        )
        assert isinstance(console.core.executed[1], ClearDirty)
        await console.sees("cleared")
        await console.press("Z")
        await console.sees("nothing to undo")


# --------------------------------------------------------------------------------------- many are counted out


@pytest.mark.parametrize(("choice", "number", "marked"), [("p", "2", 2), ("a", "3", 3)])
async def test_many_need_their_number_typed(choice: str, number: str, marked: int) -> None:
    async with opened(a_house()) as console:
        await console.press("3", "D")
        await console.until(lambda: isinstance(console.app.screen, Menu))
        await console.press(choice)
        await asked(console)
        await console.sees(f"{marked} sessions will be rebuilt")
        await console.press("9", "enter")
        await console.sees(f"that is not {number}")
        assert console.sent() == []
        await console.press("backspace", number, "enter")
        await console.sees(f"{marked} marked")
        command = console.core.executed[0]
        assert isinstance(command, MarkDirty)
        assert command.cursor is not None
        assert (command.all, command.project) == ((True, None) if choice == "a" else (False, "billing"))


async def test_the_menu_offers_only_what_can_be_done() -> None:
    core = a_house()
    core.happen(SessionChanged(what="marked_dirty", session=a_session("api:cid/3", dirty="deploy")))
    async with opened(core) as console:
        await console.press("3", "slash", *"cid", "enter", "D")
        await console.until(lambda: isinstance(console.app.screen, Menu))
        assert [button.id for button in console.app.screen.query(Button)] == [
            "session",
            "all",
            "clear",
            "cancel",
        ]
        await console.press("p")
        assert isinstance(console.app.screen, Menu)
        await console.press("c")
        await console.until(lambda: console.core.rows.sessions["api:cid/3"].dirty is None)


@pytest.mark.parametrize("label", ["o  one", "p  project", "a  all", "esc  cancel"])
async def test_the_menus_buttons_do_what_their_labels_say(label: str) -> None:
    async with opened(a_house()) as console:
        await console.press("3", "D")
        await console.until(lambda: isinstance(console.app.screen, Menu))
        menu = console.app.screen
        next(button for button in menu.query(Button) if str(button.label).startswith(label)).press()
        if label in ("p  project", "a  all"):
            await asked(console)
            previewed = console.core.previewed[0]
            assert isinstance(previewed, MarkDirty)
            assert previewed.all == (label == "a  all")
        else:
            await console.leaves(menu)
            assert console.sent() == (["MarkDirty"] if label == "o  one" else [])


# ------------------------------------------------------------------------------------------------- and not at all


async def test_in_read_only_mode_no_key_reaches_the_core() -> None:
    async with opened(a_house(), read_only=True) as console:
        await console.sees("◇ read-only")
        assert "X abort" not in console.screen()
        for pane in "123456":
            await console.press(pane, "down")
            for key in ("X", "E", "C", "D", "Z"):
                await console.press(key, "enter", "escape", "escape")
        await console.press("exclamation_mark", "X", "E")
        await console.sees("read-only: this console was started so")
        assert console.sent() == []
        assert console.core.previewed == []


async def test_disarming_keeps_keys_from_acting_until_armed_again() -> None:
    async with opened(a_house()) as console:
        await console.press("exclamation_mark", "3", "down", "E")
        await console.sees("disarmed: press !")
        assert console.sent() == []
        await console.press("exclamation_mark", "E")
        await console.until(lambda: console.sent() == ["EvictSession"])


async def test_a_row_that_goes_takes_the_aim_with_it() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "down")
        console.core.happen(SessionGone(session_key="api:bob/2", generation=1, reason="idle"))
        await console.sees("3 sessions 2")
        await console.press("E")
        await console.sees("the row under the cursor is gone")
        assert console.sent() == []


async def test_a_cursor_out_of_sight_is_shown_before_anything_is_hit() -> None:
    core = FakeCore(a_session("first", created_at="2026-04-10T12:00:00Z"))
    async with opened(core, size=(80, 12)) as console:
        await console.press("3")
        await console.sees("first")
        await console.press("down")
        for number in range(20):
            core.happen(SessionChanged(what="created", session=a_session(f"later-{number}")))
        await console.until(lambda: "first" not in console.screen())
        await console.press("E")
        await console.sees("the cursor was out of sight, on first")
        assert console.sent() == []
        await console.press("E")
        await console.until(lambda: console.sent() == ["EvictSession"])
        assert isinstance(core.executed[0], EvictSession)
        assert core.executed[0].session_key == "first"


async def test_a_cursor_that_moved_by_itself_is_confirmed_before_anything_is_hit() -> None:
    core = FakeCore(a_session("first", created_at="2026-04-10T12:00:00Z"))
    async with opened(core) as console:
        await console.press("3")
        await console.sees("first")
        core.happen(SessionChanged(what="created", session=a_session("second")))
        await console.until(lambda: console.cursor == "second")
        await console.press("E")
        await console.sees("the row before has gone from here, and the cursor is on second")
        assert console.sent() == []
        await console.press("E")
        await console.until(lambda: console.sent() == ["EvictSession"])
        assert isinstance(core.executed[0], EvictSession)
        assert core.executed[0].session_key == "second"


async def test_acting_works_from_inside_a_session() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "enter", "X")
        await asked(console)
        await console.press("right", "enter")
        await console.until(lambda: console.sent() == ["AbortRun"])


async def test_an_answer_that_comes_when_the_screen_has_closed_harms_nothing() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "enter")
        screen = console.app.screen
        assert isinstance(screen, SessionScreen)
        await console.press("escape")
        await console.until(lambda: not screen.is_attached)
        await screen._read()
        assert console.app.is_running


# ------------------------------------------------------------------------------------------------------- leaving


async def test_q_asks_while_turns_are_in_flight() -> None:
    left: list[bool] = []

    async def let_go(now: bool) -> None:
        left.append(now)

    async with opened(a_house(), on_quit=let_go) as console:
        await console.press("q")
        await asked(console)
        assert console.focused_label() == "Stay"
        await console.press("enter")
        assert console.app.is_running
        assert left == []
        await console.press("q")
        await asked(console)
        await console.press("right", "enter")
        await console.until(lambda: left == [False])


async def test_q_leaves_at_once_when_nothing_runs_or_the_core_stays() -> None:
    core = FakeCore(a_session())
    async with opened(core) as console:
        await console.press("q")
        await console.until(lambda: core.closed == 1)
    remote = a_house()
    async with opened(remote, embedded=False) as console:
        await console.press("q")
        await console.until(lambda: remote.closed == 1)


async def test_ctrl_q_leaves_at_once_from_anywhere() -> None:
    left: list[bool] = []

    async def let_go(now: bool) -> None:
        left.append(now)

    for keys in ((), ("slash", "x"), ("X",), ("3", "enter"), ("question_mark",)):
        async with opened(a_house(), on_quit=let_go) as console:
            await console.press(*keys)
            await console.press("ctrl+q")
            await console.until(lambda: left)
        assert left == [True]
        left.clear()


async def test_a_signal_drains_without_asking_and_a_second_one_cuts_the_drain_short() -> None:
    draining, cut = asyncio.Event(), asyncio.Event()

    async def let_go(now: bool) -> None:
        if now:
            cut.set()
        draining.set()
        await cut.wait()

    async with opened(a_house(), on_quit=let_go) as console:
        # as a signal handler does it: outside of the app's context
        asyncio.get_running_loop().call_soon(console.app.terminate, context=contextvars.Context())
        await asyncio.wait_for(draining.wait(), 5)
        await console.sees("leaving: waiting for the turns")
        assert console.app.is_running
        console.app.terminate()
        await console.until(lambda: not console.app.is_running)
        assert cut.is_set()


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_who_leaves_behind_an_act_leaves_when_it_is_answered_or_at_once(key: str) -> None:
    core = a_house()
    answers = answers_late(core)
    async with opened(core, embedded=False) as console:
        await console.press("3", "down", "E")
        await console.sees("evict api:bob/2: sent …")
        await console.press(key)
        if key == "q":
            await console.sees("leaving: waiting for the answer to 1 act; ctrl+q leaves without it")
            assert console.app.is_running
            answers.set()
        await console.until(lambda: not console.app.is_running)
    assert len(core.executed) == (key == "q")


# --------------------------------------------------------------------------------- keys that come faster than a menu


def at_once(console: Opened, *keys: events.Key) -> None:
    """Give these keys to what has the focus as a terminal gives them that was pasted into: none is worked off yet."""
    focused = console.app.focused
    assert focused is not None
    for key in keys:
        focused.post_message(key)


async def test_a_letter_right_behind_the_key_of_a_menu_is_the_menus() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "down", "down")
        before = console.app.screen_stack[1].model  # type: ignore[attr-defined]
        at_once(console, events.Key("D", "D"), events.Key("o", "o"))
        await console.until(lambda: console.sent() == ["MarkDirty"])
        assert (console.cursor, before.descending) == ("api:cid/3", True)
        at_once(console, events.Key("D", "D"), events.Key("escape", None), events.Key("o", "o"))
        await console.sees("nothing was done")


async def test_arrows_right_behind_the_key_of_a_menu_choose_in_it_and_leave_the_cursor() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "down")
        at_once(
            console,
            events.Key("D", "D"),
            events.Key("down", None),
            events.Key("enter", "\r"),
            events.Key("x", "x"),
        )
        await console.sees("all of project billing?")
        assert console.cursor == "api:bob/2"
        await console.press("escape")
        await console.sees("nothing was done")
        await console.press("down")
        assert console.cursor == "api:cid/3"


async def test_what_is_typed_before_a_question_can_be_read_is_no_answer_and_does_nothing_else() -> None:
    async with opened(a_house()) as console:
        at_once(
            console,
            events.Key("X", "X"),
            events.Key("right", None),
            events.Key("enter", "\r"),
            events.Key("3", "3"),
        )
        await console.sees("1 running turn will be cut off")
        assert console.focused_label() == "Cancel"
        assert len(console.app.screen_stack) == 3
        await console.press("escape")
        await console.sees("nothing was done")
        assert "▸2 runs" in console.screen()
        assert console.sent() == []


async def test_escape_right_behind_the_key_takes_a_question_back() -> None:
    async with opened(a_house()) as console:
        at_once(console, events.Key("X", "X"), events.Key("escape", None))
        await console.sees("nothing was done")
        await console.until(lambda: len(console.app.screen_stack) == 2)
        assert console.sent() == []


async def test_a_number_typed_before_many_are_counted_is_no_answer() -> None:
    async with opened(a_house()) as console:
        await console.press("3", "space", "space")
        await console.sees("2 marked")
        at_once(console, events.Key("C", "C"), events.Key("2", "2"), events.Key("enter", "\r"))
        await console.sees("type 2 to go on")
        assert console.sent() == []
        await console.press("2", "enter")
        await console.until(lambda: console.sent() == ["CloseSession", "CloseSession"])
