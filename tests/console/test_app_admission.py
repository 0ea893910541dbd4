"""The waiting room in the console: who waits, at which place, why; and the keys that let in, hold and ban."""

from __future__ import annotations

import pytest

from core.protocol import (
    AdmitNow,
    BanUser,
    Because,
    EndSeat,
    Explanation,
    Origin,
    PauseAdmission,
    ResumeAdmission,
    SeatChanged,
    SeatGone,
    UnbanUser,
)
from tests.console.fake_core import FakeCore
from tests.console.opened import Opened, opened
from tests.console.rows import a_queue, a_run, a_seat, a_session

_WAITS = {"admitted_at": None, "expires_at": None, "state": "queued"}


def a_queue_of(*users: str) -> FakeCore:
    core = FakeCore(a_queue(waiting=len(users), admits_per_tick=2), a_queue("other"))
    for ticket, user in enumerate(users, 1):
        core.rows.put(a_seat(user, ticket=ticket, **_WAITS))
    core.rows.put(a_seat("sits"))
    return core


async def behind_the_queue(console: Opened, user: str) -> None:
    """Look into the queue, and put the cursor on somebody in it."""
    await console.press("1", "enter")
    await console.sees("queues › seats")
    model = console.app.screen_stack[1].model  # type: ignore[attr-defined]
    model.move_to(model.position_of(user))
    console.app.draw()


def line_of(console: Opened, user: str) -> str:
    return next(line for line in console.screen().splitlines() if f" {user} " in line)


async def test_people_stand_in_their_order_with_place_and_wait() -> None:
    async with opened(a_queue_of("zoe", "ann", "bob", "cid", "dan")) as console:
        await console.press("1", "enter")
        await console.sees("queues › seats")
        rows = [line.split() for line in console.screen().splitlines() if "queued" in line]
        users = [row[row.index("queued") + 1 : row.index("queued") + 4] for row in rows]
        assert users == [
            ["zoe", "1", "next"],
            ["ann", "2", "next"],
            ["bob", "3", "~15s"],
            ["cid", "4", "~15s"],
            ["dan", "5", "~30s"],
        ]
        console.core.happen(SeatGone(what="ended", user_id="zoe", model="gpt-mini"))
        console.core.happen(SeatChanged(what="banned", seat=a_seat("ann", ticket=2, banned=True, **_WAITS)))
        await console.until(lambda: "✗ banned" in console.screen())
        assert "   1 " in line_of(console, "bob")
        assert "–" in line_of(console, "ann")


async def test_a_held_queue_promises_no_time() -> None:
    core = a_queue_of("ann")
    core.rows.put(a_queue(waiting=1, paused_reason="unhealthy"))
    async with opened(core) as console:
        await console.press("1", "enter")
        await console.sees("‖ unhealthy")


async def test_admissions_a_minute_are_counted() -> None:
    async with opened(a_queue_of("ann", "bob"), size=(120, 40)) as console:
        await console.press("1")
        for user in ("ann", "bob"):
            console.core.happen(SeatChanged(what="admitted", seat=a_seat(user)))
        await console.sees("2.0/m")


async def test_who_waits_is_let_in_at_once() -> None:
    async with opened(a_queue_of("ann", "bob")) as console:
        await behind_the_queue(console, "bob")
        await console.press("N")
        await console.sees("✓ admit bob")
        assert isinstance(console.core.executed[0], AdmitNow)
        await console.until(lambda: "● active" in line_of(console, "bob"))
        await console.press("N")
        await console.sees("bob does not wait")
        assert len(console.core.executed) == 1


async def test_a_ban_asks_and_its_lifting_does_not() -> None:
    async with opened(a_queue_of("ann")) as console:
        await behind_the_queue(console, "ann")
        await console.press("B")
        await console.sees("Ban ann?")
        await console.sees("the next tick takes their seat")
        assert console.focused_label() == "Cancel"
        await console.press("right", "enter")
        await console.sees("✗ banned")
        assert isinstance(console.core.executed[0], BanUser)
        await console.press("B")
        await console.until(lambda: len(console.core.executed) == 2)
        assert isinstance(console.core.executed[1], UnbanUser)
        await console.until(lambda: "◌ queued" in line_of(console, "ann"))


async def test_the_user_of_a_run_can_be_banned_where_it_is_seen() -> None:
    async with opened(FakeCore(a_run(user_id="mallory"))) as console:
        await console.press("B")
        await console.sees("Ban mallory?")


