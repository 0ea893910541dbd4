"""Which live session serves a key: single flight, turns, dirt, idleness (behaviours/router.md)."""

from __future__ import annotations

from core.router.hold import HeldBy, Hold
from core.router.maintenance import Reservation
from core.router.router import DEFAULT_DIRT, SessionRouter
from core.router.session import (
    Context,
    Entry,
    Eviction,
    EvictionReason,
    Listed,
    LiveSession,
    SessionFactory,
    SessionPage,
)
from core.router.slot import kind_of

__all__ = [
    "DEFAULT_DIRT",
    "Context",
    "Entry",
    "Eviction",
    "EvictionReason",
    "HeldBy",
    "Hold",
    "Listed",
    "LiveSession",
    "Reservation",
    "SessionFactory",
    "SessionPage",
    "SessionRouter",
    "kind_of",
]
