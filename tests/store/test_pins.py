"""Pins over a real database: behaviours/pins.md, decisions 1 to 7, 11 and 12."""

from __future__ import annotations

import asyncio
from collections import Counter as Count

import pytest
from sqlalchemy import Connection

from core.errors import InvalidArgument, StorageFailed
from core.protocol import PinChanged, PinGone
from core.settings import Pins as PinSettings
from core.store.choice import Choice
from core.store.pins import Changed
from tests.storage.storage import Storage
from tests.store.counter import MODELS, Counter, anyone, nobody, opened


def what_happened(events: list[object]) -> list[tuple[str, str]]:
    """The journal of pins in brief."""
    return [
        (event.what, event.pin.session_key if isinstance(event, PinChanged) else event.session_key)
        for event in events
        if isinstance(event, PinChanged | PinGone)
    ]


def foresee(counter: Counter, key: str = "k", fingerprint: str = "a", requested: str | None = None) -> Choice:
    return counter.pins.foresee(key, requested, fingerprint, anyone, fallback="s")


@pytest.mark.parametrize("operation", ["pin", "touch"])
async def test_a_use_extends_to_the_millisecond(storage: Storage, operation: str) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s")
        counter.clock.advance(0.9)
        await (counter.pins.pin("k", "s") if operation == "pin" else counter.pins.touch("k"))
        counter.clock.advance(1)
        pin = counter.pins.get("k")
        assert pin is not None
        assert pin.request_count == 2
        counter.clock.advance(0.001)
        assert counter.pins.get("k") is None
        assert counter.pins.row("k") is None
        assert counter.pins.rows() == []


