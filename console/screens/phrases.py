"""Commands in words: what is done, to what, and what the button says that does it."""

from __future__ import annotations

from console.actions import Action
from core.protocol import (
    AbortRun,
    AdmitNow,
    AnyCommand,
    BanUser,
    CloseSession,
    EndSeat,
    MarkDirty,
    PauseAdmission,
    PinModel,
    ResumeAdmission,
    UnbanUser,
    action_of,
    target_of,
)


def name(command: AnyCommand) -> str:
    """What is done, as in "mark dirty"."""
    match command:
        case MarkDirty():
            return "mark dirty"
        case EndSeat():
            return "end seat of"
        case PinModel(model=model):
            return f"keep on {model}"
        case _:
            return action_of(command).replace("-", " ")


def verb(action: Action, command: AnyCommand) -> str:  # noqa: PLR0911 - a table
    """What the button says that does it."""
    match command:
        case AbortRun():
            return "Abort run"
        case CloseSession():
            return "Close session"
        case MarkDirty(all=True):
            return "Mark all dirty"
        case MarkDirty():
            return "Mark project dirty"
        case EndSeat():
            return "End seat"
        case BanUser():
            return "Ban user"
        case PauseAdmission():
            return "Pause all"
        case PinModel():
            return "Keep on it"
        case _:
            return action.label.capitalize()


def aim(command: AnyCommand) -> str:
    """What it is done to."""
    match command:
        case AbortRun():
            return f"run {command.run_id}"
        case MarkDirty(all=True):
            return "all sessions"
        case MarkDirty(project=str(project)):
            return f"all of project {project}"
        case PauseAdmission(model=None) | ResumeAdmission(model=None):
            return "all models"
        case _:
            return target_of(command)


def deed(command: AnyCommand, count: int) -> str:
    """Such a command done to so many: ``abort 1 run``, ``keep 40 sessions on gpt``."""
    if isinstance(command, PinModel):
        return f"keep {_many(command, count)} on {command.model}"
    return f"{name(command)} {_many(command, count)}"


def _many(command: AnyCommand, count: int) -> str:
    match command:
        case AbortRun():
            what = "run"
        case AdmitNow() | EndSeat() | BanUser() | UnbanUser():
            what = "user"
        case PauseAdmission() | ResumeAdmission():
            what = "queue"
        case _:
            what = "session"
    return f"{count:,} {what}{'s' * (count != 1)}"
