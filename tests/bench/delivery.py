"""Runs over loopback: how fast a subscriber gets what is there, and how soon what is published just now.

The server has one core, publisher and subscriber the other. A second of the server's CPU is what one core gives,
whatever else the machine does.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.client import Caller, connect
from tests.bench.processes import cores, cpu_seconds, gateway_process, pinned
from tests.bench.report import Table, percentile

_CONFIG = """
[runs]
buffer_events = 250000
buffer_bytes = 200000000
"""
_BATCH = 500
_WIDTH = 250
"""Bytes of a frame, about."""
_MARK = b'"sent":'
_ID = b"\nid: "


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    events: int = 200_000
    rounds: int = 5
    seconds: float = 5.0


FULL = Size()
QUICK = Size(events=20_000, rounds=2, seconds=1.0)


def main(*, quick: bool = False) -> None:
    """Measure and print."""
    size = QUICK if quick else FULL
    server_core, client_core = cores()
    with (
        tempfile.TemporaryDirectory(prefix="maitred-bench-") as name,
        pinned(client_core),
        gateway_process(_CONFIG, Path(name), server_core) as (port, pid),
    ):
        asyncio.run(_measure(port, pid, size))


async def _measure(port: int, pid: int, size: Size) -> None:
    table = Table("a run over loopback, one subscriber", "figure", "found", "aim")
    publisher = await connect(port)
    run = await _started(publisher, port, "backlog")
    cpu, began = cpu_seconds(pid), time.perf_counter()
    for start in range(0, size.events, _BATCH):
        await _publish(publisher, port, run, [_event(start + number) for number in range(_BATCH)])
    taken, used = time.perf_counter() - began, cpu_seconds(pid) - cpu
    table.row(f"published, events/s in calls of {_BATCH}", f"{size.events / taken:,.0f}", "")
    table.row("the same, a CPU second of the server", f"{size.events / used:,.0f}", "")
    await publisher.ask(port, f"/v1/runs/{run}/complete", {"exitCode": 0})
    rates, per_cpu = [], []
    for _ in range(size.rounds):
        cpu, began = cpu_seconds(pid), time.perf_counter()
        stream, connection = await _stream(port, run)
        count, tail = 0, b""
        while data := await stream.read(1 << 18):
            count += (tail + data).count(_ID)
            tail = data[1 - len(_ID) :]
        connection.close()
        rates.append(count / (time.perf_counter() - began))
        per_cpu.append(count / (cpu_seconds(pid) - cpu))
        if count < size.events:
            raise AssertionError(f"only {count} of {size.events} events came")
    table.row(f"delivered, events/s of {_WIDTH} bytes", f"{statistics.median(rates):,.0f}", "120,000")
    table.row("the same, a CPU second of the server", f"{statistics.median(per_cpu):,.0f}", "")
    lags = await _paced(publisher, port, size.seconds)
    table.row(
        "at 2,000 events/s, published to received, p50", f"{percentile(lags, 0.5) * 1000:.2f} ms", "1 ms"
    )
    table.row("the same, p99", f"{percentile(lags, 0.99) * 1000:.2f} ms", "")
    table.print()


async def _paced(publisher: Caller, port: int, seconds: float) -> list[float]:
    """Seconds from before the call that publishes to the frame's coming, of 2,000 events a second in calls of two."""
    run = await _started(publisher, port, "paced")
    stream, connection = await _stream(port, run)
    lags: list[float] = []

    async def follow() -> None:
        rest = b""
        while data := await stream.read(1 << 16):
            now = time.perf_counter()
            *whole, rest = (rest + data).split(b"\n\n")
            for frame in whole:
                found = frame.find(_MARK)
                if found >= 0:
                    lags.append(now - float(frame[found + len(_MARK) :].partition(b",")[0].strip(b" }")))

    following = asyncio.create_task(follow())
    began = time.perf_counter()
    sent = 0
    while (elapsed := time.perf_counter() - began) < seconds:
        if sent > elapsed * 2000:
            await asyncio.sleep(0)
            continue
        events = [_event(sent + number) | {"sent": time.perf_counter(), "": ""} for number in range(2)]
        await _publish(publisher, port, run, events)
        sent += len(events)
    await publisher.ask(port, f"/v1/runs/{run}/complete", {"exitCode": 0})
    await following
    connection.close()
    return lags


async def _started(publisher: Caller, port: int, key: str) -> str:
    answered = await publisher.ask(port, "/v1/runs", {"sessionKey": key, "provider": "bench"})
    return str(json.loads(answered.body)["runId"])


async def _publish(publisher: Caller, port: int, run: str, events: list[dict[str, Any]]) -> None:
    answered = await publisher.ask(
        port, f"/v1/runs/{run}/events", {"events": [{"event": event} for event in events]}
    )
    if answered.status != 200:
        raise AssertionError(f"{answered.status}: {answered.body[:300]!r}")


def _event(number: int) -> dict[str, Any]:
    return {"kind": "text", "content": f"{number:08}".ljust(_WIDTH - 100, "x")}


async def _stream(port: int, run: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The run's server-sent events, chunk heads and all; ends with the run. The connection is the caller's to close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(
        f"GET /v1/runs/{run}/events HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: text/event-stream\r\n"
        "connection: close\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer
