"""Commands against a world that has moved on, commands that are repeated, commands that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from core.errors import InvalidArgument
from core.protocol import (
    AbortRun,
    AnyCommand,
    ClearDirty,
    CloseSession,
    Done,
    EvictSession,
    MarkDirty,
    PinModel,
    Refused,
    ReleasePin,
)
from core.router import Reservation
from tests.end_to_end.conftest import House
from tests.end_to_end.test_chat import HELLO, finished
from tests.upstream.server import Upstream

KEY = "api:local/s"


async def chat(house: House, session: str = "s", project: str = "p", model: str = "echo") -> None:
    headers = {"x-session-id": session, "x-project": project}
    await house.openai(default_headers=headers).chat.completions.create(model=model, messages=HELLO)


async def outcome(house: House, command: AnyCommand) -> Any:
    return await house.core.execute(command, actor="me")


EVICT = EvictSession(command_id="c", session_key=KEY)
CLOSE = CloseSession(command_id="c", session_key=KEY)
DIRTY = MarkDirty(command_id="c", session_key=KEY)
CLEAR = ClearDirty(command_id="c", session_key=KEY)
ALL = MarkDirty(command_id="c", all=True)
PROJECT = MarkDirty(command_id="c", project="p")
OTHER = MarkDirty(command_id="c", project="other")


@pytest.mark.parametrize(
    ("command", "then", "refused"),
    [
        (EVICT, "nothing", False),
        (EVICT, "turn", False),
        (EVICT, "rebuilt", True),
        (EVICT, "reborn", True),
        (EVICT, "new", False),
        (CLOSE, "nothing", False),
        (CLOSE, "turn", True),
        (CLOSE, "reborn", True),
        (DIRTY, "turn", False),
        (DIRTY, "reborn", True),
        (CLEAR, "nothing", False),
        (CLEAR, "rebuilt", True),
        (ALL, "nothing", False),
        (ALL, "turn", False),
        (ALL, "new", True),
        (PROJECT, "new", True),
        (OTHER, "new", False),
        (PROJECT, "reborn", True),
    ],
)
async def test_what_was_not_counted_is_not_hit(
    house: House, command: AnyCommand, then: str, refused: bool
) -> None:
    await chat(house)
    cursor = (await house.core.preview(command)).cursor
    match then:
        case "turn":
            await chat(house)
        case "rebuilt":
            house.core.router.mark_dirty(session_key=KEY)
            await chat(house)
        case "reborn":
            await house.core.router.close(KEY)
            await chat(house)
        case "new":
            await chat(house, "new")
        case _:
            assert then == "nothing"
    told = await outcome(house, _with(command, cursor))
    assert (told.code if isinstance(told, Refused) else "done") == ("gone" if refused else "done")
    told = await outcome(house, _with(command, "other.1", "d"))
    assert isinstance(told, Refused)


@pytest.mark.parametrize(
    ("use", "told"),
    [
        ("turn", "has a turn; close it instead, which aborts the turn"),
        ("import", "is reserved for import; evict it when that is over, or close it instead"),
        ("rebuild", "is being rebuilt; evict the new one when it is there, or close it instead"),
    ],
)
async def test_an_eviction_is_refused_with_what_the_session_is_in_use_for(
    house: House, monkeypatch: pytest.MonkeyPatch, use: str, told: str
) -> None:
    await chat(house)
    router, built = house.core.router, asyncio.Event()
    rebuilding: asyncio.Task[Any] | None = None
    match use:
        case "turn":
            router.begin_turn(KEY, "r")
            over: Callable[[], object] = partial(router.end_turn, KEY, "r")
        case "import":
            reserved = router.reserve(KEY, "import")
            assert isinstance(reserved, Reservation)
            over = reserved.release
        case _:
            make = router._builder._factory.recreate

            async def held(*args: Any) -> Any:
                await built.wait()
                return await make(*args)

            monkeypatch.setattr(router._builder._factory, "recreate", held)
            router.mark_dirty(session_key=KEY)
            rebuilding = asyncio.create_task(router.get_or_create(KEY))
            over = built.set
            await asyncio.sleep(0)
    refused = await outcome(house, EVICT)
    assert isinstance(refused, Refused)
    assert refused.code == "session_busy"
    assert refused.message.startswith(f"session {KEY!r} {told}")
    over()
    if rebuilding is not None:
        assert (await rebuilding).generation == 2
    assert await outcome(house, replace(EVICT, command_id="again")) == Done(
        command_id="again", count=1, message="session evicted; history, pin and cost stay"
    )


def _with(command: AnyCommand, cursor: str, command_id: str = "c") -> AnyCommand:
    fields = {name: getattr(command, name) for name in command.__struct_fields__}
    return type(command)(**{**fields, "cursor": cursor, "command_id": command_id})


PIN = PinModel(command_id="p", session_key=KEY, model="other")


async def test_a_model_that_an_operator_chose_stays_until_it_is_released(house: House) -> None:
    await chat(house)
    await outcome(house, ReleasePin(command_id="before", session_key=KEY))
    told = await outcome(house, PIN)
    assert isinstance(told, Done)
    pin = house.core.pins.get(KEY)
    assert pin is not None
    assert (pin.model, pin.explicit, pin.request_count) == ("other", True, 1)
    (entry,) = [each for each in (await house.core.audit(target=KEY)).entries if each.action == "pin-model"]
    assert (entry.actor, entry.outcome) == ("me", "done")
    assert "other" in entry.detail["message"]
    await outcome(house, ReleasePin(command_id="r", session_key=KEY))
    assert house.core.pins.get(KEY) == replace(pin, explicit=False)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (replace(PIN, model=""), "model_not_found"),
        (replace(PIN, session_key="unheard-of"), "session_not_found"),
    ],
)
async def test_a_model_that_cannot_be_kept_is_refused(house: House, command: PinModel, code: str) -> None:
    await chat(house)
    before = house.core.pins.get(KEY)
    told = await outcome(house, command)
    assert isinstance(told, Refused)
    assert told.code == code
    assert house.core.pins.get(KEY) == before


@pytest.mark.parametrize(
    ("then", "refused"), [("nothing", False), ("turn", False), ("pinned", True), ("cleared", True)]
)
@pytest.mark.parametrize("command", [PIN, ReleasePin(command_id="p", session_key=KEY)])
async def test_a_pin_that_was_changed_since_is_left_alone(
    house: House, command: AnyCommand, then: str, refused: bool
) -> None:
    await chat(house)
    cursor = (await house.core.preview(command)).cursor
    match then:
        case "turn":
            await chat(house)
        case "pinned":
            await house.core.pins.pin(KEY, "third", explicit=True)
        case "cleared":
            await house.core.pins.clear(KEY)
        case _:
            assert then == "nothing"
    told = await outcome(house, _with(command, cursor))
    assert (told.code if isinstance(told, Refused) else "done") == ("gone" if refused else "done")


async def test_equal_commands_act_once(house: House, upstream: Upstream) -> None:
    await chat(house)
    told = await asyncio.gather(*(outcome(house, CLOSE) for _ in range(20)))
    assert len({each.message for each in told}) == 1
    assert isinstance(told[0], Done)
    house.core.operator._outcomes.clear()
    assert await outcome(house, CLOSE) == told[0], "the database knows it too"
    page = await house.core.audit(target=KEY)
    assert [entry.action for entry in page.entries].count("close") == 1


async def test_a_command_that_fails_is_audited(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(house.core.runs, "abort", fail)
    told = await outcome(house, AbortRun(command_id="c", run_id="r"))
    assert isinstance(told, Refused)
    assert told.code == "internal_error"
    page = await house.core.audit(target="r")
    assert [(entry.action, entry.outcome) for entry in page.entries] == [("abort", "refused")]


@pytest.mark.parametrize("command_id", ["", "a\0b", "x" * 300, "\ud800"])
async def test_an_id_that_cannot_be_kept_is_refused_before_the_act(house: House, command_id: str) -> None:
    await chat(house)
    with pytest.raises(InvalidArgument):
        await outcome(house, CloseSession(command_id=command_id, session_key=KEY))
    assert house.core.router.row(KEY) is not None


async def test_a_generation_that_has_passed_is_refused(house: House) -> None:
    await chat(house)
    row = house.core.router.row(KEY)
    assert row is not None
    passed: Any
    for passed in (EvictSession, CloseSession, ClearDirty, MarkDirty):
        command = passed(command_id=passed.__name__, session_key=KEY, generation=row.generation + 1)
        told = await outcome(house, command)
        assert isinstance(told, Refused)
        assert told.code == "gone"
    (run,) = await finished(house)
    told = await outcome(house, AbortRun(command_id="x", run_id=run.run_id))
    assert isinstance(told, Refused)
    assert told.code == "no_active_run"
