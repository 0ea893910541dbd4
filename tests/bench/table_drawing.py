"""Drawing: what a frame costs while thousands of rows change, on a real app with the screen of a terminal.

The changes go the whole way: events through the reducer, the order kept, the visible lines compared and painted,
and the terminal's bytes made and thrown away. A frame is all of that; the reducer's part is told beside it, too.
What else a console does while it lives is in the bench `live_drawing`.
"""

from __future__ import annotations

import asyncio
import random
import time

import msgspec

from console.app import ConsoleApp
from console.state import ConsoleState, add_rows, begin_view, end_view, reduce
from core.clock import timestamp
from core.protocol import Progress, RunRow, ViewHead
from tests.bench.report import Table, percentile

FRAMES_PER_SECOND = 8
CHANGES_PER_SECOND = 5_000
SIZE = (120, 40)
AT = 1_776_427_200_000
_AIMS = {10_000: "20", 100_000: "35"}


class Painting(ConsoleApp):
    """Makes the terminal's bytes as on a real terminal, though they go nowhere."""

    @property
    def is_headless(self) -> bool:
        return False


def main(*, quick: bool = False) -> None:
    """Measure tables of 1,000, 10,000 and 100,000 rows, in an order that stands still and in one that moves."""
    table = Table(
        f"drawing: {CHANGES_PER_SECOND:,} changes/s, {FRAMES_PER_SECOND} frames/s, {SIZE[0]}×{SIZE[1]}",
        "rows, order",
        "fill ms",
        "reduce ms",
        "frame p50 ms",
        "frame p99 ms",
        "% of a core",
        "aim",
    )
    for rows in (1_000, 10_000) if quick else (1_000, 10_000, 100_000):
        for order in ("age", "seq"):
            filled, reduced, frames = asyncio.run(_measure(rows, order, frames=20 if quick else 80))
            share = sum(frames) / len(frames) * FRAMES_PER_SECOND * 100
            table.row(
                f"{rows:,} by {order}",
                f"{filled * 1000:.1f}",
                f"{percentile(reduced, 0.5) * 1000:.1f}",
                f"{percentile(frames, 0.5) * 1000:.1f}",
                f"{percentile(frames, 0.99) * 1000:.1f}",
                f"{share:.1f}",
                _AIMS.get(rows, ""),
            )
    table.print()


def run_row(number: int) -> RunRow:
    """A run that is going on, unlike all others."""
    return RunRow(
        run_id=f"run-{number:06}",
        session_key=f"api:user{number}/support",
        user_id=f"user{number}",
        provider="upstream",
        model="gpt-mini",
        state="running",
        started_at=timestamp(AT + number),
        ended_at=None,
        exit_code=None,
        first_seq=1,
        last_seq=number,
        buffered_bytes=1000,
        subscribers=1,
        input_tokens=10,
        output_tokens=20,
        micros=3000,
    )


def _fill(state: ConsoleState, rows: list[RunRow]) -> None:
    head = ViewHead(
        house="h", instance="i", epoch="e", version="0", now=timestamp(AT), counts={"runs": len(rows)}
    )
    begin_view(state, head)
    add_rows(state, rows)
    end_view(state, "e.0")


async def _measure(count: int, order: str, *, frames: int) -> tuple[float, list[float], list[float]]:
    """CPU seconds to fill the table; those of the reducer at each frame, and of the whole frame."""

    async def never() -> ConsoleApp:
        await asyncio.Event().wait()
        raise AssertionError

    dice = random.Random(7)
    rows = [run_row(number) for number in range(count)]
    app = Painting(never, first="runs", frames_per_second=1)  # type: ignore[arg-type]
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        state, model = app.desk.cores[0].state, app.desk.models["runs"]
        model.sort_by(order, descending=True)
        started = time.process_time()
        _fill(state, rows)
        app.draw()
        while model.go_on():
            pass
        await _painted(app)
        fill = time.process_time() - started
        model.move_to(count // 2)
        reduced: list[float] = []
        measured: list[float] = []
        for _ in range(frames):
            changed = [
                msgspec.structs.replace(rows[number], last_seq=dice.randrange(1_000_000))
                for number in dice.sample(range(count), CHANGES_PER_SECOND // FRAMES_PER_SECOND)
            ]
            started = time.process_time()
            reduce(state, Progress(runs=changed))
            reduced.append(time.process_time() - started)
            app.draw()
            await _painted(app)
            measured.append(time.process_time() - started)
        app.exit()
    return fill, reduced, measured


async def _painted(app: ConsoleApp) -> None:
    """Let the compositor paint what is dirty, and make the terminal's bytes of it."""
    for _ in range(5):
        await asyncio.sleep(0)
    done = asyncio.Event()
    app.screen.call_after_refresh(done.set)
    await done.wait()


if __name__ == "__main__":
    main()
