"""Building sessions: one build at a time for a key, shared by everybody who asks (decisions 1, 2, 12 and 13)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic

from core.router.session import Context, Live, S, SessionFactory


class Caught(Exception):
    """The key was closed, or the core is leaving, while its session was being built."""


class Build(Generic[S]):
    """A session in the making: a new one, or the replacement of `previous`."""

    __slots__ = ("caught", "context", "done", "generation", "joined", "mark", "previous", "task")

    def __init__(self, context: Context, previous: Live[S] | None) -> None:
        self.context = context
        """What the factory gets: the first caller's."""
        self.previous = previous
        self.joined: list[tuple[str | None, str]] = []
        """What all callers said, in order; committed together with the session."""
        self.mark: str | None = None
        """A mark that was made meanwhile."""
        self.caught = False
        self.generation = 0
        self.done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        """Holds why it failed; None when the session, of that generation, was published."""
        self.task: asyncio.Task[None] | None = None

    def belongs_to(self, project: str) -> bool:
        """Whether the session that comes of it will be the project's."""
        known = self.context if self.previous is None else self.previous.context
        return self.merged_into(known).project == project

    def merged_into(self, context: Context) -> Context:
        """The context with everything that callers said."""
        for project, channel in self.joined:
            context = context.merged(project, channel)
        return context


class Builder(Generic[S]):
    """The builds in flight. `publish` gets each finished one and puts it on the shelf, in the same step."""

    def __init__(
        self,
        factory: SessionFactory[S],
        *,
        publish: Callable[[Build[S], S], None],
        failed: Callable[[Build[S]], None],
        dispose: Callable[[str, S], Awaitable[None]],
    ) -> None:
        self._factory = factory
        self._publish = publish
        self._failed = failed
        self._dispose = dispose
        self._builds: dict[str, Build[S]] = {}

    def of(self, session_key: str) -> Build[S] | None:
        """The build in flight for a key."""
        return self._builds.get(session_key)

    def all(self) -> list[Build[S]]:
        """Every build in flight."""
        return list(self._builds.values())

    def start(self, context: Context, previous: Live[S] | None) -> Build[S]:
        """Begin to build; there must be no build for the key."""
        build = Build(context, previous)
        self._builds[context.session_key] = build
        build.task = asyncio.create_task(self._run(build), name=f"build {context.session_key}")
        return build

    def catch(self, build: Build[S]) -> asyncio.Task[None]:
        """Nobody wants it any more: its callers are told now, and what is still built will be disposed.

        Answers the task that ends when that is done.
        """
        build.caught = True
        self._end(build, Caught("the session was closed while it was being built"))
        assert build.task is not None
        return build.task

    async def _run(self, build: Build[S]) -> None:
        try:
            if build.previous is None:
                session = await self._factory.create(build.context)
            else:
                session = await self._factory.recreate(build.context, build.previous.session)
        except Exception as error:
            self._end(build, error)
            return
        except asyncio.CancelledError:
            self._end(build, Caught("the building of the session was cancelled"))
            raise
        if build.caught:
            await self._dispose(build.context.session_key, session)
            return
        del self._builds[build.context.session_key]
        self._publish(build, session)
        build.done.set_result(None)

    def _end(self, build: Build[S], failure: Exception) -> None:
        """The build will give no session; the first reason counts."""
        if not build.done.done():
            del self._builds[build.context.session_key]
            build.done.set_result(failure)
            self._failed(build)