async def test_ending_a_seat_asks() -> None:
    async with opened(a_queue_of("ann")) as console:
        await behind_the_queue(console, "ann")
        await console.press("E")
        await console.sees("End seat of ann?")
        await console.sees("they lose their place in the queue for gpt-mini")
        await console.press("right", "enter")
        await console.until(lambda: "ann" not in console.core.rows.seats)
        assert isinstance(console.core.executed[0], EndSeat)


async def test_one_queue_is_held_at_once_and_taken_back() -> None:
    async with opened(a_queue_of("ann")) as console:
        await console.press("1", "P", "o")
        await console.sees("Z takes it back")
        await console.sees("‖ paused")
        await console.press("Z")
        await console.until(lambda: len(console.core.executed) == 2)
        assert [type(command) for command in console.core.executed] == [PauseAdmission, ResumeAdmission]
        assert console.core.executed[1].model == "gpt-mini"  # type: ignore[union-attr]


async def test_all_queues_are_held_after_a_question_and_let_go_without() -> None:
    async with opened(a_queue_of("ann")) as console:
        await console.press("1", "P")
        assert "resume all" not in console.screen()
        await console.press("a")
        await console.sees("Pause all models?")
        await console.press("right", "enter")
        await console.sees("‖ paused")
        assert console.core.executed[0] == PauseAdmission(
            command_id=console.core.executed[0].command_id, reason="from the console"
        )
        await console.press("P", "r")
        await console.until(lambda: len(console.core.executed) == 2)
        assert isinstance(console.core.executed[1], ResumeAdmission)


async def test_a_queue_that_is_held_is_let_go() -> None:
    core = a_queue_of("ann")
    core.rows.put(a_queue(waiting=1, paused=True, paused_reason="paused"))
    async with opened(core) as console:
        await console.press("1", "P")
        await console.sees("o  resume: let people in again")
        await console.press("o")
        await console.until(lambda: console.sent() == ["ResumeAdmission"])


@pytest.mark.parametrize(
    ("pane", "key", "said"), [("3", "N", "nobody here to admit"), ("3", "B", "no user here")]
)
async def test_what_cannot_be_is_told(pane: str, key: str, said: str) -> None:
    async with opened(FakeCore(a_session())) as console:
        await console.press(pane, key)
        await console.sees(said)
        assert console.sent() == []


# ---------------------------------------------------------------------------------------------------- why


async def test_why_somebody_waits() -> None:
    core = a_queue_of("zoe", "ann")
    core.explanations["ann"] = Explanation(
        kind="seat",
        key="ann",
        summary="ann waits for gpt-mini, place 2 of 2: \x1b[31mevil",
        because=[
            Because(
                rule="at_capacity", text="all 5 seats are occupied", facts={"occupied": "5"}, helps="leaving"
            )
        ],
        ahead=["zoe"],
        ahead_count=30,
        origin=Origin(
            country_code="DE",
            block_reason="anonymised",
            privacy_signals=["vpn", "tor\x1b[2J"],
            address_hash="3f2a9c",
            checked_at="2026-04-17T12:00:00Z",
            seats_there=2,
            address_cap=3,
        ),
    )
    async with opened(core) as console:
        await behind_the_queue(console, "ann")
        await console.press("i")
        for text in (
            "place 2 of 2",
            "at capacity",
            "occupied 5",
            "changed by",
            "30 in all",
            "zoe",
            "and 29 more",
            "DE; blocked: anonymised; signals: vpn, tor",
            "3f2a9c",
            "2 of at most 3",
        ):
            await console.sees(text)
        await console.press("end")
        await console.sees("2026-04-17T12:00:00Z")
        assert "\x1b" not in console.screen()
        await console.press("escape")
        await console.sees("queues › seats")
        assert console.cursor == "ann"


async def test_why_can_fail_without_harm() -> None:
    async with opened(a_queue_of("ann")) as console:
        await behind_the_queue(console, "ann")
        await console.press("i")
        await console.sees("cannot be told: nothing is known of 'ann'")
        await console.press("q")
        await console.press("escape", "1")
        await console.press("i")
        await console.sees("nothing to explain here")


async def test_a_new_view_counts_the_places_anew() -> None:
    core = a_queue_of("zoe", "ann")
    async with opened(core) as console:
        await behind_the_queue(console, "ann")
        assert " 2 " in line_of(console, "ann")
        del core.rows.seats["zoe"]
        core.restart("e2")
        await console.until(lambda: core.views == 2)
        await console.until(lambda: " 1 " in line_of(console, "ann"))
