"""view + later events = the state now, whatever happened in between."""

from __future__ import annotations

import asyncio
from typing import Any

from core.protocol import (
    Acted,
    CostChanged,
    FindingChanged,
    Noticed,
    PinChanged,
    PinGone,
    Progress,
    QueueChanged,
    RunChanged,
    RunGone,
    SeatChanged,
    SeatGone,
    SessionChanged,
    SessionGone,
    ViewRows,
    ViewTail,
)
from core.settings import Admission, Model, Pins, Router, Runs
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.test_chat import HELLO


async def view(house: House) -> tuple[dict[Any, Any], str]:
    rows: dict[Any, Any] = {}
    cursor = ""
    async for part in house.core.view():
        if isinstance(part, ViewRows):
            for row in part.rows:
                assert key_of(row) not in rows, "a row comes once"
                rows[key_of(row)] = row
        elif isinstance(part, ViewTail):
            cursor = part.cursor
    return rows, cursor


def key_of(row: Any) -> Any:
    kind = type(row).__name__
    match kind:
        case "QueueRow":
            return kind, row.model
        case "SeatRow":
            return kind, row.user_id
        case "SessionRow" | "PinRow":
            return kind, row.session_key
        case "FindingRow":
            return kind, row.kind, row.key
        case "CostRow":
            return kind, row.scope, row.key
        case _:
            return kind, row.run_id


def apply(rows: dict[Any, Any], event: Any) -> None:
    def put(row: Any) -> None:
        rows[key_of(row)] = row

    match event:
        case (
            QueueChanged(queue=row)
            | SeatChanged(seat=row)
            | SessionChanged(session=row)
            | PinChanged(pin=row)
        ):
            put(row)
        case RunChanged(run=row):
            put(row)
        case Progress():
            for run in event.runs:
                put(run)
        case CostChanged():
            for cost in event.costs:
                put(cost)
        case FindingChanged(what="released" | "gone", finding=row):
            rows.pop(key_of(row), None)
        case FindingChanged(finding=row):
            put(row)
        case SeatGone(user_id=user):
            rows.pop(("SeatRow", user), None)
        case SessionGone(session_key=key):
            rows.pop(("SessionRow", key), None)
        case PinGone(session_key=key):
            rows.pop(("PinRow", key), None)
        case RunGone(run_id=gone):
            rows.pop(("RunRow", gone), None)
        case _:
            assert isinstance(event, Acted | Noticed)


async def test_a_view_and_the_later_events_are_the_state_now(open_house: Opening) -> None:
    models = [
        Model(id="count-3", tier="SIMPLE", input_usd_per_million=1.0),
        Model(id="count-5", tier="COMPLEX"),
    ]
    async with open_house(
        admission=Admission(models=models, session_seconds=2, grace_seconds=0.5, tick_seconds=0.2),
        runs=Runs(retention_seconds=0.7, buffer_events=50),
        router=Router(idle_seconds=0.5, sweep_seconds=0.2, max_sessions=5),
        pins=Pins(idle_seconds=1, max_entries=6),
    ) as house:

        async def chat(n: int) -> None:
            async with house.http(timeout=20) as http:
                for turn in range(6):
                    await http.post(
                        "/v1/chat/completions",
                        json={
                            "model": "auto" if n % 2 else "count-3",
                            "messages": HELLO,
                            "stream": bool(turn % 2),
                            "user": f"u{n % 7}",
                        },
                        headers={"x-session-id": f"s{n % 9}", "x-project": f"p{n % 3}"},
                    )
                    house.core.router.mark_dirty(project=f"p{turn % 3}")
                    await asyncio.sleep(0.05 * (n % 4))

        views = []

        async def look() -> None:
            for _ in range(30):
                views.append(await view(house))
                await asyncio.sleep(0.05)

        await asyncio.gather(look(), *(chat(n) for n in range(10)))
        for pause in (0.3, 3.5):
            await asyncio.sleep(pause)
            house.core.router.count()
            await asyncio.sleep(0.3)
            final, cursor = await view(house)
            for rows, at in views:
                caught = dict(rows)
                events = house.core.journal.since(at)
                assert events is not None
                end = int(cursor.rpartition(".")[2])
                for event in events:
                    if event.seq <= end:
                        apply(caught, event)
                assert caught.keys() == final.keys(), caught.keys() ^ final.keys()
                for key, row in final.items():
                    assert caught[key] == row
        kinds = {key[0] for rows, _ in views for key in rows}
        assert kinds == {"QueueRow", "SeatRow", "SessionRow", "PinRow", "CostRow", "RunRow"}
