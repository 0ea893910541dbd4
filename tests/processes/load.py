"""Clients that talk turn after turn, and whether a house kept all that it told them."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from core.store.words import index_text
from tests.processes.processes import House, Serving

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
        """Turn after turn until the server is gone or leaves; `first` is set when one was acknowledged."""
        try:
            while (told := await self._turn(http, next(self._turns))) is not None:
                self.seen.append(told)
                first.set()
        except httpx.TransportError:
            return  # what was under way is lost to this client: it saw no end

    async def _turn(self, http: httpx.AsyncClient, turn: int) -> Acknowledged | None:
        asked = f"question{self.number}x{turn} of a caller who is never tired"
        said = [*self._said, {"role": "user", "content": asked}]
        body = {"model": self.model, "messages": said, "stream": turn % 2 == 1}
        if body["stream"]:
            body["stream_options"] = {"include_usage": True}
        headers = {"x-user-id": f"user{self.number}", "x-session-id": self._session, "x-project": "p"}
        async with http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response:
            content = await response.aread()
        if response.status_code == 503 and b"shutting_down" in content:
            return None
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


async def each_of(events: list[asyncio.Event]) -> None:
    """Wait for all of them."""
    for event in events:
        await event.wait()


def priced(house: House, more: str = "") -> None:
    """Settings with a price for every model of `MODELS`."""
    house.settings(more + PRICED, upstream="first_byte_seconds = 20")


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
