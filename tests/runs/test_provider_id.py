"""The provider's name for a session never leaves, and is durable before it is known (runs.md, decision 7)."""

from __future__ import annotations

from core.runs import Swallowed
from tests.runs.fakes import House, text


def named(name: str) -> dict[str, str]:
    return {"kind": "session_created", "newSessionId": name}


def written(house: House) -> list[str]:
    return [name for call, name in house.records.calls if call == "provider_id"]


async def test_it_is_written_before_it_is_known() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    answer = house.registry.publish(run.id, named("n7"))
    assert isinstance(answer, Swallowed)
    assert await house.registry.provider_id("s1") is None
    await house.registry.settle()
    assert await house.registry.provider_id("s1") == "n7"
    assert run.log.last == 0


async def test_a_new_value_is_written_once_and_a_later_one_again() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    for name in ("n7", "n7", "", "n8"):
        house.registry.publish(run.id, named(name))
    await house.registry.settle()
    house.registry.publish(run.id, named("n8"))
    house.registry.publish(run.id, text())
    house.registry.complete(run.id, exit_code=0)
    await house.registry.settle()
    assert written(house) == ["n7", "n8"]
    assert house.records.provider_ids == {"s1": "n8"}


async def test_going_back_to_the_first_name_is_a_new_value() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    for name in ("n7", "n8", "n7"):
        house.registry.publish(run.id, named(name))
    await house.registry.settle()
    assert written(house) == ["n7", "n8", "n7"]
    assert await house.registry.provider_id("s1") == "n7"


async def test_what_is_known_at_the_start_is_not_written_again() -> None:
    house = House()
    run = house.registry.start("s1", "acme", provider_session_id="n1")
    house.registry.publish(run.id, named("n1"))
    await house.registry.settle()
    assert written(house) == []
    assert await house.registry.provider_id("s1") == "n1"


async def test_a_failed_write_is_tried_again_when_it_is_heard_again() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    await house.registry.settle()
    house.records.failures = 1
    house.registry.publish(run.id, named("n7"))
    await house.registry.settle()
    assert await house.registry.provider_id("s1") is None
    house.registry.publish(run.id, named("n7"))
    await house.registry.settle()
    assert await house.registry.provider_id("s1") == "n7"
    house.registry.complete(run.id, exit_code=0)
    await house.registry.settle()
    assert written(house) == ["n7", "n7"]


async def test_a_failed_write_is_tried_again_at_the_end() -> None:
    house = House()
    run = house.registry.start("s1", "acme", recorded=False)
    house.records.failures = 1
    house.registry.publish(run.id, named("n7"))
    await house.registry.settle()
    house.registry.complete(run.id, exit_code=0)
    await house.registry.settle()
    assert await house.registry.provider_id("s1") == "n7"
    assert await house.notices() == ["run_not_recorded"]


async def test_a_write_that_fails_after_the_end_is_tried_once_more_and_no_longer() -> None:
    house = House()
    run = house.registry.start("s1", "acme", recorded=False)
    house.records.failures = 5
    house.registry.publish(run.id, named("n7"))
    house.registry.complete(run.id, exit_code=0)
    await house.registry.settle()
    assert written(house) == ["n7", "n7"]


async def test_a_close_waits_for_the_last_try() -> None:
    house = House()
    run = house.registry.start("s1", "acme", recorded=False)
    house.records.failures = 1
    house.registry.publish(run.id, named("n7"))
    await house.registry.aclose()
    assert house.records.provider_ids == {"s1": "n7"}
