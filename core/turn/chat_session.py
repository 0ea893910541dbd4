"""The live session of a chat: what the router builds once per key and hands to every turn.

An OpenAI-compatible upstream keeps nothing between requests, so neither does this: it knows which agents there are
when it is built, and a session marked dirty learns of new ones by being rebuilt.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from itertools import count

from core.agents import AgentRequest, Answer, Directory, Output
from core.router import Context
from core.turn.calls import Calls


class ChatSession:
    """One conversation's way to the agents; see `core.router.LiveSession`.

    `number` tells it from others of its key.
    """

    def __init__(
        self,
        context: Context,
        number: int,
        directory: Directory,
        calls: Calls,
        disposed: Callable[[ChatSession], None],
    ) -> None:
        self._context = context
        self.number = number
        self._directory = directory
        self._calls = calls
        self._disposed = disposed

    @property
    def session_key(self) -> str:
        """Whose conversation it is."""
        return self._context.session_key

    def stream(self, request: AgentRequest, answer: Answer) -> AsyncGenerator[list[Output], None]:
        """Ask the agent of the request's model; see `core.agents.Agent.stream`. Raises ModelNotFound."""
        _, agent = self._directory.find(request.model)
        stream = agent.stream(request, answer)
        self._calls.note(stream, self.session_key, request.run_id, request.model)
        return stream

    async def abort(self, reason: str) -> None:
        """Nothing of its own to stop: the turn cancels its stream, which closes the connection."""

    async def dispose(self) -> None:
        """Nothing of its own to let go of: connections belong to the agents."""
        self._disposed(self)

    def summary(self) -> str:
        """One line for lists."""
        return self._context.session_key


class ChatSessions:
    """The router's factory of chat sessions; see `core.router.SessionFactory`. It knows which it has made that live."""

    def __init__(self, directory: Directory) -> None:
        self.calls = Calls()
        self._directory = directory
        self._numbers = count(1)
        self._living: dict[int, ChatSession] = {}

    async def create(self, context: Context) -> ChatSession:
        return self._make(context)

    async def recreate(self, context: Context, previous: ChatSession) -> ChatSession:
        return self._make(context)

    def living(self) -> list[ChatSession]:
        """Every session that was made and not disposed, oldest first."""
        return list(self._living.values())

    def get(self, number: int) -> ChatSession | None:
        """The living session of that number."""
        return self._living.get(number)

    def _make(self, context: Context) -> ChatSession:
        session = ChatSession(context, next(self._numbers), self._directory, self.calls, self._forget)
        self._living[session.number] = session
        return session

    def _forget(self, session: ChatSession) -> None:
        self._living.pop(session.number, None)
