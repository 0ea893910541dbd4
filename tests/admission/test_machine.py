"""Whatever happens in whatever order, the waiting room does what the small one does, and keeps its promises.

One suite for both databases. The default is short, shorter still on PostgreSQL; `make soak` plays on for long.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, Row, text

from core.admission import WaitingRoom
from core.admission.answers import SeatAnswer
from core.clock import parse_timestamp
from core.errors import MaitredError
from core.journal import Journal
from core.protocol import Health, QueueChanged, QueueRow, SeatChanged, SeatGone, SeatRow
from core.settings import Admission
from tests.admission.house import House
from tests.admission.small_model import Answer, SmallHouse
from tests.storage.storage import Fresh

T = TypeVar("T")
Tables = dict[str, list[Row[Any]]]

USERS = ["ann", "bob", "cid", "dot", "eve", "fay"]
MODELS = ["small", "big", "lim", "office"]
TIERS = ["full", "limited"]
TABLES = {"seats": "", "admits": "", "bans": "", "pauses": "", "counters": "WHERE value <> 0"}
"""What is compared; a counter at nothing may as well be absent."""
REFUSALS = ("banned", "disabled", "model_unknown", "model_locked", "model_unavailable", "rate_limited")
HOURS = [
    {"open": "09:00 America/New_York", "close": "17:00 America/Los_Angeles"},
    {"open": "22:00 Europe/Berlin", "close": "02:30 Europe/Berlin"},
    {"open": "00:30 America/Havana", "close": "23:00 Africa/Cairo"},
]
LA, HAVANA, CAIRO = "America/Los_Angeles", "America/Havana", "Africa/Cairo"
STARTS = [
    (LA, "2026-04-23T12:00:00Z"),
    (LA, "2026-11-01T05:00:00Z"),
    (LA, "2026-11-01T07:30:00Z"),
    (LA, "2027-03-14T08:30:00Z"),
    (HAVANA, "2026-11-01T02:00:00Z"),
    (HAVANA, "2026-11-01T04:30:00Z"),
    (HAVANA, "2027-03-14T03:00:00Z"),
    (CAIRO, "2026-10-29T20:30:00Z"),
    (CAIRO, "2027-04-29T19:00:00Z"),
    (LA, "2027-01-01T06:00:00Z"),
]
"""Hours before or after the midnight of a day on which a quota zone's clocks change (some at midnight), or the year."""

KNOBS: dict[str, st.SearchStrategy[Any]] = {
    "gone": st.sampled_from([None, None, None, None, *MODELS]),
    "instant": st.sampled_from([1, 0, 2]),
    "ceiling": st.sampled_from([2, 1, 0]),
    "big ceiling": st.sampled_from([1, 2]),
    "enabled": st.sampled_from([True] * 19 + [False]),
    "fallback": st.sampled_from(["small", "small", "big", ""]),
    "limited fallback": st.sampled_from(["lim", "lim", "office", ""]),
    "abandon": st.sampled_from([0, 0, 600]),
    "per tick": st.sampled_from([1, 1, 2]),
    "zone": st.sampled_from([LA, HAVANA, CAIRO]),
    "full": st.sampled_from([2, 1, 1.5, 5]),
    "limited": st.sampled_from([2, 1]),
    "hours": st.sampled_from(HOURS),
}


def terms(knobs: dict[str, Any]) -> Admission:
    """Settings of a house of four models."""
    each = {"instant_admit_capacity": knobs["instant"], "max_active": knobs["ceiling"]}
    models: list[dict[str, Any]] = [
        {"id": "small", **each},
        {"id": "big", "premium": True, "companions": ["small"], **each, "max_active": knobs["big ceiling"]},
        {"id": "lim", "premium": True, "limited": True, "companions": ["office", "big"], **each},
        {"id": "office", "limited": True, "hours": knobs["hours"], **each},
    ]
    models = [model for model in models if model["id"] != knobs["gone"]]
    fallbacks = {"fallback_model": knobs["fallback"], "limited_model": knobs["limited fallback"]}
    return msgspec.convert(
        {
            "enabled": knobs["enabled"],
            "session_seconds": 1200,
            "grace_seconds": 600,
            "abandon_seconds": knobs["abandon"],
            "admits_per_tick": knobs["per tick"],
            "bypass_emails": ["boss@house.example"],
            "models": models,
            "quota": {"zone": knobs["zone"], "full": knobs["full"], "limited": knobs["limited"]},
            **{key: name if name != knobs["gone"] else "" for key, name in fallbacks.items()},
        },
        Admission,
    )


