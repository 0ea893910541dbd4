"""The console with real keys: looking. Panes, filter, drilling in and out, help, the link that drops."""

from __future__ import annotations

import asyncio
import json
import shlex

import pytest

from console.actions import ACTIONS
from console.app import ConsoleApp
from console.screens.session import SessionScreen
from core.errors import FolderInUse, SettingsError
from core.protocol import Core, Message, Noticed, RunChanged, SessionChanged
from tests.console.fake_core import FakeCore
from tests.console.opened import FRAMES, Opened, opened
from tests.console.rows import AT, a_cost, a_pin, a_queue, a_run, a_seat, a_session


def a_house() -> FakeCore:
    return FakeCore(
        a_queue(waiting=3),
        a_seat("ann"),
        a_seat("zoe", model="other"),
        a_session("api:ann/1", run_id="run-1", project="billing"),
        a_session("api:bob/2"),
        a_run("run-1", session_key="api:ann/1", last_seq=7, micros=12_345),
        a_run("run-2", session_key="api:bob/2", user_id="bob", state="completed", ended_at=AT),
        a_pin("api:ann/1", strikes=2),
        a_cost("api:ann/1", micros=12_345),
    )


async def test_six_panes_show_what_the_core_tells() -> None:
    async with opened(a_house()) as console:
        for key, text in (("1", "gpt-mini"), ("2", "run"), ("3", "api:bob/2"), ("4", "2"), ("5", "$0.0123")):
            await console.press(key)
            await console.sees(text)
        await console.press("6")
        console.core.happen(Noticed(level="warning", code="hm_hm", message="look here"))
        await console.sees("look here")


async def test_rows_move_as_events_come() -> None:
    async with opened(a_house()) as console:
        console.core.happen(RunChanged(what="revived", run=a_run("run-1", last_seq=4_321)))
        await console.sees("4,321")


async def test_what_strangers_write_is_shown_as_text() -> None:
    core = FakeCore(a_run("r", session_key="api:\x1b[2J\u202eevil[bold]"))
    async with opened(core) as console:
        await console.sees("api:␛[2J�evil[bold]")
        await console.press("enter")
        await console.sees("␛[2J")


async def test_the_filter_narrows_and_is_kept_through_drilling_in_and_out() -> None:
    async with opened(a_house()) as console:
        await console.press("slash", *"bob")
        await console.until(lambda: "api:ann/1" not in console.screen())
        await console.press("enter")
        assert console.cursor == "run-2"
        await console.press("enter")
        await console.until(lambda: isinstance(console.app.screen, SessionScreen))
        await console.press("escape")
        await console.sees("/bob")
        assert console.cursor == "run-2"
        assert "api:ann/1" not in console.screen()
        await console.press("3", "2")
        await console.sees("/bob")
        await console.press("escape")
        await console.sees("api:ann/1")


async def test_keys_typed_into_the_filter_do_nothing_else() -> None:
    async with opened(a_house()) as console:
        await console.press("slash", "q", "X", "D", "1")
        await console.sees("qXD1")
        assert console.sent() == []
        await console.press("escape")
        assert "qXD1" not in console.screen()
        assert console.app.is_running


async def test_escape_and_q_come_back_from_the_seats_of_a_queue() -> None:
    async with opened(a_house()) as console:
        for key in ("escape", "q"):
            await console.press("1", "enter")
            await console.sees("queues › seats")
            assert "ann" in console.screen()
            assert "zoe" not in console.screen()
            await console.press(key)
            await console.until(lambda: "› seats" not in console.screen())
        assert len(console.app.desk.watching) == 1


async def test_a_session_shows_messages_events_as_they_come_and_audit() -> None:
    core = a_house()
    core.messages["api:ann/1"] = [
        Message(seq=1, role="user", content="what is\nthis?", timestamp=AT),
        Message(
            seq=2, role="assistant", content=[{"type": "text", "text": "a bill"}], timestamp=AT, partial=True
        ),
    ]
    core.frames["run-1"] = [{"kind": "text", "content": "first words", "seq": 1}]
    async with opened(core) as console:
        await console.press("enter")
        await console.sees("first words")
        core.frames["run-1"].append({"kind": "usage", "usage": {"total": 5}, "seq": 2})
        await console.sees('"total":5')
        await console.press("1")
        await console.sees("this?")
        await console.sees("✗ broken off here")
        await console.press("3")
        await console.sees("no acts on this session")
        await console.press("right", "end")
        await console.sees("thinking")


