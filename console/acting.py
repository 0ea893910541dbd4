"""The console's hands: the one way from a key to a core's `execute`, and every reason to refuse it.

Read-only is decided here and not in the screens; a screen that forgot to ask still reaches no core. Nothing is
changed on the screen by an act: that is left to the event that comes back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import uuid4

import msgspec

from console.actions import Action
from console.feed import Feed
from core.errors import CoreUnreachable, Forbidden, InternalError, MaitredError
from core.protocol import (
    AnyCommand,
    ClearDirty,
    Done,
    MarkDirty,
    Outcome,
    PauseAdmission,
    PinModel,
    PinRow,
    Preview,
    Refused,
    ReleasePin,
    ResumeAdmission,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

REASON = "from the console"
_PATIENCE_SECONDS = 60.0
"""A close may have to wait until a turn has unwound."""


class Acting:
    """Carries out commands on the cores that feeds follow, unless something speaks against it."""

    def __init__(self, *, read_only: bool = False, new_id: Callable[[], str] | None = None) -> None:
        self.read_only = read_only
        self.armed = not read_only
        self._new_id = new_id or (lambda: str(uuid4()))
        self._undo: list[tuple[Feed, AnyCommand]] = []
        self._settled = asyncio.Event()
        self._settled.set()
        self.under_way = 0
        """So many commands were sent and have no answer yet."""

    def new_id(self) -> str:
        """A new command id."""
        return self._new_id()

    def toggle(self) -> str:
        """Arm or disarm acting; the sentence says what is so now. A read-only console stays read-only."""
        if self.read_only:
            return "read-only: this console was started so; start it without --read-only to act"
        self.armed = not self.armed
        return "armed: uppercase keys act" if self.armed else "disarmed: nothing can be changed; ! arms again"

    def refusal(self, action: Action | None = None, *, on: Feed | None = None) -> str | None:
        """Why nothing can be changed now, or by this action, or on the core that a feed follows; None when it can."""
        if action is not None and not action.acts:
            return None
        if self.read_only:
            return "read-only: this console only looks"
        if not self.armed:
            return "disarmed: press ! to let keys act"
        if on is not None and (on.link != "live" or on.core is None):
            return f"not sent: the link to the core is not there ({on.trouble or on.link})"
        return None

    @property
    def undo(self) -> list[tuple[Feed, AnyCommand]]:
        """The commands that take the last act back, one after the other, and where; none where it cannot be."""
        return [
            (on, msgspec.structs.replace(command, command_id=self.new_id(), reason=REASON))
            for on, command in self._undo
        ]

    async def perform(
        self, command: AnyCommand, on: Feed, *, pin: PinRow | None = None, more: bool = False
    ) -> Outcome:
        """Have the core that a feed follows carry it out. Whatever goes wrong on the way is told as a refusal.

        `pin` is what the session's pin was, for the way back; with `more` it belongs to the same act as the one before,
        and both are taken back together.
        """
        refusal = self.refusal(on=on)
        core = on.core
        if refusal is not None or core is None:
            return Refused(
                command_id=command.command_id, code=Forbidden.code, message=refusal or "not connected"
            )
        self.under_way += 1
        self._settled.clear()
        try:
            late = "no answer in time: it may still be carried out; the journal will show it"
            outcome = await _answer(core.execute(command), command, late)
        finally:
            self.under_way -= 1
            if not self.under_way:
                self._settled.set()
        if isinstance(outcome, Done):
            back = [(on, each) for each in inverse(command, pin)]
            self._undo = [*self._undo, *back] if more else back
        return outcome

    async def settled(self) -> None:
        """Wait until every command that was sent has its answer."""
        _ = await self._settled.wait()

    async def preview(self, command: AnyCommand, on: Feed) -> Preview | Refused:
        """What the command would hit and lose; refused for the same reasons as the command itself."""
        refusal = self.refusal(on=on)
        core = on.core
        if refusal is not None or core is None:
            return Refused(
                command_id=command.command_id, code=Forbidden.code, message=refusal or "not connected"
            )
        late = "the core did not say in time what would be lost; nothing was done"
        return await _answer(core.preview(command), command, late)


async def _answer(asked: Awaitable[T], command: AnyCommand, late: str) -> T | Refused:
    """What a core answers in time. Anything else is told as a refusal: `late` when nothing came."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await asked
    except MaitredError as error:
        return Refused(command_id=command.command_id, code=error.code, message=error.message)
    except TimeoutError:
        return Refused(command_id=command.command_id, code=CoreUnreachable.code, message=late)
    except Exception as error:
        log.exception("%s failed", type(command).__name__)
        text = f"{type(error).__name__}: {error}"
        return Refused(command_id=command.command_id, code=InternalError.code, message=text)


def inverse(command: AnyCommand, pin: PinRow | None = None) -> tuple[AnyCommand, ...]:
    """What takes a command back, with no ids yet; nothing for what cannot be, or is itself a way back.

    `pin` is that of the session before the command.
    """
    match command:
        case MarkDirty(session_key=str(key)):
            return (ClearDirty(command_id="", session_key=key, generation=command.generation),)
        case PauseAdmission(model=str(model)):
            return (ResumeAdmission(command_id="", model=model),)
        case PinModel(session_key=key):
            return _put_back(key, pin)
        case ReleasePin(session_key=key) if pin is not None:
            return (PinModel(command_id="", session_key=key, model=pin.model),)
        case _:
            return ()


def _put_back(key: str, pin: PinRow | None) -> tuple[AnyCommand, ...]:
    """Back to the model that was; a pin that nobody had chosen is free to escalate again."""
    release = ReleasePin(command_id="", session_key=key)
    if pin is None:
        return (release,)
    back = PinModel(command_id="", session_key=key, model=pin.model)
    return (back,) if pin.explicit else (back, release)