users = st.sampled_from(USERS)
models = st.sampled_from(MODELS)
asked = st.sampled_from([*MODELS, *MODELS, "unheard-of", ""])
tiers = st.sampled_from([*TIERS, "full"])
emails = st.sampled_from([None] * 9 + ["", "Boss@House.example"])
claims = st.sampled_from(["own", "own", "former", "", None])
waiting = st.runner().flatmap(lambda machine: st.sampled_from(machine.users("queued") or USERS))
seated = st.runner().flatmap(lambda machine: st.sampled_from(machine.users("active") or USERS))
offsets = st.sampled_from([0, 0, 0, -1, 1])
wanted = st.runner().flatmap(lambda machine: st.sampled_from(sorted(machine.small.depths()) or MODELS))
changes = st.one_of(
    st.just({}),
    st.just({}),
    wanted.map(lambda model: {"gone": model}),
    wanted.map(lambda model: {"gone": model}),
    *(st.fixed_dictionaries({name: knob}) for name, knob in KNOBS.items()),
)
"""What is other in the settings after a restart: mostly nothing, or one thing."""
one_or_all = st.sampled_from([*MODELS, None])


class Machine(RuleBasedStateMachine):
    """A real waiting room and a small one, given the same things to do."""

    fresh: ClassVar[Fresh]
    knobs: dict[str, Any]
    house: House
    small: SmallHouse
    tables: Tables
    memory: dict[Any, Any]
    followed: tuple[dict[str, SeatRow], dict[str, QueueRow]]
    cursor: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.former: dict[str, str] = {}
        self.crossed: set[str] = set()
        self.untouched = False

    @initialize(knobs=st.fixed_dictionaries(KNOBS), start=st.sampled_from(STARTS))
    def open(self, knobs: dict[str, Any], start: tuple[str, str]) -> None:
        zone, moment = start
        self.knobs = knobs | {"zone": zone}
        self.house = House(self.fresh(), terms(self.knobs))
        self.house.clock.set(parse_timestamp(moment))
        self.small = SmallHouse(self.house.settings, self.house.clock.now())
        self.latest = self.house.clock.now()
        """The latest moment that anybody can have been seen at, which a clock that is set back is before."""
        self.run(self.house.open())
        self.follow_anew()
        self.tables = self.read_tables()
        self.memory = self.read_memory(self.room)

    def teardown(self) -> None:
        if hasattr(self, "tables"):
            self.run(self.house.aclose())
        self.runner.close()
        self.fresh.give_back()

    # ------------------------------------------------------------------------------------- what users do

    @rule(user=users, model=asked, tier=tiers, email=emails)
    def request(self, user: str, model: str, tier: Any, email: str | None) -> None:
        answer = self.run(self.room.request(user, model, access_tier=tier, email=email))
        self.judge_request(answer, user, model, tier, email)
        if self.status(answer) in REFUSALS:
            self.check_untouched()

    @rule(asks=st.lists(st.tuples(users, asked, tiers), min_size=2, max_size=5))
    def rush(self, asks: list[tuple[str, str, Any]]) -> None:
        """All at once; they are served in the order in which they came."""

        async def together() -> list[SeatAnswer]:
            return await asyncio.gather(
                *(self.room.request(user, model, access_tier=tier) for user, model, tier in asks)
            )

        for (user, model, tier), answer in zip(asks, self.run(together()), strict=True):
            self.judge_request(answer, user, model, tier, None)

    @rule(user=users, tier=tiers, email=emails, claim=claims)
    def poll(self, user: str, tier: Any, email: str | None, claim: str | None) -> None:
        claimed = self.claimed(user, claim)
        answer = self.room.state(user, instance_id=claimed, access_tier=tier, email=email)
        agree(self.small.state(user, tier, email, claimed), answer)
        self.check_untouched()

    @rule(
        user=users,
        tier=tiers,
        email=emails,
        claim=claims,
        model=st.one_of(st.none(), asked),
        strict=st.booleans(),
    )
    def gate(
        self, user: str, tier: Any, email: str | None, claim: str | None, model: str | None, strict: bool
    ) -> None:
        claimed = self.claimed(user, claim)
        answer = self.room.gate(
            user, claimed, model=model, access_tier=tier, email=email, require_active=strict
        )
        told = answer.reason if answer.ok else answer.code
        assert told == self.small.gate(user, claimed, model, tier, email, strict)
        self.check_untouched()

    @rule(model=models, tier=tiers, first=st.integers(0, 5), count=st.integers(2, 6))
    def crowd(self, model: str, tier: str, first: int, count: int) -> None:
        """Several want the same."""
        self.rush([(USERS[(first + number) % 6], model, tier) for number in range(count)])

    @rule(user=seated, email=emails)
    def end(self, user: str, email: str | None) -> None:
        self.run(self.room.end(user, email=email))
        if not self.small.exempt(email):
            self.small.end(user)

    # ---------------------------------------------------------------------------------- what operators do

    @rule(user=users)
    def end_seat(self, user: str) -> None:
        assert self.run(self.room.end_seat(user)) == self.small.end(user)

    @rule(user=st.one_of(waiting, waiting, users))
    def admit_now(self, user: str) -> None:
        try:
            told = self.status(self.run(self.room.admit_now(user)))
        except MaitredError as error:
            told = error.code
        assert told == self.small.admit_now(user)
        self.crossed = {user}

    @rule(user=st.one_of(users, waiting), lifted=st.booleans())
    def ban(self, user: str, lifted: bool) -> None:
        banned = user in self.small.bans
        if lifted:
            assert self.run(self.room.unban(user)) == banned
            self.small.bans.discard(user)
        else:
            assert self.run(self.room.ban(user, actor="op")) == (not banned)
            self.small.bans.add(user)

    @rule(model=one_or_all, lifted=st.sampled_from([False, True, True]))
    def pause(self, model: str | None, lifted: bool) -> None:
        if model is not None and model not in self.small.models:
            return
        if lifted:
            self.run(self.room.resume(model))
            self.small.resume(model)
        else:
            self.run(self.room.pause(model, actor="op"))
            self.small.pause(model)

    @rule(model=models, health=st.sampled_from(["healthy", "healthy", "healthy", "degraded", "unhealthy"]))
    def set_health(self, model: str, health: Health) -> None:
        if model in self.small.models:
            self.room.set_health(model, health)
            self.small.health[model] = health

    @rule(user=users)
    def look(self, user: str) -> None:
        """Everything that can be asked about somebody changes nothing."""
        explained = self.room.explain(user)
        place = self.small.places.get(user)
        if place is not None and self.small.stage(place) == "queued" and user not in self.small.bans:
            ahead = [each.user for each in self.small.queue(place.model) if each.number < place.number]
            assert (explained.ahead, explained.ahead_count) == (ahead, len(ahead))
        admits = self.run(self.room.admits_of(user))
        assert [round(admit.units * 10) for admit in admits] == [
            entry.tenths for entry in sorted(self.small.log, key=lambda entry: entry.at) if entry.user == user
        ]
        self.room.may_use(user, "small", "full")
        self.check_untouched()

    # ----------------------------------------------------------------------------------- what time does

    @rule(times=st.integers(1, 3))
    def ticks(self, times: int) -> None:
        for _ in range(times):
            self.tick()

    def tick(self) -> None:
        report = msgspec.to_builtins(self.run(self.room.tick()))
        assert report == self.small.tick()
        seats, queues = self.rows(self.run(self.twin()))
        assert (
            self.rows(self.room)[0],
            {m: r for m, r in self.rows(self.room)[1].items() if m in queues},
        ) == (
            seats,
            queues,
        ), "after a tick every row is as fresh as at a start"

    @rule(which=st.integers(0, 5), offset=offsets, ticks=st.booleans())
    def come_to_an_end(self, which: int, offset: int, ticks: bool) -> None:
        """To the very moment of an expiry, of a grace's end, of being forgotten; or a millisecond off."""
        moments = self.small.turning_points()
        self.go_to(moments[which % len(moments)] + offset)
        if ticks:
            self.tick()

    @rule(which=st.integers(0, 6), offset=offsets)
    def come_to_a_day(self, which: int, offset: int) -> None:
        """To the very moment of a midnight, an opening or a closing; or a millisecond off."""
        moments = self.small.openings()
        self.go_to(moments[which % len(moments)] + offset)

    @rule(seconds=st.sampled_from([0.001, 15, 120, 120.001, 300, 3600, 90_000]))
    def wait(self, seconds: float) -> None:
        self.go_to(self.house.clock.now() + round(seconds * 1000))

    @rule(seconds=st.sampled_from([0.001, 1, 600, 1201, 5400]), ticks=st.booleans())
    def set_back(self, seconds: float, ticks: bool) -> None:
        """The machine's clock was fast, and is corrected."""
        if not self.small.abandon:  # who was seen in the future is patient for longer
            self.latest = max(self.latest, self.house.clock.now())
            self.house.clock.correct(-seconds)
            self.small.now = self.house.clock.now()
            self.memory = self.read_memory(self.room)
            if ticks:
                self.tick()

    @rule(changed=changes, ticks=st.booleans())
    def restart(self, changed: dict[str, Any], ticks: bool) -> None:
        self.restart_with(changed, ticks=ticks)

    @rule(full=st.sampled_from([0, 1, 3]), limited=st.sampled_from([0, 1]), ticks=st.booleans())
    def restart_with_quotas(self, full: int, limited: int, ticks: bool) -> None:
        """The one way for somebody who waits to be over their quota."""
        self.restart_with({"full": full, "limited": limited}, ticks=ticks)

    def restart_with(self, changed: dict[str, Any], *, ticks: bool) -> None:
        if changed.get("abandon") and self.house.clock.now() < self.latest:
            return  # the same by another way: see `set_back`
        self.knobs = self.knobs | changed
        self.run(self.house.restart(terms(self.knobs)))
        self.small.restart(self.house.settings)
        self.follow_anew()
        if ticks:
            self.tick()

    # ---------------------------------------------------------------------------- what has to hold always

    @invariant()
    def it_is_as_it_should_be(self) -> None:
        if self.untouched:
            self.untouched = False
            return
        before, self.tables = self.tables, self.read_tables()
        self.memory = self.read_memory(self.room)
        self.check_stored()
        self.check_ceilings(before)
        self.check_order(before)
        self.check_places()
        self.check_gates()
        self.check_rows()
        self.check_memory()
        self.crossed = set()

    def check_stored(self) -> None:
        """What is stored is what the small house has: one seat a user, nobody twice, and every unit."""
        seats = self.tables["seats"]
        assert len({seat.user_id for seat in seats}) == len(seats)
        assert sorted(
            (s.user_id, s.model, s.access_tier, s.expires_at, s.instance_id) for s in seats
        ) == sorted((p.user, p.model, p.tier, p.expires_at, p.instance) for p in self.small.places.values())
        for seat in seats:
            assert (seat.status == "queued") == (seat.expires_at is None) == (seat.admit_id is None), seat
        assert [
            (a.user_id, a.model, a.access_tier, a.admitted_at, a.tenths) for a in self.tables["admits"]
        ] == [(e.user, e.model, e.tier, e.at, e.tenths) for e in self.small.log]
        assert {ban.user_id for ban in self.tables["bans"]} == self.small.bans
        assert {pause.model for pause in self.tables["pauses"]} == self.small.pauses
        active = Counter(f"active_seats:{seat.model}" for seat in seats if seat.status == "active")
        counted = {c.name: c.value for c in self.tables["counters"] if c.name.startswith("active")}
        assert counted == active

    def check_ceilings(self, before: Tables) -> None:
        """Never beyond the ceiling; where a restart has lowered it, never more than before."""
        was, is_now = (self.occupied(tables) for tables in (before, self.tables))
        for model, count in is_now.items():
            assert count <= max(self.small.ceiling(model), was[model]), (model, count)

    def check_order(self, before: Tables) -> None:
        """Whoever is let in leaves nobody waiting before them, but who is banned or over their own quota."""
        logged = {admit.id for admit in before["admits"]}
        seats = self.tables["seats"]
        let_in = [
            s for s in seats if s.admit_id and s.admit_id not in logged and s.user_id not in self.crossed
        ]
        for seat in let_in:
            for other in seats:
                if other.status == "queued" and other.model == seat.model and other.ticket < seat.ticket:
                    over = self.small.is_over(other.user_id, other.model, other.access_tier)
                    assert over or other.user_id in self.small.bans, (
                        f"{seat.user_id} overtook {other.user_id}"
                    )

    def check_places(self) -> None:
        """Tickets and the places that people are told agree, in the rows of seats as in the small house."""
        rows = [row for row in self.room.seat_rows() if row.state == "queued" and not row.banned]
        assert len({row.ticket for row in rows}) == len(rows)
        for model in {row.model for row in rows}:
            line = sorted((row for row in rows if row.model == model), key=lambda row: row.ticket)
            assert [row.user_id for row in line] == [place.user for place in self.small.queue(model)]
        for queue in self.room.queue_rows():
            told = (queue.waiting, queue.paused, queue.health)
            paused = bool({"", queue.model} & self.small.pauses)
            health = self.small.health.get(queue.model, "healthy")
            assert told == (len(self.small.queue(queue.model)), paused, health)
        for user in USERS if not self.small.abandon else []:
            for tier in TIERS:
                agree(self.small.state(user, tier), self.memory[user, tier])  # type: ignore[arg-type]

    def check_gates(self) -> None:
        for user in USERS:
            mine = self.claimed(user, "own")
            answer = self.room.gate(user, mine)
            assert (answer.reason or answer.code) == self.small.gate(user, mine, None, "full", None, False)

    def check_rows(self) -> None:
        """The rows are those of the start, and what the events have said since."""
        seats, queues = self.followed
        for event in self.house.journal.since(self.cursor) or []:
            match event:
                case SeatChanged():
                    seats[event.seat.user_id] = event.seat
                case SeatGone():
                    del seats[event.user_id]
                case QueueChanged():
                    queues[event.queue.model] = event.queue
                case _:
                    raise AssertionError(event)
        self.cursor = self.house.journal.cursor
        assert (seats, queues) == self.rows(self.room)

    def check_memory(self) -> None:
        """A second room that opens on the same database has everything in mind that this one has."""
        assert self.read_memory(self.run(self.twin())) == self.memory

    # --------------------------------------------------------------------------------------------- plumbing

    @property
    def room(self) -> WaitingRoom:
        return self.house.room

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def status(self, answer: SeatAnswer) -> str:
        return str(type(answer).__struct_config__.tag)

    def judge_request(self, answer: SeatAnswer, user: str, model: str, tier: Any, email: str | None) -> None:
        expected = self.small.request(user, model, tier, email)
        place = self.small.places.get(user)
        told = msgspec.to_builtins(answer)
        if place is not None and expected["status"] in ("queued", "active"):
            assert told["instanceId"] != place.instance, "the newest client holds the seat alone"
            self.former[user] = place.instance or self.former.get(user, "nobody's")
            place.instance = expected["instanceId"] = told["instanceId"]
        agree(expected, answer)

    def users(self, stage: str) -> list[str]:
        """Whose seat is at that stage."""
        return sorted(user for user, place in self.small.places.items() if self.small.stage(place) == stage)

    def claimed(self, user: str, claim: str | None) -> str | None:
        place = self.small.places.get(user)
        if claim == "own":
            return place.instance if place else "nobody's"
        return self.former.get(user, "nobody's") if claim == "former" else claim

    def go_to(self, moment: int) -> None:
        self.house.clock.set(moment)
        self.small.now = moment
        self.memory = self.read_memory(self.room)

    async def twin(self) -> WaitingRoom:
        room = await WaitingRoom.open(
            self.house.settings,
            database=self.house.database,
            clock=self.house.clock,
            journal=Journal(self.house.clock, "twin", max_events=1000, max_bytes=1_000_000),
            new_id=lambda: "nobody's",
        )
        for model, health in self.small.health.items():
            room.set_health(model, health)  # type: ignore[arg-type]
        return room

    def rows(self, room: WaitingRoom) -> tuple[dict[str, SeatRow], dict[str, QueueRow]]:
        return {row.user_id: row for row in room.seat_rows()}, {row.model: row for row in room.queue_rows()}

    def follow_anew(self) -> None:
        self.followed = self.rows(self.room)
        self.cursor = self.house.journal.cursor

    def occupied(self, tables: Tables) -> Counter[str]:
        gone = self.small.now - self.small.grace
        return Counter(s.model for s in tables["seats"] if s.expires_at is not None and s.expires_at > gone)

    def read_tables(self) -> Tables:
        def read(connection: Connection) -> Tables:
            return {
                name: list(connection.execute(text(f"SELECT * FROM {name} {which} ORDER BY 1")).all())
                for name, which in TABLES.items()
            }

        return self.run(self.house.database.read(read))

    def read_memory(self, room: WaitingRoom) -> dict[Any, Any]:
        """All that a room can tell without its database, but when people were last seen.

        Where that counts nobody is polled, for a poll would be remembered.
        """
        told: dict[Any, Any] = {}
        for user in USERS:
            why = room.explain(user)
            because = [each for each in why.because if each.rule != "abandon"]
            seat = room.seat_of(user)
            stored = seat and msgspec.structs.replace(seat, seen_at=0)
            told[user] = (stored, why.summary, because, why.ahead, why.ahead_count)
            if not self.small.abandon:
                told |= {(user, tier): room.state(user, access_tier=tier) for tier in TIERS}  # type: ignore[arg-type]
        return told

    def check_untouched(self) -> None:
        """Nothing has changed since the last step: neither rows nor memory, and the journal tells nothing."""
        assert self.house.journal.cursor == self.cursor
        assert self.read_tables() == self.tables
        assert self.read_memory(self.room) == self.memory
        self.untouched = True


