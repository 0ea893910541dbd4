"""What was acknowledged is there after `kill -9`: a real server under load, killed at random moments."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.processes.load import (
    MODELS,
    Acknowledged,
    Caller,
    check_answers,
    check_books,
    check_house,
    each_of,
    messages,
    priced,
)
from tests.processes.processes import House, Serving

KILLS = 20


def left_behind(house: House, copy: Path) -> list[tuple[str, str, str]]:
    """The checkpoints (run, session, text) as a crash left them, read from a copy so that nothing is touched."""
    copy.mkdir(exist_ok=True)
    for name in ("maitred.db", "maitred.db-wal"):
        shutil.copy(house.data / name, copy / name)
    connection = sqlite3.connect(copy / "maitred.db")
    try:
        return connection.execute("SELECT run_id, session_key, text FROM checkpoints").fetchall()
    finally:
        connection.close()


def check_partial(house: House, checkpoints: list[tuple[str, str, str]]) -> None:
    """What a crash left of running answers has become messages, marked partial."""
    for run, session, text in checkpoints:
        partial = house.query("SELECT session_key, content FROM messages WHERE run_id = ? AND partial", run)
        assert [(key, msgspec.json.decode(content)) for key, content in partial] == [(session, text)]


def check_pages(serving: Serving, seen: list[Acknowledged]) -> None:
    """A reader over HTTP finds the answers of every session in the order in which they were given."""
    told: dict[str, list[tuple[str, str]]] = {}
    for turn in seen:
        told.setdefault(turn.session, []).append((turn.run, turn.answered))
    for session, answers in told.items():
        found = [
            (each["runId"], each["content"])
            for each in messages(serving, session)
            if each["role"] == "assistant"
        ]
        assert [answer for answer in found if answer in answers] == answers


async def burst(serving: Serving, callers: list[Caller], seconds: float) -> None:
    """Load from all callers at once, and SIGKILL so long after each of them had an answer."""
    firsts = [asyncio.Event() for _ in callers]
    async with serving.http_async(token=None) as http:
        talking = [
            asyncio.create_task(caller.talk(http, first))
            for caller, first in zip(callers, firsts, strict=True)
        ]
        answered = asyncio.create_task(each_of(firsts))
        # the next turn of every session works: a caller that is refused ends, and says so below
        await asyncio.wait([answered, *talking], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()
        await asyncio.wait(talking, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(serving.kill)
        await asyncio.gather(*talking)
    assert all(first.is_set() for first in firsts)


@pytest.mark.slow
async def test_what_was_acknowledged_survives_twenty_kills(house: House, tmp_path: Path) -> None:
    seed = int(os.environ.get("MAITRED_TEST_SEED", random.randrange(10**6)))
    print(f"MAITRED_TEST_SEED={seed}")
    chance = random.Random(seed)
    priced(house)
    callers = [Caller(number, model) for number, model in enumerate(MODELS)]
    seen: list[Acknowledged] = []
    serving = house.serve()
    try:
        for kill in range(KILLS):
            # a session lives through five kills, so that a broken turn is followed by others on the same one
            for caller in callers:
                caller.begin((kill + caller.number) // 5)
            await burst(serving, callers, chance.uniform(0.02, 0.8))
            checkpoints = left_behind(house, tmp_path / "copy")
            serving.close()
            serving = house.serve()
            seen = [turn for caller in callers for turn in caller.seen]
            check_house(house)
            check_answers(house, seen)
            check_books(house, serving, seen)
            check_partial(house, checkpoints)
        check_pages(serving, seen)
        with serving.http() as http:
            hits = http.get("/v1/search", params={"q": seen[-1].asked.split()[0]}).json()
            assert [hit["sessionKey"] for hit in hits if hit["role"] == "user"] == [seen[-1].session]
    finally:
        serving.close()
    assert len(seen) > KILLS * len(MODELS)


async def test_a_cut_off_answer_leaves_what_was_received(house: House, tmp_path: Path) -> None:
    priced(house)
    model = "slow-between?s=0.2"
    words = " ".join(f"word{n}" for n in range(200))
    asked = [{"role": "user", "content": words}]
    body: dict[str, Any] = {"model": model, "messages": asked, "stream": True}
    headers = {"x-session-id": "s"}
    received = b""
    with house.serve() as serving:
        async with (
            serving.http_async(token=None) as http,
            http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response,
        ):
            run = response.headers["x-maitred-run"]
            reading = response.aiter_bytes()
            async with asyncio.timeout(10):
                while not house.query("SELECT text FROM checkpoints WHERE run_id = ?", run):
                    received += await anext(reading)
            serving.kill()
            with pytest.raises(httpx.RemoteProtocolError):
                received += b"".join([data async for data in reading])
        ((_, session, kept),) = left_behind(house, tmp_path / "copy")
    assert b"[DONE]" not in received
    assert words.startswith(kept)
    assert kept
    with house.serve() as serving:
        check_house(house)
        assert house.query("SELECT status, exit_code FROM runs") == [("interrupted", 1)]
        question, partial = messages(serving, session)
        assert (question["content"], partial["content"], partial["partial"]) == (words, kept, True)
        asked += [{"role": "assistant", "content": kept}, {"role": "user", "content": "on"}]
        with serving.http(token=None) as client:
            body = {"model": model, "messages": asked}
            assert client.post("/v1/chat/completions", json=body, headers=headers).status_code == 200
        assert [each["content"] for each in messages(serving, session)] == [words, kept, "on", "on"]
