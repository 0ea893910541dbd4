"""What people of the sandbox decide: tables of situations, and what holds for all dice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.sandbox import scripts, words
from console.sandbox.dice import Dice
from console.sandbox.fleet import BY_MODEL, FALLBACK, MAKES
from console.sandbox.personas import BY_NAME, PERSONAS
from console.sandbox.scripts import Mishap, Next
from core.admission.answers import (
    ActiveSeat,
    BannedUser,
    ModelLocked,
    QueuedSeat,
    RateLimited,
    SeatAnswer,
    Superseded,
)
from core.agents.scripted import BreakOff, CallTool, Hang, Refuse, Report, Say, Script, Wait
from core.errors import GateRefused, InternalError, MaitredError, UpstreamFailed, UpstreamRefused
from core.protocol import Health

DICE = st.builds(Dice, st.integers(0, 2**63))
PEOPLE = st.sampled_from(PERSONAS)
MISHAPS: tuple[Mishap, ...] = ("none", "refused", "breaks_off", "pauses", "hangs", "walks_out")


def queued(wait_ms: int) -> QueuedSeat:
    return QueuedSeat(
        access_tier="full",
        instance_id="i",
        model=FALLBACK,
        position=4,
        queue_depth=9,
        queue_depth_by_model={},
        estimated_wait_ms=wait_ms,
        queued_at="2026-04-17T12:00:00Z",
    )


ACTIVE = ActiveSeat(
    access_tier="full",
    instance_id="i",
    model=FALLBACK,
    admitted_at="2026-04-17T12:00:00Z",
    expires_at="2026-04-17T12:03:00Z",
    remaining_ms=180_000,
)
LIMITED = RateLimited(
    access_tier="full", model="falcon-4", limit=2, period="day", recent_count=2, retry_after_ms=1000
)
LOCKED = ModelLocked(access_tier="full", current_model=FALLBACK, requested_model="robin-5")


def after_seat(answer: SeatAnswer, dice: Dice, *, waited: float = 0, metered: bool = False) -> Next | None:
    return scripts.seated(answer, dice, waited=waited, patience=100, metered=metered, pace=1.0)


@pytest.mark.parametrize(
    ("answer", "waited", "what"),
    [
        (ACTIVE, 0, "talk"),
        (queued(10_000), 0, "look"),
        (queued(10_000), 99.9, "look"),
        (queued(10_000), 100, "leave"),
        (LOCKED, 0, "leave"),
        (BannedUser(), 0, "leave"),
        (Superseded(), 0, "leave"),
        (LIMITED, 0, "leave"),
    ],
)
def test_after_asking_for_a_seat(answer: SeatAnswer, waited: float, what: str) -> None:
    then = after_seat(answer, Dice(1), waited=waited)
    assert then is not None
    assert then.what == what


def test_who_has_used_up_their_units_may_settle_for_less() -> None:
    found = {after_seat(LIMITED, Dice(seed), metered=True) is None for seed in range(20)}
    assert found == {True, False}


@given(DICE, st.integers(0, 10_000_000), st.floats(1, 250))
def test_who_waits_long_looks_seldom_but_before_being_given_up(dice: Dice, wait_ms: int, pace: float) -> None:
    then = scripts.seated(queued(wait_ms), dice, waited=0, patience=1e9, metered=False, pace=pace)
    assert then is not None
    assert 4 * pace <= then.after <= 110 * pace
    assert then.after < 300 * pace, "the core gives up who is not heard of"


@given(PEOPLE, DICE, st.integers(0, 50_000), st.integers(1, 1000), st.floats(1, 250))
def test_a_visit_is_for_a_model_that_there_is(
    persona: Any, dice: Dice, number: int, visits: int, pace: float
) -> None:
    visit = scripts.visit(persona, dice, number=number, visits=visits, pace=pace)
    assert visit.model in BY_MODEL
    assert visit.topic in (words.NAMED_TOPICS if visit.named else words.TOPICS)
    assert visit.turns >= 1
    assert visit.named or visit.model == FALLBACK


def test_the_same_session_is_never_asked_for_with_and_without_a_model() -> None:
    assert not {*words.TOPICS} & {*words.NAMED_TOPICS}


def test_loopers_repeat_themselves_and_others_hardly() -> None:
    def repeated(name: str) -> int:
        return sum(scripts.question(BY_NAME[name], Dice(seed), "again?") == "again?" for seed in range(500))

    assert repeated("looper") > 350
    assert repeated("writer") < 50
    assert scripts.question(BY_NAME["looper"], Dice(1), "")
    assert scripts.question(BY_NAME["spammer"], Dice(1), "") == words.SPAM


def test_mishaps_are_rare_and_likelier_in_worse_days() -> None:
    def happened(likelier: float) -> Counter[str]:
        return Counter(scripts.mishap(BY_NAME["analyst"], Dice(seed), likelier) for seed in range(4000))

    usual, bad = happened(1.0), happened(4.0)
    assert set(usual) == set(bad) == set(MISHAPS)
    assert 0.85 < usual["none"] / 4000 < 0.97
    assert usual["none"] - bad["none"] > 4000 * 0.1


@pytest.mark.parametrize("which", MISHAPS)
def test_only_what_never_ends_by_itself_is_cut(which: Mishap) -> None:
    cut = scripts.cut_after(which, Dice(1))
    assert (cut is not None) is (which in ("hangs", "walks_out"))


def script(
    which: Mishap, dice: Dice, *, model: str = "heron-3", health: Health = "healthy", tools: bool = True
) -> Script:
    return scripts.answer(
        BY_NAME["engineer"], dice, BY_MODEL[model], which, health=health, context=5000, tools=tools
    )


@given(DICE, st.sampled_from(MISHAPS), st.sampled_from([make.model.id for make in MAKES]), st.booleans())
def test_an_answer_goes_wrong_in_its_own_way_and_no_other(
    dice: Dice, which: Mishap, model: str, tools: bool
) -> None:
    steps = script(which, dice, model=model, tools=tools)
    assert any(isinstance(step, Refuse) for step in steps) is (which == "refused")
    assert any(isinstance(step, BreakOff) for step in steps) is (which == "breaks_off")
    assert any(isinstance(step, Hang) for step in steps) is (which == "hangs")
    silences = [step.seconds for step in steps if isinstance(step, Wait)]
    assert (max(silences) > 20) is (which == "pauses"), "longer than the watchdog waits"
    assert sum(silences) < 300
    last = steps[-1]
    assert isinstance(last, Report) is (which in ("none", "pauses", "walks_out"))
    if isinstance(last, Report):
        assert any(isinstance(step, Say | CallTool) for step in steps)
        assert last.cached_tokens <= last.input_tokens == 5000
    assert tools or not any(isinstance(step, CallTool) for step in steps)


@pytest.mark.parametrize(
    ("health", "low", "high"), [("healthy", 0, 0), ("degraded", 5, 50), ("unhealthy", 100, 180)]
)
def test_a_model_that_is_unwell_refuses(health: Health, low: int, high: int) -> None:
    refused = sum(isinstance(script("none", Dice(seed), health=health)[-1], Refuse) for seed in range(200))
    assert low <= refused <= high


def test_some_answers_call_tools() -> None:
    called = sum(
        any(isinstance(step, CallTool) for step in script("none", Dice(seed))) for seed in range(200)
    )
    assert 70 < called < 150


def gate(code: str) -> GateRefused:
    return GateRefused(code, 409, "")


@pytest.mark.parametrize(
    ("error", "failures", "what"),
    [
        (None, 0, {"talk"}),
        (UpstreamFailed("x"), 1, {"talk"}),
        (UpstreamRefused(503, b"", {}), 3, {"talk"}),
        (UpstreamFailed("x"), 4, {"leave"}),
        (gate("session_expired"), 1, {"ask", "leave"}),
        (gate("waiting_room_required"), 1, {"ask", "leave"}),
        (gate("waiting_room_queued"), 1, {"look"}),
        (gate("banned"), 1, {"leave"}),
        (gate("session_model_mismatch"), 1, {"leave"}),
        (InternalError("x"), 1, {"talk"}),
    ],
)
def test_after_a_failure(error: MaitredError | None, failures: int, what: set[str]) -> None:
    found = {
        scripts.after_failure(BY_NAME["writer"], Dice(seed), error, failures=failures, pace=1.0).what
        for seed in range(40)
    }
    assert found == what


@pytest.mark.parametrize(
    ("left", "calls", "what"), [(3, False, "talk"), (0, False, "leave"), (0, True, "talk")]
)
def test_after_an_answer(left: int, calls: bool, what: str) -> None:
    then = scripts.after_answer(BY_NAME["writer"], Dice(1), turns_left=left, calls=calls, pace=1.0)
    assert then.what == what


def test_the_context_grows_but_never_over_the_window() -> None:
    grown = [scripts.context_after(turns, 1000, 10_000) for turns in range(30)]
    assert grown == sorted(grown)
    assert grown[0] == 1000
    assert grown[-1] == 9500


def test_every_called_tool_gets_its_result() -> None:
    calls = [{"id": "a"}, {"id": "b"}]
    results = scripts.tool_results(Dice(1), calls)
    assert [(each["role"], each["tool_call_id"]) for each in results] == [("tool", "a"), ("tool", "b")]