async def test_nothing_but_a_use_extends(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s", explicit=True)
        counter.clock.advance(0.9)
        await counter.pins.record("k", "a")
        await counter.pins.release("k")
        await counter.pins.escalate("k", anyone)
        await counter.pins.record("k", "a")
        await counter.pins.reset_strikes("k")
        counter.clock.advance(0.101)
        assert counter.pins.get("k") is None


async def test_an_expired_pin_is_absent_everywhere(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s")
        for _ in range(3):
            await counter.pins.record("k", "a")
        await counter.pins.escalate("k", anyone)
        await counter.pins.pin("k", "c", explicit=True)
        counter.clock.advance(1.001)
        assert await counter.pins.touch("k") is None
        assert (await counter.pins.record("k", "a")).run == 0
        assert (await counter.pins.escalate("k", anyone)).tier is None
        assert await counter.pins.release("k") is None
        assert await counter.pins.reset_strikes("k") is None
        assert counter.pins.get("k") is None
        assert foresee(counter).model == "s"
        pin = await counter.pins.pin("k", "s")
        assert (pin.request_count, pin.explicit, pin.escalated, pin.strikes) == (1, False, False, 0)
        assert pin.created_at == counter.clock.now()


@pytest.mark.parametrize("key", ["", "a\0b", "\ud800"])
async def test_keys_that_cannot_be_kept_are_refused(storage: Storage, key: str) -> None:
    async with opened(storage) as counter:
        pins = counter.pins
        with pytest.raises(InvalidArgument):
            pins.get(key)
        for call in (
            pins.pin(key, "s"),
            pins.pin("k", key),
            pins.touch(key),
            pins.record(key, "a"),
            pins.escalate(key, anyone),
            pins.release(key),
            pins.reset_strikes(key),
            pins.clear(key),
        ):
            with pytest.raises(InvalidArgument):
                await call
        with pytest.raises(InvalidArgument):
            foresee(counter, requested=key)


async def test_a_session_without_a_pin(storage: Storage) -> None:
    async with opened(storage) as counter:
        assert await counter.pins.touch("k") is None
        assert (await counter.pins.record("k", "a")).run == 0
        assert not (await counter.pins.escalate("k", anyone)).changed
        assert not await counter.pins.clear("k")
        assert await counter.stored() == 0
        assert await counter.events() == []


async def test_answers_are_copies(storage: Storage) -> None:
    async with opened(storage) as counter:
        before = await counter.pins.pin("k", "s")
        await counter.pins.touch("k")
        assert before.request_count == 1
        with pytest.raises(AttributeError):
            before.model = "c"  # type: ignore[misc]


async def test_a_restart_changes_nothing_and_stops_no_clock(storage: Storage) -> None:
    async with opened(storage) as counter:
        for key in ("k", "other"):
            await counter.pins.pin(key, "s")
        await counter.pins.record("k", "a")
        await counter.pins.record("k", "a")
        await counter.pins.pin("explicit", "unheard-of", explicit=True)
        await counter.pins.escalate("other", anyone)
        pins = {key: counter.pins.get(key) for key in ("k", "other", "explicit")}
        rows = counter.pins.rows()
        counter.clock.advance(0.5)
        await counter.restart()
        assert {key: counter.pins.get(key) for key in pins} == pins
        assert sorted(counter.pins.rows(), key=str) == sorted(rows, key=str)
        assert await counter.events() == []
        assert (await counter.pins.record("k", "a")).escalate
        counter.clock.advance(0.5)
        await counter.restart()
        assert len(counter.pins.rows()) == 3
        counter.clock.advance(0.001)
        assert counter.pins.rows() == []
        await counter.restart()
        assert await counter.stored() == 0


async def test_clearing(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s", explicit=True)
        assert await counter.pins.clear("k")
        assert counter.pins.get("k") is None
        assert not (await counter.pins.pin("k", "s")).explicit
        assert what_happened([*await counter.events()]) == [
            ("pinned", "k"),
            ("cleared", "k"),
            ("pinned", "k"),
        ]


async def test_the_journal_has_a_word_for_everything(storage: Storage) -> None:
    async with opened(storage) as counter:
        pins = counter.pins
        await pins.pin("k", "s", explicit=True)
        await pins.touch("k")
        await pins.release("k")
        await pins.release("k")
        await pins.record("k", "a")
        await pins.record("k", "a")
        await pins.record("k", "b")
        await pins.record("k", "c")  # nothing that anybody could see
        await pins.record("k", "c")
        await pins.reset_strikes("k")
        await pins.reset_strikes("k")
        await pins.escalate("k", nobody)
        await pins.escalate("k", anyone)
        events = await counter.events()
        words = "pinned touched released touched struck forgiven struck reset escalated"
        assert [what for what, _ in what_happened([*events])] == words.split()
        last = events[-1]
        assert isinstance(last, PinChanged)
        assert last.pin == pins.row("k")
        assert (last.pin.model, last.pin.tier, last.pin.run, last.pin.repeat_limit) == ("m", "MEDIUM", 0, 3)


# ------------------------------------------------------------------------------------------- foresee and count


async def test_foreseeing_changes_nothing(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s")
        before = counter.pins.get("k")
        for _ in range(5):
            assert foresee(counter) == Choice(
                session_key="k", model="s", tier="SIMPLE", explicit=False, fingerprint="a", escalates=False
            )
        await counter.restart()
        assert counter.pins.get("k") == before


async def test_a_conversation_that_repeats_itself_climbs(storage: Storage) -> None:
    async with opened(storage) as counter:
        models = []
        for _ in range(8):
            choice = foresee(counter)
            models.append(choice.model)
            pin = await counter.pins.count(choice)
            assert pin == counter.pins.get("k")
            assert pin.model == choice.model
        assert models == ["s", "s", "m", "m", "m", "c", "c", "c"]
        assert not foresee(counter, fingerprint="b").escalates
        pin = await counter.pins.count(foresee(counter, fingerprint="b"))
        assert (pin.model, pin.strikes, pin.request_count) == ("c", 0, 9)


async def test_attempts_that_bring_nothing_do_not_strike(storage: Storage) -> None:
    async with opened(storage) as counter:
        for _ in range(10):
            foresee(counter)
        await counter.pins.count(foresee(counter))
        for _ in range(10):
            assert not foresee(counter).escalates
        pin = counter.pins.get("k")
        assert pin is not None
        assert pin.strikes == 0


async def test_a_named_model_never_escalates(storage: Storage) -> None:
    async with opened(storage) as counter:
        pin = await counter.pins.count(foresee(counter, requested="s"))
        for _ in range(4):
            pin = await counter.pins.count(foresee(counter, requested="s"))
        assert (pin.model, pin.tier, pin.explicit, pin.strikes) == ("s", "SIMPLE", True, 4)
        assert foresee(counter).model == "s"
        await counter.pins.release("k")
        assert foresee(counter).escalates


async def test_the_repeat_limit_is_a_setting(storage: Storage) -> None:
    async with opened(storage, PinSettings(repeat_limit=2)) as counter:
        await counter.pins.count(foresee(counter))
        assert foresee(counter).escalates


async def test_a_unit_in_a_larger_one(storage: Storage) -> None:
    async with opened(storage) as counter:
        unit = counter.pins.count_unit(foresee(counter), counter.clock.now())

        def failing(connection: Connection) -> Changed:
            unit(connection)
            raise RuntimeError("the rest failed")

        with pytest.raises(RuntimeError):
            await counter.database.write(failing)
        assert await counter.stored() == 0
        changed = await counter.database.write(unit)
        assert counter.pins.get("k") is None
        counter.pins.apply(changed)
        assert counter.pins.get("k") == changed.pin


# ------------------------------------------------------------------------------------------ bounds and expiry


async def test_the_least_recently_used_makes_room(storage: Storage) -> None:
    async with opened(storage, PinSettings(max_entries=3)) as counter:
        for key in "abc":
            await counter.pins.pin(key, "s")
            counter.clock.advance(0.001)
        await counter.pins.touch("a")
        await counter.pins.record("b", "x")  # recording is no use
        await counter.pins.pin("d", "s")
        assert [key for key in "abcd" if counter.pins.get(key)] == ["a", "c", "d"]
        assert what_happened([*await counter.events()])[-2:] == [("pinned", "d"), ("dropped", "b")]
        assert await counter.stored() == 3
        await counter.restart()
        await counter.pins.pin("e", "s")
        assert [key for key in "abcde" if counter.pins.get(key)] == ["a", "d", "e"]


async def test_the_cost_of_what_makes_room_stays(storage: Storage) -> None:
    async with opened(storage, PinSettings(max_entries=1)) as counter:
        await counter.pins.pin("a", "s")
        await counter.costs.add("a", 7)
        await counter.pins.pin("b", "s")
        await counter.restart()
        total = counter.costs.total("session", "a")
        assert total is not None
        assert total.micros == 7


async def test_a_smaller_bound_takes_the_newest(storage: Storage) -> None:
    async with opened(storage) as counter:
        for key in "abcdef":
            await counter.pins.pin(key, "s")
            counter.clock.advance(0.001)
    async with opened(storage, PinSettings(max_entries=2)) as counter:
        assert [row.session_key for row in counter.pins.rows()] == ["e", "f"]
        assert await counter.stored() == 2


async def test_a_use_on_its_way_saves_a_pin_from_making_room(storage: Storage) -> None:
    async with opened(storage, PinSettings(max_entries=2)) as counter:
        await counter.pins.pin("a", "s")
        await counter.pins.pin("b", "s")
        # both are on the way at once: memory drops `a` for `c` while the touch of `a` is already written
        await asyncio.gather(counter.pins.pin("c", "s"), counter.pins.touch("a"))
        assert await counter.stored() == 2
        living = {key for key in "abc" if counter.pins.get(key)}
        assert living == {"a", "c"}
        await counter.restart()
        assert {key for key in "abc" if counter.pins.get(key)} == living


async def test_expiring_drops_what_is_over(storage: Storage) -> None:
    async with opened(storage) as counter:
        for key in "abc":
            await counter.pins.pin(key, "s")
            counter.clock.advance(0.4)
        assert counter.pins.expire() == ["a"]
        await counter.pins.touch("b")
        assert counter.pins.expire() == []
        counter.clock.advance(1)
        assert counter.pins.expire() == ["c"]
        assert await counter.stored() == 1
        counter.clock.advance(0.001)
        assert counter.pins.expire() == ["b"]
        assert await counter.stored() == 0
        gone = [("expired", "a"), ("expired", "c"), ("expired", "b")]
        assert [event for event in what_happened([*await counter.events()]) if event[0] == "expired"] == gone


async def test_a_pin_set_anew_is_not_expired_with_its_old_self(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("a", "s")
        counter.clock.advance(1.001)
        renewed = asyncio.ensure_future(counter.pins.pin("a", "m"))
        await asyncio.sleep(0)
        assert counter.pins.expire() == ["a"]
        assert await renewed == counter.pins.get("a")
        assert await counter.stored() == 1


async def test_expiring_thousands(storage: Storage) -> None:
    async with opened(storage) as counter:
        await asyncio.gather(*(counter.pins.pin(f"k{number}", "s") for number in range(1201)))
        counter.clock.advance(1.001)
        assert len(counter.pins.expire()) == 1201
        assert await counter.stored() == 0


# ------------------------------------------------------------------------------------- concurrency and failure


async def test_concurrent_changes_lose_nothing(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s")
        await asyncio.gather(*(counter.pins.touch("k") for _ in range(200)))
        recorded = await asyncio.gather(*(counter.pins.record("k", "a") for _ in range(100)))
        assert sorted(answer.strikes for answer in recorded) == list(range(100))
        escalated = await asyncio.gather(*(counter.pins.escalate("k", anyone) for _ in range(10)))
        assert Count(answer.changed for answer in escalated) == {True: 3, False: 7}
        before = counter.pins.get("k")
        assert before is not None
        assert before.request_count == 201
        await counter.restart()
        assert counter.pins.get("k") == before


async def test_memory_and_journal_follow_the_order_of_the_commits(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s")
        await asyncio.gather(
            *(
                call
                for number in range(50)
                for call in (counter.pins.record("k", str(number % 7 // 3)), counter.pins.touch("k"))
            )
        )
        events = [event for event in await counter.events() if isinstance(event, PinChanged)]
        counts = [event.pin.request_count for event in events]
        assert counts == sorted(counts)
        assert events[-1].pin == counter.pins.row("k")
        before = counter.pins.get("k")
        await counter.restart()
        assert counter.pins.get("k") == before


async def test_a_caller_that_leaves_does_not_leave_memory_behind(storage: Storage) -> None:
    async with opened(storage) as counter:
        leaving = asyncio.ensure_future(counter.pins.pin("k", "s"))
        await asyncio.sleep(0)
        leaving.cancel()
        await counter.stored()
        assert leaving.cancelled()
        assert counter.pins.get("k") is not None
        assert what_happened([*await counter.events()]) == [("pinned", "k")]


async def test_what_the_database_refuses_changes_nothing(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s")
        before = counter.pins.get("k")
        await counter.database.write(
            lambda connection: connection.exec_driver_sql("ALTER TABLE pins RENAME TO gone")
        )
        for call in (counter.pins.touch("k"), counter.pins.count(foresee(counter)), counter.pins.clear("k")):
            with pytest.raises(StorageFailed):
                await call
        assert counter.pins.get("k") == before
        assert len(await counter.events()) == 1


async def test_after_the_database_is_closed(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s")
        await counter.database.aclose()
        await counter.database.aclose()
        with pytest.raises(StorageFailed):
            await counter.pins.touch("k")
        counter.clock.advance(2)
        assert counter.pins.expire() == ["k"]


async def test_who_may_use_a_model_is_asked_on_the_loop(storage: Storage) -> None:
    async with opened(storage) as counter:
        await counter.pins.pin("k", "s")
        asked: list[str] = []

        def may_use(model: str) -> bool:
            asyncio.get_running_loop()  # raises in a thread of the database
            asked.append(model)
            return model == "m2"

        answer = await counter.pins.escalate("k", may_use)
        assert (answer.changed, answer.model) == (True, "m2")
        assert set(asked) <= {model.id for model in MODELS}
