"""The decisions of behaviours/runs.md about starting, publishing, ending and keeping runs."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.errors import InvalidArgument, NoActiveRun, RunInProgress, RunNotFound, ShuttingDown, StorageFailed
from core.protocol import Progress
from core.runs import Dropped, Published, Run, RunRegistry, Swallowed, Used
from tests.runs.fakes import House, MemoryRecords, ready, text


def frames(registry: RunRegistry, run_id: str, after: int = 0) -> list[dict[str, Any]]:
    return [msgspec.json.decode(frame) for frame in registry.replay(run_id, after).events]


async def test_every_frame_names_run_session_and_number() -> None:
    house = House()
    run = house.registry.start('s"1', "acme")
    answer = house.registry.publish(run.id, {**text(), "seq": 99, "sessionId": "native"})
    assert answer == Published(run_id="r1", session_key='s"1', seq=1, abort_requested=False)
    assert frames(house.registry, run.id) == [
        {"runId": "r1", "sessionKey": 's"1', "seq": 1, "kind": "text", "content": "a"}
    ]


@pytest.mark.parametrize(
    ("after", "seqs", "truncated"),
    [
        (-5, [3, 4, 5], True),
        (0, [3, 4, 5], True),
        (1, [3, 4, 5], True),
        (2, [3, 4, 5], False),
        (4, [5], False),
        (5, [], False),
        (99, [], False),
    ],
)
async def test_a_replay_is_what_comes_after_and_tells_its_gap(
    after: int, seqs: list[int], truncated: bool
) -> None:
    house = House(buffer_events=3)
    run = house.registry.start("s1", "acme")
    house.registry.append(run, ready(*"abcde"))
    replay = house.registry.replay(run.id, after)
    assert [msgspec.json.decode(frame)["seq"] for frame in replay.events] == seqs
    assert (replay.truncated, replay.first_seq, replay.last_seq) == (truncated, 3, 5)


async def test_a_place_below_the_beginning_is_the_beginning() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    house.registry.append(run, ready("a"))
    replay, subscription = house.registry.replay(run.id, -5), house.registry.subscribe(run.id, -5)
    assert (len(replay.events), replay.truncated) == (1, False)
    assert (subscription.after, subscription.truncated) == (0, False)


@pytest.mark.parametrize(("after", "truncated"), [(0, True), (1, True), (2, False), (3, False)])
async def test_a_replay_of_an_empty_buffer_tells_what_is_gone(after: int, truncated: bool) -> None:
    house = House(buffer_bytes=200)
    run = house.registry.start("s1", "acme")
    house.registry.append(run, ready("a", "x" * 1000))
    replay = house.registry.replay(run.id, after)
    assert (replay.events, replay.truncated, replay.first_seq, replay.last_seq) == ([], truncated, 3, 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda registry: registry.publish("nope", {"no": "kind"}),
        lambda registry: registry.complete("nope"),
        lambda registry: registry.abort("nope", "x"),
        lambda registry: registry.replay("nope"),
        lambda registry: registry.subscribe("nope"),
        lambda registry: registry.subscribe_session("s1", "nope", 0),
    ],
)
async def test_an_unknown_run_is_not_found(call: Callable[[RunRegistry], object]) -> None:
    with pytest.raises(RunNotFound):
        call(House().registry)


async def test_an_unknown_run_is_no_run_to_get() -> None:
    registry = House().registry
    assert registry.get("nope") is None
    assert registry.current("nope") is None
    with pytest.raises(RunNotFound):
        await registry.control("nope")


async def test_one_run_at_a_time_for_a_session() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    with pytest.raises(RunInProgress):
        house.registry.start("s1", "acme")
    house.registry.complete(run.id, exit_code=0)
    second = house.registry.start("s1", "acme")
    assert (second.id, second.log.last) == ("r2", 0)
    assert house.registry.current("s1") is second


@pytest.mark.parametrize(
    ("session_key", "provider", "run_id"), [("", "p", None), ("s", "", None), ("s", "p", "r1")]
)
async def test_a_start_needs_names_of_its_own(session_key: str, provider: str, run_id: str | None) -> None:
    house = House()
    house.registry.start("other", "acme")
    with pytest.raises(InvalidArgument):
        house.registry.start(session_key, provider, run_id=run_id)
    assert [run.session_key for run in house.registry.running()] == ["other"]


async def test_what_comes_after_the_end_is_dropped_and_counted() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    house.registry.append(run, ready("a"))
    assert house.registry.complete(run.id, exit_code=0)
    assert not house.registry.complete(run.id, exit_code=1)
    house.registry.append(run, ready("b", "c"))
    assert house.registry.publish(run.id, text()) == Dropped(
        run_id="r1", session_key="s1", because="ended", abort_requested=False
    )
    house.registry.publish(run.id, {"kind": "session_created", "sessionId": "n"})
    with pytest.raises(InvalidArgument):
        house.registry.publish(run.id, {"no": "kind"})
    assert (run.dropped, run.log.last, run.state) == (4, 2, "completed")
    assert [event["kind"] for event in frames(house.registry, run.id)] == ["text", "complete"]
    assert house.records.provider_ids == {}


async def test_a_publisher_may_repeat_itself() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    publish = house.registry.publish
    assert isinstance(publish(run.id, text(), 5), Published)
    repeated = publish(run.id, text(), 5)
    assert isinstance(repeated, Dropped)
    assert repeated.because == "repeat"
    assert isinstance(publish(run.id, text(), 2), Dropped)
    with pytest.raises(InvalidArgument):
        publish(run.id, {"no": "kind"}, 6)
    assert isinstance(publish(run.id, {"kind": "session_created"}, 6), Swallowed)
    assert isinstance(publish(run.id, text(), 6), Dropped)
    assert isinstance(publish(run.id, text()), Published)
    assert isinstance(publish(run.id, text(), 100), Published)
    assert (run.log.last, run.dropped) == (3, 0)


async def test_a_finished_run_cannot_touch_the_next() -> None:
    house = House(retention_seconds=300)
    first = house.registry.start("s1", "acme", stop=lambda _reason: None)
    house.registry.abort(first.id, "x")
    house.registry.complete(first.id, exit_code=0, aborted=True)
    second = house.registry.start("s1", "acme")
    house.clock.advance(10)  # when the first one's abort would have been forced
    assert not house.registry.complete(first.id, exit_code=1)
    house.clock.advance(60)
    house.registry.publish(second.id, text())
    house.clock.advance(230)  # the first one's retention is over
    assert house.registry.get(first.id) is None
    assert house.registry.current("s1") is second
    assert not second.ended
    assert await house.changes(second) == ["started", "stalled"]


async def test_an_ended_run_is_kept_by_its_own_identity() -> None:
    house = House(stall_seconds=1000)
    first = house.registry.start("s1", "acme")
    house.registry.complete(first.id, exit_code=0)
    house.clock.advance(60)
    second = house.registry.start("s1", "acme")
    house.clock.advance(180)
    house.registry.complete(second.id, exit_code=0)
    house.clock.advance(59.999)
    assert house.registry.get(first.id) is first
    house.clock.advance(0.001)
    assert house.registry.get(first.id) is None
    house.clock.advance(239.999)
    assert house.registry.current("s1") is second
    house.clock.advance(0.001)
    assert house.registry.current("s1") is None
    assert await house.changes(second) == ["started", "ended", "gone"]
    assert list(house.registry.rows()) == []


async def test_a_silent_run_is_called_stalled_and_comes_back() -> None:
    house = House(stall_seconds=120)
    run = house.registry.start("s1", "acme")

    def state() -> str:
        return run.state

    for _ in range(3):
        house.clock.advance(119.999)
        assert not run.stalled
        house.registry.append(run, ready("a"))
    house.clock.advance(119.999)
    assert state() == "running"
    house.clock.advance(0.001)
    assert state() == "stalled"
    house.clock.advance(1000)
    house.registry.publish(run.id, {"kind": "session_created"})
    assert state() == "running"
    house.clock.advance(120)
    assert state() == "stalled"
    house.registry.complete(run.id, exit_code=0)
    assert await house.changes(run) == ["started", "stalled", "revived", "stalled", "ended"]


async def test_neither_a_repeat_nor_a_refused_event_is_a_sign_of_life() -> None:
    house = House(stall_seconds=100)
    run = house.registry.start("s1", "acme")
    house.registry.publish(run.id, text(), 1)
    house.clock.advance(99)
    house.registry.publish(run.id, text(), 1)
    with pytest.raises(InvalidArgument):
        house.registry.publish(run.id, {})
    house.clock.advance(1)
    assert run.stalled


@pytest.mark.parametrize("local", [True, False])
async def test_a_stalled_run_is_aborted_if_the_settings_say_so(local: bool) -> None:
    house = House(stall_seconds=50, abort_stalled=True, abort_seconds=10)
    asked: list[str] = []
    run = house.registry.start("s1", "acme", stop=asked.append if local else None)
    house.clock.advance(50)
    assert run.state == ("aborting" if local else "aborted")
    assert asked == (["stalled"] if local else [])
    house.clock.advance(10)
    assert (run.state, run.exit_code) == ("aborted", 1)


async def test_an_agent_here_is_asked_to_stop_and_confirms() -> None:
    house = House(abort_seconds=10)
    asked: list[str] = []
    run = house.registry.start("s1", "acme", stop=asked.append)
    waiting = asyncio.create_task(house.registry.control(run.id, 60))
    await asyncio.sleep(0)
    house.registry.abort(run.id, "enough")
    house.registry.abort(run.id, "again")
    assert (asked, run.state) == (["enough"], "aborting")
    control = await waiting
    assert (control.abort_requested, control.reason, control.ended) == (True, "enough", False)
    house.registry.append(run, ready("the rest"))
    house.clock.advance(9.999)
    house.registry.complete(run.id, exit_code=0, aborted=True)
    house.clock.advance(100)
    assert [(event["kind"], event.get("exitCode")) for event in frames(house.registry, run.id)] == [
        ("text", None),
        ("complete", 0),
    ]
    assert frames(house.registry, run.id)[-1]["aborted"]
    assert await house.changes(run) == ["started", "aborting", "ended"]
    with pytest.raises(NoActiveRun):
        house.registry.abort(run.id, "late")


async def test_an_abort_that_is_not_answered_is_forced() -> None:
    house = House(abort_seconds=10, stall_seconds=1)
    run = house.registry.start("s1", "acme", stop=lambda _reason: None)
    house.registry.abort(run.id, "enough")
    house.clock.advance(9.999)
    assert run.state == "aborting"
    house.clock.advance(0.001)
    assert (run.state, run.exit_code) == ("aborted", 1)
    assert not house.registry.complete(run.id, exit_code=0, aborted=True)
    assert await house.changes(run) == ["started", "aborting", "ended"], "who is asked to stop may be silent"


async def test_a_stalled_run_that_is_stopped_does_not_come_back() -> None:
    house = House(abort_seconds=10, stall_seconds=5)
    run = house.registry.start("s1", "acme", stop=lambda _reason: None)
    house.clock.advance(5)
    house.registry.abort(run.id, "enough")
    house.registry.append(run, ready("a last word"))
    assert run.state == "aborting"
    house.clock.advance(9.999)
    assert not run.ended
    house.clock.advance(0.001)
    assert (run.state, run.exit_code) == ("aborted", 1)
    assert await house.changes(run) == ["started", "stalled", "aborting", "ended"]


async def test_an_agent_that_cannot_be_asked_is_not_waited_for() -> None:
    def broken(_reason: str) -> None:
        raise RuntimeError("gone")

    house = House()
    run = house.registry.start("s1", "acme", stop=broken)
    house.registry.abort(run.id, "enough")
    assert (run.state, run.exit_code) == ("aborted", 1)
    assert await house.notices() == ["abort_failed"]


async def test_an_ended_run_lets_its_agent_go() -> None:
    """A run is kept for minutes; what its agent holds, the whole answer among it, is not."""

    class Agent:
        def stop(self, reason: str) -> None:
            """Never asked."""

    house, agent = House(), Agent()
    run = house.registry.start("s1", "acme", stop=agent.stop)
    held = weakref.ref(agent)
    del agent
    gc.collect()
    assert held() is not None
    house.registry.complete(run.id, exit_code=0)
    gc.collect()
    assert held() is None
    assert frames(house.registry, run.id)


async def test_an_agent_that_ends_while_it_is_asked_ends_once() -> None:
    house = House()

    def confirm(_reason: str) -> None:
        house.registry.complete(run.id, exit_code=0, aborted=True)

    run = house.registry.start("s1", "acme", stop=confirm)
    house.registry.abort(run.id, "enough")
    house.clock.advance(1000)
    assert (run.exit_code, run.log.last) == (0, 1)


async def test_an_agent_elsewhere_learns_of_an_abort_by_its_next_publish() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    waiting = asyncio.create_task(house.registry.control(run.id, 60))
    await asyncio.sleep(0)
    house.registry.abort(run.id, "enough")
    answer = house.registry.publish(run.id, text())
    assert isinstance(answer, Dropped)
    assert (answer.because, answer.abort_requested) == ("ended", True)
    control = await waiting
    assert (control.abort_requested, control.reason, control.ended) == (True, "enough", True)
    assert frames(house.registry, run.id)[-1]["exitCode"] == 1


async def test_control_answers_at_once_without_patience() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    control = await house.registry.control(run.id, 0.0)
    assert (control.abort_requested, control.ended) == (False, False)
    house.registry.complete(run.id, exit_code=0)
    assert (await house.registry.control(run.id, 60)).ended


async def test_all_buffers_together_are_bounded_ended_runs_first() -> None:
    house = House()
    first, second, third = (house.registry.start(key, "acme") for key in "abc")
    for run in (first, second, third):
        house.registry.append(run, ready("x" * 100, "x" * 100))
    house.registry.complete(second.id, exit_code=0)
    house.registry.complete(first.id, exit_code=0)
    total = sum(run.log.bytes for run in (first, second, third))

    bounded = House(total_bytes=total)
    first, second, third = (bounded.registry.start(key, "acme") for key in "abc")
    for run in (first, second, third):
        bounded.registry.append(run, ready("x" * 100, "x" * 100))
    bounded.registry.complete(second.id, exit_code=0)
    bounded.registry.complete(first.id, exit_code=0)
    assert [run.log.first for run in (first, second, third)] == [1, 1, 1]
    bounded.registry.append(third, ready("x"))
    assert [run.log.first for run in (first, second, third)] == [1, 2, 1]
    bounded.registry.append(third, ready("x" * 100, "x" * 100, "x" * 100))
    assert [run.log.first for run in (first, second, third)] == [2, 4, 1]
    replay = bounded.registry.replay(second.id, 0)
    assert (replay.truncated, replay.first_seq, replay.last_seq) == (True, 4, 3)
    bounded.registry.append(third, ready(*["x" * 100] * 20))
    assert [run.log.bytes for run in (first, second)] == [0, 0]
    assert third.log.bytes <= total
    assert third.log.last == 26


async def test_running_runs_give_in_turn_when_nothing_has_ended() -> None:
    house = House(total_bytes=4 * 80)
    one, two = house.registry.start("a", "acme"), house.registry.start("b", "acme")
    for _ in range(20):
        house.registry.append(one, ready("x"))
        house.registry.append(two, ready("x"))
    assert one.log.bytes + two.log.bytes <= 4 * 80
    assert one.log.first < one.log.last
    assert two.log.first < two.log.last


async def test_what_moves_is_told_four_times_a_second_and_only_while_it_moves() -> None:
    house = House()
    one, two = house.registry.start("a", "acme"), house.registry.start("b", "acme")
    house.registry.append(one, ready("x"))
    house.registry.append(one, ready("x"))
    house.clock.advance(0.249)
    assert not [event for event in await house.told() if isinstance(event, Progress)]
    house.clock.advance(0.001)
    house.registry.append(two, ready("x"))
    house.registry.used(two, Used(5, 6, 7))
    house.registry.append(one, ready("x"))
    house.registry.complete(one.id, exit_code=0)
    house.clock.advance(10)
    progress = [event for event in await house.told() if isinstance(event, Progress)]
    assert [[(row.run_id, row.last_seq) for row in event.runs] for event in progress] == [
        [("r1", 2)],
        [("r2", 1)],
    ]
    row = progress[1].runs[0]
    assert (row.input_tokens, row.output_tokens, row.micros) == (5, 6, 7)
    assert list(house.registry.rows())[1] is row


async def test_a_row_tells_everything() -> None:
    house = House()
    run = house.registry.start("s1", "acme", user_id="u", model="m")
    house.registry.subscribe(run.id, name="ann")
    house.registry.append(run, ready("x"))
    house.clock.advance(1.5)
    house.registry.complete(run.id, exit_code=3)
    row = house.registry.row(run)
    assert row is not None
    assert msgspec.to_builtins(row) == {
        "row": "run",
        "runId": "r1",
        "sessionKey": "s1",
        "userId": "u",
        "provider": "acme",
        "model": "m",
        "state": "failed",
        "startedAt": "1970-01-01T00:00:00Z",
        "endedAt": "1970-01-01T00:00:01.500Z",
        "exitCode": 3,
        "firstSeq": 1,
        "lastSeq": 2,
        "bufferedBytes": run.log.bytes,
        "subscribers": 1,
        "inputTokens": 0,
        "outputTokens": 0,
        "micros": 0,
        "estimated": False,
        "bufferPercent": 0,
        "followers": [{"name": "ann", "seq": 0}],
        "tool": None,
        "approval": None,
    }


async def test_until_it_is_told_a_run_shows_what_its_meter_says() -> None:
    house = House()
    used = Used(10, 0, 3, True)
    run = house.registry.start("s1", "acme", meter=lambda: used)
    (row,) = house.registry.rows()
    assert (row.input_tokens, row.micros, row.estimated) == (10, 3, True)
    used = Used(10, 5, 8, True)
    house.registry.append(run, ready("x"))
    (row,) = house.registry.rows()
    assert (row.output_tokens, row.micros) == (5, 8)
    house.registry.used(run, Used(11, 6, 9))
    (row,) = house.registry.rows()
    assert (row.input_tokens, row.output_tokens, row.micros, row.estimated) == (11, 6, 9, False)


async def test_a_run_that_ends_untold_keeps_its_last_estimate() -> None:
    house = House()
    run = house.registry.start("s1", "acme", meter=lambda: Used(10, 5, 8, True))
    house.registry.complete(run.id, exit_code=1)
    (row,) = house.registry.rows()
    assert (row.state, row.output_tokens, row.micros, row.estimated) == ("failed", 5, 8, True)


async def test_starts_and_ends_are_recorded() -> None:
    house = House()
    runs = [house.registry.start(key, "acme") for key in "abcd"]
    await house.registry.recorded(runs[0])
    assert house.records.statuses["r1"] == "running"
    house.registry.complete("r1", exit_code=0)
    house.registry.complete("r2", exit_code=1)
    house.registry.abort("r3", "x")
    await house.registry.aclose()
    assert house.records.statuses == {
        "r1": "completed",
        "r2": "completed",
        "r3": "aborted",
        "r4": "interrupted",
    }
    assert house.records.exit_codes == {"r1": 0, "r2": 1, "r3": 1, "r4": 1}


async def test_what_is_no_exit_code_is_recorded_as_a_failure() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    house.registry.complete(run.id, exit_code=2**63)
    await house.registry.settle()
    assert house.records.exit_codes == {"r1": 1}
    assert frames(house.registry, run.id)[-1]["exitCode"] == 1


async def test_who_waits_for_a_start_waits_for_an_end_that_comes_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    writes: list[asyncio.Future[None]] = []

    def write(_run: Run) -> asyncio.Future[None]:
        writes.append(asyncio.get_running_loop().create_future())
        return writes[-1]

    for name in ("started", "ended"):
        monkeypatch.setattr(house.records, name, write)
    run = house.registry.start("s1", "acme")
    waiting = asyncio.create_task(house.registry.recorded(run))
    await asyncio.sleep(0)
    house.registry.abort(run.id, "at once")
    for written in writes:
        assert not waiting.done()
        written.set_result(None)
        await asyncio.sleep(0.001)
    await waiting


async def test_a_run_that_its_caller_records_is_left_alone() -> None:
    house = House()
    run = house.registry.start("s1", "acme", recorded=False)
    await house.registry.recorded(run)
    house.registry.complete(run.id, exit_code=0)
    await house.registry.settle()
    assert house.records.calls == []


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_record_that_fails_is_reported_and_the_run_goes_on(at_once: bool) -> None:
    house = House()
    house.records.refuse_at_once, house.records.failures = at_once, 0 if at_once else 1
    run = house.registry.start("s1", "acme")
    with pytest.raises(StorageFailed):
        await house.registry.recorded(run)
    assert await house.notices() == ["run_not_recorded"]
    assert house.registry.publish(run.id, text())
    house.records.refuse_at_once = False
    house.registry.complete(run.id, exit_code=0)
    await house.registry.recorded(run)


async def test_who_says_again_that_a_run_has_ended_has_it_recorded() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    await house.registry.recorded(run)
    house.records.failures = 1
    assert house.registry.complete(run.id, exit_code=0)
    with pytest.raises(StorageFailed):
        await house.registry.recorded(run)
    for _ in range(2):
        assert not house.registry.complete(run.id, exit_code=3)
        await house.registry.recorded(run)
    assert house.records.statuses == {"r1": "completed"}
    assert house.records.exit_codes == {"r1": 0}
    assert [call for call, _ in house.records.calls] == ["started", "ended", "ended"]


async def test_a_close_interrupts_what_runs_and_tells_everybody() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    subscription = house.registry.subscribe(run.id)
    waiting = asyncio.create_task(subscription.next())
    await asyncio.sleep(0)
    await house.registry.aclose()
    events = await waiting
    assert [event.seq for event in events] == [1]
    assert frames(house.registry, run.id) == [
        {
            "runId": "r1",
            "sessionKey": "s1",
            "seq": 1,
            "kind": "complete",
            "provider": "acme",
            "exitCode": 1,
            "success": False,
            "aborted": False,
            "interrupted": True,
        }
    ]
    assert await subscription.next() == []
    assert house.records.statuses == {"r1": "interrupted"}
    with pytest.raises(ShuttingDown):
        house.registry.start("s2", "acme")
    told = len(await house.told())
    house.clock.advance(10_000)
    assert len(await house.told()) == told


async def test_what_is_found_running_is_closed_as_interrupted() -> None:
    records = MemoryRecords()
    records.statuses = {"old": "running", "older": "completed"}
    house = House(records=records)
    assert await house.registry.open() == 1
    assert records.statuses == {"old": "interrupted", "older": "completed"}
    assert await house.notices() == ["runs_interrupted"]
    assert await house.registry.open() == 0


async def test_ten_thousand_retained_runs_leave_nothing_behind() -> None:
    house = House(retention_seconds=1)
    for number in range(1000):
        run = house.registry.start(f"s{number}", "acme")
        house.registry.append(run, ready("x"))
        house.registry.complete(run.id, exit_code=0)
    house.clock.advance(1)
    await house.registry.settle()
    assert house.registry.count() == 0
    assert house.registry._kept._budget.total == 0
    assert not house.registry._kept._latest
