"""The table of actions: everything a key can do, once.

Bindings, the footer, the help, read-only mode, the settings' ``[keys]`` and the README's table of keys are all made
from `ACTIONS`. A lowercase key never changes anything in a core; what acts is uppercase (or ``!``, which arms and
disarms acting), and is gone in read-only mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, assert_never

from core.protocol import (
    AbortRun,
    AdmitNow,
    AnyCommand,
    BanUser,
    ClearDirty,
    CloseSession,
    EndSeat,
    EvictSession,
    Explained,
    MarkDirty,
    PauseAdmission,
    PinModel,
    ReleasePin,
    ResetStrikes,
    ResumeAdmission,
    UnbanUser,
)

Scope = Literal["everywhere", "panes", "session"]
"""Where an action is offered: in the panes and in a session alike, or in one of the two."""

Danger = Literal["none", "reversible", "loses work", "menu"]
"""What a key may do, for those who read of it: change no core, be taken back, lose work, or ask which first. How much
really stands before an act is up to the command that comes out of it, see `tier`."""

Tier = Literal["at once", "asks", "counts"]
"""How much stands before an act: nothing, a question with Cancel focused, or the number of targets to type."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the cursor is on, as far as commands can aim at it; None where there is no such thing."""

    label: str
    core: int = 0
    """The number of the core that it is of."""
    instance: str = ""
    """That core's name, where there are several."""
    session_key: str | None = None
    generation: int | None = None
    run_id: str | None = None
    run_ended: bool = False
    project: str | None = None
    dirty: bool = False
    user_id: str | None = None
    seat: Literal["queued", "active", "ended"] | None = None
    banned: bool = False
    model: str | None = None
    """The model whose queue this is, or belongs to."""
    paused: bool = False
    pinned: str | None = None
    """The model that its pin keeps it on."""
    explicit: bool = False
    """Somebody has chosen that model: no repetition escalates it."""
    strikes: int = 0
    choice: str | None = None
    """The model that was chosen for it from a list."""
    explains: tuple[Explained, str] | None = None
    """What `Core.explain` can be asked about it."""
    what: Literal["session", "project", "all", "strikes"] = "session"
    """Which of them a choice from a menu meant."""


class Aimed(NamedTuple):
    """What a key that acts would hit: what the cursor is on, or all that is `marked`; `hidden` of it by the filter.

    `keys` are those of the rows, and `unmark` takes their marks back.
    """

    targets: tuple[Target, ...]
    keys: tuple[Any, ...] = ()
    marked: bool = False
    hidden: int = 0
    unmark: Callable[[Iterable[Any]], None] = lambda keys: None


@dataclass(frozen=True, slots=True)
class Impossible:
    """There is no such command for this target; `why` says so and what to do instead."""

    why: str


Made = AnyCommand | Impossible
Maker = Callable[[Target, str, str], Made]
"""Makes the command from a target, a new command id and the operator's reason."""


@dataclass(frozen=True, slots=True)
class Action:
    """One row of the table. `key` is the default; `makes` is given exactly where a core is changed."""

    id: str
    key: str
    label: str
    scope: Scope
    help: str
    danger: Danger = "none"
    makes: Maker | None = None
    group: str = "Look"
    footer: int = 0
    """How early it is shown in the footer, after the acts on the row: 1 first, 0 never."""
    fresh: bool = False
    """Whether it is offered only in a fresh house: nothing is set up in it, and nobody has come yet."""
    several: bool = False
    """Whether it is offered only where the console is attached to several cores."""

    @property
    def acts(self) -> bool:
        """Whether it changes something in a core."""
        return self.danger != "none"


def abort(target: Target, command_id: str, reason: str) -> Made:
    """Stop the run under the cursor."""
    if target.run_id is None and target.session_key is not None:
        return Impossible(f"no turn is running on {target.label}: there is nothing to abort")
    if target.run_id is None:
        return Impossible("no run here to abort: put the cursor on a run, or on a session that has one")
    if target.run_ended:
        return Impossible(f"run {target.run_id} has ended: there is nothing to abort")
    return AbortRun(command_id=command_id, reason=reason, run_id=target.run_id)


