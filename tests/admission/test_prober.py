"""The prober, over a clock that stands still and servers that say what a test wants."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.admission.answers import QueuedSeat
from core.admission.health import FleetHealth, Reading
from core.admission.prober import Answered, Fetcher, Prober, Unanswered
from core.protocol import Noticed, QueueChanged
from tests.admission.house import BIG, LIMITED, MODELS, OFFICE, SMALL, House, OpenHouse, admission

INTERVAL = 25.0
A, B = "http://a/metrics?key=secret", "http://b/health"
URLS = {SMALL: A, BIG: B, LIMITED: B, OFFICE: ""}


class Servers:
    """A fetcher whose servers answer what is set, when they are let."""

    def __init__(self) -> None:
        self.answers: dict[str, Answered | Unanswered | BaseException] = {}
        self.slow: dict[str, asyncio.Event] = {}
        self.asked: list[str] = []
        self.closed = False

    def say(self, url: str, body: str = "", status: int = 200) -> None:
        self.answers[url] = Answered(status, body.encode())

    async def get(self, url: str) -> Answered | Unanswered:
        self.asked.append(url)
        if url in self.slow:
            await self.slow[url].wait()
        answer = self.answers.get(url, Answered(200, b""))
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed = True


def prober(
    house: House,
    fetcher: Fetcher | None,
    urls: dict[str, str] | None = None,
    readings: FleetHealth | None = None,
) -> Prober:
    urls = URLS if urls is None else urls
    models = admission().models
    configured = [type(model)(id=model.id, health_url=urls.get(model.id, "")) for model in models]
    parts = house.room._parts
    return Prober(
        configured,
        interval=INTERVAL,
        fetcher=fetcher,
        health=readings or parts.health,
        herald=parts.herald,
        clock=house.clock,
    )


def health(house: House) -> dict[str, str]:
    return {row.model: row.health for row in house.room.queue_rows() if row.health != "healthy"}


async def told(house: House) -> list[str]:
    return [event.message for event in await house.events() if isinstance(event, Noticed)]


async def test_each_server_is_asked_on_its_own_schedule(open_house: OpenHouse) -> None:
    house, servers = await open_house(), Servers()
    servers.slow[A] = asyncio.Event()
    running = asyncio.create_task(prober(house, servers).run())
    await house.clock.settle(0)
    assert servers.asked == [A, B], "models that share an address are asked for once"
    await house.clock.settle(INTERVAL - 0.001)
    assert servers.asked == [A, B]
    await house.clock.settle(0.001)
    assert servers.asked == [A, B, B], "a slow server holds up nobody, and is not asked twice at once"
    await house.room.tick()
    servers.slow[A].set()
    await house.clock.settle(INTERVAL)
    assert servers.asked == [A, B, B, B, A]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_without_addresses_nobody_is_asked(open_house: OpenHouse) -> None:
    house, servers = await open_house(), Servers()
    await prober(house, servers, {}).run()
    await prober(house, None).run()
    await house.room.watch_health()
    assert servers.asked == []
    assert health(house) == {}


async def test_a_model_waits_for_the_first_answer_of_its_server(open_house: OpenHouse) -> None:
    asked, other = ({**model, "health_url": url} for model, url in zip(MODELS[:2], (A, ""), strict=True))
    house = await open_house(admission(models=[asked, other], limited_model="", each=None))
    assert health(house) == {SMALL: "unhealthy"}
    await house.queued("a")
    await house.queued("b", BIG)
    report = await house.room.tick()
    assert (report.admitted, report.skipped) == (1, {SMALL: "unhealthy"})
    state = house.room.state("a")
    assert isinstance(state, QueuedSeat)
    assert state.paused_reason == "unhealthy"
    assert "it has not answered yet" in house.room.explain("a").summary
    servers = Servers()
    servers.say(A, '{"status": "ok"}')
    await prober(house, servers, {SMALL: A}).ask_all()
    assert (await house.room.tick()).admitted == 1


class Brittle(FleetHealth):
    """Readings that cannot be kept, for some models."""

    def __init__(self) -> None:
        super().__init__(asked=[SMALL, BIG, LIMITED])
        self.refused = {SMALL}

    def report(self, model: str, reading: Reading) -> None:
        if model in self.refused:
            raise ZeroDivisionError("a defect")
        super().report(model, reading)


async def test_asking_that_breaks_off_begins_again_and_meanwhile_nothing_counts_as_healthy(
    open_house: OpenHouse,
) -> None:
    house, servers, readings = await open_house(), Servers(), Brittle()
    running = asyncio.create_task(prober(house, servers, readings=readings).run())

    async def after(seconds: float) -> list[str]:
        await house.clock.settle(seconds)
        return [readings.of(model, house.clock.now()) for model in (SMALL, BIG)]

    assert await after(0) == ["unhealthy", "healthy"]
    assert await after(INTERVAL) == ["unhealthy", "healthy"]
    assert servers.asked == [A, B, A, B], "the others go on, and it is asked again"
    (message,) = await told(house)
    assert "ZeroDivisionError" in message
    assert SMALL in message
    readings.refused = set()
    assert await after(INTERVAL) == ["healthy", "healthy"]
    readings.refused = {SMALL}
    assert await after(180) == ["healthy", "healthy"]
    assert await after(0.001) == ["unhealthy", "healthy"]
    assert len(await told(house)) == 2
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_an_attempt_that_was_cancelled_from_below_is_no_end(open_house: OpenHouse) -> None:
    """As when a connection's own task is cancelled; a task that ends so would be missed by nobody."""
    house, servers = await open_house(), Servers()
    servers.answers[A] = asyncio.CancelledError()
    running = asyncio.create_task(prober(house, servers).run())
    await house.clock.settle(INTERVAL)
    assert servers.asked == [A, B, A, B]
    assert "CancelledError" in (await told(house))[0]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Unanswered("it did not answer within 5 s"), "within 5 s"),
        (Answered(503, b""), "answered 503"),
        (Answered(302, b'{"status":"ok"}'), "redirects are not followed"),
        (Answered(200, b"<html>"), "no metric"),
        (Answered(200, b'{"status":"purple"}'), "purple"),
        (ZeroDivisionError("a defect"), "ZeroDivisionError"),
    ],
)
async def test_no_good_answer_is_unhealthy_and_told_once(
    open_house: OpenHouse, answer: Any, says: str
) -> None:
    house, servers = await open_house(), Servers()
    asking = prober(house, servers)
    servers.answers[A] = answer
    assert health(house) == {}, "nobody was asked yet"
    for _ in range(3):
        await asking.ask_all()
    assert health(house) == {SMALL: "unhealthy"}
    (message,) = await told(house)
    assert says in message
    assert SMALL in message
    assert "secret" not in message
    servers.say(A)
    await asking.ask_all()
    assert health(house) == {}
    servers.answers[A] = answer
    await asking.ask_all()
    assert len(await told(house)) == 2


