"""How it looks, at the smallest size and at a comfortable one.

After a change on purpose: `pytest tests/console/test_snapshots.py --snapshot-update`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from console.app import ConsoleApp
from core.clock import ManualClock, parse_timestamp
from core.protocol import Message
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened
from tests.console.rows import a_cost, a_pin, a_queue, a_run, a_seat, a_session

_NOW = "2026-04-17T12:05:00Z"
_STATES = ("running", "stalled", "aborting", "completed", "failed", "aborted", "interrupted")
_USERS = ("ann", "bob", "chloé", "漢字", "evil\x1b[31m\u202e")


def a_busy_house() -> FakeCore:
    core = FakeCore(clock=ManualClock(at=parse_timestamp(_NOW)))
    for number in range(12):
        state: Any = _STATES[number % len(_STATES)]
        key = f"api:{_USERS[number % len(_USERS)]}/{number:04x}"
        ended = None if number % len(_STATES) < 3 else "2026-04-17T12:04:30Z"
        run = a_run(
            f"run-{number}",
            session_key=key,
            state=state,
            started_at=f"2026-04-17T12:0{number % 5}:{number * 4:02}Z",
            ended_at=ended,
            last_seq=number * 317 + 3,
            output_tokens=number * 431,
            micros=number * 12_345,
            buffered_bytes=number * 3_500,
        )
        core.rows.put(run)
        core.rows.put(
            a_session(
                key,
                run_id=None if ended else run.run_id,
                project="billing" if number % 2 else None,
                dirty="deploy" if number % 4 == 0 else None,
                created_at=f"2026-04-17T11:{number + 10}:00Z",
            )
        )
        core.rows.put(a_pin(key, strikes=number % 4, run=1 + number % 3, escalated=number % 5 == 0))
        core.rows.put(a_cost(key, micros=number * 12_345, input_tokens=number * 5_000))
    core.rows.put(a_queue(waiting=3, seated=12, oldest_queued_at="2026-04-17T12:03:25Z"))
    core.rows.put(a_queue("claude-large", tier="COMPLEX", health="degraded", paused_reason="closed"))
    core.rows.put(a_cost("gpt-mini", scope="model", micros=987_654))
    core.rows.put(a_seat())
    core.messages["api:ann/0000"] = [
        Message(seq=1, role="user", content="What is\nthis bill?", timestamp=_NOW),
        Message(seq=2, role="assistant", content="It is for March. " * 12, timestamp=_NOW, partial=True),
    ]
    return core


_PICTURES: dict[str, tuple[tuple[int, int], tuple[str, ...], str]] = {
    "runs-80x24": ((80, 24), ("down",), "2/12"),
    "runs-120x40": ((120, 40), ("down",), "2/12"),
    "queues-80x24": ((80, 24), ("1",), "▸1 queues"),
    "sessions-120x40": ((120, 40), ("3",), "▸3 sessions"),
    "filter-80x24": ((80, 24), ("slash", "a", "n", "n"), "/ ann"),
    "abort-80x24": ((80, 24), ("X",), "Abort run run-"),
    "dirty-80x24": ((80, 24), ("3", "D"), "Rebuild at the next use"),
    "session-80x24": ((80, 24), ("3", "slash", *"0000", "enter", "enter", "1"), "broken off here"),
    "help-80x24": ((80, 24), ("question_mark",), "Keys in the panes"),
}


@pytest.mark.parametrize("name", _PICTURES)
def test_the_picture(name: str, snap_compare: Callable[..., bool]) -> None:
    size, keys, expected = _PICTURES[name]
    core = a_busy_house()
    app = ConsoleApp(core, clock=core.clock, frames_per_second=30)

    async def before(pilot: Pilot[None]) -> None:
        console = Opened(app, core, pilot)
        await console.sees("● live")
        await console.press(*keys)
        await console.sees(expected)
        # what comes by itself after that: a frame, a focus that blinks in
        for _ in range(5):
            await pilot.pause(0.05)
            app.draw()
        await pilot.pause()

    run_before: Callable[[Pilot[None]], Awaitable[None]] = before
    assert snap_compare(app, terminal_size=size, run_before=run_before)
