"""Asks the models' servers how they are, each on a schedule of its own, and keeps the answers as readings.

Beside the tick, so that a slow server holds up nobody. A model whose server was asked and did not answer well is
unhealthy until it does (behaviours/admission.md, "Health gate and tick").
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Protocol

import msgspec

from core.admission.exposition import Unreadable
from core.admission.health import FleetHealth, Reading
from core.admission.herald import Herald
from core.admission.vitals import Scrape, reading, said, scraped
from core.clock import Clock
from core.settings import Model

_log = logging.getLogger(__name__)


class Answered(msgspec.Struct, frozen=True):
    """What a server answered, whatever it is."""

    status: int
    body: bytes


class Unanswered(msgspec.Struct, frozen=True):
    """Why there is no answer, or none that could be read to its end."""

    why: str


class Fetcher(Protocol):
    """Gets an address, in bounded time and of bounded size; follows no redirects."""

    async def get(self, url: str) -> Answered | Unanswered:
        """One attempt."""

    async def aclose(self) -> None:
        """Let go of what it holds."""


class _Server:
    """One address with its models, and what it said last."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.models: list[str] = []
        self.scrape: Scrape | None = None
        self.reading: Reading | None = None
        self.problem = ""
        """Why its last answer was not a good one; told already."""


class Prober:
    """Keeps `FleetHealth` up to date. Models that share an address are asked for together."""

    def __init__(
        self,
        models: Iterable[Model],
        *,
        interval: float,
        fetcher: Fetcher | None,
        health: FleetHealth,
        herald: Herald,
        clock: Clock,
    ) -> None:
        """`interval` is in seconds, from one answer to the next question. Without a `fetcher` nobody is asked."""
        self._interval = interval
        self._fetcher = fetcher
        self._health = health
        self._herald = herald
        self._clock = clock
        self._servers: dict[str, _Server] = {}
        for model in models if fetcher is not None else ():
            if model.health_url:
                self._servers.setdefault(model.health_url, _Server(model.health_url)).models.append(model.id)

    async def run(self) -> None:
        """Ask every server at once, then again and again, until it is cancelled; ends by itself when there is none."""
        async with asyncio.TaskGroup() as group:
            for server in self._servers.values():
                group.create_task(self._watch(server), name=f"health of {server.models[0]}")

    async def ask_all(self) -> None:
        """Ask every server once, all at the same time."""
        await asyncio.gather(*[self._ask(server) for server in self._servers.values()])

    async def aclose(self) -> None:
        """Let go of the connections."""
        if self._fetcher is not None:
            await self._fetcher.aclose()

    async def _watch(self, server: _Server) -> None:
        """Ask one server again and again; whatever breaks an attempt off ends neither this nor the others' asking."""
        while True:
            try:
                await self._ask(server)
            except (Exception, asyncio.CancelledError) as error:
                if _is_called_off(error):
                    raise
                self._tell_broken(server, error)
            await self._clock.sleep(self._interval)

    async def _ask(self, server: _Server) -> None:
        latest, problem = await self._attempt(server)
        for model in server.models:
            self._health.report(model, latest)
        self._herald.tell_queues(server.models, self._clock.now())
        if problem and problem != server.problem:
            self._herald.trouble("health_unknown", _told(server, problem))
        server.problem = problem

    def _tell_broken(self, server: _Server, error: BaseException) -> None:
        """Tell, once, that attempts come to no end; what was said last grows old meanwhile, and then counts no more."""
        _log.error("the health of %s could not be told", server.models, exc_info=error)
        problem = f"the health could not be told ({error!r}); the log has the details"
        if problem != server.problem:
            server.problem = problem
            self._herald.trouble("internal_error", f"{', '.join(server.models)}: {problem}")

    async def _attempt(self, server: _Server) -> tuple[Reading, str]:
        """Ask once: what came of it, and what was wrong with it (empty: nothing)."""
        assert self._fetcher is not None
        try:
            answer = await self._fetcher.get(server.url)
            return _read(server, answer, self._clock.now()), ""
        except Unreadable as error:
            problem = str(error)
        except Exception as error:
            # a defect of ours is no reason to call a server fit, nor to stop asking
            _log.exception("asking for the health of %s failed", server.models)
            problem = f"asking failed ({type(error).__name__})"
        return Reading(at=self._clock.now(), said="unhealthy"), problem


def _is_called_off(error: BaseException) -> bool:
    """Whether it is this very task that is to end, and not only something that it waited for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _read(server: _Server, answer: Answered | Unanswered, now: int) -> Reading:
    """What the answer says; its figures are kept for the next one. Raises Unreadable."""
    if isinstance(answer, Unanswered):
        raise Unreadable(answer.why)
    if not 200 <= answer.status < 300:
        hint = ", and redirects are not followed" if 300 <= answer.status < 400 else ""
        raise Unreadable(f"it answered {answer.status}{hint}")
    health = said(answer.body)
    if health is not None:
        return Reading(at=now, said=health)
    before, latest = server.scrape, scraped(answer.body, now)
    if before is not None and server.reading is not None and before.at == latest.at:
        # the same moment once more: there is no time in which anything could have been counted
        found = msgspec.structs.replace(server.reading, cache_fraction=latest.cache_fraction)
    else:
        found = reading(latest, before)
    server.scrape, server.reading = latest, found
    return found


def _told(server: _Server, problem: str) -> str:
    """The address stays out of it: it may hold a key."""
    models = ", ".join(server.models)
    return (
        f"{models}: counts as unhealthy: {problem}; see to the server, or to its health_url in the settings"
    )
