"""Runs of agents elsewhere: reported, followed and resumed over real sockets."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
import pytest

from core.server import stream
from core.server.auth import hash_of
from core.settings import Runs, Token
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.following import Follower

TOKENS = [
    Token(name="agents", role="service", sha256=hash_of("svc")),
    Token(name="ann's", role="user", user="ann", sha256=hash_of("ann")),
    Token(name="bob's", role="user", user="bob", sha256=hash_of("bob")),
    Token(name="desk", role="operator", sha256=hash_of("op")),
    Token(name="wall", role="viewer", sha256=hash_of("see")),
]
KEY = "cron:nightly/report"


async def post(house: House, path: str, body: dict[str, Any], token: str = "svc") -> httpx.Response:
    async with client(house, token) as http:
        return await http.post(path, json=body)


async def get(house: House, path: str, token: str = "svc", **params: Any) -> httpx.Response:
    async with client(house, token) as http:
        return await http.get(path, params=params)


def client(house: House, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=house.url, headers={"authorization": f"Bearer {token}"}, trust_env=False, timeout=20
    )


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def started(house: House, key: str = KEY, token: str = "svc", **more: Any) -> str:
    """A run of an agent elsewhere."""
    answer = await post(house, "/v1/runs", {"sessionKey": key, "provider": "crew", **more}, token)
    assert answer.status_code == 200, answer.text
    assert answer.json() | {"runId": ""} == {
        "runId": "",
        "sessionKey": key,
        "provider": "crew",
        "state": "running",
    }
    return str(answer.json()["runId"])


def text_event(number: int) -> dict[str, Any]:
    return {"kind": "text", "content": f"word {number}"}


@pytest.fixture
async def guarded(open_house: Opening) -> Any:
    async with open_house(tokens=TOKENS) as house:
        yield house


async def test_a_run_from_its_start_to_its_end(guarded: House) -> None:
    house = guarded
    run = await started(house, userId="ann", model="gpt")
    events = f"/v1/runs/{run}/events"
    one = await post(house, events, {"event": text_event(1), "producerSeq": 1})
    assert one.json() == {"runId": run, "sessionKey": KEY, "seq": 1, "abortRequested": False}
    repeat = await post(house, events, {"event": text_event(1), "producerSeq": 1})
    assert repeat.json() == {
        "runId": run,
        "sessionKey": KEY,
        "dropped": True,
        "because": "repeat",
        "abortRequested": False,
    }
    many = await post(
        house,
        events,
        {
            "events": [
                {"event": text_event(1), "producerSeq": 1},
                {"event": {"kind": "session_created", "newSessionId": "theirs"}, "producerSeq": 2},
                {"event": text_event(3), "producerSeq": 3},
            ]
        },
    )
    told = many.json()
    assert [("dropped" in each, "swallowed" in each, each.get("seq")) for each in told["results"]] == [
        (True, False, None),
        (False, True, None),
        (False, False, 2),
    ]
    assert (told["lastSeq"], told["abortRequested"]) == (2, False)
    running = await get(house, events, after=0, wait=0)
    assert [event["seq"] for event in running.json()["events"]] == [1, 2]
    assert "theirs" not in running.text
    done = await post(house, f"/v1/runs/{run}/complete", {"exitCode": 0})
    assert done.json() == {"runId": run, "completed": True}
    assert (await post(house, f"/v1/runs/{run}/complete", {"exitCode": 0})).json()["completed"] is False
    batch = (await get(house, events, after=2)).json()
    assert (batch["ended"], batch["events"][0]["kind"], batch["lastSeq"]) == (True, "complete", 3)
    late = await post(house, events, {"event": text_event(4), "producerSeq": 4})
    assert late.json()["because"] == "ended"


async def test_what_is_malformed_takes_nothing_and_names_its_place(guarded: House) -> None:
    house = guarded
    run = await started(house)
    events = f"/v1/runs/{run}/events"
    for body, path in (
        ({}, "$"),
        ({"event": text_event(1), "events": []}, "$"),
        ({"event": {"content": "x"}}, "$.event.kind"),
        ({"events": [{"event": text_event(1)}, {"event": {"kind": ""}}]}, "$.events[1].event.kind"),
        ({"events": [{"event": text_event(1)}], "producerSeq": 1}, "$.producerSeq"),
        ({"events": [{"event": text_event(1)}] * 5001}, "$.events"),
        ({"event": text_event(1), "producerSeq": "1"}, "$.producerSeq"),
        ({"evnt": text_event(1)}, "$"),
    ):
        answer = await post(house, events, body)
        assert code(answer) == (400, "invalid_argument"), body
        assert answer.json()["error"]["path"] == path
    assert (await get(house, events, wait=0)).json()["lastSeq"] == 0
    assert code(await post(house, "/v1/runs", {"sessionKey": "", "provider": "crew"})) == (
        400,
        "invalid_argument",
    )
    assert code(await post(house, "/v1/runs", {"sessionKey": KEY, "provider": "crew"})) == (
        409,
        "run_in_progress",
    )
    for path in ("events", "complete", "abort"):
        unknown = await post(
            house, f"/v1/runs/nobody/{path}", {"event": text_event(1)} if path == "events" else {}
        )
        assert code(unknown) == (404, "run_not_found")


async def test_an_agent_elsewhere_learns_that_it_shall_stop(guarded: House) -> None:
    house = guarded
    run = await started(house)
    waiting = asyncio.create_task(get(house, f"/v1/runs/{run}/control", wait=20))
    await asyncio.sleep(0.05)  # the poll is under way, or comes after: both must learn of it
    stopped = await post(house, f"/v1/runs/{run}/abort", {"reason": "enough"})
    assert stopped.json() == {"runId": run, "state": "aborted"}
    assert (await waiting).json() == {"runId": run, "abortRequested": True, "reason": "enough", "ended": True}
    answer = await post(house, f"/v1/runs/{run}/events", {"event": text_event(1)})
    assert (answer.json()["because"], answer.json()["abortRequested"]) == ("ended", True)
    assert code(await post(house, f"/v1/runs/{run}/abort", {})) == (409, "no_active_run")


async def test_a_user_reaches_only_their_own_runs(guarded: House) -> None:
    house = guarded
    mine = await started(house, key="api:ann/trip", token="ann")
    for path, body in (
        (f"/v1/runs/{mine}/events", {"event": text_event(1)}),
        (f"/v1/runs/{mine}/complete", {}),
        (f"/v1/runs/{mine}/abort", {}),
    ):
        assert code(await post(house, path, body, "bob")) == (404, "run_not_found")
    for path in (f"/v1/runs/{mine}/events", f"/v1/runs/{mine}/control", "/v1/sessions/api:ann%2Ftrip/events"):
        assert code(await get(house, path, "bob", wait=0)) == (404, "run_not_found")
        assert (await get(house, path, "ann", wait=0)).status_code == 200
        assert (await get(house, path, "svc", wait=0)).status_code == 200
        assert code(await get(house, path, "see", wait=0)) == (403, "forbidden")
    assert code(await post(house, "/v1/runs", {"sessionKey": "api:ann/other", "provider": "x"}, "bob")) == (
        404,
        "session_not_found",
    )
    claim = {"sessionKey": "api:bob/x", "provider": "x", "userId": "ann"}
    assert code(await post(house, "/v1/runs", claim, "bob")) == (403, "forbidden")
    nobodys = await started(house, key="cron:other")
    assert code(await get(house, f"/v1/runs/{nobodys}/events", "ann", wait=0)) == (404, "run_not_found")


async def test_an_operator_who_follows_is_in_the_audit(guarded: House) -> None:
    house = guarded
    run = await started(house)
    await post(house, f"/v1/runs/{run}/complete", {})
    assert len(await Follower(house.url, f"/v1/runs/{run}/events").follow(token="op")) == 2
    entries = (await get(house, "/v1/audit", "op")).json()["entries"]
    assert [(each["actor"], each["target"]) for each in entries] == [("desk", KEY)]


async def test_on_open_loopback_anybody_reports_and_follows(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.url, trust_env=False) as http:
        begun = await http.post("/v1/runs", json={"sessionKey": KEY, "provider": "crew"})
        run = begun.json()["runId"]
        assert (await http.post(f"/v1/runs/{run}/events", json={"event": text_event(1)})).status_code == 200
        assert (await http.post(f"/v1/runs/{run}/complete", json={"exitCode": 0})).status_code == 200
    frames = await Follower(house.url, f"/v1/runs/{run}/events").follow()
    assert [frame.data.get("seq") for frame in frames] == [None, 1, 2]


async def test_a_stream_is_acknowledged_replayed_and_goes_live_to_its_one_end(guarded: House) -> None:
    house = guarded
    run = await started(house)
    events = f"/v1/runs/{run}/events"
    for number in (1, 2):
        await post(house, events, {"event": text_event(number)})
    follower = Follower(house.url, events)
    following = asyncio.create_task(follower.follow(token="svc"))
    while len(follower.frames) < 3:
        await asyncio.sleep(0.005)
    await post(house, events, {"event": text_event(3)})
    await post(house, f"/v1/runs/{run}/complete", {"exitCode": 0})
    first, *rest = await following
    assert first.name == "subscribed"
    assert first.data == {
        "runId": run,
        "sessionKey": KEY,
        "after": 0,
        "truncated": False,
        "firstSeq": 1,
        "lastSeq": 2,
    }
    assert [(frame.name, frame.id, frame.data["seq"], frame.data["runId"]) for frame in rest] == [
        ("message", str(number), number, run) for number in (1, 2, 3, 4)
    ]
    assert rest[-1].data["kind"] == "complete"
    assert follower.ended, "the server ends it"
    again = Follower(house.url, events)
    assert [frame.id for frame in await again.follow(last_id="3", token="svc")] == ["", "4"]
    assert await again.follow(last_id="4", token="svc") == []
    assert again.status == 204, "an EventSource that is told so does not come back"


async def test_a_sessions_stream_names_the_run_in_its_places(guarded: House) -> None:
    house = guarded
    path = "/v1/sessions/cron:nightly%2Freport/events"
    first = await started(house)
    await post(house, f"/v1/runs/{first}/events", {"event": text_event(1)})
    await post(house, f"/v1/runs/{first}/complete", {})
    ids = [frame.id for frame in await Follower(house.url, path).follow(token="svc")]
    assert ids == ["", f"{first}:1", f"{first}:2"]
    assert [f.id for f in await Follower(house.url, path).follow(token="svc", last_id=ids[1])] == ["", ids[2]]
    second = await started(house)
    await post(house, f"/v1/runs/{second}/complete", {})
    # who remembers the last run misses nothing of this one
    assert [f.id for f in await Follower(house.url, path).follow(token="svc", last_id=ids[2])] == [
        "",
        f"{second}:1",
    ]
    batch = (await get(house, path, run=first, after=2, wait=0)).json()
    assert (batch["runId"], [event["seq"] for event in batch["events"]]) == (second, [1])
    batch = (await get(house, path, run=second, after=1, wait=0)).json()
    assert (batch["events"], batch["ended"]) == ([], True)
    assert code(await get(house, "/v1/sessions/nobody/events")) == (404, "run_not_found")


async def test_a_gap_in_front_is_told(open_house: Opening) -> None:
    async with open_house(tokens=TOKENS, runs=Runs(buffer_events=3)) as house:
        run = await started(house)
        reports = [{"event": text_event(number)} for number in range(1, 11)]
        await post(house, f"/v1/runs/{run}/events", {"events": reports})
        await post(house, f"/v1/runs/{run}/complete", {})
        first, *rest = await Follower(house.url, f"/v1/runs/{run}/events").follow(token="svc", last_id="4")
        assert (first.data["truncated"], first.data["firstSeq"], first.data["lastSeq"]) == (True, 9, 11)
        assert [frame.id for frame in rest] == ["9", "10", "11"]


async def test_a_silent_run_is_heard_to_be_alive(guarded: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house = guarded
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.05)
    run = await started(house)
    async with client(house, "svc") as http:
        headers = {"accept": "text/event-stream"}
        async with http.stream("GET", f"/v1/runs/{run}/events", headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            beats = 0
            async for line in answer.aiter_lines():
                beats += line.startswith(":")
                if beats == 3:
                    break
    # who has gone is no follower any more
    while house.core.runs.row(house.core.runs.get(run)).subscribers:  # type: ignore[arg-type,union-attr]
        await asyncio.sleep(0.005)


async def test_only_the_head_of_a_stream_is_a_whole_answer(guarded: House) -> None:
    run = await started(guarded)
    async with client(guarded, "svc") as http:
        answer = await http.head(f"/v1/runs/{run}/events", headers={"accept": "text/event-stream"})
    assert (answer.status_code, answer.content) == (200, b"")


async def test_cut_a_thousand_times_anywhere_it_yields_every_seq_once(guarded: House) -> None:
    house = guarded
    run = await started(house)
    events = f"/v1/runs/{run}/events"
    dice = random.Random(20260417)
    registry = house.core.runs
    publishing = True

    async def publish() -> None:
        number = 0
        while publishing:
            number += 1
            registry.publish(run, {"kind": "text", "content": "x" * dice.randint(0, 300)})
            await asyncio.sleep(0.0005)
        registry.complete(run, exit_code=0)

    publisher = asyncio.create_task(publish())
    follower = Follower(house.url, events)
    seen: list[int] = []
    for _ in range(1000):
        last = str(seen[-1]) if seen else ""
        frames = await follower.follow(last_id=last, cut_after=dice.randint(1, 2500), token="svc")
        seen += [frame.data["seq"] for frame in frames if frame.id]
    publishing = False
    await publisher
    frames = await follower.follow(last_id=str(seen[-1]), token="svc")
    seen += [frame.data["seq"] for frame in frames if frame.id]
    assert follower.ended
    assert seen == list(range(1, registry.get(run).log.last + 1))  # type: ignore[union-attr]
    assert len(seen) > 300


# ---------------------------------------------------------------------------------------- what it is at


async def activity(house: House, run: str) -> tuple[str | None, str | None]:
    row = next(row for row in house.core.runs.rows() if row.run_id == run)
    return row.tool, row.approval


async def test_the_row_tells_which_tool_is_used_and_what_waits_for_approval(guarded: House) -> None:
    run = await started(guarded)
    seen = []
    for event in (
        {"kind": "text", "content": "let me see"},
        {"kind": "tool_use", "toolName": "bash", "toolInput": {"command": "secret"}},
        {"kind": "permission_request", "toolName": "bash"},
        {"kind": "permission_response", "allow": True},
        {"kind": "tool_result"},
        {"kind": "tool_use", "toolName": "edit"},
    ):
        await post(guarded, f"/v1/runs/{run}/events", {"event": event})
        seen.append(await activity(guarded, run))
    tool, nothing = ("bash", None), (None, None)
    assert seen == [nothing, tool, ("bash", "bash"), tool, nothing, ("edit", None)]
    await post(guarded, f"/v1/runs/{run}/complete", {"exitCode": 1})
    assert await activity(guarded, run) == nothing


async def test_the_tool_that_an_answer_calls_stays_with_its_run(guarded: House) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
    for streamed in (False, True):
        body = {
            "model": "tools",
            "messages": [{"role": "user", "content": f"rain? {streamed}"}],
            "tools": tools,
            "stream": streamed,
        }
        answer = await post(guarded, "/v1/chat/completions", body, "ann")
        assert await activity(guarded, answer.headers["x-maitred-run"]) == ("weather", None)
