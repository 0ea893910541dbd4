"""The hand: how soon a filter and an order answer, what a full house takes of memory, and what the gateway feels of it.

The tables are the console's own, at 100,000 rows. Memory is that of a real console on a terminal, attached to a core
that has so many live sessions. The gateway's delay is that of events on their way through it, in `maitred serve`, and
in a `maitred` whose console shows them meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from console.panes.model import PaneModel
from console.panes.pane import Pane
from console.panes.runs import RUNS
from console.panes.sessions import SESSIONS
from console.state import ConsoleState, add_rows, begin_view, end_view
from core.clock import timestamp
from core.protocol import AnyRow, CostRow, PinRow, RunRow, SessionRow, ViewHead
from tests.bench import load
from tests.bench.attached import full_house
from tests.bench.load import Target
from tests.bench.processes import cores, free_port, gateway_process, pinned, upstream_process
from tests.bench.report import Table, percentile
from tests.bench.table_drawing import AT, run_row
from tests.bench.terminal import on_terminal

_SETTLING_SECONDS = 4.0
_PAGE = 40
_FILTERS = ("state:running", "user123", "cost>1 -topic-5")


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rows: int = 100_000
    rounds: int = 5
    sessions: tuple[int, ...] = (1_000, 100_000)
    streams: int = 40
    events: int = 300
    turns: int = 3


FULL = Size()
QUICK = Size(rows=10_000, rounds=2, sessions=(1_000,), streams=10, events=100, turns=1)


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    size = QUICK if quick else FULL
    _tables(size)
    _memory(size)
    _gateway(size)


# ---------------------------------------------------------------------------------------------------- tables


def _tables(size: Size) -> None:
    table = Table(f"tables of {size.rows:,} rows", "pane", "figure", "median ms", "worst ms", "aim")
    state = ConsoleState()
    head = ViewHead(house="h", instance="i", epoch="e", version="0", now=timestamp(AT), counts={})
    begin_view(state, head)
    add_rows(state, _rows(size.rows))
    end_view(state, "e.0")
    gc.freeze()
    for pane in (RUNS, SESSIONS):
        model, page, whole = _opened(pane, state)
        _row(table, pane.id, "first page of the pane", [page], "")
        _row(table, pane.id, "all of it, between keys", [whole], "")
        for text in _FILTERS:
            found = [_filtered(model, text) for _ in range(size.rounds)]
            _row(table, pane.id, f"first page of {text}", [page for page, _ in found], "50 ms")
            _row(table, pane.id, f"all of {text}, between keys", [whole for _, whole in found], "")
        model.filter_by("")
        for column in ("session", "cost", "rate", "model"):
            took = [_sorted(model, column, pane.columns[0].id) for _ in range(size.rounds)]
            _row(table, pane.id, f"sort by {column}", took, "150 ms")
    gc.unfreeze()
    table.print()


def _rows(count: int) -> Iterator[AnyRow]:
    for number in range(count):
        key = f"api:user{number % 977}/topic-{number}"
        run: RunRow = msgspec.structs.replace(
            run_row(number),
            session_key=key,
            state=("running", "running", "stalled")[number % 3],
            micros=number * 7919 % 10_000_000,
            model=("gpt-mini", "sonnet", "opus", "flash")[number % 4],
        )
        yield run
        yield SessionRow(
            session_key=key,
            generation=1,
            kind="user",
            project=f"p{number % 40}",
            channel="api",
            run_id=run.run_id,
            dirty=None,
            created_at=run.started_at,
            last_used_at=run.started_at,
        )
        yield PinRow(
            session_key=key,
            model=run.model or "",
            tier="SIMPLE",
            explicit=False,
            escalated=False,
            strikes=number % 3,
            run=1,
            repeat_limit=3,
            request_count=1,
            last_used_at=run.started_at,
        )
        yield CostRow(
            scope="session",
            key=key,
            micros=number * 104_729 % 10_000_000,
            estimated_micros=0,
            input_tokens=1,
            output_tokens=1,
            cached_tokens=0,
            updated_at=run.started_at,
        )


def _opened(pane: Pane[Any, ConsoleState], state: ConsoleState) -> tuple[PaneModel, float, float]:
    """A pane that is looked at for the first time; the seconds to its first page, and until all rows are read."""
    model = PaneModel(pane)
    model.resize(_PAGE)
    began = time.perf_counter()
    model.catch_up(state)
    model.window()
    page = time.perf_counter() - began
    while model.go_on():
        pass
    return model, page, time.perf_counter() - began


def _filtered(model: PaneModel, text: str) -> tuple[float, float]:
    """Seconds to the first page of a filter, and until all rows are tested."""
    model.filter_by("")
    began = time.perf_counter()
    model.filter_by(text)
    model.window()
    page = time.perf_counter() - began
    while model.go_on():
        pass
    return page, time.perf_counter() - began


def _sorted(model: PaneModel, column: str, before: str) -> float:
    """Seconds to the first page of another order."""
    model.sort_by(before, descending=False)
    began = time.perf_counter()
    model.sort_by(column, descending=True)
    model.window()
    return time.perf_counter() - began


def _row(table: Table, pane: str, figure: str, took: list[float], aim: str) -> None:
    table.row(pane, figure, f"{statistics.median(took) * 1000:.1f}", f"{max(took) * 1000:.1f}", aim)


# ---------------------------------------------------------------------------------------------------- memory


def _memory(size: Size) -> None:
    aims = {1_000: "80 MB", 100_000: "300 MB"}
    table = Table("a console attached to a core", "live sessions", "resident", "peak", "aim")
    server_core, _ = cores()
    for sessions in size.sessions:
        with (
            full_house(sessions, server_core) as house,
            tempfile.TemporaryDirectory(prefix="maitred-bench-", ignore_cleanup_errors=True) as name,
        ):
            token = Path(name) / "token-of-the-house"
            token.touch(0o600)
            token.write_text(house.token)
            with on_terminal(Path(name), "attach", house.url, "--token-file", str(token)) as console:
                console.until(lambda text: "● live" in text, "living core", 60)
                time.sleep(_SETTLING_SECONDS)
                spent = console.spent()
        table.row(f"{sessions:,}", f"{spent.memory:.0f} MB", f"{spent.peak:.0f} MB", aims[sessions])
    table.print()


# ---------------------------------------------------------------------------------------------------- gateway


def _gateway(size: Size) -> None:
    """The delay of events through the gateway, alone and with its console on a terminal, in turn."""
    server_core, client_core = cores()
    found: dict[bool, list[float]] = {False: [], True: []}
    with pinned(client_core), upstream_process(client_core) as upstream_port:
        for _ in range(size.turns):
            for shown in (False, True):
                with _served(upstream_port, server_core, size, shown=shown) as port:
                    target = Target(f"gateway, console {shown}", port)
                    found[shown] += asyncio.run(load.lags(target, size.streams, size.events))
    table = Table(
        f"events through the gateway, {size.streams * 50:,} a second", "gateway", "p50 ms", "p99 ms", "aim"
    )
    for shown, what in ((False, "maitred serve"), (True, "maitred, its console on a terminal")):
        lags = found[shown]
        table.row(what, f"{percentile(lags, 0.5) * 1000:.2f}", f"{percentile(lags, 0.99) * 1000:.2f}", "")
    added = percentile(found[True], 0.99) - percentile(found[False], 0.99)
    table.row("added by the console", "", f"{added * 1000:.2f}", "25 ms")
    table.print()


@contextlib.contextmanager
def _served(upstream_port: int, core: int, size: Size, *, shown: bool) -> Iterator[int]:
    config = (
        "[[upstreams]]\n"
        'name = "bench"\n'
        f'base_url = "http://127.0.0.1:{upstream_port}/v1"\n'
        f'models = ["{load.paced(size.events)}"]\n'
    )
    with tempfile.TemporaryDirectory(prefix="maitred-bench-", ignore_cleanup_errors=True) as name:
        if not shown:
            with gateway_process(config, Path(name), core) as (port, _):
                yield port
            return
        settings, port = Path(name) / "bench.toml", free_port()
        settings.write_text(config, encoding="utf-8")
        with on_terminal(Path(name), "--config", str(settings), "--port", str(port)) as console:
            console.until_live()
            yield port


if __name__ == "__main__":
    main()
