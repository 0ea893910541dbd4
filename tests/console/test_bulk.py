"""Marks, and one key on all that is marked: counted out before, counted while it goes on, and told at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.panes.model import PaneModel
from console.panes.runs import RUNS
from console.state import ConsoleState, reduce
from core.protocol import (
    AbortRun,
    AnyCommand,
    BanUser,
    EndSeat,
    EvictSession,
    MarkDirty,
    Outcome,
    PauseAdmission,
    PinModel,
    RunChanged,
    RunGone,
    SeatChanged,
)
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_pin, a_queue, a_run, a_seat, a_session

SIZE = (120, 30)


def a_house(count: int = 4) -> FakeCore:
    """So many sessions, each with a running turn; two queues; three seats."""
    return FakeCore(
        a_queue("gpt"),
        a_queue("claude"),
        *(a_seat(f"user-{n}", model="gpt", state="queued" if n else "active") for n in range(3)),
        *(a_session(f"api:ann/{n}", run_id=f"run-{n}") for n in range(count)),
        *(a_pin(f"api:ann/{n}") for n in range(count)),
        *(
            a_run(
                f"run-{n}",
                session_key=f"api:ann/{n}",
                state="running",
                ended_at=None,
                output_tokens=100,
                input_tokens=0,
                micros=1_000_000,
            )
            for n in range(count)
        ),
    )


async def counted_out(console: Opened, number: int) -> None:
    """Type the number that is asked for, and say yes."""
    await console.sees(f"type {number} to go on")
    await console.press(*str(number), "enter")


# -------------------------------------------------------------------------------------------------------- the marks


def a_model(*numbers: int) -> tuple[ConsoleState, PaneModel]:
    state, model = ConsoleState(), PaneModel(RUNS)
    for number in numbers:
        reduce(state, RunChanged(what="started", run=a_run(f"run-{number}", last_seq=number)))
    model.catch_up(state)
    model.sort_by("seq", descending=False)
    model.resize(50)
    return state, model


def marked(model: PaneModel) -> list[str]:
    return [str(key) for key, _ in model.marked()]


def test_a_mark_is_put_and_taken_back() -> None:
    _, model = a_model(1, 2, 3)
    model.toggle_mark()
    model.move(2)
    model.toggle_mark()
    assert marked(model) == ["run-1", "run-3"]
    model.toggle_mark()
    assert marked(model) == ["run-1"]


@pytest.mark.parametrize(("begin", "end"), [(1, 3), (3, 1), (2, 2)])
def test_a_range_goes_either_way(begin: int, end: int) -> None:
    _, model = a_model(0, 1, 2, 3, 4)
    assert not model.mark_range(), "nothing was marked before"
    model.move_to(begin)
    model.toggle_mark()
    model.move_to(end)
    assert model.mark_range()
    assert marked(model) == [f"run-{n}" for n in range(min(begin, end), max(begin, end) + 1)]


def test_all_shown_are_marked_and_unmarked_and_the_hidden_left_alone() -> None:
    _, model = a_model(1, 2, 12)
    model.toggle_mark()
    model.filter_by("run-12 OR run-2")
    model.mark_shown()
    assert marked(model) == ["run-2", "run-12", "run-1"], "what is hidden comes last"
    assert model.marked_hidden == 1
    model.mark_shown()
    assert marked(model) == ["run-1"]


def test_marks_go_with_their_rows() -> None:
    state, model = a_model(1, 2, 3)
    model.mark_shown()
    reduce(state, RunGone(run_id="run-2", session_key="s"))
    model.note(state.take_changed(0))
    model.catch_up(state)
    assert marked(model) == ["run-1", "run-3"]
    state.changed.everything = True
    del state.rows.runs["run-1"]
    model.note(state.take_changed(0))
    model.catch_up(state)
    assert marked(model) == ["run-3"]


@given(st.lists(st.tuples(st.sampled_from("mrasfgx"), st.integers(0, 9)), max_size=40))
def test_whatever_one_does_marks_are_of_rows_that_there_are(steps: list[tuple[str, int]]) -> None:
    state, model = a_model(*range(6))
    for step, number in steps:
        actions: dict[str, Callable[[], object]] = {
            "m": model.toggle_mark,
            "r": model.mark_range,
            "a": model.mark_shown,
            "s": lambda: model.sort_by("seq", descending=bool(number % 2)),  # noqa: B023
            "f": lambda: model.filter_by(f"run-{number}" if number < 6 else ""),  # noqa: B023
            "g": lambda: reduce(state, RunGone(run_id=f"run-{number}", session_key="s")),  # noqa: B023
            "x": lambda: model.move_to(number),  # noqa: B023
        }
        actions[step]()
        model.note(state.take_changed(0))
        model.catch_up(state)
        assert set(model.marks) <= set(state.rows.runs)
        assert [row for _, row in model.marked() if row is None] == []
        assert 0 <= model.marked_hidden <= len(model.marks)


# ------------------------------------------------------------------------------------------------------ what is asked


async def test_what_is_marked_is_counted_out_and_each_is_hit() -> None:
    async with opened(a_house(), size=SIZE) as console:
        await console.press("space", "space")
        await console.sees("▪ 2 marked")
        rows = [line for line in console.screen().split("\n") if "running" in line]
        assert [line[1] for line in rows] == ["▪", "▪", " ", " "]
        await console.press("X")
        await console.sees("Abort 2 runs?")
        await console.sees("2 running turns will be cut off; so far: 200 tokens, $2.0000")
        assert console.sent() == []
        await counted_out(console, 2)
        await console.sees("✓ abort 2 runs")
        runs = {command.run_id for command in console.core.executed if isinstance(command, AbortRun)}
        assert runs == {"run-0", "run-1"}
        assert "marked" not in console.screen()


async def test_another_number_does_nothing_and_the_marks_stay() -> None:
    async with opened(a_house(), size=SIZE) as console:
        await console.press("*", "X")
        await console.sees("type 4 to go on")
        await console.press("3", "enter")
        await console.sees("that is not 4")
        await console.press("escape")
        await console.sees("the marks are still there")
        await console.sees("▪ 4 marked")
        assert console.sent() == []
        await console.press("escape")
        await console.sees("no row is marked any more")


async def test_what_the_filter_hides_is_hit_and_told_before() -> None:
    async with opened(a_house(), size=SIZE) as console:
        await console.press("space", "slash", *"run-3", "enter", "space")
        await console.sees("▪ 2 marked, 1 hidden")
        await console.press("X")
        await console.sees("1 of what is marked is hidden by the filter, and is hit as well")


async def test_what_was_refused_stays_marked_and_says_why() -> None:
    async with opened(a_house(), size=SIZE) as console:
        console.core.rows.put(a_session("api:idle/1"))
        console.app.desk.cores[0].state.rows.put(a_session("api:idle/1"))
        console.app.desk.cores[0].state.changed.everything = True
        await console.press("3")
        await console.sees("api:idle/1")
        await console.press("*", "E")
        await console.sees("Evict 5 sessions?")
        await counted_out(console, 5)
        await console.sees("▲ evict 1 session; 4 refused: a turn is running")
        await console.sees("▪ 4 marked")
        assert all(isinstance(command, EvictSession) for command in console.core.executed)


async def test_sessions_are_marked_dirty_and_all_of_it_is_taken_back() -> None:
    async with opened(a_house(), size=SIZE) as console:
        await console.press("3", "*", "D")
        await console.sees("Mark dirty 4 sessions?")
        await counted_out(console, 4)
        await console.sees("✓ mark dirty 4 sessions (Z takes it back)")
        assert all(session.dirty for session in console.core.rows.sessions.values())
        assert [type(command) for command in console.core.executed] == [MarkDirty] * 4
        await console.press("Z")
        await console.sees("✓ clear dirty 4 sessions")
        assert not any(session.dirty for session in console.core.rows.sessions.values())


async def test_a_model_is_chosen_once_for_all() -> None:
    async with opened(a_house(), size=SIZE) as console:
        await console.press("4", "*", "M")
        await console.sees("Keep on the model:")
        await console.press("1")
        await console.sees("Keep 4 sessions on claude?")
        await counted_out(console, 4)
        await console.sees("✓ keep 4 sessions on claude")
        assert {command.model for command in console.core.executed if isinstance(command, PinModel)} == {
            "claude"
        }


async def test_one_key_never_does_a_thing_to_some_and_its_opposite_to_others() -> None:
    core = a_house()
    core.rows.put(a_queue("claude", paused=True, paused_reason="paused"))
    async with opened(core, size=SIZE) as console:
        await console.press("1", "*", "P")
        await console.sees("Pause 1 queue?")
        await console.sees("1 of what is marked is left out: claude is so already")
        await counted_out(console, 1)
        await console.sees("✓ pause 1 queue")
        assert [
            command.model for command in console.core.executed if isinstance(command, PauseAdmission)
        ] == ["gpt"]


@pytest.mark.parametrize(
    ("key", "kind", "told"),
    [("E", EndSeat, "seats that become free: 1 of gpt;"), ("B", BanUser, "Ban 3 users?")],
)
async def test_seats(key: str, kind: type[AnyCommand], told: str) -> None:
    async with opened(a_house(), size=SIZE) as console:
        await console.press("1", "down", "enter")
        await console.sees("user-2")
        await console.press("*", key)
        await console.sees(told)
        await counted_out(console, 3)
        await console.until(lambda: len(console.core.executed) == 3)
        assert {type(command) for command in console.core.executed} == {kind}


async def test_nothing_can_be_hit() -> None:
    core = a_house()
    async with opened(core, size=SIZE) as console:
        core.happen(SeatChanged(what="admitted", seat=a_seat("user-1", model="gpt")))
        await console.press("1", "down", "enter")
        await console.sees("user-1")
        await console.press("slash", *"user-0", "enter", "*", "N")
        await console.sees("none of the 1 marked: user-0 does not wait")


async def test_in_read_only_mode_marks_are_only_marks() -> None:
    async with opened(a_house(), size=SIZE, read_only=True) as console:
        await console.press("*", "X")
        await console.pilot.pause(0.1)
        assert console.app.screen is console.app.screen_stack[1]
        assert console.sent() == []


# --------------------------------------------------------------------------------------------------- while it goes on


class Slow(FakeCore):
    """Carries a command out when it is let."""

    def __init__(self, *rows: object) -> None:
        super().__init__(*rows)  # type: ignore[arg-type]
        self.gate = asyncio.Semaphore(0)

    async def execute(self, command: AnyCommand) -> Outcome:
        await self.gate.acquire()
        return await super().execute(command)


async def test_it_tells_how_far_it_is_and_escape_leaves_the_rest() -> None:
    core = Slow(
        *(a_session(f"api:ann/{n}", run_id=f"run-{n}") for n in range(30)),
        *(a_run(f"run-{n}", session_key=f"api:ann/{n}", state="running", ended_at=None) for n in range(30)),
    )
    async with opened(core, size=SIZE) as console:
        await console.press("*", "X")
        await counted_out(console, 30)
        await console.sees("◐ abort: 0 of 30 … esc stops it")
        core.gate.release()
        await console.sees("◐ abort: 1 of 30 …")
        await console.press("D")
        await console.sees("abort: 1 of 30 … first")
        await console.press("escape")
        await console.sees("stopping")
        for _ in range(30):
            core.gate.release()
        await console.sees("not sent")
        done = len(core.executed)
        assert 1 < done < 30
        await console.sees(f"▲ abort {done} runs; stopped, {30 - done} not sent")
        await console.sees(f"▪ {30 - done} marked")