def evict(target: Target, command_id: str, reason: str) -> Made:
    """Dispose the live session under the cursor, which the core refuses while it has a turn; or end a seat."""
    if target.seat is not None and target.user_id is not None:
        return EndSeat(command_id=command_id, reason=reason, user_id=target.user_id)
    if target.session_key is None or target.generation is None:
        return Impossible("no live session here to evict: put the cursor on one")
    return EvictSession(
        command_id=command_id, reason=reason, session_key=target.session_key, generation=target.generation
    )


def close(target: Target, command_id: str, reason: str) -> Made:
    """Abort the turn of the session under the cursor, and dispose the session."""
    if target.session_key is None or target.generation is None:
        return Impossible("no live session here to close: put the cursor on one")
    return CloseSession(
        command_id=command_id, reason=reason, session_key=target.session_key, generation=target.generation
    )


def mark_dirty(target: Target, command_id: str, reason: str) -> Made:
    """Have one session, a project's, or all rebuilt at their next use."""
    match target.what:
        case "all":
            return MarkDirty(command_id=command_id, reason=reason, all=True)
        case "project":
            if target.project is None:
                return Impossible("no project here: put the cursor on a session that belongs to one")
            return MarkDirty(command_id=command_id, reason=reason, project=target.project)
        case "session" | "strikes":
            if target.session_key is None or target.generation is None:
                return Impossible("no live session here to mark: put the cursor on one")
            return MarkDirty(
                command_id=command_id,
                reason=reason,
                session_key=target.session_key,
                generation=target.generation,
            )


def clear_dirty(target: Target, command_id: str, reason: str) -> Made:
    """Take the mark of the session under the cursor back."""
    if target.session_key is None or target.generation is None:
        return Impossible("no live session here: put the cursor on one")
    if not target.dirty:
        return Impossible(f"{target.label} is not marked dirty")
    return ClearDirty(
        command_id=command_id, reason=reason, session_key=target.session_key, generation=target.generation
    )


def admit(target: Target, command_id: str, reason: str) -> Made:
    """Let the waiting user under the cursor in, past everything but the ceiling."""
    if target.user_id is None or target.seat is None:
        return Impossible("nobody here to admit: look into a queue (1, then enter), and choose who waits")
    if target.seat != "queued":
        return Impossible(f"{target.label} does not wait: only who is queued can be admitted")
    return AdmitNow(command_id=command_id, reason=reason, user_id=target.user_id)


def pause(target: Target, command_id: str, reason: str) -> Made:
    """Hold a model's queue, or all; or let it go on."""
    model = None if target.what == "all" else target.model
    if model is None and target.what != "all":
        return Impossible("no queue here: put the cursor on a model, or on somebody who waits for one")
    if target.paused:
        return ResumeAdmission(command_id=command_id, reason=reason, model=model)
    return PauseAdmission(command_id=command_id, reason=reason, model=model)


def ban(target: Target, command_id: str, reason: str) -> Made:
    """Ban the user under the cursor, or lift their ban."""
    if target.user_id is None:
        return Impossible("no user here: put the cursor on a run, or on somebody's seat")
    if target.banned:
        return UnbanUser(command_id=command_id, reason=reason, user_id=target.user_id)
    return BanUser(command_id=command_id, reason=reason, user_id=target.user_id)


def unpin(target: Target, command_id: str, reason: str) -> Made:
    """Release the chosen model of the session under the cursor, or forget its strikes."""
    if target.session_key is None or target.pinned is None:
        return Impossible("no pin here: put the cursor on a session that is pinned to a model (4)")
    if target.explicit and target.what != "strikes":
        return ReleasePin(command_id=command_id, reason=reason, session_key=target.session_key)
    if target.strikes:
        return ResetStrikes(command_id=command_id, reason=reason, session_key=target.session_key)
    return Impossible(f"{target.label} has no strikes, and nobody has chosen its model: M chooses one")


def override(target: Target, command_id: str, reason: str) -> Made:
    """Keep the session under the cursor on the model that was chosen."""
    if target.session_key is None:
        return Impossible("no session here: put the cursor on one, whose model is to be another")
    if target.choice is None:
        return Impossible("no model was chosen")
    if target.explicit and target.choice == target.pinned:
        return Impossible(f"{target.label} is kept on {target.choice} already: U releases it")
    return PinModel(command_id=command_id, reason=reason, session_key=target.session_key, model=target.choice)


