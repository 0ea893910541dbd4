"""The way of one turn. Read `way` from top to bottom; `ledger` is what a turn leaves in the database."""

from __future__ import annotations

from core.turn.chat_session import ChatSession, ChatSessions
from core.turn.ledger import Ledger
from core.turn.one import Turn, TurnRequest
from core.turn.way import Turns

__all__ = ["ChatSession", "ChatSessions", "Ledger", "Turn", "TurnRequest", "Turns"]
