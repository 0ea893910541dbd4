"""One turn: what was asked, and how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cached_property
from typing import Any

import msgspec

from core.agents import Answer, Output
from core.errors import MaitredError
from core.protocol import AccessTier
from core.runs import Run
from core.store.choice import Choice
from core.store.prices import characters


class TurnRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One chat completion, as the front door understood it. `model` None lets the session's pin decide."""

    user_id: str
    session_key: str
    instance_id: str | None = None
    email: str | None = None
    access_tier: AccessTier = "full"
    project: str | None = None
    channel: str = "api"
    own_key: bool = True
    """The key was made from the user, so nobody else can have it."""
    model: str | None
    body: dict[str, msgspec.Raw]
    messages: list[dict[str, Any]]
    stream: bool
    include_usage: bool


class Turn:
    """A turn under way. Wait for `begun` (or its refusal), follow the run, then look at `error`."""

    def __init__(self, request: TurnRequest, run_id: str) -> None:
        self.request = request
        self.run_id = run_id
        self.answer = Answer()
        self.begun: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.error: MaitredError | None = None
        self.choice: Choice | None = None
        self.provider = ""
        self.asked = False
        """Its agent was asked, so that it may have cost something."""
        self.micros = 0
        self.whole: list[Output] = []
        """The output of an answer that came whole: its run shows it when the turn is accounted for."""
        self.stopped: str | None = None
        """The reason of the abort that cut it off."""
        self.interrupted = False
        """It was cut off because the core is leaving."""
        self._serving: asyncio.Task[Any] | None = None
        self._served = False

    @property
    def run(self) -> Run:
        """The turn's run, from `begun` on."""
        return self.begun.result()

    @cached_property
    def read(self) -> int:
        """How many characters the request has, for an estimate of its tokens."""
        return characters(self.request.messages)

    @property
    def model(self) -> str:
        """The model that was chosen; empty before that."""
        return self.choice.model if self.choice is not None else ""

    def cut(self, reason: str, *, interrupt: bool = False) -> None:
        """Stop serving, now: the agent's connection is closed on the way out. Too late, it does nothing."""
        if self.stopped is None and not self._served:
            self.stopped, self.interrupted = reason, interrupt
            if self._serving is not None:
                self._serving.cancel()

    async def serve(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` so that `cut` ends it, and nothing of the turn around it."""
        if self.stopped is not None:
            work.close()
            return
        task = self._serving = asyncio.current_task()
        assert task is not None
        try:
            await work
        except asyncio.CancelledError:
            # a cut cancels this very task; any other cancelling is not ours to swallow
            if not self._is_cut() or task.uncancel():
                raise
        finally:
            self._serving, self._served = None, True

    def _is_cut(self) -> bool:
        return self.stopped is not None

    @property
    def exit_code(self) -> int:
        """How its run ends: 0 also for one that was stopped on request."""
        return 1 if self.error is not None or self.interrupted else 0
