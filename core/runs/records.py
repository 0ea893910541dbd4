"""What the database keeps of runs: their starts, their ends, and the provider's name for a session."""

from __future__ import annotations

import asyncio
from typing import Protocol

from core.runs.run import Run, RunStatus


class RunRecords(Protocol):
    """The durable side of the registry. Writes are queued in call order; their futures tell when they are durable.

    A call may raise StorageFailed at once, or its future may fail with it.
    """

    def started(self, run: Run) -> asyncio.Future[None]:
        """A run began; a session that was nobody's is its user's from now on.

        The future fails with SessionNotFound when the session is somebody else's.
        """

    def ended(self, run: Run) -> asyncio.Future[None]:
        """A run has ended, with its status, exit code and figures; its checkpoint is no longer needed."""

    def save_provider_id(self, session_key: str, provider_session_id: str) -> asyncio.Future[None]:
        """The provider calls this session so from now on."""

    async def provider_id(self, session_key: str) -> str | None:
        """What the provider calls this session."""

    async def status(self, run_id: str) -> RunStatus | None:
        """How a run stands; None when it was never recorded."""

    async def interrupt_orphans(self) -> int:
        """Close as interrupted what is recorded as running and has nobody behind it; how many that were."""