async def test_a_change_of_health_is_told_once(open_house: OpenHouse) -> None:
    house, servers = await open_house(), Servers()
    asking = prober(house, servers)
    for word in ("healthy", "degraded", "degraded", "unhealthy", "healthy"):
        servers.say(B, f'{{"status": "{word}"}}')
        await asking.ask_all()
    changes = [
        (event.queue.model, event.queue.health, event.queue.paused_reason)
        for event in await house.events()
        if isinstance(event, QueueChanged)
    ]
    assert changes == [
        (BIG, "degraded", "degraded"),
        (LIMITED, "degraded", "degraded"),
        (BIG, "unhealthy", "unhealthy"),
        (LIMITED, "unhealthy", "unhealthy"),
        (BIG, "healthy", None),
        (LIMITED, "healthy", None),
    ]
    assert await told(house) == [], "a server that says so itself is no trouble of ours"


async def test_rates_are_those_between_two_answers(open_house: OpenHouse) -> None:
    house, servers = await open_house(), Servers()
    asking = prober(house, servers)

    async def counted(requests: int, failures: int, stamp: str = "") -> dict[str, str]:
        servers.say(
            A,
            f'http_requests_total{{status="200"}} {requests - failures}{stamp}\n'
            f'http_requests_total{{status="500"}} {failures}{stamp}\n',
        )
        await asking.ask_all()
        return health(house)

    assert await counted(100, 90) == {}, "what was before we looked is over"
    house.clock.advance(INTERVAL)
    assert await counted(110, 91) == {SMALL: "unhealthy"}
    assert await counted(110, 91) == {SMALL: "unhealthy"}, "the same moment tells nothing new"
    house.clock.advance(INTERVAL)
    servers.answers[A] = Unanswered("gone")
    await asking.ask_all()
    house.clock.advance(INTERVAL)
    assert await counted(150, 91) == {}


async def test_what_is_too_old_counts_no_more(open_house: OpenHouse) -> None:
    house, servers = await open_house(), Servers()
    asking = prober(house, servers)
    await asking.ask_all()
    house.clock.advance(180)
    await house.room.tick()
    assert health(house) == {}
    house.clock.advance(0.001)
    await house.room.tick()
    assert health(house) == {SMALL: "unhealthy", BIG: "unhealthy", LIMITED: "unhealthy"}
    await asking.ask_all()
    assert health(house) == {}


async def test_figures_that_are_old_already_when_they_come(open_house: OpenHouse) -> None:
    house, servers = await open_house(), Servers()
    servers.say(A, f"sglang:token_usage 0.1 {house.clock.now() - 180_001}")
    await prober(house, servers).ask_all()
    assert health(house) == {SMALL: "unhealthy"}


def test_how_old_is_too_old_can_be_set() -> None:
    fleet = FleetHealth(stale=1000)
    assert fleet.of("m", 10_000) == "healthy"


async def test_it_lets_go_of_its_connections(open_house: OpenHouse) -> None:
    house, servers = await open_house(), Servers()
    await prober(house, servers).aclose()
    assert servers.closed
