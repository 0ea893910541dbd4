"""The runner itself: steps, settings and files, with a player that notes what it is asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.clock import ManualClock
from core.errors import AtCapacity, InvalidArgument, MaitredError
from core.settings import Admission, Settings
from tests.conformance.expected_failures import EXPECTED_FAILURES
from tests.conformance.matching import Mismatch
from tests.conformance.play import OPERATIONS, Case, Game, play, read_cases, settings_of


class NotingPlayer:
    """Answers `count` with a number that counts up, `list` with its arguments; `close` and `shutdown` fail."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def do(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((op, args))
        if op == "close":
            raise InvalidArgument("no")
        if op == "shutdown":
            raise ZeroDivisionError
        await asyncio.sleep(0)
        return {"n": len(self.asked)} if op == "count" else args

    async def aclose(self) -> None:
        """Nothing to close."""


def game(clock: ManualClock | None = None) -> tuple[Game, NotingPlayer]:
    player = NotingPlayer()
    return Game("router", player, clock or ManualClock()), player


async def test_steps_are_played_in_order_and_what_was_saved_is_sent() -> None:
    playing, player = game()
    await playing.play(
        [
            {"do": "count", "with": {}, "expect": {"n": {"$save": "first"}}},
            {"do": "list", "with": {"a": [{"$ref": "first"}]}, "expect": {"a": [1]}},
        ]
    )
    assert player.asked == [("count", {}), ("list", {"a": [1]})]


@pytest.mark.parametrize(
    "step",
    [
        {"do": "count", "expect": {"n": 7}},
        {"do": "count", "raises": "invalid_argument"},
        {"do": "close", "raises": "at_capacity"},
        {"do": "request"},
        {"do": "uncharted"},
        {"do": "count", "expects": {"n": 1}},
        {"do": "count", "advance": 1},
        {},
        {"wait": 1},
        {"advance": -1},
        {"at": "1969-12-31T23:59:59Z"},
        {"concurrently": [{"do": "count", "expect": {}}]},
        {"concurrently": [{"do": "count"}, {"do": "close"}]},
        {"concurrently": [{"do": "count"}], "expect": {"count": {"n": {"1": 2}}}},
    ],
)
async def test_a_step_that_does_not_hold_fails(step: dict[str, Any]) -> None:
    playing, _ = game()
    with pytest.raises(Mismatch) as caught:
        await playing.play([step])
    assert "in step 1" in caught.value.__notes__[0]


async def test_an_error_that_is_expected_passes_and_another_is_raised() -> None:
    playing, _ = game()
    await playing.play([{"do": "close", "raises": "invalid_argument"}])
    with pytest.raises(MaitredError):
        await playing.play([{"do": "close"}])
    for step in ({"do": "shutdown", "raises": "invalid_argument"}, {"concurrently": [{"do": "shutdown"}]}):
        with pytest.raises(ZeroDivisionError):
            await playing.play([step])


async def test_concurrent_steps_are_started_before_one_is_over() -> None:
    playing, player = game()
    inner = [{"do": "count"}, {"do": "count"}, {"do": "close"}]
    expect = {"count": {"n": {"3": 2}}, "raises": {"invalid_argument": 1}}
    await playing.play([{"concurrently": inner, "expect": expect}])
    assert [op for op, _ in player.asked] == ["count", "count", "close"]


async def test_time_moves_to_the_millisecond_and_timers_fire_in_order() -> None:
    clock = ManualClock(at=1000)
    fired: list[tuple[str, int]] = []

    async def later() -> None:
        await clock.sleep(2)
        fired.append(("task", clock.now()))
        await clock.sleep(1)
        fired.append(("task again", clock.now()))

    clock.call_later(2.5, lambda: fired.append(("timer", clock.now())))
    task = asyncio.create_task(later())
    playing, _ = game(clock)
    await playing.play([{"advance": 2.999}])
    assert fired == [("task", 3000), ("timer", 3500)]
    await playing.play([{"advance": 0.001}])
    assert fired[2:] == [("task again", 4000)]
    await playing.play([{"at": "1970-01-01T00:01:00Z"}])
    assert clock.now() == 60_000
    assert clock.monotonic() == 59
    await task


def case(**fields: Any) -> Case:
    return Case(
        **{"part": "router", "name": "n", "at": "2026-04-17T12:00:00Z", "settings": {}, "steps": [], **fields}
    )


def test_settings_in_force() -> None:
    settings = settings_of(case(), "sqlite")
    assert settings.admission == Admission(abandon_seconds=0)
    assert settings.router.sweep_seconds == 0
    assert settings.runs == Settings().runs
    own = {"admission": {"abandon_seconds": 5, "models": [{"id": "m"}]}, "router": {"sweep_seconds": 7}}
    settings = settings_of(case(settings=own), "sqlite")
    assert settings.admission.abandon_seconds == 5
    assert settings.admission.models[0].id == "m"
    assert settings.router.sweep_seconds == 7
    assert settings_of(case(), "postgresql://x").storage.url == "postgresql://x"


def test_a_wrong_setting_fails() -> None:
    with pytest.raises(msgspec.ValidationError):
        settings_of(case(settings={"router": {"idle": 1}}), "sqlite")


def test_a_case_replaces_whole_sections_of_its_file(tmp_path: Path) -> None:
    file = {
        "part": "pins",
        "at": "2026-01-01T00:00:00Z",
        "settings": {"pins": {"idle_seconds": 9, "repeat_limit": 4}, "runs": {"stall_seconds": 8}},
        "cases": [
            {"name": "as the file", "steps": []},
            {
                "name": "own",
                "at": "2026-02-01T00:00:00Z",
                "settings": {"pins": {"idle_seconds": 1}},
                "steps": [],
            },
        ],
    }
    path = tmp_path / "pins.json"
    path.write_text(json.dumps(file), encoding="utf-8")
    first, second = read_cases(path)
    assert (first.id, first.at, first.settings) == ("pins::as the file", file["at"], file["settings"])
    assert (second.id, second.at) == ("pins::own", "2026-02-01T00:00:00Z")
    assert second.settings == {"pins": {"idle_seconds": 1}, "runs": {"stall_seconds": 8}}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"part": "pins", "at": "2026-01-01T00:00:00Z"}',
        '{"part": "pins", "at": "2026-01-01T00:00:00Z", "cases": [{"name": "n", "step": []}]}',
    ],
)
def test_a_file_that_is_not_of_the_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises((ValueError, msgspec.ValidationError)):
        read_cases(path)


def test_an_integer_beyond_64_bits_arrives_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "big.json"
    step = f'{{"do": "count", "expect": {{"n": {10**25}}}}}'
    path.write_text(
        f'{{"part": "pins", "at": "x", "cases": [{{"name": "n", "steps": [{step}]}}]}}', encoding="utf-8"
    )
    assert read_cases(path)[0].steps[0]["expect"]["n"] == 10**25


async def test_an_unknown_part_fails(tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match="no part"):
        await play(case(part="kitchen"), tmp_path)


async def test_a_failure_of_the_part_keeps_its_class() -> None:
    class FullPlayer(NotingPlayer):
        async def do(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
            raise AtCapacity("full")

    playing = Game("router", FullPlayer(), ManualClock())
    with pytest.raises(AtCapacity):
        await playing.play([{"do": "count"}])


def test_every_expected_failure_names_a_part_and_a_reason() -> None:
    for name, reason in EXPECTED_FAILURES.items():
        part, _, title = name.partition("::")
        assert part in OPERATIONS, name
        assert title, name
        assert reason, name
