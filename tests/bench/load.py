"""The loads that the gateway bench puts on one target: the upstream itself, or the gateway in front of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

from tests.bench.client import Answered, Caller, connect

COMPLETIONS = "/v1/chat/completions"
LATENCY = "chunks?n=40&size=250&join=1"
THROUGHPUT = "chunks?n=1000&size=250"
WHOLE = "chunks?n=4&size=250"
LEAVING = {
    "in mid-stream": ("slow-between?s=60", True),
    "before the first token": ("slow-first?s=60", True),
    "in a whole answer": ("slow-first?s=60", False),
}
"""Where a client leaves → the model it asked for, and whether it streams."""

_SETTLED_SECONDS = 1.0


def paced(events: int) -> str:
    """The model of a stream of so many events, 50 a second."""
    return f"chunks?n={events}&size=250&interval_ms=20"


def models(paced_events: int) -> list[str]:
    """Every model that a run asks for."""
    asked = [LATENCY, THROUGHPUT, WHOLE, paced(paced_events), *(model for model, _ in LEAVING.values())]
    return list(dict.fromkeys(asked))


class Target:
    """A server, and requests to it that never repeat a conversation (each is a session of its own)."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self._numbers = itertools.count()

    def request(self, model: str, *, stream: bool) -> dict[str, Any]:
        """A request for a model, with a first message that nobody has sent yet."""
        text = f"{self.name} {next(self._numbers)}: say something about the weather, please"
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    async def ask(self, caller: Caller, model: str, *, stream: bool, events: int = 0) -> Answered:
        """One completion; raises AssertionError when it is not whole."""
        answered = await caller.ask(self.port, COMPLETIONS, self.request(model, stream=stream))
        if answered.status != 200 or (stream and answered.events != events):
            raise AssertionError(
                f"{self.name}: {answered.status}, {answered.events} of {events} events: {answered.body[:500]!r}"
            )
        return answered

    async def callers(self, count: int, *, timed: bool = False) -> list[Caller]:
        """So many connections."""
        return [await connect(self.port, timed=timed) for _ in range(count)]


async def latencies(targets: list[Target], rounds: int) -> dict[str, list[Answered]]:
    """Streams of 40 events, one at a time, the targets in turn."""
    callers = {target.name: (await target.callers(1))[0] for target in targets}
    answers: dict[str, list[Answered]] = {target.name: [] for target in targets}
    for number in range(rounds + 20):
        for target in targets:
            answered = await target.ask(callers[target.name], LATENCY, stream=True, events=40)
            # the first ones warm up
            if number >= 20:
                answers[target.name].append(answered)
    _leave(callers.values())
    return answers


async def throughput(target: Target, streams: int, repeats: int) -> float:
    """Events a second of so many streams of 1,000 events, each caller one after the other `repeats` times."""
    callers = await target.callers(streams)

    async def stream(caller: Caller) -> None:
        for _ in range(repeats):
            await target.ask(caller, THROUGHPUT, stream=True, events=1000)

    started = time.perf_counter()
    await asyncio.gather(*map(stream, callers))
    elapsed = time.perf_counter() - started
    _leave(callers)
    return streams * repeats * 1000 / elapsed


async def lags(target: Target, streams: int, events: int) -> list[float]:
    """Seconds from sending to arrival under a paced load, once all streams have begun."""
    callers = await target.callers(streams, timed=True)

    async def stream(number: int, caller: Caller) -> Answered:
        await asyncio.sleep(number * 0.02 / streams)
        return await target.ask(caller, paced(events), stream=True, events=events)

    settled = time.monotonic() + _SETTLED_SECONDS
    answers = await asyncio.gather(*itertools.starmap(stream, enumerate(callers)))
    _leave(callers)
    return [lag for answered in answers for came, lag in answered.lags if came >= settled]


async def wholes(target: Target, callers: int, seconds: float) -> float:
    """Whole completions a second of so many callers."""
    until = time.perf_counter() + seconds
    counts = 0

    async def call(caller: Caller) -> None:
        nonlocal counts
        while time.perf_counter() < until:
            await target.ask(caller, WHOLE, stream=False)
            counts += 1

    open_callers = await target.callers(callers)
    started = time.perf_counter()
    await asyncio.gather(*map(call, open_callers))
    elapsed = time.perf_counter() - started
    _leave(open_callers)
    return counts / elapsed


async def leavings(
    target: Target, upstream_port: int, model: str, times: int, *, stream: bool
) -> list[float]:
    """Seconds from a client's leaving to the moment when the upstream notices; infinite when it does not in 3 s."""
    watcher = await connect(upstream_port)
    found = []
    for _ in range(times):
        request = target.request(model, stream=stream)
        text = request["messages"][0]["content"]
        caller = await connect(target.port)
        caller.send(target.port, COMPLETIONS, request)
        mid_stream = model.startswith("slow-between")
        await _seen(watcher, upstream_port, text, "answering" if mid_stream else "waiting")
        if mid_stream:
            # the first event is through: the client leaves between two
            await asyncio.sleep(0.05)
        left = caller.leave()
        noticed = await _left(watcher, upstream_port, text)
        found.append(noticed - left if noticed is not None else float("inf"))
    _leave([watcher])
    return found


async def _seen(watcher: Caller, port: int, text: str, phase: str) -> dict[str, Any]:
    """Wait until the upstream has that request in that phase."""
    for _ in range(1000):
        one = await _find(watcher, port, text)
        if one is not None and one["phase"] == phase:
            return one
        await asyncio.sleep(0.003)
    raise AssertionError(f"the upstream never got {text!r} ({phase})")


async def _left(watcher: Caller, port: int, text: str) -> float | None:
    for _ in range(1000):
        one = await _find(watcher, port, text)
        if one is not None and one["left_at"] is not None:
            return float(one["left_at"])
        await asyncio.sleep(0.003)
    return None


async def _find(watcher: Caller, port: int, text: str) -> dict[str, Any] | None:
    answered = await watcher.ask(port, "/_seen?last=5")
    for one in reversed(json.loads(answered.body)):
        if one["body"] and one["body"]["messages"][-1]["content"] == text:
            found: dict[str, Any] = one
            return found
    return None


def _leave(callers: Any) -> None:
    for caller in callers:
        caller.leave()
