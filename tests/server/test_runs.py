"""Runs of agents elsewhere at the edges: odd places and codes, lost writes, others' sessions, slow and late readers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.runs import Run
from core.settings import Runs
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.following import Follower
from tests.end_to_end.test_runs import KEY, TOKENS, code, get, post, started, text_event
from tests.storage.refusing import refuse, relent

SESSION = "/v1/sessions/cron:nightly%2Freport/events"


@pytest.fixture
async def guarded(open_house: Opening) -> Any:
    async with open_house(tokens=TOKENS) as house:
        yield house


def the_run(house: House, run_id: str) -> Run:
    run = house.core.runs.get(run_id)
    assert run is not None
    return run


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("0", [1, 2, 3]),
        ("-3", [1, 2, 3]),
        ("", [1, 2, 3]),
        ("x", [1, 2, 3]),
        ("nan", [1, 2, 3]),
        ("1e400", [1, 2, 3]),
        ("2", [3]),
        ("2.9", [3]),
        ("3", []),
        ("99", []),
        ("9" * 19, []),
        ("9" * 300, []),
    ],
)
async def test_a_place_is_read_alike_wherever_it_is_told(
    guarded: House, after: str, expected: list[int]
) -> None:
    house = guarded
    run = await started(house)
    events = f"/v1/runs/{run}/events"
    await post(house, events, {"events": [{"event": text_event(number)} for number in (1, 2)]})
    await post(house, f"/v1/runs/{run}/complete", {"exitCode": 0})
    for path, more in ((events, {}), (SESSION, {"run": run})):
        answer = await get(house, path, after=after, wait=0, **more)
        assert [event["seq"] for event in answer.json()["events"]] == expected, path
    for path, place in ((events, ""), (SESSION, f"{run}:")):
        frames = await Follower(house.url, path).follow(last_id=f"{place}{after}", token="svc")
        assert [frame.data["seq"] for frame in frames[1:]] == expected, path


@pytest.mark.parametrize("place", [":", "x:1", "1", ":1", "%00:1"])
async def test_a_place_in_no_run_of_the_session_s_is_its_beginning(guarded: House, place: str) -> None:
    run = await started(guarded)
    await post(guarded, f"/v1/runs/{run}/complete", {})
    frames = await Follower(guarded.url, SESSION).follow(last_id=place, token="svc")
    assert [frame.id for frame in frames] == ["", f"{run}:1"]


@pytest.mark.parametrize(
    "body",
    [
        {"event": "text"},
        {"event": [1]},
        {"event": {"no": "kind"}},
        {"event": text_event(1), "producerSeq": "x"},
        {"event": text_event(1), "producerSeq": 1.5},
        {"events": [{"event": text_event(1)}, {"event": 7}]},
    ],
)
async def test_first_the_run_is_looked_for_and_then_the_event_at(
    guarded: House, body: dict[str, Any]
) -> None:
    run = await started(guarded)
    assert code(await post(guarded, "/v1/runs/nobody/events", body)) == (404, "run_not_found")
    assert code(await post(guarded, f"/v1/runs/{run}/events", body)) == (400, "invalid_argument")
    await post(guarded, f"/v1/runs/{run}/complete", {})
    assert code(await post(guarded, f"/v1/runs/{run}/events", body)) == (400, "invalid_argument")
    assert (the_run(guarded, run).dropped, the_run(guarded, run).log.last) == (0, 1)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(3, 3), (0.0, 0), (2.5, 1), (2**31, 1), (10**30, 1), ("0", 1), (None, 1), (True, 1)],
)
async def test_what_is_no_exit_code_ends_a_run_as_failed(guarded: House, sent: object, expected: int) -> None:
    run = await started(guarded)
    answer = await post(guarded, f"/v1/runs/{run}/complete", {"exitCode": sent})
    assert answer.json() == {"runId": run, "completed": True}
    assert the_run(guarded, run).exit_code == expected
    assert await guarded.core.runs._records.status(run) == "completed"


async def test_a_start_that_cannot_be_recorded_leaves_no_run(guarded: House) -> None:
    database = guarded.core.database
    await database.write(lambda connection: refuse(connection, "INSERT", "runs"))
    answer = await post(guarded, "/v1/runs", {"sessionKey": KEY, "provider": "crew"})
    assert answer.status_code >= 500, answer.text
    await database.write(lambda connection: relent(connection, "runs"))
    assert guarded.core.runs.running() == []
    await started(guarded)


async def test_who_leaves_takes_no_runs_any_more(guarded: House) -> None:
    run = await started(guarded)
    await guarded.core.drain(0)
    assert code(await post(guarded, "/v1/runs", {"sessionKey": "other", "provider": "crew"})) == (
        503,
        "shutting_down",
    )
    assert (await post(guarded, f"/v1/runs/{run}/events", {"event": text_event(1)})).json()["seq"] == 1


async def test_a_session_belongs_to_whoever_had_its_first_run(guarded: House) -> None:
    house = guarded
    run = await started(house, key="shared", token="ann")
    for _ in range(2):
        # while it runs, and as long as it is known
        taken = await post(house, "/v1/runs", {"sessionKey": "shared", "provider": "x"}, "bob")
        assert code(taken) == (404, "session_not_found")
        assert run not in taken.text
        await post(house, f"/v1/runs/{run}/complete", {}, "ann")
    turn = house.core.runs.start("of a turn", "crew", user_id="ann", recorded=False)
    taken = await post(house, "/v1/runs", {"sessionKey": "of a turn", "provider": "x"}, "bob")
    assert code(taken) == (404, "session_not_found"), "also while its start is not written yet"
    house.core.runs.complete(turn.id, exit_code=0)
    detail = await get(house, "/v1/sessions/shared", "see")
    assert detail.json()["owner"] == "ann"
    again = await started(house, key="shared")
    assert (await get(house, f"/v1/runs/{again}/events", "ann", wait=0)).status_code == 200
    assert code(await get(house, f"/v1/runs/{again}/events", "bob", wait=0)) == (404, "run_not_found")


async def test_who_reads_too_slowly_is_told_where_to_resume(open_house: Opening) -> None:
    async with open_house(tokens=TOKENS, runs=Runs(buffer_events=10)) as house:
        run = await started(house)
        registry, events = house.core.runs, f"/v1/runs/{run}/events"
        host, port = house.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            f"GET {events} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
            "Authorization: Bearer svc\r\n\r\n".encode()
        )
        await reader.readuntil(b"event: subscribed")
        fast = asyncio.create_task(Follower(house.url, events).follow(token="svc"))
        while len(house.core.runs._kept.entry(run).following) < 2:
            await asyncio.sleep(0.005)

        def slowest() -> int:
            return min(each.position for each in registry._kept.entry(run).following)

        stuck, number = -1, 0
        while slowest() > stuck or number - stuck < 20:
            # until it stands: what lies between the two ends of a connection holds some megabytes
            stuck = slowest()
            for _ in range(20):
                number += 1
                registry.publish(run, {"kind": "text", "content": "x" * 50_000})
                await asyncio.sleep(0.002)
        registry.complete(run, exit_code=0)
        assert [frame.data["seq"] for frame in (await fast)[1:]] == list(range(1, number + 2))
        rest = await _until_the_end(reader)
        writer.close()
        last = rest.rpartition(b"event: lagged\ndata: ")[2].partition(b"\n")[0].decode()
        resume = the_run(house, run).log.first - 1
        assert last == (f'{{"runId":"{run}","sessionKey":"{KEY}","after":{stuck},"resumeAfter":{resume}}}')
        again = await Follower(house.url, events).follow(last_id=str(resume), token="svc")
        assert [frame.data.get("truncated") for frame in again][:1] == [False]
        assert len(again) == 11


async def _until_the_end(reader: asyncio.StreamReader) -> bytes:
    data = b""
    while not data.endswith(b"\r\n0\r\n\r\n"):
        data += await reader.read(1 << 20)
    return data


async def test_who_comes_when_all_of_it_is_gone_is_told_so_once(open_house: Opening) -> None:
    async with open_house(tokens=TOKENS, runs=Runs(total_bytes=300)) as house:
        run, other = await started(house), await started(house, key="other")
        events = f"/v1/runs/{run}/events"
        await post(house, events, {"event": text_event(1)})
        await post(house, f"/v1/runs/{run}/complete", {})
        for number in range(3):
            await post(house, f"/v1/runs/{other}/events", {"event": text_event(number)})
        for path, place in ((events, "2"), (SESSION, f"{run}:2")):
            (told,) = await Follower(house.url, path).follow(token="svc")
            assert (told.name, told.id) == ("subscribed", place)
            assert (told.data["truncated"], told.data["firstSeq"], told.data["lastSeq"]) == (True, 3, 2)
            back = Follower(house.url, path)
            assert await back.follow(token="svc", last_id=told.id) == []
            assert back.status == 204


async def test_a_close_tells_those_who_follow_and_those_who_report(guarded: House) -> None:
    run = await started(guarded)
    follower = Follower(guarded.url, f"/v1/runs/{run}/events")
    following = asyncio.create_task(follower.follow(token="svc"))
    control = asyncio.create_task(get(guarded, f"/v1/runs/{run}/control", wait=20))
    while not follower.frames or not guarded.core.runs._kept.entry(run).control._waiting:
        await asyncio.sleep(0.005)
    await guarded.core.runs.aclose()
    last = (await following)[-1].data
    assert (last["kind"], last["exitCode"], last["aborted"], last["interrupted"]) == (
        "complete",
        1,
        False,
        True,
    )
    assert follower.ended
    assert (await control).json() == {"runId": run, "abortRequested": False, "reason": "", "ended": True}
    assert await guarded.core.runs._records.status(run) == "interrupted"
