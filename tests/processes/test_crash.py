"""What was acknowledged is there after `kill -9`: a real server under load, killed at random moments."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import shutil
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from core.store.words import index_text
from tests.processes.processes import House, Serving
from tests.upstream import Upstream

KILLS = 20
INPUT_USD, OUTPUT_USD = 3, 7
"""USD per million tokens, so micro-USD per token."""

MODELS = (
    "echo",
    "count-30",
    "chunks?n=30&size=80&interval_ms=4",
    "slow-between?s=0.02",
    "reasoning",
    "large?mb=0.2",
)
PRICED = "\n".join(
    f'[[admission.models]]\nid = "{model}"\ninput_usd_per_million = {INPUT_USD}\noutput_usd_per_million = {OUTPUT_USD}'
    for model in (*MODELS, "slow-between?s=0.2")
)


@dataclass(frozen=True)
class Acknowledged:
    """A turn whose end a client saw: [DONE], or a whole answer with status 200."""

    session: str
    run: str
    asked: str
    answered: str
    micros: int


@dataclass
class Caller:
    """A client with a conversation, which it resends whole as OpenAI's clients do."""

    number: int
    model: str
    seen: list[Acknowledged] = field(default_factory=list)
    _turns: itertools.count[int] = field(default_factory=itertools.count)
    _said: list[dict[str, str]] = field(default_factory=list)
    _session: str = ""

    def begin(self, session: int) -> None:
        """Begin a session, or go on with the one of that number."""
        if self._session != f"s{session}":
            self._session, self._said = f"s{session}", []

    async def talk(self, http: httpx.AsyncClient, first: asyncio.Event) -> None:
        """Turn after turn until the server is gone; `first` is set when one was acknowledged."""
        try:
            while True:
                self.seen.append(await self._turn(http, next(self._turns)))
                first.set()
        except httpx.TransportError:
            return  # what was under way is lost to this client: it saw no end

    async def _turn(self, http: httpx.AsyncClient, turn: int) -> Acknowledged:
        asked = f"question{self.number}x{turn} of a caller who is never tired"
        said = [*self._said, {"role": "user", "content": asked}]
        body = {"model": self.model, "messages": said, "stream": turn % 2 == 1}
        if body["stream"]:
            body["stream_options"] = {"include_usage": True}
        headers = {"x-user-id": f"user{self.number}", "x-session-id": self._session, "x-project": "p"}
        async with http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
            content = await response.aread()
            assert response.status_code == 200, content
        text, usage = _streamed(content) if body["stream"] else _whole(content)
        micros = INPUT_USD * usage["prompt_tokens"] + OUTPUT_USD * usage["completion_tokens"]
        if not body["stream"]:
            assert int(response.headers["x-maitred-cost-micros"]) == micros
        self._said = [*said, {"role": "assistant", "content": text}]
        key = response.headers["x-maitred-session"]
        return Acknowledged(key, response.headers["x-maitred-run"], asked, text, micros)


def _whole(content: bytes) -> tuple[str, dict[str, Any]]:
    answer = msgspec.json.decode(content)
    return answer["choices"][0]["message"]["content"], answer["usage"]


def _streamed(content: bytes) -> tuple[str, dict[str, Any]]:
    frames = content.split(b"\n\n")
    assert frames[-2:] == [b"data: [DONE]", b""], frames[-3:]
    chunks = [msgspec.json.decode(frame.removeprefix(b"data: ")) for frame in frames[:-2]]
    said = [choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]]
    return "".join(said), chunks[-1]["usage"]


def settings(house: House) -> None:
    house.settings(PRICED, upstream="first_byte_seconds = 20")


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


def check_answers(house: House, seen: list[Acknowledged]) -> None:
    """Question, answer and record of every acknowledged turn are there, exactly once."""
    stored = {
        (run, role): (session, msgspec.json.decode(content), bool(partial))
        for run, role, session, content, partial in house.query(
            "SELECT run_id, role, session_key, content, partial FROM messages"
        )
    }
    runs = {run: rest for run, *rest in house.query("SELECT run_id, status, exit_code, micros FROM runs")}
    for turn in seen:
        assert stored[turn.run, "user"] == (turn.session, turn.asked, False), turn
        assert stored[turn.run, "assistant"] == (turn.session, turn.answered, False), turn
        assert runs[turn.run] == ["completed", 0, turn.micros], turn


def check_books(house: House, serving: Serving, seen: list[Acknowledged]) -> None:
    """What the view says of cost is what the runs say, for every session, user, project and model, to the micro."""
    shown = {(row["scope"], row["key"]): row["micros"] for row in serving.view() if row["row"] == "cost"}
    for scope, column in (("session", "session_key"), ("user", "user_id"), ("model", "model")):
        recorded = dict(
            house.query(f"SELECT {column}, sum(micros) FROM runs GROUP BY {column} HAVING sum(micros) > 0")
        )
        assert recorded == {key: micros for (kind, key), micros in shown.items() if kind == scope and micros}
    ((total,),) = house.query("SELECT sum(micros) FROM runs")
    assert shown["project", "p"] == total >= sum(turn.micros for turn in seen)


def check_house(house: House) -> None:
    """No run runs, no checkpoint is left, and the index holds the words of every message, and of nothing else."""
    assert house.query("SELECT run_id FROM runs WHERE status = 'running'") == []
    assert house.query("SELECT run_id FROM checkpoints") == []
    indexed = dict(house.query("SELECT rowid, words FROM message_words"))
    stored = {
        number: index_text(msgspec.json.decode(content))
        for number, content in house.query("SELECT id, content FROM messages")
        if isinstance(msgspec.json.decode(content), str)
    }
    assert indexed == {number: words for number, words in stored.items() if words}


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


def messages(serving: Serving, session: str) -> list[dict[str, Any]]:
    """The messages of a session over HTTP, page by page."""
    found: list[dict[str, Any]] = []
    before: int | None = None
    with serving.http() as http:
        while True:
            asked = {"limit": 1000} | ({"before": before} if before is not None else {})
            answer = http.get(f"/v1/sessions/{session.replace('/', '%2F')}/messages", params=asked)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found, before = page["messages"] + found, page["before"]
            if before is None:
                return found


async def each_of(events: list[asyncio.Event]) -> None:
    for event in events:
        await event.wait()


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
async def test_what_was_acknowledged_survives_twenty_kills(
    house: House, upstream: Upstream, tmp_path: Path
) -> None:
    seed = int(os.environ.get("MAITRED_TEST_SEED", random.randrange(10**6)))
    print(f"MAITRED_TEST_SEED={seed}")
    chance = random.Random(seed)
    settings(house)
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


async def test_a_cut_off_answer_leaves_what_was_received(
    house: House, upstream: Upstream, tmp_path: Path
) -> None:
    settings(house)
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
