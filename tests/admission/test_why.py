"""Why somebody waits: every rule that can hold a queue says so, with its figures and what would help."""

from __future__ import annotations

from core.clock import timestamp
from core.protocol import MOST_AHEAD, Because, Explanation
from tests.admission.house import BIG, MODELS, OFFICE, SMALL, START, House, OpenHouse, admission

HOUR = 3_600_000


def rules(explanation: Explanation) -> list[str]:
    return [because.rule for because in explanation.because]


def because(house: House, user_id: str, rule: str) -> Because:
    found = [each for each in house.room.explain(user_id).because if each.rule == rule]
    assert len(found) == 1, house.room.explain(user_id)
    assert found[0].text
    return found[0]


async def test_nobody_without_a_seat_waits(open_house: OpenHouse) -> None:
    house = await open_house()
    told = house.room.explain("ann")
    assert (told.kind, told.key, rules(told)) == ("seat", "ann", ["no_seat"])
    assert "POST /v1/seats" in told.because[0].helps
    await house.room.ban("ann", actor="op")
    assert rules(house.room.explain("ann")) == ["banned"]


async def test_the_head_waits_for_the_tick_alone(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("ann")
    told = house.room.explain("ann")
    assert rules(told) == ["tick"]
    assert told.summary == f"ann waits for {SMALL}, place 1 of 1: 1 are let in every 15 s"
    assert told.because[0].facts["tickMs"] == "15000"
    assert (told.ahead, told.ahead_count) == ([], 0)


async def test_who_is_behind_is_told_who_comes_first(open_house: OpenHouse) -> None:
    house = await open_house()
    for number in range(MOST_AHEAD + 5):
        await house.queued(f"user-{number:02}")
    await house.room.ban("user-03", actor="op")
    last = f"user-{MOST_AHEAD + 4:02}"
    told = house.room.explain(last)
    assert rules(told) == ["behind", "tick"]
    assert told.ahead_count == MOST_AHEAD + 3, "the banned one is skipped"
    assert told.ahead == [f"user-{n:02}" for n in range(MOST_AHEAD + 1) if n != 3]
    assert told.because[0].facts == {"position": "24", "depth": "24"}
    assert rules(house.room.explain("user-03"))[0] == "banned"


async def test_pause_hours_and_health_hold_the_whole_queue_the_gravest_first(open_house: OpenHouse) -> None:
    house = await open_house()
    house.clock.set(START + 3 * HOUR)  # eleven in New York
    await house.queued("ann", OFFICE)
    await house.room.pause(OFFICE, actor="op")
    house.room.set_health(OFFICE, "unhealthy")
    house.clock.set(START + 20 * HOUR)  # four in the morning there
    told = house.room.explain("ann")
    assert rules(told) == ["unhealthy", "paused", "closed"]
    assert because(house, "ann", "closed").facts == {
        "hours": "09:00 America/New_York – 17:00 America/Los_Angeles"
    }
    assert because(house, "ann", "paused").helps == "resume admission"
    assert told.summary.endswith(because(house, "ann", "unhealthy").text)


async def test_their_own_quota(open_house: OpenHouse) -> None:
    house = await open_house(admission(quota={"full": 2}))
    await house.queued("ann", BIG)
    await house.room.tick()
    house.clock.advance(2 * 3600)
    await house.queued("ann", BIG)
    await house.restart(admission(quota={"full": 1}))
    told = because(house, "ann", "rate_limited")
    assert told.facts == {"used": "1", "limit": "1", "resetAt": "2026-04-18T07:00:00Z"}


async def test_all_seats_are_occupied(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"max_active": 1, "instant_admit_capacity": 1}))
    await house.admitted("ann")
    await house.queued("bob")
    told = house.room.explain("bob")
    assert rules(told) == ["at_capacity"]
    assert told.because[0].facts == {
        "occupied": "1",
        "maxActive": "1",
        "nextFreeAtTheLatest": timestamp(START + (3600 + 1800) * 1000),
    }
    assert rules(house.room.explain("ann")) == ["admitted"]


async def test_a_place_that_goes_unless_something_is_heard(open_house: OpenHouse) -> None:
    house = await open_house(admission(abandon_seconds=600))
    await house.queued("ann")
    assert because(house, "ann", "abandon").facts == {"until": timestamp(START + 600_000)}
    house.clock.advance(100)
    house.room.state("ann")
    assert because(house, "ann", "abandon").facts == {"until": timestamp(START + 700_000)}


async def test_a_model_that_is_gone(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("ann", BIG)
    await house.restart(admission(models=[model for model in MODELS if model["id"] != BIG]))
    assert rules(house.room.explain("ann")) == ["model_gone"], "nothing else would help"


async def test_a_seat_of_somebody_banned(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1}))
    await house.admitted("ann")
    await house.room.ban("ann", actor="op")
    told = house.room.explain("ann")
    assert (rules(told), told.summary) == (
        ["banned", "admitted"],
        f"ann has a seat on {SMALL}, and is banned",
    )


async def test_an_ended_seat(open_house: OpenHouse) -> None:
    house = await open_house(admission(each={"instant_admit_capacity": 1}))
    await house.admitted("ann")
    house.clock.advance(3600)
    assert rules(house.room.explain("ann")) == ["ended"]


async def test_asking_why_changes_nothing(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.queued("ann")
    before = house.journal.cursor
    house.room.explain("ann")
    house.room.explain("nobody")
    assert house.journal.cursor == before
    assert house.room.seat_count() == 1
