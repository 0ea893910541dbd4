"""Why a session is live, dirty or gone."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from core.clock import parse_timestamp
from core.router.farewells import MOST, Farewell, Farewells
from core.router.session import EvictionReason
from core.router.why_session import why_gone, why_live
from tests.console.rows import AT, a_session
from tests.router.fakes import House

NOW = parse_timestamp(AT) + 60_000


@pytest.mark.parametrize(
    ("changes", "rules", "said"),
    [
        ({}, ["idle"], "evicted in about 29 min"),
        ({"run_id": "r"}, ["busy"], "a turn is in its slot"),
        ({"maintenance": "import"}, ["reserved"], "reserved for import"),
        ({"dirty": "deploy"}, ["idle", "dirty"], "evicted in about"),
        ({"last_used_at": "2026-04-17T11:00:00Z"}, ["idle"], "with the next sweep"),
    ],
)
def test_what_keeps_it(changes: dict[str, Any], rules: list[str], said: str) -> None:
    because = why_live(a_session(**changes), NOW, 1800)
    assert [each.rule for each in because] == rules
    assert said in because[0].text
    assert all(each.helps for each in because)


@pytest.mark.parametrize("reason", get_args(EvictionReason))
def test_why_it_is_gone(reason: EvictionReason) -> None:
    told = why_gone(Farewell(a_session(generation=3), reason, NOW), 1800)
    assert (told.rule, told.facts["generation"]) == (f"gone_{reason}", "3")
    assert told.facts["at"] == "2026-04-17T12:01:00Z"
    assert told.text


def test_the_last_farewells_are_kept_and_no_more() -> None:
    farewells = Farewells()
    for number in range(MOST + 2):
        farewells.note(Farewell(a_session(f"s{number}"), "idle", number))
        farewells.note(Farewell(a_session("again and again"), "closed", number))
    kept = farewells.of("again and again")
    assert kept is not None
    assert kept.at == MOST + 1
    assert farewells.of("s2") is None
    assert farewells.of("s3") is not None


async def test_a_router_tells_of_who_is_here_and_who_was() -> None:
    house = House()
    assert house.router.why("s") == []
    await house.router.get_or_create("s")
    assert [each.rule for each in house.router.why("s")] == ["idle"]
    await house.router.evict("s")
    assert [each.rule for each in house.router.why("s")] == ["gone_operator"]
    await house.router.get_or_create("s")
    assert [each.rule for each in house.router.why("s")] == ["idle"]
    await house.router.close("s")
    assert [each.rule for each in house.router.why("s")] == ["gone_closed"]