def tier(command: AnyCommand) -> Tier:
    """At once goes what hits one target and can be had again; who loses work or a place is asked for first."""
    match command:
        case AbortRun() | CloseSession() | EndSeat() | BanUser():
            return "asks"
        case MarkDirty(session_key=None):
            return "counts"
        case PauseAdmission(model=None):
            return "asks"
        case MarkDirty() | ClearDirty() | EvictSession() | PauseAdmission() | ResumeAdmission():
            return "at once"
        case AdmitNow() | UnbanUser() | ReleasePin() | ResetStrikes():
            return "at once"
        case PinModel():
            return "asks"
        case _:
            assert_never(command)


ACTIONS: tuple[Action, ...] = (
    Action(
        "instances",
        "0",
        "instances",
        "panes",
        "the cores themselves, where there are several: their links, and how old their data is",
        group="Panes",
        several=True,
    ),
    Action("queues", "1", "queues", "panes", "the models, their queues and seats", group="Panes"),
    Action("runs", "2", "runs", "panes", "the runs, with their seq moving", group="Panes"),
    Action("sessions", "3", "sessions", "panes", "the live sessions", group="Panes"),
    Action("strikes", "4", "strikes", "panes", "pins, strikes and escalation", group="Panes"),
    Action(
        "cost",
        "5",
        "cost",
        "panes",
        "what sessions, users, projects, models and days have cost",
        group="Panes",
    ),
    Action("journal", "6", "journal", "panes", "everything the core decided, newest first", group="Panes"),
    Action(
        "findings",
        "7",
        "findings",
        "panes",
        "what contradicts itself in the core, with evidence",
        group="Panes",
    ),
    Action("messages", "1", "messages", "session", "what was said", group="Session"),
    Action("events", "2", "run events", "session", "the run's events, as they come", group="Session"),
    Action("acts", "3", "audit", "session", "what operators did to this session", group="Session"),
    Action("facts", "4", "facts", "session", "pin, cost, seat and configuration", group="Session"),
    Action("next-tab", "right", "next", "session", "the next part", group="Session"),
    Action("last-tab", "left", "previous", "session", "the part before", group="Session"),
    Action(
        "fold",
        "space",
        "fold",
        "session",
        "unfold the message under the cursor, or fold it again",
        group="Session",
        footer=4,
    ),
    Action(
        "fold-all", "a", "all", "session", "unfold all messages, or fold all again", group="Session", footer=5
    ),
    Action("open", "enter", "open", "panes", "look into the row under the cursor", footer=4),
    Action("back", "escape", "back", "everywhere", "drop the filter, or go back; filter and cursor are kept"),
    Action(
        "filter",
        "/",
        "filter",
        "panes",
        "show only rows with these words: state:running cost>1 (ann OR bob) -cron",
        footer=5,
    ),
    Action("sort", "s", "sort", "panes", "sort by the next column"),
    Action("reverse", "o", "reverse", "panes", "sort the other way round"),
    Action(
        "scope", "c", "scope", "panes", "of the costs: only sessions, users, projects, models, days, or all"
    ),
    Action(
        "mark",
        "space",
        "mark",
        "panes",
        "mark the row, or take its mark back; what acts then acts on all that are marked, and asks first",
    ),
    Action(
        "mark-range", "v", "mark to here", "panes", "mark all rows from the last one that was marked to here"
    ),
    Action("mark-shown", "*", "mark shown", "panes", "mark all rows that the filter shows, or none of them"),
    Action("freeze", "f", "freeze", "panes", "hold the pane still; changes are counted, and none is lost"),
    Action("maximise", "m", "maximise", "panes", "the table alone, or with what is beside it"),
    Action(
        "layout", "l", "layout", "panes", "what stands beside the table: facts, journal, both, or neither"
    ),
    Action("columns", "w", "columns", "panes", "which columns are shown, in which order, and how wide"),
    Action(
        "export",
        "x",
        "export",
        "panes",
        "write the rows that are shown, or those that are marked, to a new file: CSV or JSON Lines",
    ),
    Action(
        "sandbox",
        "p",
        "sandbox",
        "panes",
        "play: close this house while it is fresh, and open the sandbox instead",
        group="Begin",
        footer=1,
        fresh=True,
    ),
    Action(
        "search",
        "ctrl+f",
        "find",
        "everywhere",
        "search the messages of all sessions by their words",
        footer=6,
    ),
    Action(
        "palette",
        ":",
        "palette",
        "everywhere",
        "everything that can be done here, and panes, sessions, runs, users and models, by their names",
    ),
    Action("palette-too", "ctrl+p", "palette", "everywhere", "the same, where the other key is hard to type"),
    Action(
        "save-view",
        "b",
        "save view",
        "panes",
        "keep pane, filter, order and columns under a name; the palette lists it, and removes it",
    ),
    Action(
        "go",
        "g",
        "go to",
        "everywhere",
        "go to what the row is linked with: its session, run, pin, cost, user, seat or queue; esc comes back",
    ),
    Action(
        "why",
        "i",
        "why",
        "everywhere",
        "why: somebody waits, a session is on its model, live or gone, a run ended so",
    ),
    Action("copy", "y", "copy", "everywhere", "copy the key under the cursor to the clipboard"),
    Action("copy-cell", "k", "copy cell", "panes", "copy one cell of the row to the clipboard, or all of it"),
    Action("theme", "ctrl+t", "theme", "everywhere", "the next theme"),
    Action("help", "?", "help", "everywhere", "what can be done here", footer=7),
    Action("quit", "q", "back/quit", "everywhere", "back; at the top: quit, and ask if turns run", footer=8),
    Action("quit-now", "ctrl+q", "quit now", "everywhere", "quit at once; turns in flight are cut off"),
    Action("abort", "X", "abort", "everywhere", "abort the run; asks first", "loses work", abort, "Act"),
    Action(
        "evict",
        "E",
        "evict",
        "everywhere",
        "dispose a session that has no turn; history, pin and cost stay. On a seat: end it, asks first",
        "reversible",
        evict,
        "Act",
    ),
    Action(
        "close",
        "C",
        "close",
        "everywhere",
        "abort, drain and dispose a session; asks first",
        "loses work",
        close,
        "Act",
    ),
    Action(
        "dirty",
        "D",
        "dirty",
        "everywhere",
        "rebuild at the next use: one session, a project, all, or take the mark back",
        "menu",
        mark_dirty,
        "Act",
    ),
    Action(
        "admit",
        "N",
        "admit",
        "panes",
        "let who waits in now, past queue, hours, quota and pause; never past the ceiling",
        "reversible",
        admit,
        "Act",
    ),
    Action(
        "pause",
        "P",
        "pause",
        "panes",
        "hold a model's queue, or all queues; or let them go on",
        "menu",
        pause,
        "Act",
    ),
    Action(
        "ban",
        "B",
        "ban",
        "panes",
        "ban a user, which asks first, or lift the ban",
        "loses work",
        ban,
        "Act",
    ),
    Action(
        "unpin",
        "U",
        "unpin",
        "everywhere",
        "release a session's chosen model, or forget its strikes; asks which where there are both",
        "reversible",
        unpin,
        "Act",
    ),
    Action(
        "model",
        "M",
        "model",
        "everywhere",
        "keep a session on another model: choose one from a list; asks first",
        "loses work",
        override,
        "Act",
    ),
    Action(
        "undo",
        "Z",
        "undo",
        "everywhere",
        "take the last mark or model of one session back, or the last pause of one model",
        "reversible",
        clear_dirty,
        "Act",
    ),
    Action("arm", "!", "arm/disarm", "everywhere", "let keys act, or only look", group="Act"),
)

BY_ID = {action.id: action for action in ACTIONS}


def offered(
    scope: Scope,
    *,
    acting: bool,
    fresh: bool = False,
    several: bool = False,
    actions: Iterable[Action] = ACTIONS,
) -> list[Action]:
    """The actions of a place; without those that act when acting is off, and those that it has no use for now."""
    return [
        action
        for action in actions
        if action.scope in ("everywhere", scope)
        and (acting or not action.acts)
        and (fresh or not action.fresh)
        and (several or not action.several)
    ]
