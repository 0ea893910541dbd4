"""The live session of a chat: what the router builds once per key and hands to every turn.

An OpenAI-compatible upstream keeps nothing between requests, so neither does this: it knows which agents there are
when it is built, and a session marked dirty learns of new ones by being rebuilt.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from core.agents import AgentRequest, Answer, Directory, Output
from core.router import Context


class ChatSession:
    """One conversation's way to the agents; see `core.router.LiveSession`."""

    def __init__(self, context: Context, directory: Directory) -> None:
        self._context = context
        self._directory = directory

    def stream(self, request: AgentRequest, answer: Answer) -> AsyncGenerator[list[Output], None]:
        """Ask the agent of the request's model; see `core.agents.Agent.stream`. Raises ModelNotFound."""
        _, agent = self._directory.find(request.model)
        return agent.stream(request, answer)

    async def abort(self, reason: str) -> None:
        """Nothing of its own to stop: the turn cancels its stream, which closes the connection."""

    async def dispose(self) -> None:
        """Nothing to let go of: connections belong to the agents."""

    def summary(self) -> str:
        """One line for lists."""
        return self._context.session_key


class ChatSessions:
    """The router's factory of chat sessions; see `core.router.SessionFactory`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def create(self, context: Context) -> ChatSession:
        return ChatSession(context, self._directory)

    async def recreate(self, context: Context, previous: ChatSession) -> ChatSession:
        return ChatSession(context, self._directory)
