"""Drawing for real: a whole console by the clock, on a core that tells thousands of changes a second.

Nothing is left out: the feed reads, the reducer takes the events in, frames are drawn when the app wants to, ages and
timers go on, and the terminal's bytes are made and thrown away. The share of a core is that of the whole process; the
core itself only hands out what was prepared. Meanwhile the cursor is moved, a key at a time: what a key takes is the
time until the bytes that show it are written.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import time
from collections.abc import AsyncIterator

import msgspec
from textual import events

from console.app import ConsoleApp
from console.panes.model import PaneModel
from console.state import Key
from core.clock import timestamp
from core.protocol import (
    AnyEvent,
    EventBatch,
    Progress,
    RunChanged,
    RunRow,
    ViewHead,
    ViewPart,
    ViewRows,
    ViewTail,
)
from tests.bench.report import Table, percentile
from tests.bench.table_drawing import AT, CHANGES_PER_SECOND, FRAMES_PER_SECOND, SIZE, Painting, run_row

_ROWS = {10_000: "20", 100_000: "35"}
"""How many, and how much of a core drawing them may take."""
_KEYS_PER_SECOND = 5
_TOLD_PER_SECOND = 4
"""How often a core tells the runs that moved, all at once."""


def main(*, quick: bool = False) -> None:
    """Watch a console for a while, on changes that come together and on changes that come one by one."""
    seconds = 3 if quick else 10
    table = Table(
        f"drawing for real: {CHANGES_PER_SECOND:,} changes/s, "
        f"at most {FRAMES_PER_SECOND} frames/s, {SIZE[0]}×{SIZE[1]}, {seconds} s",
        "rows, changes, order",
        "changes/s",
        "frames/s",
        "% of a core",
        "aim",
        "key p50 ms",
        "key p99 ms",
        "aim",
    )
    for count, aim in _ROWS.items():
        for what, at_once in (("progress", CHANGES_PER_SECOND // _TOLD_PER_SECOND), ("one by one", 1)):
            for order in ("age", "seq"):
                told = asyncio.run(_watch(count, order, at_once, seconds))
                table.row(
                    f"{count:,}, {what}, by {order}",
                    f"{told.changes:,.0f}",
                    f"{told.frames:.1f}",
                    f"{told.share * 100:.1f}",
                    aim,
                    f"{percentile(told.keys, 0.5) * 1000:.1f}",
                    f"{percentile(told.keys, 0.99) * 1000:.1f}",
                    "60",
                )
    table.print()


class _Told(msgspec.Struct, frozen=True):
    """Changes and frames a second, the share of a core, and the seconds that each key took."""

    changes: float
    frames: float
    share: float
    keys: list[float]


class _Counting(Painting):
    frames = 0

    def draw(self) -> None:
        self.frames += 1
        super().draw()


class _Keys:
    """Presses keys that move the cursor, and hears when what is written shows it."""

    def __init__(self, app: ConsoleApp, model: PaneModel) -> None:
        self.took: list[float] = []
        self._app = app
        self._model = model
        self._pressed: tuple[float, Key | None] | None = None
        self._shown = asyncio.Event()
        driver = app._driver
        assert driver is not None
        write = driver.write

        def heard(data: str) -> None:
            write(data)
            if self._pressed is not None and self._pressed[1] != model.cursor:
                self.took.append(time.perf_counter() - self._pressed[0])
                self._pressed = None
                self._shown.set()

        driver.write = heard  # type: ignore[method-assign]  # the terminal's bytes are seen nowhere else

    async def press(self) -> None:
        """Up and down, until it is cancelled."""
        for key in itertools.cycle(("down", "up")):
            await asyncio.sleep(1 / _KEYS_PER_SECOND)
            self._shown.clear()
            self._pressed = (time.perf_counter(), self._model.cursor)
            self._app.post_message(events.Key(key, None))
            await self._shown.wait()


class _Teller:
    """As much of a core as a feed asks for: its rows, and its events at their time once it was told to begin."""

    def __init__(self, rows: list[RunRow], told: list[AnyEvent], per_second: float) -> None:
        self._rows = rows
        self._told = told
        self._per_second = per_second
        self._began: float | None = None
        self.given = 0
        """How many events were handed out."""

    def begin(self) -> None:
        self._began = time.perf_counter()

    async def view(self) -> AsyncIterator[ViewPart]:
        yield ViewHead(
            house="h",
            instance="i",
            epoch="e",
            version="0",
            now=timestamp(AT),
            counts={"runs": len(self._rows)},
        )
        yield ViewRows(rows=list(self._rows))
        yield ViewTail(cursor="e.0")

    async def events(self, after: str, *, wait: float, limit: int) -> EventBatch:
        seq = int(after.removeprefix("e."))
        deadline = time.perf_counter() + wait
        while self._due() <= seq and time.perf_counter() < deadline:
            await asyncio.sleep(1 / max(self._per_second, 20))
        batch = self._told[seq : min(self._due(), seq + limit)]
        self.given = seq + len(batch)
        now = batch[-1].at if batch else timestamp(AT)
        return EventBatch(events=batch, cursor=f"e.{self.given}", gap=False, now=now)

    async def aclose(self) -> None:
        pass

    def _due(self) -> int:
        if self._began is None:
            return 0
        return min(len(self._told), int((time.perf_counter() - self._began) * self._per_second))


async def _watch(count: int, order: str, at_once: int, seconds: int) -> _Told:
    rows = [run_row(number) for number in range(count)]
    per_second = CHANGES_PER_SECOND / at_once
    teller = _Teller(rows, _prepared(rows, at_once, (seconds + 1) * CHANGES_PER_SECOND), per_second)

    async def connect() -> _Teller:
        return teller

    app = _Counting(connect, first="runs", frames_per_second=FRAMES_PER_SECOND)  # type: ignore[arg-type]
    async with app.run_test(size=SIZE):
        while app.desk.cores[0].feed.link != "live":
            await asyncio.sleep(0.05)
        model = app.desk.models["runs"]
        model.sort_by(order, descending=True)
        while model.progress is not None or model.known < count:
            await asyncio.sleep(0.05)
        model.move_to(count // 2)
        await asyncio.sleep(0.5)
        # what is prepared here is no part of a console, so its collector shall not look at it
        gc.collect()
        gc.freeze()
        keys = _Keys(app, model)
        pressing = asyncio.create_task(keys.press())
        teller.begin()
        frames, cpu, began = app.frames, time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        used, passed = time.process_time() - cpu, time.perf_counter() - began
        changes, drawn = teller.given * at_once, app.frames - frames
        pressing.cancel()
        gc.unfreeze()
        app.exit()
    return _Told(changes / passed, drawn / passed, used / passed, keys.took)


def _prepared(rows: list[RunRow], at_once: int, changes: int) -> list[AnyEvent]:
    """So many changes as events, each of `at_once` runs."""
    dice = random.Random(7)
    events: list[AnyEvent] = []
    for number in range(changes // at_once):
        at = timestamp(AT + number * at_once * 1000 // CHANGES_PER_SECOND)
        changed = [
            msgspec.structs.replace(row, last_seq=dice.randrange(1_000_000))
            for row in dice.sample(rows, at_once)
        ]
        if at_once > 1:
            events.append(Progress(seq=number + 1, at=at, runs=changed))
        else:
            events.append(RunChanged(seq=number + 1, at=at, what="revived", run=changed[0]))
    return events


if __name__ == "__main__":
    main()
