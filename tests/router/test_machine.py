"""Whatever happens in whatever order: never two sessions for a key, never two turns, nothing lost or kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MaitredError
from core.router import Reservation
from tests.router.fakes import House, Scripted

KEYS = ["a", "b", "cron:c"]
key = st.sampled_from(KEYS)
run_id = st.sampled_from(["r1", "r2", "r3"])
project = st.sampled_from([None, "p", "q"])

step = st.one_of(
    st.tuples(st.just("get"), key, project, run_id),
    st.tuples(st.just("begin"), key, project, run_id),
    st.tuples(st.just("end"), key, run_id),
    st.tuples(st.just("abort"), key, run_id),
    st.tuples(st.just("close"), key),
    st.tuples(st.just("evict"), key),
    st.tuples(st.just("reserve"), key),
    st.tuples(st.just("release"), st.integers(0, 3)),
    st.tuples(st.just("dirty"), key),
    st.tuples(st.just("fail"), st.sampled_from(["create", "recreate"])),
    st.tuples(st.just("advance"), st.integers(1, 20)),
    st.tuples(st.just("turns"), st.integers(1, 6)),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("shutdown")),
)


@settings(max_examples=200, deadline=None)
@given(steps=st.lists(step, max_size=40), cap=st.integers(0, 2), unwinds=st.booleans())
def test_the_router_keeps_its_word(steps: list[tuple[Any, ...]], cap: int, unwinds: bool) -> None:
    asyncio.run(Play(cap, unwinds).play(steps))


class Play:
    """One router under fire, watched after every step."""

    def __init__(self, cap: int, unwinds: bool) -> None:
        self.house = House(unwind=unwinds, idle_seconds=10, abort_seconds=5, max_sessions=cap)
        self.tasks: list[asyncio.Task[Any]] = []
        self.holders: dict[str, str] = {}
        self.projects: dict[str, str | None] = {}
        self.reserved: list[Reservation[Scripted]] = []

    async def play(self, steps: list[tuple[Any, ...]]) -> None:
        for what, *args in steps:
            await self.step(what, args)
            self.check()
        leaving = asyncio.create_task(self.house.router.shutdown())
        for _ in range(4):
            await self.house.clock.settle(5)
        await leaving
        for ended in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
        self.check_end()

    async def step(self, what: str, args: list[Any]) -> None:
        router = self.house.router
        match what, args:
            case "get", [key, project, run_id]:
                self.spawn(self.get(key, project, run_id))
            case "begin", [key, project, run_id]:
                held = router.turn_of(key)
                if router.begin_turn(key, run_id, project=project):
                    assert held is None
                    assert router.turn_of(key) == run_id
            case "end", [key, run_id]:
                held = router.turn_of(key)
                router.end_turn(key, run_id)
                assert router.turn_of(key) == (None if held == run_id else held)
            case "abort", [key, run_id]:
                self.spawn(router.abort(key, "x", run_id))
            case "close", [key]:
                self.spawn(router.close(key))
            case "evict", [key]:
                self.spawn(router.evict(key))
            case "reserve", [key]:
                reserved = router.reserve(key, "compaction")
                if isinstance(reserved, Reservation):
                    assert router.turn_of(key) is None
                    assert not any(
                        other.session_key == key and other in router._reservations.all()
                        for other in self.reserved
                    )
                    self.reserved.append(reserved)
            case "release", [number]:
                if number < len(self.reserved):
                    self.reserved.pop(number).release()
            case "dirty", [key]:
                router.mark_dirty(session_key=key)
            case "fail", [what]:
                self.house.factory.fail_next.add(what)
            case "advance", [seconds]:
                self.house.clock.advance(seconds)
                router.count()
            case "turns", [turns]:
                for _ in range(turns):
                    await asyncio.sleep(0)
            case "shutdown", []:
                self.spawn(router.shutdown())
            case "cancel", [number]:
                if number < len(self.tasks):
                    self.tasks[number].cancel()
            case _:
                raise AssertionError(what)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def get(self, key: str, project: str | None, run_id: str) -> None:
        try:
            entry = await self.house.router.get_or_create(key, project=project, run_id=run_id)
        except MaitredError:
            return
        assert entry.session.disposed == 0

    def check(self) -> None:
        """What is on the shelf is whole and alone, and the indexes agree with it."""
        router = self.house.router
        rows = list(router.rows())
        assert len({row.session_key for row in rows}) == len(rows) == len(router._shelf)
        for row in rows:
            live = router._shelf.get(row.session_key)
            assert live is not None
            leaving = router._departures.guards(live.key) or router._shutdown is not None
            assert live.session.disposed <= leaving
            assert row.run_id == router.turn_of(row.session_key)
        open_by_key = Counter(_key(session) for session in self.house.factory.built if not session.disposed)
        replaced = len(router._departures._apart)
        assert sum(count - 1 for count in open_by_key.values()) <= replaced
        for reservation in router._reservations.all():
            key = reservation.session_key
            assert router.turn_of(key) is None
            live = router._shelf.get(key)
            assert live is not None
            assert live.session is reservation.entry.session, "nobody took it away, nor rebuilt it"
        for name in ("p", "q", None):
            users = [turn for turn in router._slots.all() if turn.kind == "user" and turn.project == name]
            assert router.has_active_user_turn(name) == bool(users)

    def check_end(self) -> None:
        """Everything that was ever built was disposed once, and evicted once if it was ever published."""
        built = self.house.factory.built
        assert [session.disposed for session in built] == [1] * len(built)
        evicted = Counter((each.session_key, each.generation) for each in self.house.evictions)
        assert all(times == 1 for times in evicted.values())
        for key in KEYS:
            generations = sorted(generation for of, generation in evicted if of == key)
            assert generations == list(range(1, len(generations) + 1))
        router = self.house.router
        assert (len(router._shelf), router._slots.all(), router._builder.all()) == (0, [], [])
        assert not router._shelf._idle
        assert not router._shelf._by_project
        assert not router._departures._leaving
        assert not router._reservations.all()


def _key(session: Scripted) -> str:
    return session.name.rpartition("#")[0]
