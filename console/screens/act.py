"""The way of a key that acts, from top to bottom: choose, make the command, ask, send, tell.

What the screen shows does not change here: that is left to the event that comes back from the core.
"""

from __future__ import annotations

from typing import Any

import msgspec
from textual.app import App

from console import units
from console.acting import REASON
from console.actions import Action, Impossible, Target, tier
from console.cores import Attached
from console.desk import Desk
from console.state import refuse_abort, send_abort
from core.protocol import (
    AbortRun,
    AnyCommand,
    BanUser,
    CloseSession,
    Done,
    EndSeat,
    EvictSession,
    MarkDirty,
    PauseAdmission,
    PinModel,
    Preview,
    Refused,
    ResumeAdmission,
    action_of,
    target_of,
)

_BUSY = "busy"


async def act(app: App[Any], desk: Desk, action: Action, target: Target | str) -> None:
    """Carry out one acting key on what the cursor was on when it was pressed."""
    if action.id == "undo":
        undo = desk.acting.undo
        if not undo:
            desk.say(
                "nothing to undo: only the last mark, pause or model of one thing can be taken back", "warn"
            )
        for command in undo:
            core = next((core for core in desk.cores if core.feed is desk.acting.undo_on), desk.cores[0])
            if not await _send(desk, command, core):
                return
        return
    if isinstance(target, str):
        desk.say(target, "warn")
        return
    core = desk.core_of(target)
    refusal = desk.acting.refusal(action, on=core.feed)
    if refusal is not None:
        desk.say(f"{core.name}: {refusal}" if desk.cores.several else refusal, "warn")
        return
    if action.danger == "menu" or _asks_which(action, target):
        chosen = await _choose(app, desk, action, target)
        if chosen is None:
            desk.say("nothing was done")
            return
        action, target = chosen
    assert action.makes is not None
    made = action.makes(target, desk.acting.new_id(), REASON)
    if isinstance(made, Impossible):
        desk.say(made.why, "warn")
        return
    if tier(made) == "at once":
        await _send(desk, made, core)
        return
    decided = await _ask(app, desk, action, target, made)
    if decided is not None:
        await _send(desk, decided, core)


def _asks_which(action: Action, target: Target) -> bool:
    """Whether the target alone does not say what is meant."""
    match action.id:
        case "unpin":
            return target.explicit and target.strikes > 0
        case "model":
            return target.session_key is not None
        case _:
            return False


async def _choose(app: App[Any], desk: Desk, action: Action, target: Target) -> tuple[Action, Target] | None:
    from console.screens.choosing import chosen, dirty_menu, model_menu, pause_menu, unpin_menu

    match action.id:
        case "pause":
            paused = any(queue.paused for queue in desk.core_of(target).state.rows.queues.values())
            menu = pause_menu(target, any_paused=paused)
        case "unpin":
            menu = unpin_menu(target)
        case "model":
            models = sorted(desk.core_of(target).state.rows.models)
            if not models:
                desk.say(
                    "no model is known here yet: one shows when a queue, a pin or a run names it", "warn"
                )
                return None
            menu = model_menu(target, models)
        case _:
            menu = dirty_menu(target)
    return chosen(action, target, await app.push_screen_wait(menu))


async def _ask(
    app: App[Any], desk: Desk, action: Action, target: Target, command: AnyCommand
) -> AnyCommand | None:
    """The second and third tier: say what will be lost, and ask. None when nothing is to be done."""
    from console.screens.ask import AskScreen, Question

    core = desk.core_of(target)
    preview = await desk.acting.preview(command, core.feed)
    if isinstance(preview, Refused):
        desk.say(f"{_name(command)} refused: {preview.message}", "warn")
        return None
    many = tier(command) == "counts"
    if many and preview.targets == 0:
        desk.say("nothing to do: there is no live session to mark", "warn")
        return None
    answer = await app.push_screen_wait(
        AskScreen(
            Question(
                title=f"{_name(command).capitalize()} {_aim(command)}{_there(desk, core)}?",
                losses=_losses(command, target, preview),
                verb=_verb(action, command),
                number=preview.targets if many else None,
                reason=REASON,
            )
        )
    )
    if answer is None:
        desk.say("nothing was done")
        return None
    # Many targets were counted at a cursor: the core refuses when they are others by now. One target is held by
    # its run or generation, and may well have moved on since.
    cursor = preview.cursor if many else None
    return msgspec.structs.replace(command, reason=answer.reason or REASON, cursor=cursor)


