"""Why somebody waits, or does not: the rules that hold them, with their inputs, and what would let them in. Pure.

Rules: behaviours/admission.md, decisions 7, 8, 13 to 16 and 19.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from core.admission.seat import Seat, Stage
from core.clock import timestamp
from core.protocol import Because, Health, PausedReason


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules go by for one user with a seat; times and lengths in ms, units in tenths.

    `ceiling` and `instant` are the most occupied seats altogether and for admission at once (0: none by that way);
    `frees_at` is when the first of the occupied ones is free at the latest. `used` and `limit` are None for a model
    that is not metered. `health_unknown` is why nothing is known of the server, empty when something is. `absent_at` is
    when the place goes unless something is heard of the user.
    """

    seat: Seat
    stage: Stage
    banned: bool
    configured: bool
    position: int
    depth: int
    holds: tuple[PausedReason, ...]
    hours: str
    health: Health
    health_unknown: str
    occupied: int
    ceiling: int
    instant: int
    frees_at: int | None
    used: int | None
    limit: float | None
    resets_at: int
    admits_per_tick: int
    tick: int
    estimate: int
    absent_at: int | None


def no_seat(user_id: str, *, banned: bool) -> tuple[str, list[Because]]:
    """The line and the rules for somebody without a seat."""
    if banned:
        return f"{user_id} is banned and gets no seat", [_banned()]
    because = Because(
        rule="no_seat",
        text="they have not asked for a seat, or theirs is over",
        helps="they join the queue when they ask: POST /v1/seats",
    )
    return f"{user_id} has no seat", [because]


def why(standing: Standing) -> tuple[str, list[Because]]:
    """The line that says how a seat stands, and the rules behind it, the gravest first."""
    seat = standing.seat
    match standing.stage:
        case "queued":
            reasons = _queued(standing)
            place = (
                f"place {standing.position:,} of {standing.depth:,}" if not standing.banned else "no place"
            )
            return f"{seat.user_id} waits for {seat.model}, {place}: {reasons[0].text}", reasons
        case "active":
            if standing.banned:
                return f"{seat.user_id} has a seat on {seat.model}, and is banned", [_banned(), _active(seat)]
            return f"{seat.user_id} has a seat on {seat.model}", [_active(seat)]
        case "draining" | "gone":
            because = Because(
                rule="ended",
                text="the seat's time is over; what runs may end, and nothing new begins",
                facts=_times(seat),
                helps="they ask for a new seat: POST /v1/seats",
            )
            return f"{seat.user_id}'s seat on {seat.model} has ended", [because]
        case _:
            assert_never(standing.stage)


def _queued(standing: Standing) -> list[Because]:
    """Everything that keeps a queued user out now; at least one rule, for the tick itself is one."""
    found = [_banned()] if standing.banned else []
    if not standing.configured:
        found.append(
            Because(
                rule="model_gone",
                text=f"{standing.seat.model} is no longer among the models; the next tick drops the place",
                helps="they ask for another model",
            )
        )
        return found
    found += [_hold(reason, standing) for reason in reversed(standing.holds)]
    if standing.used is not None and standing.limit is not None and standing.used >= standing.limit * 10:
        found.append(
            Because(
                rule="rate_limited",
                text="their units of the day are used up; the queue passes them, and they keep the place",
                facts={
                    "used": f"{standing.used / 10:g}",
                    "limit": f"{standing.limit:g}",
                    "resetAt": timestamp(standing.resets_at),
                },
                helps="the new day, or admit now",
            )
        )
    if standing.ceiling and standing.occupied >= standing.ceiling:
        found.append(_at_capacity(standing))
    if standing.position > 1:
        found.append(
            Because(
                rule="behind",
                text=f"{standing.position - 1:,} come first",
                facts={"position": str(standing.position), "depth": str(standing.depth)},
                helps="admit now, which crosses the queue",
            )
        )
    if not found or standing.position > 1:
        found.append(_drip(standing))
    if standing.absent_at is not None:
        found.append(
            Because(
                rule="abandon",
                text="the place goes if nothing is heard of them until then",
                facts={"until": timestamp(standing.absent_at)},
                helps="any poll of theirs",
            )
        )
    return found


def _banned() -> Because:
    return Because(
        rule="banned",
        text="they are banned; the queue skips them, and the next tick takes the seat",
        helps="lift the ban",
    )


def _hold(reason: PausedReason, standing: Standing) -> Because:
    """What holds the whole queue of a model."""
    model = standing.seat.model
    match reason:
        case "closed":
            return Because(
                rule="closed",
                text=f"{model} is closed now",
                facts={"hours": standing.hours},
                helps="its opening",
            )
        case "paused":
            return Because(
                rule="paused", text=f"an operator has paused admission to {model}", helps="resume admission"
            )
        case "degraded" | "unhealthy":
            unknown = standing.health_unknown
            how = f"counts as {reason}: {unknown}" if unknown else f"is {reason}"
            return Because(
                rule=reason,
                text=f"the server of {model} {how}; nobody is sent there",
                facts={"health": standing.health},
                helps="its recovery; admit now crosses this",
            )
        case _:
            assert_never(reason)


def _at_capacity(standing: Standing) -> Because:
    facts = {"occupied": str(standing.occupied), "maxActive": str(standing.ceiling)}
    if standing.frees_at is not None:
        facts["nextFreeAtTheLatest"] = timestamp(standing.frees_at)
    return Because(
        rule="at_capacity",
        text=f"all {standing.ceiling:,} seats are occupied, those in grace among them",
        facts=facts,
        helps="somebody leaving; nothing crosses this, not even admit now",
    )


def _drip(standing: Standing) -> Because:
    """Without anything else the ticks let people in, so many each."""
    seconds = f"{standing.tick / 1000:g} s"
    text = (
        f"{standing.occupied:,} seats are occupied, and only up to {standing.instant:,} are given at once; from there "
        f"{standing.admits_per_tick:,} are let in every {seconds}"
        if standing.instant
        else f"{standing.admits_per_tick:,} are let in every {seconds}"
    )
    return Because(
        rule="tick",
        text=text,
        facts={
            "occupied": str(standing.occupied),
            "instantAdmitCapacity": str(standing.instant),
            "admitsPerTick": str(standing.admits_per_tick),
            "tickMs": str(standing.tick),
            "estimatedWaitMs": str(standing.estimate),
        },
        helps="waiting, or admit now",
    )


def _active(seat: Seat) -> Because:
    held = " by the gate, for a caller without an instance of its own" if seat.held_by == "house" else ""
    return Because(
        rule="admitted",
        text=f"they were let in{held}, and hold the seat until its time is over",
        facts=_times(seat),
        helps="ending the seat",
    )


def _times(seat: Seat) -> dict[str, str]:
    times = {"queuedAt": seat.queued_at, "admittedAt": seat.admitted_at, "expiresAt": seat.expires_at}
    return {name: timestamp(at) for name, at in times.items() if at is not None}
