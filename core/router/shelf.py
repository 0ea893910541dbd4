"""The cached sessions, in the orders they are asked for. Nothing here costs what the shelf holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Generic

from sortedcontainers import SortedDict

from core.router.session import Live, S


class Shelf(Generic[S]):
    """Sessions by key, by created order (all, and of one project), and the idle ones least recently used first."""

    def __init__(self) -> None:
        self._by_key: dict[str, Live[S]] = {}
        self._by_order: SortedDict[int, Live[S]] = SortedDict()
        self._by_project: dict[str, SortedDict[int, Live[S]]] = {}
        self._idle: OrderedDict[str, Live[S]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, session_key: str) -> Live[S] | None:
        """The key's session."""
        return self._by_key.get(session_key)

    def add(self, live: Live[S]) -> None:
        """Put a new session on the shelf; it is not idle yet."""
        self._by_key[live.key] = live
        self._by_order[live.order] = live
        self.place(live)

    def place(self, live: Live[S]) -> None:
        """The session's project is known now, if it has one."""
        if live.context.project is not None:
            self._by_project.setdefault(live.context.project, SortedDict())[live.order] = live

    def remove(self, live: Live[S]) -> None:
        """Take a session off the shelf."""
        del self._by_key[live.key]
        del self._by_order[live.order]
        self._idle.pop(live.key, None)
        project = live.context.project
        if project is not None:
            of_project = self._by_project[project]
            del of_project[live.order]
            if not of_project:
                del self._by_project[project]

    def use(self, live: Live[S], monotonic_ms: int, wall_ms: int) -> None:
        """The session was used now: it is the most recent one."""
        live.last_used = monotonic_ms
        live.last_used_at = wall_ms
        live.row = None
        if live.key in self._idle:
            self._idle.move_to_end(live.key)

    def hold(self, live: Live[S]) -> None:
        """The session is in use until `rest`: neither idleness nor a cap takes it."""
        self._idle.pop(live.key, None)

    def rest(self, live: Live[S]) -> None:
        """The session, which was used this moment, is idle from now on."""
        self._idle[live.key] = live
        self._idle.move_to_end(live.key)

    def least_recent(self) -> Live[S] | None:
        """The idle session that was used longest ago."""
        return next(iter(self._idle.values()), None)

    def all(self) -> Iterator[Live[S]]:
        """Every session in created order."""
        return iter(self._by_order.values())

    def of_project(self, project: str) -> list[Live[S]]:
        """The project's sessions in created order."""
        return list(self._by_project.get(project, {}).values())

    def page(self, project: str | None, after: int, limit: int | None) -> list[Live[S]]:
        """At most `limit` sessions, of the project if one is given, created after that order."""
        shelf = self._by_order if project is None else self._by_project.get(project)
        if shelf is None:
            return []
        orders = shelf.irange(minimum=after, inclusive=(False, True))
        return [shelf[order] for order in islice(orders, limit)]
