"""A large pane is read bit by bit: what is looked at at once, the rest between the keys, and nothing is missed."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from typing import Any

import pytest

from console.panes.model import HowFar, PaneModel
from console.panes.runs import RUNS, RunLine
from console.screens.main import MainScreen
from console.state import Changed, ConsoleState, reduce
from tests.console.fake_core import FakeCore
from tests.console.opened import opened
from tests.console.test_panes import NOW, gone, moved, read_through, runs, showing, shown
from tests.console.test_state import seen


def test_a_large_pane_is_there_at_once_and_read_bit_by_bit() -> None:
    state = seen(*runs(*range(20_000)))
    read: list[str] = []

    def row(state: ConsoleState, key: str) -> RunLine | None:
        read.append(key)
        return RUNS.row(state, key)

    model = PaneModel(replace(RUNS, row=row))
    model.sort_by("seq", descending=True)
    model.resize(5)
    model.catch_up(state)
    assert (len(model.window()), model.progress) == (5, HowFar("read", 10))
    assert len(read) <= 2_100
    before = len(read)
    assert model.go_on()
    assert len(read) - before <= 100, "a slice of time holds many such steps"
    assert model.knows("run-19999"), "who is asked for is read at once"
    read_through(model)
    assert (len(model), shown(model)[0], model.progress) == (20_000, "run-19999", None)


def test_after_a_new_view_of_a_large_pane_what_is_looked_at_is_true_at_once_and_the_cursor_stays() -> None:
    model = showing(seen(*runs(*range(20_000))))
    model.move_to(7)
    model.toggle_mark()
    later = seen(*(moved(n, n).run for n in range(20_000) if n not in (19_993, 19_990)))
    later.rows.put(moved(19_992, 50_000).run)
    model.note(Changed(everything=True))
    model.catch_up(later)
    assert model.progress is not None
    assert "run-19993" not in shown(model), "gone, and in sight"
    assert (model.cursor, list(model.marks)) == ("run-19992", ["run-19992"])
    selected = model.selected()
    assert selected is not None
    assert selected.run.last_seq == 50_000
    read_through(model)
    assert (model.cursor, model.position, len(model)) == ("run-19992", 0, 19_998)


def test_who_counts_on_all_rows_of_a_large_pane_has_them() -> None:
    state = seen(*runs(*range(9_000)))
    for what in ("mark", "export", "freeze"):
        model = PaneModel(RUNS)
        model.catch_up(state)
        assert model.progress is not None
        match what:
            case "mark":
                model.mark_shown()
                assert len(model.marks) == 9_000
            case "export":
                assert len(model.picked()) == 9_000
            case _:
                model.frozen = True
                assert len(model) == 9_000


def test_what_is_looked_at_stays_where_it_is_while_the_rest_is_read_at_once() -> None:
    model = PaneModel(RUNS)
    model.sort_by("seq", descending=True)
    model.resize(5)
    model.catch_up(seen(*runs(*range(9_000))))
    model.move_to(100)
    model.scroll(-2)
    before = shown(model)
    assert model.progress is not None
    model.frozen = True
    assert shown(model) == before, "though seven thousand have come in above"


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_while_a_pane_is_read_it_ends_as_one_that_was_read_at_once(seed: int) -> None:
    dice = random.Random(seed)
    state = seen(*runs(*range(6_000)))
    model = PaneModel(RUNS)
    model.sort_by("seq", descending=True)
    model.resize(5)
    model.note(state.take_changed(NOW))
    model.catch_up(state)
    for round_ in range(12):
        for _ in range(dice.choice((1, 300, 2_500))):
            number = dice.randrange(7_000)
            event = gone(number) if dice.random() < 0.3 else moved(number, dice.randrange(9_000))
            reduce(state, event)
        changed = state.take_changed(NOW)
        if round_ == 6:
            changed = Changed(everything=True)
        model.note(changed)
        model.catch_up(state)
        for key, line in model.window():
            assert line == RUNS.row(state, key), "what is looked at is as it is now"
        if dice.random() < 0.5:
            model.filter_by(dice.choice(("", "run-1", "seq>3000")))
        _ = model.go_on()
    model.filter_by("")
    read_through(model)
    again = showing(state)
    assert [key for key, _ in model_rows(model)] == [key for key, _ in model_rows(again)]


async def test_what_is_handed_on_in_the_loop_waits_for_one_slice_of_reading_not_for_one_at_each_turn() -> (
    None
):
    class Slow(PaneModel):
        steps = 0

        def go_on(self) -> bool:
            self.steps += 1
            enough = time.perf_counter() + 0.01
            while time.perf_counter() < enough:
                pass
            return True

    async with opened(FakeCore()) as console:
        screen, model = console.app.screen, Slow(RUNS)
        assert isinstance(screen, MainScreen)
        going = asyncio.create_task(screen._go_on(model))
        await asyncio.sleep(0)
        before = model.steps
        for _ in range(15):
            await asyncio.sleep(0)
        assert model.steps - before <= 1
        going.cancel()


def model_rows(model: PaneModel) -> list[tuple[Any, Any]]:
    """All rows that are shown, from the top."""
    model.resize(len(model))
    model.scroll(-len(model))
    return model.window()