async def test_a_session_follows_its_next_run() -> None:
    core = a_house()
    async with opened(core) as console:
        await console.press("3", "down", "enter")
        await console.sees("api:bob/2")
        core.frames["run-9"] = [{"kind": "text", "content": "the next turn", "seq": 1}]
        core.happen(
            RunChanged(what="started", run=a_run("run-9", session_key="api:bob/2")),
            SessionChanged(what="turn_began", session=a_session("api:bob/2", run_id="run-9")),
        )
        await console.press("2")
        await console.sees("the next turn")


async def test_what_cannot_be_read_is_told_in_its_own_place() -> None:
    core = FakeCore(a_pin("never:was"))
    async with opened(core) as console:
        await console.press("4", "enter")
        await console.sees("never:was")
        await console.press("4")
        await console.sees("cannot be shown: nothing is known of never:was")


async def test_a_key_is_answered_at_once_and_what_happens_with_the_next_frame() -> None:
    """With a frame in ten minutes, only what a key has drawn can be seen."""
    core = a_house()
    async with opened(core, frames_per_second=1 / 600) as console:
        console.app.draw()
        await console.pilot.pause()
        core.happen(RunChanged(what="started", run=a_run("run-9", session_key="api:zoe/9")))
        while "run-9" not in console.app.desk.cores[0].state.rows.runs:
            await console.pilot.pause()
        assert "api:zoe/9" not in console.screen()
        await console.press("s")
        assert "sorted by" in console.screen()
        assert "api:zoe/9" in console.screen()


async def test_help_lists_every_action_of_its_place() -> None:
    async with opened(a_house(), size=(100, 120)) as console:
        await console.press("question_mark")
        await console.sees("Keys in the panes")
        for action in ACTIONS:
            if action.scope != "session" and not action.fresh and not action.several:
                assert f" {action.label} " in console.screen()
        await console.press("escape", "enter", "question_mark")
        await console.sees("Keys in a session")


async def test_a_lost_link_keeps_the_rows_and_refuses_to_act() -> None:
    core = a_house()
    async with opened(core) as console:
        core.down = True
        core.happen(Noticed(level="info", code="x", message="unheard"))
        await console.sees("✗ lost, data")
        await console.sees("connection refused")
        assert "api:ann/1" in console.screen()
        await console.press("X")
        await console.sees("not sent: the link")
        assert console.sent() == []


async def test_a_frozen_pane_stands_still_and_nothing_is_lost() -> None:
    core = a_house()
    async with opened(core) as console:
        await console.press("f")
        core.happen(RunChanged(what="revived", run=a_run("run-1", last_seq=4_321)))
        await console.sees("1 changed")
        assert "4,321" not in console.screen()
        await console.press("f")
        await console.sees("4,321")


async def test_sorting_and_turning_round() -> None:
    async with opened(a_house()) as console:
        await console.press("s")
        await console.sees("SESSION▴")
        for _ in range(6):
            await console.press("s")
        await console.sees("▾TOKENS")
        await console.press("o")
        await console.sees("by tokens▴")


async def test_themes_go_round() -> None:
    async with opened(a_house()) as console:
        names = []
        for _ in range(len(console.app.desk.looks.all())):
            await console.press("ctrl+t")
            names.append(console.app.desk.looks.current.name)
            assert console.app.native_ansi_color == (names[-1] == "ansi")
        assert sorted(names) == ["ansi", "colour-blind", "dark", "high-contrast", "light"]
        assert names[-1] == "dark"


async def test_without_colours_the_marks_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with opened(a_house()) as console:
        await console.press("3")
        await console.sees("▸3 sessions")
        await console.sees("▸ ● running")
        strips = console.app.screen._compositor.render_strips(console.app.size)
        for widget in console.app.screen.query("LiveTable, Lines, FactsPanel"):
            strips += widget.render_lines(widget.size.region)
        colours = {
            colour.name
            for strip in strips
            for segment in strip
            if segment.style is not None
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour is not None
        }
        assert colours == {"default"}


