"""What the registry answers to an agent that reports from elsewhere (behaviours/runs.md, decisions 8 and 14)."""

from __future__ import annotations

from typing import Literal

from core.protocol import Wire


class Published(Wire, frozen=True, kw_only=True):
    """The event was taken and has this number."""

    run_id: str
    session_key: str
    seq: int
    abort_requested: bool


class Swallowed(Wire, frozen=True, kw_only=True):
    """The event was taken and goes nowhere: it named the provider's session."""

    run_id: str
    session_key: str
    swallowed: bool = True
    abort_requested: bool


class Dropped(Wire, frozen=True, kw_only=True):
    """The event was not taken: the run has ended, or the publisher repeats itself."""

    run_id: str
    session_key: str
    dropped: bool = True
    because: Literal["ended", "repeat"]
    abort_requested: bool


class Control(Wire, frozen=True, kw_only=True):
    """What an agent elsewhere must know of its run."""

    run_id: str
    abort_requested: bool
    reason: str
    ended: bool
