"""The way of a key that acts, from top to bottom: choose, make the command, ask, send, tell.

What the screen shows does not change here: that is left to the event that comes back from the core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import msgspec
from textual.app import App

from console import units
from console.acting import REASON
from console.actions import Action, Aimed, Impossible, Target, tier
from console.cores import Attached
from console.desk import Desk
from console.screens.bulk import NO_MODEL, Sent, act_on_all, send_all
from console.screens.menu import Menu
from console.screens.phrases import aim, name, verb
from console.screens.sending import carry_out
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
)

_BUSY = "busy"
_PATIENCE_SECONDS = 0.15
"""Without an answer by then, the operator is told that one is awaited."""
_NOTHING_TO_UNDO = "nothing to undo: only the last mark, pause or model can be taken back"
_FEW = 2
"""What one act is taken back by, at most; more were an act on many."""


def menu_of(desk: Desk, action: Action, aimed: Aimed | str) -> Menu | None:
    """What asks which thing is meant; None where that is plain, and where nothing can be done anyway."""
    if isinstance(aimed, str):
        return None
    target = aimed.targets[0]
    core = desk.core_of(target)
    if aimed.marked:
        return _menu(action, replace(target, explicit=False), core) if action.id == "model" else None
    asks = action.danger == "menu" or _asks_which(action, target)
    refused = desk.acting.refusal(action, on=core.feed) is not None
    return _menu(action, target, core) if asks and not refused else None


def _menu(action: Action, target: Target, core: Attached) -> Menu | None:
    from console.screens.choosing import dirty_menu, model_menu, pause_menu, unpin_menu

    match action.id:
        case "pause":
            return pause_menu(target, any_paused=any(each.paused for each in core.state.rows.queues.values()))
        case "unpin":
            return unpin_menu(target)
        case "model":
            models = sorted(core.state.rows.models)
            return model_menu(target, models) if models else None
        case _:
            return dirty_menu(target)


def refusal_of(desk: Desk, action: Action, aimed: Aimed | str) -> str:
    """Why a key would do nothing, before it is pressed; empty when it would do something, or ask."""
    if action.makes is None:
        return ""
    refusal = desk.acting.refusal(action)
    if refusal is not None:
        return refusal
    if action.id == "undo":
        return "" if desk.acting.undo else _NOTHING_TO_UNDO
    if isinstance(aimed, str):
        return aimed
    if aimed.marked:
        return ""
    target = aimed.targets[0]
    refusal = desk.acting.refusal(action, on=desk.core_of(target).feed)
    if refusal is not None:
        return refusal
    if action.danger == "menu" or _asks_which(action, target):
        return ""
    made = action.makes(target, "", REASON)
    return made.why if isinstance(made, Impossible) else ""


async def act(
    app: App[Any],
    desk: Desk,
    action: Action,
    aimed: Aimed | str,
    choice: Awaitable[str | None] | None = None,
) -> None:
    """Carry out one acting key on what it was aimed at when it was pressed, or say why there is no such thing.

    `choice` is what the menu of that key answers, where it has opened one; see `menu_of`.
    """
    if action.id == "undo":
        await _take_back(desk)
    elif isinstance(aimed, str):
        desk.say(aimed, "warn")
    elif aimed.marked:
        await act_on_all(app, desk, action, aimed, choice)
    else:
        await _act_on_one(app, desk, action, aimed.targets[0], choice)


async def _take_back(desk: Desk) -> None:
    undo = [
        (next(core for core in desk.cores if core.feed is feed), command)
        for feed, command in desk.acting.undo
    ]
    if not undo:
        desk.say(_NOTHING_TO_UNDO, "warn")
    elif len(undo) > _FEW:
        await send_all(desk, [Sent(core, command) for core, command in undo])
    else:
        for core, command in undo:
            if not await _send(desk, command, core):
                return


async def _act_on_one(
    app: App[Any], desk: Desk, action: Action, target: Target, choice: Awaitable[str | None] | None
) -> None:
    core = desk.core_of(target)
    refusal = desk.acting.refusal(action, on=core.feed)
    if refusal is not None:
        desk.say(f"{core.name}: {refusal}" if desk.cores.several else refusal, "warn")
        return
    if action.danger == "menu" or _asks_which(action, target):
        from console.screens.choosing import chosen

        if choice is None:
            desk.say(NO_MODEL, "warn")
            return
        found = chosen(action, target, await choice)
        if found is None:
            desk.say("nothing was done")
            return
        action, target = found
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


async def _ask(
    app: App[Any], desk: Desk, action: Action, target: Target, command: AnyCommand
) -> AnyCommand | None:
    """The second and third tier: say what will be lost, and ask. None when nothing is to be done."""
    from console.screens.ask import AskScreen, Question

    core = desk.core_of(target)
    preview = await _preview(desk, command, core)
    if isinstance(preview, Refused):
        desk.say(f"{name(command)} refused: {preview.message}", "warn")
        return None
    many = tier(command) == "counts"
    if many and preview.targets == 0:
        desk.say("nothing to do: there is no live session to mark", "warn")
        return None
    answer = await app.push_screen_wait(
        AskScreen(
            Question(
                title=f"{name(command).capitalize()} {aim(command)}{_there(desk, core)}?",
                losses=_losses(command, target, preview),
                verb=verb(action, command),
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


async def _preview(desk: Desk, command: AnyCommand, core: Attached) -> Preview | Refused:
    """What it would lose; that the core is asked is told when the answer does not come at once."""
    asking = asyncio.create_task(desk.acting.preview(command, core.feed))
    try:
        done, _ = await asyncio.wait({asking}, timeout=_PATIENCE_SECONDS)
        if not done:
            desk.say(
                f"{name(command)} {aim(command)}{_there(desk, core)}: asking what would be lost …", "dim"
            )
            _ = await asyncio.wait({asking})
            desk.say("")
        return asking.result()
    finally:
        asking.cancel()


def _there(desk: Desk, core: Attached) -> str:
    """Where it is to be done, when there is more than one place."""
    return f" on {core.name}" if desk.cores.several else ""


async def _send(desk: Desk, command: AnyCommand, core: Attached) -> bool:
    """Whether it was done; told either way."""
    desk.say(f"{name(command)} {aim(command)}{_there(desk, core)}: sent …", "dim")
    outcome = await carry_out(desk, command, core)
    match outcome:
        case Done() if isinstance(command, AbortRun):
            told = f"✓ {name(command)} {aim(command)}: {outcome.message}"
            desk.say(told, "good", run_id=command.run_id, core=core.number)
        case Done():
            told = f"{aim(command)}: {outcome.message}"
            if desk.acting.undo and tier(command) == "at once":
                # what can be done now comes first: the line may end after 80 cells, and a key be long
                told = f"(Z takes it back): {aim(command)}"
            desk.say(f"✓ {name(command)} {told}", "good")
        case Refused():
            told = outcome.message
            if isinstance(command, EvictSession) and _BUSY in outcome.code:
                told = "a turn is running; C aborts its turn and closes it"
            desk.say(f"✗ {name(command)} refused: {told}", "bad")
    return isinstance(outcome, Done)


def _losses(command: AnyCommand, target: Target, preview: Preview) -> list[str]:
    turns = "1 running turn" if preview.turns == 1 else f"{preview.turns:,} running turns"
    sessions = "1 session" if preview.targets == 1 else f"{preview.targets:,} sessions"
    lines: list[str] = []
    match command:
        case MarkDirty():
            lines.append(f"{sessions} will be rebuilt at the next use; turns that run go on to their end")
        case AbortRun() | CloseSession():
            if target.label != aim(command):
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
