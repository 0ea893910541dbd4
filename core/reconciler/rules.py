"""What contradicts what: the parts of a house held against each other. Pure.

Every turn is known in several places at once: its slot in the router, its run in the registry, the run's record in
the database, its request to an agent, and the task that leads it through all of them. Where one says that it goes
on and the others that it is over, somebody is locked out or somebody pays for nothing. A thing is proven dead when
whoever would end it is gone; as long as a task leads a turn, that task may still end it, so this is only told.

What other code than the house's own turns puts into the router and the registry is its own business: a slot whose
run nobody has heard of is told, never freed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from core.protocol import FindingKind


class Slot(msgspec.Struct, frozen=True):
    """A turn in a session's slot, and what the registry knows of its run."""

    session_key: str
    run_id: str
    run: Literal["running", "ended", "unknown"]


class Running(msgspec.Struct, frozen=True):
    """A run that the registry, or the database, has as running; `own` says that a turn of this house began it."""

    session_key: str
    run_id: str
    own: bool


class Agent(msgspec.Struct, frozen=True):
    """A live session that was made and not disposed, and that the router does not have."""

    session_key: str
    number: int


class Request(msgspec.Struct, frozen=True):
    """An open request to an agent."""

    session_key: str
    run_id: str
    number: int
    model: str
    running: bool


class Chair(msgspec.Struct, frozen=True):
    """A stored seat that no instance can use any more: its grace is over."""

    user_id: str
    model: str


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the parts of a house hold at one moment; `led` are the run ids of the turns whose tasks are alive."""

    led: frozenset[str]
    slots: list[Slot] = []
    running: list[Running] = []
    recorded: list[Running] = []
    agents: list[Agent] = []
    requests: list[Request] = []
    chairs: list[Chair] = []


class Suspect(msgspec.Struct, frozen=True, kw_only=True):
    """A contradiction as it stands; see `core.protocol.FindingRow`."""

    kind: FindingKind
    key: str
    evidence: str
    proven: bool
    session_key: str | None = None
    user_id: str | None = None


def contradictions(held: Held) -> Iterator[Suspect]:
    """Everything that does not fit together."""
    for slot in held.slots:
        if slot.run != "running":
            yield _slot(slot, led=slot.run_id in held.led)
    slots = {slot.run_id for slot in held.slots}
    for run in held.running:
        if run.own and run.run_id not in slots:
            yield _running(run, led=run.run_id in held.led)
    running = {run.run_id for run in held.running}
    for run in held.recorded:
        if run.run_id not in held.led and run.run_id not in running:
            yield _recorded(run)
    for agent in held.agents:
        yield _agent(agent)
    for request in held.requests:
        if not request.running:
            yield _request(request, led=request.run_id in held.led)
    for chair in held.chairs:
        yield _chair(chair)


def _slot(slot: Slot, *, led: bool) -> Suspect:
    if slot.run == "ended":
        evidence = "the run has ended and still holds the slot"
    else:
        evidence = "nothing is known of the run that holds the slot"
    evidence += "; its turn has not unwound" if led else "; no turn leads it"
    return Suspect(
        kind="slot_without_run",
        key=slot.run_id,
        session_key=slot.session_key,
        evidence=evidence,
        proven=slot.run == "ended" and not led,
    )


def _running(run: Running, *, led: bool) -> Suspect:
    return Suspect(
        kind="run_without_slot",
        key=run.run_id,
        session_key=run.session_key,
        evidence="it runs without its session's slot; "
        + ("its turn has not unwound" if led else "no turn leads it"),
        proven=not led,
    )


def _recorded(run: Running) -> Suspect:
    return Suspect(
        kind="run_without_slot",
        key=run.run_id,
        session_key=run.session_key,
        evidence="the database has it as running, and no turn or agent produces it: its end was not written",
        proven=True,
    )


def _agent(agent: Agent) -> Suspect:
    return Suspect(
        kind="agent_without_session",
        key=f"{agent.session_key}#{agent.number}",
        session_key=agent.session_key,
        evidence="a live session was made and not disposed, and the router does not have it",
        proven=True,
    )


def _request(request: Request, *, led: bool) -> Suspect:
    return Suspect(
        kind="upstream_without_run",
        key=f"{request.run_id}#{request.number}",
        session_key=request.session_key,
        evidence=f"a request to {request.model} is open, and its run has ended; "
        + ("its turn has not unwound" if led else "no turn leads it"),
        proven=not led,
    )


def _chair(chair: Chair) -> Suspect:
    return Suspect(
        kind="seat_without_instance",
        key=chair.user_id,
        user_id=chair.user_id,
        evidence=f"its grace on {chair.model} is over, no instance can use it, and it is still there",
        proven=True,
    )
