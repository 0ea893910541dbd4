"""The way of a key that acts, from top to bottom: choose, make the command, ask, send, tell.

What the screen shows does not change here: that is left to the event that comes back from the core.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from console import units
from console.acting import REASON
from console.actions import Action, Aimed, Impossible, Target, tier
from console.cores import Attached
from console.desk import Desk
from console.screens.bulk import Sent, act_on_all, send_all
from console.screens.menu import Menu
from console.screens.phrases import aim, name, verb
from console.screens.sending import carry_out
from console.screens.typed import Typed
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

if TYPE_CHECKING:
    from console.screens.ask import Answer, AskScreen, Stake

Opens = Callable[[Typed[Any]], Awaitable[Any]]
"""Opens a screen above the one whose key acts, and answers what it will be closed with."""

Rest = Callable[[], Coroutine[Any, Any, object]]
"""Does what is left of an act: something in it has to be waited for."""

_NO_MODEL = "no model is known here yet: one shows when a queue, a pin or a run names it"
_NOTHING_TO_UNDO = "nothing to undo: only the last mark, pause or model can be taken back"
_FEW = 2
"""What one act is taken back by, at most; more were an act on many."""


def begin(desk: Desk, opens: Opens, action: Action, aimed: Aimed | str) -> Rest | str:
    """Begin one acting key on what it was aimed at when it was pressed: what is left to do, or why there is nothing.

    All that needs no waiting is done with the key, the opening of what it asks too: what is typed right behind the
    key is for that, and for nothing else.
    """
    if action.id == "undo":
        return partial(_take_back, desk)
    if isinstance(aimed, str):
        return aimed
    target = aimed.targets[0]
    core = desk.core_of(target)
    if aimed.marked:
        asks_which, target = action.id == "model", replace(target, explicit=False)
    else:
        refusal = desk.acting.refusal(action, on=core.feed)
        if refusal is not None:
            return f"{core.name}: {refusal}" if desk.cores.several else refusal
        asks_which = _asks_which(action, target)
    if not asks_which:
        return _go_on(desk, opens, action, aimed)
    menu = _menu(action, target, core)
    return _NO_MODEL if menu is None else partial(_choose, desk, opens, action, aimed, opens(menu))


async def _choose(
    desk: Desk, opens: Opens, action: Action, aimed: Aimed, choosing: Awaitable[str | None]
) -> None:
    """Go on with the one that is chosen."""
    from console.screens.choosing import chosen

    found = chosen(action, aimed.targets[0], await choosing)
    if found is None:
        desk.say("nothing was done")
        return
    action, target = found
    meant = (target, *(replace(each, choice=target.choice) for each in aimed.targets[1:]))
    rest = _go_on(desk, opens, action, aimed._replace(targets=meant))
    if isinstance(rest, str):
        desk.say(rest, "warn")
    else:
        _ = await rest()


def _go_on(desk: Desk, opens: Opens, action: Action, aimed: Aimed) -> Rest | str:
    """Make the command, and send it or ask first."""
    if aimed.marked:
        return act_on_all(desk, opens, action, aimed)
    target = aimed.targets[0]
    assert action.makes is not None
    made = action.makes(target, desk.acting.new_id(), REASON)
    if isinstance(made, Impossible):
        return made.why
    core = desk.core_of(target)
    if tier(made) == "at once":
        return partial(_send, desk, made, core)
    from console.screens.ask import AskScreen, Question

    title = f"{name(made).capitalize()} {aim(made)}{_there(desk, core)}?"
    screen = AskScreen(Question(title, verb(action, made), REASON))
    return partial(_ask, desk, target, made, screen, opens(screen))


async def _ask(
    desk: Desk, target: Target, command: AnyCommand, screen: AskScreen, answering: Awaitable[Answer | None]
) -> None:
    """The second and third tier: tell what would be lost once the core has said it, and send what is consented to."""
    core = desk.core_of(target)
    answered = asyncio.ensure_future(answering)
    preview = await _preview(desk, command, core, answered)
    if preview is not None:
        stake = _stake(command, target, preview)
        if isinstance(stake, str):
            screen.give_up()
            desk.say(stake, "warn")
            return
        screen.tell(stake)
    answer = await answered
    if answer is None or preview is None:
        desk.say("nothing was done")
        return
    # Many targets were counted at a cursor: the core refuses when they are others by now. One target is held by
    # its run or generation, and may well have moved on since.
    cursor = preview.cursor if isinstance(preview, Preview) and tier(command) == "counts" else None
    reason = answer.reason or REASON
    _ = await _send(desk, msgspec.structs.replace(command, reason=reason, cursor=cursor), core)


async def _preview(
    desk: Desk, command: AnyCommand, core: Attached, answered: asyncio.Future[Answer | None]
) -> Preview | Refused | None:
    """What it would lose; None when the operator has left the question before the core has said it."""
    asking = asyncio.create_task(desk.acting.preview(command, core.feed))
    try:
        _ = await asyncio.wait({asking, answered}, return_when=asyncio.FIRST_COMPLETED)
        return None if answered.done() else asking.result()
    finally:
        _ = asking.cancel()


def _stake(command: AnyCommand, target: Target, preview: Preview | Refused) -> Stake | str:
    """What would be lost, or why there is nothing to ask."""
    from console.screens.ask import Stake

    if isinstance(preview, Refused):
        return f"{name(command)} refused: {preview.message}"
    many = tier(command) == "counts"
    if many and preview.targets == 0:
        return "nothing to do: there is no live session to mark"
    return Stake(_losses(command, target, preview), preview.targets if many else None)


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
            if isinstance(command, EvictSession) and _has_turn(core, command.session_key):
                told = "a turn is running; C aborts its turn and closes it"
            desk.say(f"✗ {name(command)} refused: {told}", "bad")
    return isinstance(outcome, Done)


def _has_turn(core: Attached, session_key: str) -> bool:
    session = core.state.rows.sessions.get(session_key)
    return session is not None and session.run_id is not None


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


def _asks_which(action: Action, target: Target) -> bool:
    """Whether the target alone does not say what is meant."""
    match action.id:
        case _ if action.danger == "menu":
            return True
        case "unpin":
            return target.explicit and target.strikes > 0
        case "model":
            return target.session_key is not None
        case _:
            return False


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
    if _asks_which(action, target):
        return ""
    made = action.makes(target, "", REASON)
    return made.why if isinstance(made, Impossible) else ""


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
