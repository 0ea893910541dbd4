"""Whole plays on a clock that is driven by hand: everything that is promised happens, and the same each time."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from console.sandbox.fleet import BY_MODEL, FALLBACK
from console.sandbox.house import Plan
from console.sandbox.scenarios import SCENARIOS
from core.errors import ShuttingDown
from core.protocol import (
    Acted,
    AnyEvent,
    CostChanged,
    PinChanged,
    PinGone,
    Progress,
    QueueChanged,
    RunChanged,
    SeatChanged,
    SeatGone,
    SessionChanged,
    SessionGone,
)
from core.turn import TurnRequest
from tests.processes.processes import CHECKOUT
from tests.sandbox.stepping import Stepped, stepped

MINUTES = 14
USERS = 80


def told(events: list[AnyEvent]) -> Counter[str]:
    """How often each thing happened, by a name of its own."""
    return Counter(name for event in events for name in names(event))


def names(event: AnyEvent) -> Iterator[str]:
    """What an event is called here."""
    match event:
        case RunChanged(what="ended"):
            yield f"run {event.run.state}"
        case RunChanged(what="aborting"):
            yield "run aborting"
            yield "walked out" if event.reason == "the client went away" else "cut off"
        case RunChanged():
            yield f"run {event.what}"
        case SeatChanged() | SeatGone():
            yield f"seat {event.what}"
        case SessionChanged():
            yield f"session {event.what}"
        case SessionGone():
            yield f"session gone {event.reason}"
        case PinChanged() | PinGone():
            yield f"pin {event.what}"
        case CostChanged():
            for cost in event.costs:
                if cost.micros and cost.scope == "model":
                    yield f"cost of {BY_MODEL[cost.key].model.tier}"
                if cost.micros and cost.scope == "project":
                    yield f"cost of project {cost.key}"
            if event.estimated:
                yield "cost estimated"
        case Acted():
            yield f"{event.action} {event.outcome}"
        case QueueChanged():
            yield f"queue {event.queue.health}"
            if event.queue.waiting:
                yield "somebody waits"
            if event.queue.paused_reason:
                yield f"queue held {event.queue.paused_reason}"
        case Progress():
            yield "progress"
        case _:
            yield event.__class__.__name__


ALWAYS = """
seat queued; seat admitted; seat ended; seat expired; seat evicted; somebody waits;
run started; run completed; run failed; run aborted; run stalled; run aborting; walked out; cut off; progress;
session created; session turn_began; session turn_ended; session rebuilt; session gone idle;
pin pinned; pin touched; pin struck; pin forgiven; pin escalated; pin expired;
cost of SIMPLE; cost of MEDIUM; cost of COMPLEX; cost of REASONING; cost estimated;
ban done; unban done; dirty done
""".replace("\n", " ")
ONLY = {
    "calm": "run revived; queue unhealthy; queue held unhealthy",
    "peak": "run revived; queue unhealthy; queue degraded; abort done",
    "runaway": "run revived; queue degraded; reset-strikes done",
    "outage": "queue unhealthy; queue degraded; pause done; resume done; queue held paused; queue held unhealthy",
}


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_everything_happens(scenario: str, quick_folder: Path) -> None:
    async with stepped(quick_folder, Plan(scenario=scenario, users=USERS)) as play:
        events = await play.play(MINUTES * 60)
        happened = told(events)
        wanted = [name.strip() for name in f"{ALWAYS};{ONLY[scenario]}".split(";")]
        assert [name for name in wanted if not happened[name]] == []
        assert sum(name.startswith("cost of project") for name in happened) >= 5
        assert recovered(events)
        assert play.core.workload is not None
        assert play.core.workload.seen["rate_limited"], "premium units run out"
        assert not play.core.workload.seen["failed"]
        assert not happened["Noticed"], "nothing is wrong with the house"
        assert await called_tools(play, events)
        if scenario == "outage":
            assert happened["run aborting"] >= happened["run stalled"], "the watchdog cuts them off"


def recovered(events: list[AnyEvent]) -> bool:
    """Whether a model was unwell, and healthy again."""
    health = [(event.queue.model, event.queue.health) for event in events if isinstance(event, QueueChanged)]
    by_model: dict[str, list[str]] = {}
    for model, state in health:
        by_model.setdefault(model, []).append(state)
    return any(
        before != "healthy" == after for states in by_model.values() for before, after in pairwise(states)
    )


async def called_tools(play: Stepped, events: list[AnyEvent]) -> bool:
    """Whether some session's history has a tool's call, its result, and an answer after it."""
    keys = {event.session.session_key for event in events if isinstance(event, SessionChanged)}
    for key in sorted(keys):
        page = await play.core.history(key)
        roles = {message.role for message in page.messages}
        if "tool" in roles and any(message.extra for message in page.messages if message.role == "assistant"):
            return True
    return False


async def test_an_evening_comes_and_goes(quick_folder: Path) -> None:
    async with stepped(quick_folder, Plan(scenario="peak", users=30)) as play:

        async def arrivals(minutes: float) -> int:
            return told(await play.play(minutes * 60))["seat queued"]

        _ = await arrivals(2)  # the crowd at the door
        rising, height = await arrivals(2), await arrivals(8) / 4
        _ = await arrivals(7)
        over = await arrivals(6) / 3
        assert height > rising
        assert height > 1.5 * over


def journal_of(folder: Path, *, seed: int, hash_seed: int) -> subprocess.Popen[bytes]:
    """A play of some minutes in a process of its own, which writes its journal."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.sandbox.stepping", "outage", "60", str(seed), "400", str(folder)],
        cwd=CHECKOUT,
        env={"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(CHECKOUT), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
    )


def test_the_same_seed_plays_the_same_whatever_the_disk_and_the_hashes(
    tmp_path: Path, quick_folder: Path
) -> None:
    plays = []
    for name, seed, hash_seed, folder in (
        ("a", 5, 1, quick_folder),
        ("b", 5, 2, tmp_path),  # on a disk, which is slower
        ("c", 6, 1, quick_folder),
    ):
        (folder / name).mkdir()
        plays.append(journal_of(folder / name, seed=seed, hash_seed=hash_seed))
    same, again, other = (play.communicate(timeout=100)[0] for play in plays)
    assert [play.returncode for play in plays] == [0, 0, 0]
    assert len(same.splitlines()) > 1000
    assert same == again, "kinds, keys and payloads"
    assert same != other


async def test_leaving_stops_the_workload_first_and_waits_for_no_turn(quick_folder: Path) -> None:
    async with stepped(quick_folder, Plan(users=40)) as play:
        _ = await play.play(60)
        in_flight = [row for row in play.core.runs.rows() if row.ended_at is None]
        assert in_flight
        await play.core.drain(30)  # on a clock that stands still, waiting would never end
        await play.core.aclose()
        ended = {row.run_id: row.state for row in play.core.runs.rows()}
        assert {ended[row.run_id] for row in in_flight} <= {"interrupted", "aborted"}
        with pytest.raises(ShuttingDown):
            play.core.check_ready()


async def test_a_stranger_is_answered_too(quick_folder: Path) -> None:
    """Somebody at the HTTP door, who belongs to no cast."""
    async with stepped(quick_folder, Plan(users=1)) as play:
        turn = play.core.turns.open(
            TurnRequest(
                user_id="me",
                session_key="api:me/hello",
                model=None,
                body={},
                messages=[{"role": "user", "content": "hello"}],
                stream=True,
                include_usage=False,
            )
        )
        _ = await play.play(120)
        assert turn.error is None
        assert turn.model == FALLBACK
        assert turn.answer.text
        assert turn.answer.usage is not None
