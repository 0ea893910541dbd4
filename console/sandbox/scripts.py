"""What people do next, and how they are answered. Pure: persona, dice, what was, and now decide.

A guest acts in errands: ask for a seat, look whether it has come, talk, leave. Each decision answers the next one
with its delay; a service carries it out. All spans are multiplied by `pace`, the leisure of a large cast.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from console.sandbox import words
from console.sandbox.dice import Dice, Span
from console.sandbox.fleet import FALLBACK, Make
from console.sandbox.personas import AUTO, Persona
from core.admission.answers import (
    ActiveSeat,
    BannedUser,
    Disabled,
    ModelLocked,
    QueuedSeat,
    RateLimited,
    SeatAnswer,
)
from core.agents.scripted import (
    BreakOff,
    CallTool,
    Hang,
    Ponder,
    Refuse,
    Report,
    Script,
    Step,
    Wait,
    text_in_chunks,
)
from core.errors import GateRefused, MaitredError, UpstreamFailed
from core.protocol import Health

Doing = Literal["ask", "look", "talk", "leave"]
Mishap = Literal["none", "refused", "breaks_off", "pauses", "hangs", "walks_out"]
"""What goes wrong with an answer: an error instead of it, its end in the middle, a silence that ends or one that does
not, or a user who does not wait for the end."""

_RESCUE: Span = (28, 75)
"""Seconds until somebody cuts off an answer that hangs."""
_PAUSE: Span = (23, 45)
_UNWELL_REFUSES: dict[Health, float] = {"healthy": 0.0, "degraded": 0.12, "unhealthy": 0.65}
_CONTEXT_PER_TURN = 900
_WORDS_PER_CHUNK = 10
_TOKENS_PER_WORD = 1.4


class Next(msgspec.Struct, frozen=True):
    """What a guest does next, in so many seconds."""

    what: Doing
    after: float


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody came for."""

    model: str
    """The model of the seat."""
    named: bool
    """The model is named in every request; else the pin decides."""
    topic: str
    turns: int
    patience: float
    context: int


def visit(persona: Persona, dice: Dice, *, number: int, visits: int, pace: float) -> Visit:
    """What brings somebody in, on their so many-th visit."""
    choice = dice.weigh(persona.models)
    named = choice != AUTO
    topics = words.NAMED_TOPICS if named else words.TOPICS
    return Visit(
        model=choice if named else FALLBACK,
        named=named,
        topic=topics[(number * 5 + visits) % len(topics)],
        turns=dice.whole(persona.turns),
        patience=dice.between(persona.patience) * pace,
        context=dice.whole(persona.context),
    )


def seated(
    answer: SeatAnswer, dice: Dice, *, waited: float, patience: float, metered: bool, pace: float
) -> Next | None:
    """After asking for a seat or looking for it; None: settle for the model that everybody gets.

    Who waits looks again after a part of the estimated wait, so that long queues are not asked all the time.
    """
    match answer:
        case ActiveSeat() | Disabled():
            return Next("talk", dice.between((0.5, 4)) * pace)
        case QueuedSeat() if waited >= patience:
            return Next("leave", 0)
        case QueuedSeat():
            look = min(max(5.0 * pace, answer.estimated_wait_ms / 4000), 90.0 * pace)
            return Next("look", look * dice.between((0.8, 1.2)))
        case RateLimited() if metered and dice.chance(0.5):
            return None
        case ModelLocked() | BannedUser() | RateLimited():
            return Next("leave", dice.between((1, 5)))
        case _:
            return Next("leave", 0)


def question(persona: Persona, dice: Dice, last: str) -> str:
    """What somebody says next; `last` is what they said before."""
    if last and dice.chance(persona.repeats):
        return last
    return words.SPAM if persona.banned_after else words.prompt(dice)


def mishap(persona: Persona, dice: Dice, likelier: float) -> Mishap:
    """What will go wrong with the answer to somebody's next question."""
    return dice.weigh(
        (
            ("none", 1.0),
            ("refused", persona.refused * likelier),
            ("breaks_off", persona.breaks_off * likelier),
            ("pauses", persona.falls_silent * likelier * 0.4),
            ("hangs", persona.falls_silent * likelier * 0.6),
            ("walks_out", persona.walks_out * likelier),
        )
    )


def cut_after(which: Mishap, dice: Dice) -> float | None:
    """Seconds until the answer is cut off by somebody; None when nobody does."""
    match which:
        case "hangs":
            return dice.between(_RESCUE)
        case "walks_out":
            return dice.between((1.5, 9))
        case _:
            return None


