"""Something fails at every step of a turn, in turn: the slot is free, the run ended once, the client is told."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine, Generator
from typing import Any

import msgspec
import pytest

from core.errors import StorageFailed
from core.protocol import RunChanged
from core.reconciler import reconciler
from core.store import run_records
from core.turn import Turn, ledger
from tests.end_to_end.conftest import House
from tests.end_to_end.test_chat import HELLO, finished

FAULTS: dict[str, tuple[str, str]] = {
    "gate": ("waiting_room", "pass_turn"),
    "claim": ("router", "begin_turn"),
    "choose": ("pins", "foresee"),
    "start": ("runs", "start"),
    "build": ("router", "get_or_create"),
    "count": ("pins", "count_unit"),
    "append": ("runs", "append"),
    "book": ("costs", "booking"),
    "used": ("runs", "used"),
    "submit": ("database", "submit"),
}
BEFORE_THE_RUN = {"gate", "claim", "choose", "start"}


@pytest.fixture
async def unheard() -> Any:
    """What the loop complains about: exceptions that nobody looked at."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    yield complaints
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert complaints == []


def its_start_is_written(by_itself: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the end of the run, as that of a longer turn, or with it, however slow the machine is."""
    monkeypatch.setattr(ledger, "_START_SECONDS", 0 if by_itself else 60)


@pytest.fixture(params=[False, True], ids=["all at its end", "its start by itself"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the start of a run is written: both are tried."""
    its_start_is_written(request.param, monkeypatch)


async def ask(house: House, stream: bool, model: str = "count-5") -> tuple[int, str]:
    async with house.http() as http:
        answer = await http.post(
            "/v1/chat/completions",
            json={"model": model, "messages": HELLO, "stream": stream},
            headers={"x-session-id": "s"},
            timeout=10,
        )
    return answer.status_code, answer.text


def check_told(status: int, text: str) -> None:
    assert "error" in text
    assert "[DONE]" not in text
    assert status >= 500 or text.startswith("data: "), (status, text)


@pytest.mark.parametrize(
    "error", [RuntimeError("a defect"), StorageFailed("the disk is full")], ids=["defect", "storage"]
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("step", [*FAULTS, "submit by itself"])
async def test_a_step_that_fails_ends_the_turn_with_an_error(
    house: House,
    unheard: Any,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    stream: bool,
    error: Exception,
) -> None:
    part, name = FAULTS[step.removesuffix(" by itself")]
    its_start_is_written(step.endswith(" by itself"), monkeypatch)

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(getattr(house.core, part), name, fail)
        status, text = await ask(house, stream)
    check_told(status, text)
    assert house.core.router.turn_of("api:local/s") is None
    ends = [e for e in house.core.journal._events if getattr(e, "what", "") == "ended"]
    runs = list(house.core.runs.rows())
    assert len(ends) == len(runs) == (0 if step in BEFORE_THE_RUN else 1)
    for row in runs:
        assert (row.state, row.exit_code) == ("failed", 1)
    status, text = await ask(house, stream)
    assert status == 200
    assert "error" not in text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("at", range(6))
async def test_a_write_that_fails_is_told(
    house: House, unheard: Any, written: None, monkeypatch: pytest.MonkeyPatch, at: int, stream: bool
) -> None:
    submit = house.core.database.submit
    count = iter(range(100))

    def failing(unit: Any) -> Any:
        if next(count) == at:

            def broken(connection: Any) -> Any:
                unit(connection)
                raise StorageFailed("the disk is full")

            return submit(broken)
        return submit(unit)

    with monkeypatch.context() as patched:
        patched.setattr(house.core.database, "submit", failing)
        status, text = await ask(house, stream)
        reached = next(count) > at
        await house.core.runs.settle()
    (row,) = await finished(house)
    if reached:
        check_told(status, text)
        assert row.exit_code == 1
    else:
        assert status == 200
        assert "error" not in text
    assert house.core.router.turn_of("api:local/s") is None
    status, text = await ask(house, stream)
    assert status == 200
    assert "error" not in text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", ["start", "end"])
async def test_a_run_that_cannot_be_recorded_has_failed(
    house: House, unheard: Any, written: None, monkeypatch: pytest.MonkeyPatch, name: str, stream: bool
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(run_records, name, fail)
        status, text = await ask(house, stream)
    check_told(status, text)
    (row,) = await finished(house)
    assert row.exit_code == 1
    assert house.core.router.turn_of("api:local/s") is None
    # where only the end could not be written, the record calls it running until the reconciler has looked for a while
    monkeypatch.setattr(reconciler, "PATIENCE_SECONDS", 0)
    await house.core.reconciler.look()
    assert await house.core.reconciler.look() == []


async def test_a_turn_that_cannot_be_accounted_is_still_recorded_as_ended(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patched:
        patched.setattr(house.core.costs, "booking", fail)
        await ask(house, False)
    (row,) = await finished(house)
    status = await house.core.database.read(lambda c: run_records.status_of(c, row.run_id))
    assert status == "completed"


class Failing(Coroutine[Any, Any, None]):
    """A turn's way whose await number `at` raises, whatever it waits for."""

    def __init__(self, turn: Turn, way: Coroutine[Any, Any, None], at: int, error: BaseException) -> None:
        self.turn = turn
        self.reached = False
        self._way = way
        self._left = at + 1
        self._error = error

    def send(self, value: Any) -> Any:
        self._left -= 1
        if self._left == -1:
            self.reached = True
            return self._way.throw(self._error)
        return self._way.send(value)

    def throw(self, *error: Any) -> Any:
        return self._way.throw(*error)

    def close(self) -> None:
        self._way.close()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._way.__await__()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError], ids=["defect", "torn-down"])
async def test_whichever_await_raises_the_slot_is_free_and_the_run_has_ended_once(
    house: House, unheard: Any, monkeypatch: pytest.MonkeyPatch, stream: bool, error: type[BaseException]
) -> None:
    lead, torn_down = house.core.turns._lead, error is asyncio.CancelledError
    ways: list[Failing] = []

    def failing(turn: Turn) -> Failing:
        # so that it is looked up whose session it is
        turn.request = msgspec.structs.replace(turn.request, own_key=False)
        ways.append(Failing(turn, lead(turn), len(ways), error()))
        return ways[-1]

    monkeypatch.setattr(house.core.turns, "_lead", failing)
    while True:
        status, text = await ask(house, stream)
        assert house.core.router.turn_of("api:local/s") is None
        way = ways[-1]
        if not way.reached:
            break
        check_told(status, text)
        ended = [
            (event.run.state, event.run.exit_code)
            for event in house.core.journal._events
            if isinstance(event, RunChanged) and event.what == "ended" and event.run.run_id == way.turn.run_id
        ]
        state = "interrupted" if torn_down else "failed"
        assert ended == ([(state, 1)] if way.turn.choice is not None else [])
    assert (status, "error" in text) == (200, False)
    assert len(ways) > 5
    if torn_down:
        # nothing could be written any more; the next start closes what is left, and so does the reconciler
        monkeypatch.setattr("core.reconciler.reconciler.PATIENCE_SECONDS", 0)
        await house.core.reconciler.look()
