"""Why a run stands or ended as it did."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import RunNotFound
from core.protocol import Explanation
from core.runs.activity import Activity
from tests.runs.fakes import House


def rules(told: Explanation) -> list[str]:
    return [each.rule for each in told.because]


async def test_it_runs_then_it_is_stalled() -> None:
    house = House()
    run = house.registry.start("s1", "acme")
    house.clock.advance(1.5)
    told = house.registry.why(run.id)
    assert (told.kind, told.key, rules(told)) == ("run", "r1", ["running"])
    assert told.summary == "s1: it runs; its last event came 1.5 s ago"
    house.registry.acts(run, Activity(tool="bash", approval="bash"))
    assert rules(house.registry.why(run.id)) == ["approval", "running"]
    house.clock.advance(120)
    told = house.registry.why(run.id)
    assert rules(told) == ["approval", "stalled"]
    assert "nothing has come from it for" in told.because[1].text


@pytest.mark.parametrize(
    ("ends", "rule", "said"),
    [
        (lambda house: house.registry.complete("r1", exit_code=0), "completed", "with success"),
        (lambda house: house.registry.complete("r1", exit_code=3), "failed", "exit code 3"),
        (
            lambda house: house.registry.complete("r1", interrupted=True),
            "interrupted",
            "its session was closed",
        ),
        (lambda house: house.registry.complete("r1", exit_code=0, aborted=True), "aborted", "confirmed"),
        (lambda house: house.registry.abort("r1", "enough"), "forced", "runs elsewhere"),
    ],
)
async def test_how_it_ended(ends: Callable[[House], None], rule: str, said: str) -> None:
    house = House()
    house.registry.start("s1", "acme")
    ends(house)
    told = house.registry.why("r1")
    assert rules(told) == [rule]
    assert said in told.because[0].text


async def test_an_abort_goes_its_way() -> None:
    house = House()
    run = house.registry.start("s1", "acme", stop=lambda reason: None)
    house.registry.abort(run.id, "enough")
    told = house.registry.why(run.id)
    assert (rules(told), told.because[0].facts["reason"]) == (["aborting"], "enough")
    house.clock.advance(10)
    assert rules(house.registry.why(run.id)) == ["forced"]
    house.registry.append(run, [(b"{}", 0, 0)])
    told = house.registry.why(run.id)
    assert (rules(told), told.because[1].facts["dropped"]) == (["forced", "dropped"], "1")


async def test_an_unknown_one() -> None:
    with pytest.raises(RunNotFound):
        House().registry.why("nobody")
