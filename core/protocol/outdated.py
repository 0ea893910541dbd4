"""Whether an event has changed what a command was decided on. Pure.

A command that carries the cursor of its preview is refused when its targets have died, been reborn or changed since:
what was not counted is not hit. A session that has left cannot be hit, and is no reason to refuse the others.
"""

from __future__ import annotations

from core.protocol.commands import (
    AdmitNow,
    AnyCommand,
    ClearDirty,
    CloseSession,
    EndSeat,
    EvictSession,
    MarkDirty,
    PinModel,
    ReleasePin,
    ResetStrikes,
)
from core.protocol.events import (
    AnyEvent,
    PinChanged,
    PinGone,
    SeatChanged,
    SeatGone,
    SessionChanged,
    SessionGone,
)
from core.protocol.rows import SessionRow

_ON_A_SESSION = (EvictSession, CloseSession, ClearDirty, MarkDirty)
_ON_A_PIN = (PinModel, ReleasePin, ResetStrikes)
_REBORN = ("created", "rebuilt")
_PINNED_ANEW = ("pinned", "escalated", "released")


def outdates(event: AnyEvent, command: AnyCommand) -> bool:
    """Whether `command`, decided on before `event`, would now hit something else, or lose more."""
    match event:
        case SessionChanged(what=what, session=row):
            return _outdates(what, row, command)
        case SessionGone(session_key=key):
            return isinstance(command, _ON_A_SESSION) and command.session_key == key
        case SeatChanged(seat=seat):
            return isinstance(command, AdmitNow | EndSeat) and command.user_id == seat.user_id
        case SeatGone(user_id=user_id):
            return isinstance(command, AdmitNow | EndSeat) and command.user_id == user_id
        case PinChanged(what=what, pin=pin):
            # what was struck or forgiven since is on the same model still
            return _is_on(pin.session_key, command) and what in _PINNED_ANEW
        case PinGone(session_key=key):
            return _is_on(key, command)
        case _:
            return False


def _is_on(pinned: str, command: AnyCommand) -> bool:
    return isinstance(command, _ON_A_PIN) and command.session_key == pinned


def _outdates(what: str, row: SessionRow, command: AnyCommand) -> bool:
    match command:
        case CloseSession(session_key=key):
            # a turn that began since would be lost, and nobody was asked for that one
            return key == row.session_key and what in (*_REBORN, "turn_began")
        case EvictSession(session_key=key) | ClearDirty(session_key=key) | MarkDirty(session_key=str(key)):
            return key == row.session_key and what in _REBORN
        case MarkDirty(project=str(project)):
            return project == row.project and what in (*_REBORN, "merged")
        case MarkDirty(all=True):
            return what in _REBORN
        case _:
            return False
