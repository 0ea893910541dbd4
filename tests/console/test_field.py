"""Keys that come in one burst, as from a slow line: the filter gets all of them, in order, and the table none."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.widgets import Input

from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_run

WORDS = "xample of mod"
"""Letters that would sort, turn round, freeze and maximise, were they given to the table."""


def burst(console: Opened, text: str) -> None:
    """Press all of it before anything else happens."""
    for character in text:
        key = {"\r": "enter", "/": "slash", " ": "space"}.get(character, character)
        console.app.post_message(events.Key(key, character))


def field(console: Opened) -> Input:
    return console.app.screen.query_one("#filter", Input)


async def split(console: Opened, first: str, second: str, turns: int) -> None:
    """Press it in two bursts, so many turns of the loop apart: some keys reach the table, and some the field."""
    burst(console, first)
    for _ in range(turns):
        await asyncio.sleep(0)
    burst(console, second)
    await console.pilot.pause()


@pytest.mark.parametrize("turns", range(12))
@pytest.mark.parametrize("end", ["", "\r"])
async def test_no_character_is_lost_or_displaced(turns: int, end: str) -> None:
    core = FakeCore()
    core.rows.put(a_run("run-1"))
    async with opened(core) as console:
        model = console.app.screen_stack[1].model  # type: ignore[attr-defined]
        before = model.sort, model.descending, model.frozen
        await split(console, f"/e{WORDS[:4]}", f"{WORDS[4:]}{end}", turns)
        await console.until(lambda: model.filter == f"e{WORDS}")
        assert (model.sort, model.descending, model.frozen) == before
        await console.until(lambda: field(console).has_focus == (not end))