def agree(expected: Answer, answer: Any) -> None:
    """Whether the answer says what the small house expects, field by field."""
    told = msgspec.to_builtins(answer)
    limits = told.get("rateLimitsByModel") or {}
    told["counts"] = {
        model: (limit["recentCount"], limit["resetAt"]) for model, limit in limits.items()
    } or None
    found = {name: told.get(name) for name in expected}
    assert found == {name: value if name != "counts" else value or None for name, value in expected.items()}


def play(given: Fresh, *, games: int, steps: int) -> None:
    """Many games of few houses: tried with faults made on purpose, they find more than one game of many."""

    class Play(Machine):
        fresh = given

    terms_of_play = settings(
        max_examples=15,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    for game in range(games):
        run_state_machine_as_test(Play, settings=terms_of_play)
        # shown with a later one that does not hold, or by -rP
        print(f"{given.kind}: {game + 1} of {games} games of {steps} steps hold")


@pytest.mark.timeout(600)  # reducing a failure takes Hypothesis up to five minutes
def test_the_waiting_room_does_what_the_small_one_does(fresh: Fresh) -> None:
    play(fresh, games=5 if fresh.kind == "sqlite" else 1, steps=60)


@pytest.mark.soak
def test_the_waiting_room_does_so_for_long(fresh: Fresh) -> None:
    """Five minutes each, on two cores that do other things as well. The games are others every time it is played."""
    play(fresh, games=12 if fresh.kind == "sqlite" else 4, steps=100)
