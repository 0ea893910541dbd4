"""The benches still run: each load on a small scale against the upstream itself."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from tests.bench import load, remembered
from tests.bench.__main__ import benches
from tests.bench.client import connect
from tests.bench.load import Target
from tests.bench.processes import cpu_seconds, resident_mb
from tests.bench.report import Table, calibration, percentile
from tests.bench.terminal import on_terminal
from tests.upstream import Upstream

EVENTS = 60


@pytest.fixture
def target(upstream: Upstream) -> Target:
    return Target("direct", upstream.port)


def test_every_bench_is_found() -> None:
    expected = {
        "admission",
        "attached",
        "gateway",
        "hand",
        "idle",
        "live_drawing",
        "remembered",
        "sandbox",
        "start",
        "table_drawing",
    }
    assert expected <= set(benches())
    assert {"load", "terminal", "waiting"}.isdisjoint(benches())


async def test_latencies(target: Target) -> None:
    answers = (await load.latencies([target], rounds=2))["direct"]
    assert len(answers) == 2
    assert all(0 < one.first - one.started <= one.finished - one.started for one in answers)


async def test_throughput(target: Target) -> None:
    assert await load.throughput(target, streams=2, repeats=1) > 0


async def test_lags_leave_out_the_beginning(target: Target) -> None:
    lags = await load.lags(target, streams=2, events=EVENTS)
    assert 0 < len(lags) < 2 * EVENTS
    assert all(0 <= lag < 10 for lag in lags)


async def test_wholes(target: Target) -> None:
    assert await load.wholes(target, callers=2, seconds=0.1) > 0


@pytest.mark.parametrize(("model", "stream"), load.LEAVING.values())
async def test_leavings(target: Target, model: str, stream: bool) -> None:
    (taken,) = await load.leavings(target, target.port, model, 1, stream=stream)
    assert 0 <= taken < math.inf


async def test_an_answer_that_is_not_whole_is_told(target: Target) -> None:
    caller = await connect(target.port)
    with pytest.raises(AssertionError, match="500"):
        await target.ask(caller, "status-500", stream=False)
    with pytest.raises(AssertionError, match="3 of 4 events"):
        await target.ask(caller, "chunks?n=3", stream=True, events=4)
    with pytest.raises(ConnectionError):
        await target.ask(caller, "broken-mid", stream=False)


def test_a_request_never_repeats_a_conversation(target: Target) -> None:
    asked = [str(target.request("echo", stream=False)["messages"]) for _ in range(3)]
    assert len(set(asked)) == 3


async def test_a_long_session_is_measured(tmp_path: Path) -> None:
    figures = await remembered.long_session(tmp_path, 300)
    assert len(figures) == 3
    assert all(taken > 0 for taken, _ in figures.values())


def test_a_start_is_measured(tmp_path: Path) -> None:
    best, median = remembered.starts(tmp_path, 50)
    assert 0 < best <= median


async def test_pins_are_measured() -> None:
    assert all(taken > 0 for taken in (await remembered.pins(100, 10)).values())


def test_a_process_is_measured() -> None:
    assert cpu_seconds(os.getpid()) > 0
    assert resident_mb(os.getpid()) > 1


def test_a_console_that_never_paints_is_told(tmp_path: Path) -> None:
    with (
        on_terminal(tmp_path, "sandbox", "--users", "0") as console,
        pytest.raises(ChildProcessError, match="before there was full paint"),
    ):
        console.until_painted()


def test_a_console_is_measured(tmp_path: Path) -> None:
    with on_terminal(tmp_path) as console:
        painted, live = console.until_painted(), console.until_live()
        assert 0 < painted.cpu <= live.cpu <= console.spent().cpu
        assert painted.memory <= live.peak
        with pytest.raises(TimeoutError, match="no unicorn within 0 s"):
            console.until(lambda text: "unicorn" in text, "unicorn", 0.1)


def test_percentiles() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0, 0.0)] == [50, 99, 100, 1]


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("speed", "figure", "value")
    table.row("a", "1,000")
    table.print()
    assert capsys.readouterr().out == "\nspeed\n  figure  value\n  ------  -----\n  a       1,000\n"
    assert calibration() > 0