def _there(desk: Desk, core: Attached) -> str:
    """Where it is to be done, when there is more than one place."""
    return f" on {core.name}" if desk.cores.several else ""


async def _send(desk: Desk, command: AnyCommand, core: Attached) -> bool:
    """Whether it was done; told either way."""
    desk.say(f"{_name(command)} {_aim(command)}{_there(desk, core)}: sent …", "dim")
    if isinstance(command, AbortRun):
        send_abort(core.state, command.run_id, core.now())
    pin = core.state.rows.pins.get(target_of(command))
    outcome = await desk.acting.perform(command, core.feed, pin=pin)
    match outcome:
        case Done() if isinstance(command, AbortRun):
            told = f"✓ {_name(command)} {_aim(command)}: {outcome.message}"
            desk.say(told, "good", run_id=command.run_id, core=core.number)
        case Done():
            told = f"{_aim(command)}: {outcome.message}"
            if desk.acting.undo and tier(command) == "at once":
                # what can be done now comes first: the line may end after 80 cells, and a key be long
                told = f"(Z takes it back): {_aim(command)}"
            desk.say(f"✓ {_name(command)} {told}", "good")
        case Refused():
            if isinstance(command, AbortRun):
                refuse_abort(core.state, command.run_id)
            told = outcome.message
            if isinstance(command, EvictSession) and _BUSY in outcome.code:
                told = "a turn is running; C aborts its turn and closes it"
            desk.say(f"✗ {_name(command)} refused: {told}", "bad")
    return isinstance(outcome, Done)


def _losses(command: AnyCommand, target: Target, preview: Preview) -> list[str]:
    turns = "1 running turn" if preview.turns == 1 else f"{preview.turns:,} running turns"
    sessions = "1 session" if preview.targets == 1 else f"{preview.targets:,} sessions"
    lines: list[str] = []
    match command:
        case MarkDirty():
            lines.append(f"{sessions} will be rebuilt at the next use; turns that run go on to their end")
        case AbortRun() | CloseSession():
            if target.label != _aim(command):
                lines.append(f"session {target.label}")
            lines.append(f"{turns} will be cut off" if preview.turns else "no turn is running on it")
        case EndSeat():
            place = "their place in the queue" if target.seat == "queued" else "their seat"
            lines.append(f"they lose {place} for {target.model}, and may ask again, from the back")
        case BanUser():
            lines.append(
                "they are let in no more, and the next tick takes their seat; a running turn ends by itself"
            )
        case PinModel(model=model):
            lines.append(f"model    {target.pinned or '–'} → {model}")
            lines.append(
                "repetitions escalate it no more, until U releases it or a request names another model"
            )
        case PauseAdmission():
            lines.append("nobody is let in to any model until it is resumed; who has a seat keeps it")
        case _:
            lines.append(preview.message)
    if preview.turns:
        lines.append(f"so far: {units.count(preview.tokens)} tokens, {units.money(preview.micros)}")
    return lines


def _name(command: AnyCommand) -> str:
    match command:
        case MarkDirty():
            return "mark dirty"
        case EndSeat():
            return "end seat of"
        case PinModel(model=model):
            return f"keep on {model}"
        case _:
            return action_of(command).replace("-", " ")


def _verb(action: Action, command: AnyCommand) -> str:  # noqa: PLR0911 - a table
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


def _aim(command: AnyCommand) -> str:
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