def answer(
    persona: Persona, dice: Dice, make: Make, which: Mishap, *, health: Health, context: int, tools: bool
) -> Script:
    """How the model answers. `context` is in tokens; with `tools` it may call one instead of telling."""
    if which == "refused" or dice.chance(_UNWELL_REFUSES[health]):
        return [Wait(dice.between((0.1, 1.5))), _refusal(dice)]
    steps: list[Step] = [Wait(dice.between(make.first))]
    if make.model.tier in ("COMPLEX", "REASONING") and dice.chance(0.6):
        for _ in range(dice.whole((1, 4))):
            steps += [Ponder(words.thought(dice) + " "), Wait(make.every)]
    if tools and dice.chance(persona.tools):
        use = words.tool_use(dice)
        steps.append(CallTool(f"call_{dice.bits():08x}"[:16], use.name, use.arguments))
        length = 20
    else:
        length = dice.whole(persona.words)
        steps += text_in_chunks(words.answer(dice, length), words=_WORDS_PER_CHUNK, every=make.every)
    usage = _usage(dice, steps, length, context)
    # what was read is told with the first piece, so that a running turn shows what it really costs
    steps.insert(1, msgspec.structs.replace(usage, output_tokens=0, reasoning_tokens=0, early=True))
    steps.append(usage)
    return _spoilt(steps, which, dice)


def after_answer(persona: Persona, dice: Dice, *, turns_left: int, calls: bool, pace: float) -> Next:
    """After a whole answer: the tool runs, or somebody thinks, or has had enough."""
    if calls:
        return Next("talk", dice.between((0.4, 3)))
    if turns_left <= 0:
        return Next("leave", dice.between((1, 6)) * pace)
    return Next("talk", dice.between(persona.think) * pace)


def after_failure(
    persona: Persona, dice: Dice, error: MaitredError | None, *, failures: int, pace: float
) -> Next:
    """After a refusal at the gate, an answer that failed, or (no error) one that was cut off."""
    match error:
        case GateRefused(gate_code="session_expired" | "waiting_room_required" | "session_superseded"):
            return Next("ask" if dice.chance(0.4) else "leave", dice.between((1, 8)) * pace)
        case GateRefused(gate_code="waiting_room_queued"):
            return Next("look", dice.between((4, 8)) * pace)
        case GateRefused():
            return Next("leave", dice.between((1, 5)))
        case UpstreamFailed() if failures > 3:
            return Next("leave", dice.between((1, 8)) * pace)
        case UpstreamFailed():
            return Next("talk", dice.between((2, 6)) * 2**failures)
        case _:
            return Next("talk", dice.between(persona.think) * pace)


def message_of(text: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """An answer as the client keeps it."""
    return {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})


def tool_results(dice: Dice, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the called tools give back, as messages."""
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": words.tool_use(dice).result} for call in calls
    ]


def _usage(dice: Dice, steps: list[Step], length: int, context: int) -> Report:
    reasoning = sum(40 for step in steps if isinstance(step, Ponder)) * dice.whole((1, 6))
    return Report(
        input_tokens=context,
        output_tokens=round(length * _TOKENS_PER_WORD) + reasoning,
        cached_tokens=round(context * dice.between((0.3, 0.9))),
        reasoning_tokens=reasoning,
    )


def _spoilt(steps: list[Step], which: Mishap, dice: Dice) -> Script:
    """The answer with its mishap put somewhere in the middle of it."""
    middle = dice.whole((min(3, len(steps) - 1), len(steps) - 1))
    match which:
        case "breaks_off":
            return [*steps[:middle], BreakOff("ended its stream without [DONE]: the answer is incomplete")]
        case "pauses":
            return [*steps[:middle], Wait(dice.between(_PAUSE)), *steps[middle:]]
        case "hangs":
            return [*steps[:middle], Hang()]
        case "walks_out":
            # somebody walks out of what takes long
            return [
                *steps[:middle],
                *text_in_chunks(words.answer(dice, 80), words=3, every=1.0),
                *steps[middle:],
            ]
        case _:
            return steps


def _refusal(dice: Dice) -> Refuse:
    return dice.pick(
        (
            Refuse(503, "overloaded", "the model is overloaded; try again shortly"),
            Refuse(429, "rate_limit_exceeded", "too many tokens per minute; slow down"),
            Refuse(500, "internal_error", "the server had an error while processing the request"),
        )
    )


def context_after(turns: int, first: int, window: int) -> int:
    """The tokens that go along with a question after so many turns, never more than the model takes."""
    return min(first + turns * _CONTEXT_PER_TURN, round(window * 0.95))
