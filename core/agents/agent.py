"""What the core asks of whoever produces an answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, NamedTuple, Protocol

import msgspec

from core.agents.answer import Answer


class AgentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One question: the client's body as it came (each field still encoded) and the model chosen for it.

    `run_id` is the run that shows the answer; it stays in the house.
    """

    model: str
    run_id: str = ""
    body: dict[str, msgspec.Raw]
    messages: list[dict[str, Any]]
    stream: bool
    include_usage: bool


class Output(NamedTuple):
    """One event of a run, encoded. ``payload[start:stop]`` is the upstream's own chunk for the client, if any."""

    payload: bytes
    start: int
    stop: int


class Agent(Protocol):
    """Answers one request at a time and per call; holds no conversation.

    Cancelling the iteration closes whatever connection it stands on at once.
    """

    def stream(self, request: AgentRequest, answer: Answer) -> AsyncGenerator[list[Output], None]:
        """Yield what comes, as it comes, everything pending at once; fold it into `answer` meanwhile.

        Ends normally only after the upstream said that it was done. Raises UpstreamRefused when it answered with
        an error, UpstreamFailed when it could not be reached, was too slow, or broke off.
        """

    async def aclose(self) -> None:
        """Let go of connections."""
