"""The operators of the sandbox: two people who act through the same commands as the console does, with reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from console.sandbox.agenda import Act, OperatorAct
from console.sandbox.dice import Dice
from core.protocol import (
    AbortRun,
    AdmitNow,
    AnyCommand,
    BanUser,
    MarkDirty,
    PauseAdmission,
    ResetStrikes,
    ResumeAdmission,
    UnbanUser,
)
from core.session_core import SessionCore

_NAMES = ("ines", "noor")
_REASONS: dict[OperatorAct, tuple[str, ...]] = {
    "abort": ("no sign of life for half a minute", "hangs since the last deployment", "stuck, see OPS-93"),
    "admit": ("demo at three", "asked for by support", "on call tonight"),
    "ban": ("coupon spam", "spam, third account this week"),
    "unban": ("appeal accepted", "apologised to support"),
    "dirty": ("tools were updated", "new project rules"),
    "forgive": ("a retry loop of the client, fixed", "looked at it: a polling agent"),
    "pause": ("the provider reports an incident", "errors above one in ten"),
    "resume": ("the incident is over", "error rate is back to normal"),
}


class Operators:
    """Carries out acts, as long as their target is still there."""

    def __init__(self, core: SessionCore, seed: int, new_id: Callable[[], str]) -> None:
        self._core = core
        self._dice = Dice(seed, 0x0B)
        self._new_id = new_id

    async def act(self, act: Act) -> None:
        """One act, audited under its operator's name; nothing when the target is gone."""
        if self._is_there(act):
            actor, reason = self._dice.pick(_NAMES), self._dice.pick(_REASONS[act.action])
            _ = await self._core.execute(_command(act, self._new_id(), reason), actor=actor)

    def _is_there(self, act: Act) -> bool:
        match act.action:
            case "abort":
                run = self._core.runs.get(act.target)
                return run is not None and not run.ended
            case "admit":
                seat = self._core.waiting_room.seat_of(act.target)
                return seat is not None and seat.status == "queued"
            case "forgive":
                pin = self._core.pins.get(act.target)
                return pin is not None and pin.strikes > 0
            case "ban" | "unban" | "dirty" | "pause" | "resume":
                return True
            case _:
                assert_never(act.action)


def _command(act: Act, command_id: str, reason: str) -> AnyCommand:
    target = act.target
    match act.action:
        case "abort":
            return AbortRun(command_id=command_id, reason=reason, run_id=target)
        case "admit":
            return AdmitNow(command_id=command_id, reason=reason, user_id=target)
        case "ban":
            return BanUser(command_id=command_id, reason=reason, user_id=target)
        case "unban":
            return UnbanUser(command_id=command_id, reason=reason, user_id=target)
        case "dirty":
            return MarkDirty(command_id=command_id, reason=reason, project=target)
        case "forgive":
            return ResetStrikes(command_id=command_id, reason=reason, session_key=target)
        case "pause":
            return PauseAdmission(command_id=command_id, reason=reason, model=target)
        case "resume":
            return ResumeAdmission(command_id=command_id, reason=reason, model=target)
        case _:
            assert_never(act.action)
