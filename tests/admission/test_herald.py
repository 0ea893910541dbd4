"""The order in which things are told: that of the changes, then of names; never that of hashes."""

from __future__ import annotations

from core.protocol import QueueChanged, SeatGone
from tests.admission.house import SMALL, OpenHouse, admission


async def test_queues_that_one_tick_changes_are_told_in_the_order_of_their_names(
    open_house: OpenHouse,
) -> None:
    models = [f"model-{number:02}" for number in range(12)]
    house = await open_house(
        admission(
            models=[{"id": SMALL, "limited": True}, *({"id": model} for model in models)],
            limited_model=SMALL,
            session_seconds=60,
            grace_seconds=0,
        )
    )
    for model in reversed(models):
        await house.admitted(f"user of {model}", model)
    before = len(await house.events())
    house.clock.advance(60)
    await house.room.tick()
    events = (await house.events())[before:]
    assert len([event for event in events if isinstance(event, SeatGone)]) == 12
    assert [event.queue.model for event in events if isinstance(event, QueueChanged)] == models
