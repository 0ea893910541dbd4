"""The errands of guests, through the doors that real clients use: the waiting room, and a turn for each question."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import msgspec

from console.sandbox import scripts
from console.sandbox.agenda import Act, Do, Errand, WalkOut
from console.sandbox.cast import Cast, Guest
from console.sandbox.fleet import BY_MODEL, FALLBACK
from console.sandbox.scenarios import Scenario
from console.sandbox.scripts import Next, Visit
from core.admission import Access, SeatAnswer
from core.admission.answers import ActiveSeat, QueuedSeat, RateLimited
from core.errors import MaitredError
from core.runs import Lagged
from core.session_core import SessionCore
from core.turn import Turn, TurnRequest

Book = Callable[[float, Errand], None]
"""Books an errand in so many seconds."""

_STREAMED, _OPERATOR_SEES = 0.94, 0.6
_VIP, _FORGIVEN, _STALE_TOOLS = 0.06, 0.08, 0.006
_BAN_SECONDS = (160, 300)


class Visits:
    """Carries out what guests do; `seen` counts what the journal does not tell, by its name."""

    def __init__(self, core: SessionCore, cast: Cast, scenario: Scenario, pace: float, book: Book) -> None:
        self.seen: Counter[str] = Counter()
        self._core = core
        self._cast = cast
        self._scenario = scenario
        self._pace = pace
        self._book = book

    async def ask(self, guest: Guest) -> None:
        """Ask for a seat; at the door for the first time, somebody decides what they came for."""
        if guest.visit is None:
            self._begin(guest)
        assert guest.visit is not None
        answer = await self._core.waiting_room.request(
            guest.who.user_id,
            guest.visit.model,
            access_tier=guest.who.persona.access_tier,
            access=Access(country_code=guest.who.country, address_hash=guest.who.address),
        )
        if isinstance(answer, QueuedSeat) and self._cast.dice(guest).chance(_VIP):
            self._book(12 * self._pace, Act("admit", guest.who.user_id))
        self._follow(guest, guest.visit, answer)

    def look(self, guest: Guest) -> None:
        """Look whether the seat has come."""
        assert guest.visit is not None
        answer = self._core.waiting_room.state(
            guest.who.user_id, instance_id=guest.instance_id, access_tier=guest.who.persona.access_tier
        )
        self._follow(guest, guest.visit, answer)

    async def leave(self, guest: Guest) -> None:
        """Go, with or without giving the seat back."""
        persona, dice = guest.who.persona, self._cast.dice(guest)
        guest.visit, guest.instance_id = None, None
        guest.conversation, guest.calls, guest.said = [], [], ""
        if dice.chance(persona.ends_seat):
            await self._core.waiting_room.end(guest.who.user_id)
        if dice.chance(persona.returns):
            self._book(dice.between(persona.away) * self._pace, Do(guest, "ask"))
        else:
            self._cast.leave(guest)

    def talk(self, guest: Guest) -> Turn | None:
        """Ask the next question; None when the seat is over. Raises ShuttingDown."""
        assert guest.visit is not None
        dice = self._cast.dice(guest)
        if self._core.clock.now() >= guest.seat_until:
            self._then(guest, Next("leave", dice.between((0, 3))))
            return None
        persona = guest.who.persona
        if guest.calls:
            guest.conversation += scripts.tool_results(dice, guest.calls)
        elif not guest.failures:
            guest.said = scripts.question(persona, dice, guest.said)
            guest.conversation.append({"role": "user", "content": guest.said})
        guest.mishap = scripts.mishap(persona, dice, self._scenario.mishaps)
        turn = self._core.turns.open(_request(guest, guest.visit, stream=dice.chance(_STREAMED)))
        cut = scripts.cut_after(guest.mishap, dice)
        if cut is not None:
            by_operator = guest.mishap == "hangs" and dice.chance(_OPERATOR_SEES)
            self._book(cut, Act("abort", turn.run_id) if by_operator else WalkOut(turn))
        return turn

    async def hear(self, guest: Guest, turn: Turn) -> None:
        """Follow an answer to its end, as a client's connection does, and decide what comes then."""
        try:
            run = await asyncio.shield(turn.begun)  # it is the turn's, whatever becomes of us
            subscription = self._core.runs.subscribe(run.id, name="client")
            try:
                while await subscription.next():
                    pass
            finally:
                subscription.close()
        except (MaitredError, Lagged):
            self.seen["not_heard"] += 1
        await turn.ended.wait()
        if guest.visit is not None:
            self._then(guest, self._after(guest, guest.visit, turn))

    def _begin(self, guest: Guest) -> None:
        guest.visits += 1
        guest.turns = guest.failures = 0
        guest.asked_at = self._core.clock.now()
        guest.visit = scripts.visit(
            guest.who.persona,
            self._cast.dice(guest),
            number=guest.number,
            visits=guest.visits,
            pace=self._pace,
        )
        system = guest.who.persona.system
        guest.conversation = [{"role": "system", "content": system}] if system else []

    def _follow(self, guest: Guest, visit: Visit, answer: SeatAnswer) -> None:
        now = self._core.clock.now()
        match answer:
            case QueuedSeat():
                guest.instance_id = answer.instance_id
            case ActiveSeat():
                guest.instance_id, guest.seat_until = answer.instance_id, now + answer.remaining_ms
            case RateLimited():
                self.seen["rate_limited"] += 1
            case _:
                pass
        then = scripts.seated(
            answer,
            self._cast.dice(guest),
            waited=(now - guest.asked_at) / 1000,
            patience=visit.patience,
            metered=BY_MODEL[visit.model].model.premium,
            pace=self._pace,
        )
        if then is None:
            self.seen["settled_for_less"] += 1
            guest.visit = msgspec.structs.replace(
                visit, model=FALLBACK, named=False, topic=f"{visit.topic}-auto"
            )
            then = Next("ask", 2)
        self._then(guest, then)

    def _after(self, guest: Guest, visit: Visit, turn: Turn) -> Next:
        persona, dice = guest.who.persona, self._cast.dice(guest)
        calls, guest.calls = turn.answer.tool_calls, []
        if turn.error is not None or turn.stopped is not None:
            guest.failures = guest.failures + 1 if turn.error is not None else 0
            if turn.stopped is not None and turn.answer.text:
                guest.conversation.append(scripts.message_of(turn.answer.text, []))
            return scripts.after_failure(persona, dice, turn.error, failures=guest.failures, pace=self._pace)
        guest.failures = 0
        guest.conversation.append(scripts.message_of(turn.answer.text, calls))
        guest.calls = calls
        guest.turns += not calls
        self._alert(guest)
        return scripts.after_answer(
            persona, dice, turns_left=visit.turns - guest.turns, calls=bool(calls), pace=self._pace
        )

    def _alert(self, guest: Guest) -> None:
        """Operators look over the guests' shoulders now and then."""
        dice, user = self._cast.dice(guest), guest.who.user_id
        if guest.who.persona.banned_after and guest.turns == guest.who.persona.banned_after:
            self._book(3, Act("ban", user))
            self._book(dice.between(_BAN_SECONDS), Act("unban", user))
        pin = self._core.pins.get(guest.session_key)
        if pin is not None and pin.strikes and dice.chance(_FORGIVEN):
            self._book(5, Act("forgive", guest.session_key))
        if dice.chance(_STALE_TOOLS):
            self._book(2, Act("dirty", guest.who.project))

    def _then(self, guest: Guest, then: Next) -> None:
        self._book(then.after, Do(guest, then.what))


def _request(guest: Guest, visit: Visit, *, stream: bool) -> TurnRequest:
    """The request that the front door would make of the client's call."""
    body = {"model": visit.model if visit.named else "auto", "user": guest.who.user_id, "stream": stream}
    return TurnRequest(
        user_id=guest.who.user_id,
        session_key=guest.session_key,
        instance_id=guest.instance_id,
        access_tier=guest.who.persona.access_tier,
        project=guest.who.project,
        model=visit.model if visit.named else None,
        body={name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()},
        messages=list(guest.conversation),
        stream=stream,
        include_usage=True,
    )
