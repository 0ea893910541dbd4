"""The operator's commands and their outcomes.

A command names its target with the generation or run it was decided on, so that what has died, been reborn or
changed since is refused and not hit. Its `command_id` makes it safe to repeat: a known one answers the stored
outcome. Who acts comes from the token, never from here.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from core.protocol.rows import Wire

LONGEST_ID = 200
CommandId = Annotated[
    str, msgspec.Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_ID, "pattern": "^[ -~]*$"})
]
"""An id of the caller's own, such as a UUID: printable ASCII. The core refuses another with what to do instead."""


class Command(Wire, frozen=True, kw_only=True, tag_field="action"):
    """An operator's act. `reason` goes to the audit; `cursor` is that of the preview it was decided on."""

    command_id: CommandId
    reason: str = ""
    cursor: str | None = None


class AbortRun(Command, frozen=True, kw_only=True, tag="abort"):
    """Stop one run; its session, history and pin stay."""

    run_id: str


class EvictSession(Command, frozen=True, kw_only=True, tag="evict"):
    """Dispose a live session that has no turn."""

    session_key: str
    generation: int | None = None


class CloseSession(Command, frozen=True, kw_only=True, tag="close"):
    """Abort a session's turn, wait until it has unwound, and dispose the session."""

    session_key: str
    generation: int | None = None


class MarkDirty(Command, frozen=True, kw_only=True, tag="dirty"):
    """Have sessions rebuilt at their next use: exactly one of a session, a project, or all."""

    session_key: str | None = None
    generation: int | None = None
    project: str | None = None
    all: bool = False


class ClearDirty(Command, frozen=True, kw_only=True, tag="clear-dirty"):
    """Take the mark of one session back."""

    session_key: str
    generation: int | None = None


class PauseAdmission(Command, frozen=True, kw_only=True, tag="pause"):
    """Admit nobody to one model, or (None) to any."""

    model: str | None = None


class ResumeAdmission(Command, frozen=True, kw_only=True, tag="resume"):
    """Admit again to one model; None lifts every pause."""

    model: str | None = None


class AdmitNow(Command, frozen=True, kw_only=True, tag="admit"):
    """Seat one waiting user at once, past queue, hours, quota, health and pause; never past `max_active`."""

    user_id: str


class EndSeat(Command, frozen=True, kw_only=True, tag="end"):
    """End a user's seat, as the user could."""

    user_id: str


class BanUser(Command, frozen=True, kw_only=True, tag="ban"):
    """Let a user in no more; the next tick takes their seat."""

    user_id: str


class UnbanUser(Command, frozen=True, kw_only=True, tag="unban"):
    """Lift a ban."""

    user_id: str


class ReleasePin(Command, frozen=True, kw_only=True, tag="unpin"):
    """Release an explicit model choice."""

    session_key: str


class ResetStrikes(Command, frozen=True, kw_only=True, tag="reset-strikes"):
    """Forget a session's strikes."""

    session_key: str


class PinModel(Command, frozen=True, kw_only=True, tag="pin-model"):
    """Keep a session on this model, as if its user had named it: no repetition escalates it, until it is released."""

    session_key: str
    model: str


AnyCommand = (
    AbortRun
    | EvictSession
    | CloseSession
    | MarkDirty
    | ClearDirty
    | PauseAdmission
    | ResumeAdmission
    | AdmitNow
    | EndSeat
    | BanUser
    | UnbanUser
    | ReleasePin
    | ResetStrikes
    | PinModel
)


class Done(Wire, frozen=True, kw_only=True, tag_field="outcome", tag="done"):
    """The command was carried out on `count` targets; the journal shows its effect."""

    command_id: str
    count: int
    message: str


class Refused(Wire, frozen=True, kw_only=True, tag_field="outcome", tag="refused"):
    """Nothing was changed; `code` is that of the error tree, `message` says what to do instead."""

    command_id: str
    code: str
    message: str


Outcome = Done | Refused


class Preview(Wire, frozen=True, kw_only=True):
    """What a command would hit and lose, at `cursor`: targets, running turns, their tokens and money so far."""

    cursor: str
    targets: int
    turns: int
    tokens: int
    micros: int
    message: str


def action_of(command: Command) -> str:
    """The command's name as the wire, the audit and ``maitred do`` write it."""
    return str(type(command).__struct_config__.tag)


def target_of(command: AnyCommand) -> str:
    """What the command is aimed at, in one word for the audit; ``*`` is everything."""
    match command:
        case AbortRun(run_id=run_id):
            return run_id
        case EvictSession() | CloseSession() | ClearDirty() | ReleasePin() | ResetStrikes() | PinModel():
            return command.session_key
        case MarkDirty(session_key=str(key)):
            return key
        case MarkDirty(project=str(project)):
            return f"project:{project}"
        case MarkDirty():
            return "*"
        case PauseAdmission(model=model) | ResumeAdmission(model=model):
            return model or "*"
        case AdmitNow() | EndSeat() | BanUser() | UnbanUser():
            return command.user_id
