"""SIGTERM and ctrl+c with turns in flight: drain, cut off what is left, lose nothing, exit 0."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import pytest

from tests.processes.load import (
    MODELS,
    Caller,
    check_answers,
    check_books,
    check_house,
    each_of,
    messages,
    priced,
)
from tests.processes.processes import PATIENCE, House, Serving
from tests.upstream import Upstream

WORDS = "one two three four five six seven eight nine ten"
SLOW = "slow-between?s=0.15"
ENDLESS = "slow-between?s=60"
SIGNALS = [signal.SIGTERM, signal.SIGINT]


def body(model: str, *, stream: bool) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": WORDS}], "stream": stream}


@contextlib.contextmanager
def streaming(serving: Serving, model: str) -> Iterator[Iterator[bytes]]:
    """A streamed turn that has begun to answer: what comes of it, from its first bytes on."""
    with (
        serving.http(token=None) as http,
        http.stream("POST", "/v1/chat/completions", json=body(model, stream=True)) as response,
    ):
        assert response.status_code == 200
        reading = response.iter_bytes()
        first = next(reading)
        yield itertools.chain([first], reading)


def texts(received: bytes) -> str:
    """The text of the chunks of a stream."""
    frames = [frame.removeprefix(b"data: ") for frame in received.split(b"\n\n") if b"choices" in frame]
    choices = [choice for frame in frames for choice in msgspec.json.decode(frame)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def check_cut_off(house: House, received: bytes) -> None:
    """The client was told that the answer is not whole, and so does everything that remembers it."""
    assert received.endswith(b"\n\n")
    frames = received.strip().split(b"\n\n")
    assert b"[DONE]" not in received
    error = msgspec.json.decode(frames[-1].removeprefix(b"data: "))["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "maitred" in error["message"]
    assert texts(received)
    assert house.query("SELECT status, exit_code, estimated FROM runs") == [("interrupted", 1, 1)]
    ((partial,),) = house.query("SELECT content FROM messages WHERE partial")
    assert msgspec.json.decode(partial) == texts(received)
    assert house.query("SELECT * FROM checkpoints") == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_turn_in_flight_ends_whole(house: House, number: signal.Signals) -> None:
    with house.serve() as serving, serving.http(token=None, timeout=5) as http:
        with streaming(serving, SLOW) as reading:
            assert http.get("/readyz").json() == {"status": "ready"}
            serving.signal(number)
            serving.line("leaving")
            refused = http.get("/readyz")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
            assert http.get("/healthz").status_code == 200
            for stream in (True, False):
                turn = http.post("/v1/chat/completions", json=body("echo", stream=stream))
                assert (turn.status_code, turn.json()["error"]["code"]) == (503, "shutting_down")
                assert turn.json()["error"]["type"] == "server_error"
                assert turn.headers.get("x-should-retry") != "false", "another instance may take it"
            received = b"".join(reading)
        assert received.endswith(b"data: [DONE]\n\n")
        assert texts(received) == WORDS
        ended = serving.finish()
    assert (ended.code, ended.stdout) == (0, "")
    assert len(ended.stderr.splitlines()) == 2, ended.stderr
    assert house.query("SELECT status, exit_code FROM runs") == [("completed", 0)]
    assert house.query("SELECT count(*) FROM messages WHERE NOT partial") == [(2,)]


def test_a_whole_answer_in_flight_arrives(house: House, upstream: Upstream) -> None:
    with house.serve() as serving, serving.http(token=None) as http, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(http.post, "/v1/chat/completions", json=body(SLOW, stream=False))
        upstream.record.wait(bool, PATIENCE)
        serving.signal(signal.SIGTERM)
        answer = asking.result(PATIENCE)
        assert answer.status_code == 200
        assert answer.json()["choices"][0]["message"]["content"] == WORDS
        assert serving.finish().code == 0


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_not_done_in_time_is_cut_off(
    house: House, upstream: Upstream, number: signal.Signals
) -> None:
    house.settings("[server]\ndrain_seconds = 0.3")
    with house.serve() as serving:
        with streaming(serving, ENDLESS) as reading:
            serving.signal(number)
            received = b"".join(reading)
        assert serving.finish().code == 0
    check_cut_off(house, received)
    assert upstream.requests[-1].left_at is not None


@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_cuts_off_at_once(house: House, second: signal.Signals) -> None:
    house.settings("[server]\ndrain_seconds = 3600")
    with house.serve() as serving:
        with streaming(serving, ENDLESS) as reading:
            serving.signal(signal.SIGTERM)
            serving.line("leaving")
            began = time.monotonic()
            serving.signal(second)
            received = b"".join(reading)
        assert serving.finish().code == 0
        assert time.monotonic() - began < 5
    check_cut_off(house, received)


def test_a_whole_answer_that_is_cut_off_is_an_error(house: House, upstream: Upstream) -> None:
    house.settings("[server]\ndrain_seconds = 0")
    with house.serve() as serving, serving.http(token=None) as http, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(http.post, "/v1/chat/completions", json=body("hang", stream=False))
        upstream.record.wait(bool, PATIENCE)
        serving.signal(signal.SIGTERM)
        answer = asking.result(PATIENCE)
        assert answer.status_code >= 400
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert serving.finish().code == 0
    assert house.query("SELECT status, exit_code, micros FROM runs") == [("interrupted", 1, 0)]


def test_who_only_watches_holds_nothing_up(house: House) -> None:
    """A console's long poll, and a connection that nobody uses, are no turns."""
    with house.serve() as serving, serving.http() as idle, ThreadPoolExecutor(1) as pool:
        idle.get("/healthz")
        with serving.http() as http:
            cursor = http.get("/v1/events", params={"after": "now", "wait": 0}).json()["cursor"]
            polling = pool.submit(http.get, "/v1/events", params={"after": cursor, "wait": 60})
            serving.signal(signal.SIGTERM)
            # it may come too late to be heard at all; else it is told, and not cut off
            with contextlib.suppress(httpx.ConnectError):
                answer = polling.result(PATIENCE)
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
            assert serving.finish(5).code == 0


def test_leaving_twice_over_one_folder(house: House) -> None:
    """What a leaving process holds is free when it is gone: folder, port, token."""
    with house.serve() as first:
        port, token = first.port, house.token()
        assert first.leave().code == 0
    with house.serve("--port", str(port)) as second:
        assert (second.port, house.token()) == (port, token)


async def test_nothing_that_was_acknowledged_is_lost_under_load(house: House) -> None:
    priced(house)
    callers = [Caller(number, model) for number, model in enumerate(MODELS)]
    firsts = [asyncio.Event() for _ in callers]
    with house.serve() as serving:
        async with serving.http_async(token=None) as http:
            talking = []
            for caller, first in zip(callers, firsts, strict=True):
                caller.begin(0)
                talking.append(asyncio.create_task(caller.talk(http, first)))
            answered = asyncio.create_task(each_of(firsts))
            await asyncio.wait([answered, *talking], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            serving.signal(signal.SIGTERM)
            await asyncio.gather(*talking)
            await answered
        assert serving.finish().code == 0
    seen = [turn for caller in callers for turn in caller.seen]
    check_house(house)
    check_answers(house, seen)
    assert house.query("SELECT DISTINCT status FROM runs") == [("completed",)]
    with house.serve() as serving:
        check_books(house, serving, seen)
        for caller in callers:
            session = caller.seen[-1].session
            assert [
                each["content"] for each in messages(serving, session) if each["role"] == "assistant"
            ] == [turn.answered for turn in caller.seen]