async def test_empty_panes_say_what_to_do() -> None:
    async with opened(FakeCore(), address="http://127.0.0.1:9", model="maitred/echo") as console:
        for text in (
            '{"model": "maitred/echo",',
            "http://127.0.0.1:9/v1/chat/completions",
            "maitred sandbox",
        ):
            await console.sees(text)
        for key, text in (("1", "[[admission.models]]"), ("4", "No pins"), ("6", "Nothing has happened")):
            await console.press(key)
            await console.sees(text)
        await console.press("enter", "X")
        await console.sees("there is nothing here")


@pytest.mark.parametrize("padding", ["", "   "])
async def test_the_example_of_an_empty_pane_survives_being_copied(padding: str) -> None:
    async with opened(FakeCore(), address="http://127.0.0.1:9", model="maitred/echo") as console:
        await console.sees("curl")
        await console.press("y")
        await console.sees("copied")
        copied = console.app.clipboard
        from_the_screen = "\n".join(line + padding for line in copied.split("\n"))
        curl, header, kind, data, body, address = shlex.split(from_the_screen)
        assert (curl, header, kind, data) == ("curl", "-H", "content-type:application/json", "-d")
        assert json.loads(body) == {
            "model": "maitred/echo",
            "messages": [{"role": "user", "content": "hello"}],
        }
        assert address == "http://127.0.0.1:9/v1/chat/completions"
        assert max(map(len, copied.split("\n"))) < 80


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (20, 5), (200, 60)])
async def test_any_size_is_drawn(size: tuple[int, int]) -> None:
    async with opened(a_house(), size=size, wait=False) as console:
        for key in ("1", "2", "3", "4", "5", "6", "2", "enter", "escape", "question_mark", "escape"):
            await console.press(key)
        lines = console.screen().split("\n")
        assert len(lines) == size[1]


async def test_it_paints_before_the_core_is_there() -> None:
    there = asyncio.Event()

    async def later() -> Core:
        await there.wait()
        return FakeCore(a_run("r", session_key="at:last"))

    app = ConsoleApp(later, frames_per_second=FRAMES)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.1)
        console = Opened(app, FakeCore(), pilot)
        assert "◌ starting" in console.screen()
        there.set()
        await console.sees("● live")
        assert "at:last" in {run.session_key for run in app.desk.cores[0].state.rows.runs.values()}


async def test_a_core_that_refuses_to_start_ends_the_console() -> None:
    async def refuse() -> Core:
        raise FolderInUse("another maitred works here: attach to it")

    app = ConsoleApp(refuse)
    async with app.run_test() as pilot:
        for _ in range(100):
            await pilot.pause(0.02)
            if app.failure is not None:
                break
    assert app.failure is not None
    assert app.return_code == 1


def test_wrong_settings_are_refused_before_the_screen_is_taken() -> None:
    with pytest.raises(SettingsError, match=r"there are: .*dark"):
        ConsoleApp(FakeCore(), theme="pink")
    with pytest.raises(SettingsError, match=r"keys\.abrot"):
        ConsoleApp(FakeCore(), keys={"abrot": "X"})


async def test_a_run_that_has_ended_is_shown_though_the_session_has_another() -> None:
    core = FakeCore(
        a_session("api:ann/1", run_id="new"),
        a_run("new", session_key="api:ann/1"),
        a_run("old", session_key="api:ann/1", state="completed", ended_at=AT, exit_code=0),
    )
    core.frames["old"] = [{"seq": 1, "kind": "text", "content": "said long ago"}]
    core.frames["new"] = [{"seq": 1, "kind": "text", "content": "said just now"}]
    async with opened(core) as console:
        await console.press("down", "enter")
        await console.sees("said long ago")
        await console.sees("run old seq 1")
        newer = a_run("newer", session_key="api:ann/1")
        core.frames["newer"] = [{"seq": 1, "kind": "text", "content": "said since then"}]
        core.happen(RunChanged(what="started", run=newer))
        core.happen(SessionChanged(what="turn_began", session=a_session("api:ann/1", run_id="newer")))
        await console.sees("said since then")
