"""One key on all that are marked: what would be lost is added up and asked for, then each is sent, and counted.

What is lost is told from the rows that are shown. Every command holds its target by run or generation, so a core
refuses what has moved since; and what was refused stays marked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import msgspec

from console import units
from console.acting import REASON
from console.actions import Action, Aimed, Impossible, Target
from console.cores import Attached
from console.desk import Bulk, Desk
from console.screens.ask import Answer, AskScreen, Question, Stake
from console.screens.phrases import deed, name, verb
from console.screens.sending import carry_out
from console.state import IN_FLIGHT, Key
from core.protocol import (
    AbortRun,
    AnyCommand,
    BanUser,
    CloseSession,
    Done,
    EndSeat,
    EvictSession,
    PauseAdmission,
    RunRow,
)

_NAMED = 3
"""So many at most are named in the question."""

_AT_ONCE = 8
"""So many are on their way at the same time."""


class Sent(NamedTuple):
    """One command, the core that it goes to, and the key of the marked row that it is for."""

    core: Attached
    command: AnyCommand
    key: Key | None = None


class _Made(NamedTuple):
    target: Target
    sent: Sent


def act_on_all(
    desk: Desk, opens: Callable[[AskScreen], Awaitable[Answer | None]], action: Action, aimed: Aimed
) -> Callable[[], Coroutine[Any, Any, None]] | str:
    """Begin one acting key on everything that is marked: what is left to do, or why none of them can be hit.

    How many they are is asked for here and now, in what is opened with `opens`.
    """
    made, troubles = _make(desk, action, aimed)
    if not made:
        return f"none of the {len(aimed.targets):,} marked: {troubles[0]}"
    first = made[0].sent.command
    screen = AskScreen(
        Question(
            title=f"{deed(first, len(made)).capitalize()}?",
            verb=f"{verb(action, first).split()[0]} {len(made):,}",
            reason=REASON,
        ),
        Stake(_losses(desk, made, troubles, aimed.hidden), len(made)),
    )
    return partial(_ask, desk, made, aimed, opens(screen))


async def _ask(desk: Desk, made: Sequence[_Made], aimed: Aimed, answering: Awaitable[Answer | None]) -> None:
    """Send them when the operator has typed how many they are."""
    answer = await answering
    if answer is None:
        desk.say("nothing was done; the marks are still there")
        return
    reason = answer.reason or REASON
    sends = [
        each.sent._replace(command=msgspec.structs.replace(each.sent.command, reason=reason)) for each in made
    ]
    await send_all(desk, sends, aimed)


async def send_all(desk: Desk, sends: Sequence[Sent], aimed: Aimed | None = None) -> None:
    """Send these, some at a time, and tell how far it is; escape leaves the rest unsent. What was done is unmarked."""
    bulk = desk.bulk = Bulk(name(sends[0].command), len(sends))
    refusals: Counter[str] = Counter()
    waiting = iter(sends)

    async def worker() -> None:
        for core, command, key in waiting:
            if bulk.stopped:
                return
            outcome = await carry_out(desk, command, core, more=bulk.begun)
            bulk.begun = True
            if isinstance(outcome, Done):
                bulk.done += 1
                if aimed is not None and key is not None:
                    aimed.unmark([key])
            else:
                bulk.refused += 1
                refusals[outcome.message] += 1
            desk.wake()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(worker())
    finally:
        desk.bulk = None
    _tell(desk, bulk, refusals, sends[0].command)


def _tell(desk: Desk, bulk: Bulk, refusals: Counter[str], command: AnyCommand) -> None:
    unsent = bulk.total - bulk.done - bulk.refused
    told = deed(command, bulk.done)
    if unsent:
        told += f"; stopped, {unsent:,} not sent"
    if bulk.refused:
        (why, _), *_ = refusals.most_common(1)
        told += f"; {bulk.refused:,} refused: {why}"
    elif not unsent and desk.acting.undo:
        told += " (Z takes it back)"
    clean = not bulk.refused and not unsent
    desk.say(f"{'✓' if clean else '▲' if bulk.done else '✗'} {told}", "good" if clean else "warn")


def _make(desk: Desk, action: Action, aimed: Aimed) -> tuple[list[_Made], list[str]]:
    """The commands, and why there are none for the others of what is marked."""
    assert action.makes is not None
    made: list[_Made] = []
    troubles: list[str] = []
    for key, target in zip(aimed.keys, aimed.targets, strict=True):
        core = desk.core_of(target)
        refusal = desk.acting.refusal(action, on=core.feed)
        if refusal is not None:
            troubles.append(f"{core.name}: {refusal}" if desk.cores.several else refusal)
            continue
        # what a menu would ask of one is plain for many: these sessions, these queues
        each = action.makes(replace(target, what="session"), desk.acting.new_id(), REASON)
        if isinstance(each, Impossible):
            troubles.append(each.why)
        else:
            made.append(_Made(target, Sent(core, each, key)))
    # one key never does a thing to some and its opposite to others
    for kind in (BanUser, PauseAdmission):
        wanted = [each for each in made if isinstance(each.sent.command, kind)]
        if wanted and len(wanted) < len(made):
            troubles += [f"{each.target.label} is so already" for each in made if each not in wanted]
            made = wanted
    return made, troubles


def _losses(desk: Desk, made: list[_Made], troubles: list[str], hidden: int) -> list[str]:
    """What the operator should know before: what is cut off, what it has cost, who else is touched."""
    lines = [f"{made[0].target.label}, {made[1].target.label} …" if len(made) > _NAMED else _names(made)]
    runs = _cut_off(made)
    if runs:
        turns = "1 running turn" if len(runs) == 1 else f"{len(runs):,} running turns"
        tokens = sum(run.input_tokens + run.output_tokens for run in runs)
        money = units.money(sum(run.micros for run in runs))
        lines.append(f"{turns} will be cut off; so far: {units.count(tokens)} tokens, {money}")
    elif isinstance(made[0].sent.command, AbortRun | CloseSession):
        lines.append("no turn is running on them")
    if isinstance(made[0].sent.command, EvictSession):
        lines.append("whoever has a turn or is being worked on is refused; history, pins and cost stay")
    if isinstance(made[0].sent.command, EndSeat):
        seats = Counter(each.target.model for each in made if each.target.seat == "active")
        freed = ", ".join(f"{count:,} of {model}" for model, count in seats.most_common())
        waiting = sum(each.target.seat == "queued" for each in made)
        lines.append(
            f"seats that become free: {freed or 'none'}; places in the queue that are lost: {waiting:,}"
        )
    if desk.cores.several:
        where = Counter(each.sent.core.name for each in made)
        lines.append("on " + ", ".join(f"{name}: {count:,}" for name, count in where.most_common()))
    if hidden:
        lines.append(f"{hidden:,} of what is marked is hidden by the filter, and is hit as well")
    if troubles:
        lines.append(f"{len(troubles):,} of what is marked is left out: {troubles[0]}")
    return lines


def _names(made: list[_Made]) -> str:
    return ", ".join(each.target.label for each in made)


def _cut_off(made: list[_Made]) -> list[RunRow]:
    """The runs that end by it."""
    found: list[RunRow] = []
    for _, (core, command, _) in made:
        rows = core.state.rows
        match command:
            case AbortRun(run_id=run_id):
                run = rows.runs.get(run_id)
            case CloseSession(session_key=key):
                session = rows.sessions.get(key)
                run = rows.runs.get(session.run_id or "") if session is not None else None
            case _:
                run = None
        if run is not None and run.state in IN_FLIGHT:
            found.append(run)
    return found
