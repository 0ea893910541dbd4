"""The rules of the pin: behaviours/pins.md, decisions 1 and 4 to 7."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.protocol import Tier
from core.store.choice import Choice, chosen, counted
from core.store.pin import (
    TIERS,
    Change,
    Ladder,
    Pin,
    alive,
    escalated,
    forgiven,
    overridden,
    pinned,
    pinning_change,
    rank,
    recorded,
    released,
    tier_named,
    touched,
)

LADDER = Ladder({"s": "SIMPLE", "m": "MEDIUM", "m2": "MEDIUM", "c": "COMPLEX", "r": "REASONING"})
LIMIT = 3


def anyone(_model: str) -> bool:
    return True


def a_pin(**changes: Any) -> Pin:
    return replace(Pin(session_key="k", model="s", tier="SIMPLE", created_at=1, last_used_at=5), **changes)


def pin_again(
    pin: Pin | None, model: str, tier: str | None = None, *, explicit: bool = False, now: int = 9
) -> Pin:
    return pinned(pin, "k", model, tier=tier, explicit=explicit, ladder=LADDER, now=now)


@pytest.mark.parametrize(
    ("tier", "expected"),
    [("SIMPLE", 0), ("MEDIUM", 1), ("COMPLEX", 2), ("REASONING", 3), ("X", 1), ("", 1), (None, 1)],
)
def test_ranks(tier: str | None, expected: int) -> None:
    assert rank(tier) == expected


@pytest.mark.parametrize(("now", "expected"), [(5, True), (1005, True), (1006, False), (0, True)])
def test_the_idle_time_counts_to_the_millisecond(now: int, expected: bool) -> None:
    assert alive(a_pin(), now, 1000) is expected


# ---------------------------------------------------------------------------------------------------- pinning


@pytest.mark.parametrize(
    ("model", "tier", "expected"),
    [
        ("s", "COMPLEX", "COMPLEX"),
        ("s", None, "SIMPLE"),
        ("c", "", "COMPLEX"),
        ("unheard-of", None, "MEDIUM"),
        ("s", "X", "MEDIUM"),
    ],
)
@pytest.mark.parametrize("explicit", [False, True])
def test_a_new_pin(model: str, tier: str | None, expected: Tier, explicit: bool) -> None:
    assert pin_again(None, model, tier, explicit=explicit) == Pin(
        session_key="k", model=model, tier=expected, explicit=explicit, created_at=9, last_used_at=9
    )


USED = {"request_count": 2, "last_used_at": 9}


@pytest.mark.parametrize(
    ("before", "model", "tier", "explicit", "expected"),
    [
        pytest.param({}, "s", "COMPLEX", False, {}, id="the same model keeps its tier"),
        pytest.param(
            {}, "c", "COMPLEX", False, {"model": "c", "tier": "COMPLEX"}, id="another brings its own"
        ),
        pytest.param({}, "c", None, False, {"model": "c", "tier": "COMPLEX"}, id="or its model's"),
        pytest.param(
            {"model": "c", "tier": "COMPLEX"},
            "s",
            None,
            False,
            {"model": "s", "tier": "SIMPLE"},
            id="or lower",
        ),
        pytest.param(
            {}, "c", None, True, {"model": "c", "explicit": True}, id="an explicit one keeps the tier"
        ),
        pytest.param({}, "c", "COMPLEX", True, {"model": "c", "explicit": True}, id="even if it names one"),
        pytest.param({}, "s", None, True, {"explicit": True}, id="explicit with the same model"),
        pytest.param(
            {"explicit": True}, "c", "COMPLEX", False, {}, id="an automatic one gives way to an explicit one"
        ),
        pytest.param({"explicit": True}, "c", None, True, {"model": "c"}, id="an explicit one does not"),
        pytest.param(
            {"escalated": True, "model": "c", "tier": "COMPLEX"},
            "s",
            None,
            False,
            {"model": "s"},
            id="never lower again",
        ),
        pytest.param(
            {"escalated": True}, "r", None, False, {"model": "r", "tier": "REASONING"}, id="higher is fine"
        ),
        pytest.param(
            {"run": 2, "last_hash": "a"}, "c", None, True, {"model": "c", "explicit": True}, id="strikes stay"
        ),
    ],
)
def test_pinning_again(
    before: dict[str, Any], model: str, tier: str | None, explicit: bool, expected: Any
) -> None:
    pin = a_pin(**before)
    assert pin_again(pin, model, tier, explicit=explicit) == replace(pin, **USED, **expected)


def test_touching() -> None:
    assert touched(a_pin(), 9) == a_pin(**USED)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ({"explicit": True, "model": "c"}, {"tier": "COMPLEX"}),
        ({"explicit": True, "model": "s", "tier": "REASONING"}, {}),
        ({"explicit": True, "model": "unheard-of"}, {"tier": "MEDIUM"}),
        ({"model": "c"}, {}),
    ],
)
def test_releasing_lifts_to_the_tier_of_the_chosen_model(
    before: dict[str, Any], expected: dict[str, Any]
) -> None:
    pin = a_pin(**before)
    assert released(pin, LADDER) == replace(pin, explicit=False, **expected)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            None,
            a_pin(model="c", tier="COMPLEX", explicit=True, request_count=0, created_at=9, last_used_at=9),
        ),
        (a_pin(), a_pin(model="c", explicit=True)),
        (
            a_pin(tier="REASONING", escalated=True, run=2, last_hash="a"),
            a_pin(tier="REASONING", escalated=True, run=2, last_hash="a", model="c", explicit=True),
        ),
        (a_pin(explicit=True, model="m"), a_pin(explicit=True, model="c")),
    ],
)
def test_an_operators_choice_is_explicit_and_no_request(before: Pin | None, after: Pin) -> None:
    assert overridden(before, "k", "c", ladder=LADDER, now=9) == after


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, a_pin(), "pinned"),
        (a_pin(), a_pin(model="m"), "pinned"),
        (a_pin(), a_pin(explicit=True), "pinned"),
        (a_pin(), a_pin(**USED), "touched"),
    ],
)
def test_the_word_for_a_pin(before: Pin | None, after: Pin, expected: Change) -> None:
    assert pinning_change(before, after) == expected


# ---------------------------------------------------------------------------------------------------- strikes


def strikes_of(requests: str, pin: Pin | None = None) -> list[tuple[int, int, bool]]:
    pin, answers = pin or a_pin(), []
    for request in requests:
        pin, answer = recorded(pin, request, LIMIT)
        answers.append((answer.strikes, answer.run, answer.escalate))
    return answers


@pytest.mark.parametrize(
    ("requests", "strikes"),
    [
        ("aaabb", [0, 1, 2, 0, 1]),
        ("ababab", [0] * 6),
        ("aabaaa", [0, 1, 0, 0, 1, 2]),
        ("aaaaaaaaa", list(range(9))),
    ],
)
def test_strikes(requests: str, strikes: list[int]) -> None:
    answers = strikes_of(requests)
    assert [answer[0] for answer in answers] == strikes
    assert all(run == strikes + 1 and due == (run >= LIMIT) for strikes, run, due in answers)


@pytest.mark.parametrize("pin", [a_pin(explicit=True), a_pin(tier="REASONING")])
def test_strikes_without_a_consequence(pin: Pin) -> None:
    assert strikes_of("aaaa", pin) == [(0, 1, False), (1, 2, False), (2, 3, False), (3, 4, False)]


def test_recording_does_not_extend_the_idle_time() -> None:
    after, _ = recorded(a_pin(), "a", LIMIT)
    assert after == a_pin(run=1, last_hash="a")


def test_forgiving() -> None:
    assert forgiven(a_pin(run=3, last_hash="a")) == a_pin()


@given(st.text("abc", max_size=60), st.integers(2, 6))
def test_strikes_against_the_whole_past(requests: str, limit: int) -> None:
    pin = a_pin()
    for end in range(1, len(requests) + 1):
        seen = requests[:end]
        run = len(seen) - len(seen.rstrip(seen[-1]))
        pin, answer = recorded(pin, seen[-1], limit)
        assert (answer.strikes, answer.run, answer.escalate) == (run - 1, run, run >= limit)
        assert pin.strikes == answer.strikes


# -------------------------------------------------------------------------------------------------- escalation


def test_the_whole_ladder() -> None:
    pin = a_pin(run=3, last_hash="a")
    for tier, model in zip(TIERS[1:], ["m", "c", "r"], strict=True):
        pin, answer = escalated(replace(pin, run=3, last_hash="a"), LADDER, anyone)
        assert (answer.changed, answer.tier, answer.model) == (True, tier, model)
        assert pin == a_pin(tier=tier, model=model, escalated=True)
    top = replace(pin, run=3, last_hash="a")
    after, answer = escalated(top, LADDER, anyone)
    assert (answer.changed, answer.tier, answer.model) == (False, "REASONING", "r")
    assert after == top


@pytest.mark.parametrize(
    ("pin", "may_use"),
    [
        pytest.param(a_pin(explicit=True, run=3), anyone, id="an explicit choice"),
        pytest.param(a_pin(run=3), lambda _: False, id="no model for this user"),
        pytest.param(a_pin(run=3), lambda model: model in ("c", "r"), id="no tier is skipped"),
    ],
)
def test_nothing_changes(pin: Pin, may_use: Callable[[str], bool]) -> None:
    after, answer = escalated(pin, LADDER, may_use)
    assert (after, answer.changed, answer.tier, answer.model) == (pin, False, "SIMPLE", "s")


def test_the_first_usable_model_in_the_order_of_the_settings() -> None:
    assert escalated(a_pin(), LADDER, anyone)[1].model == "m"
    assert escalated(a_pin(), LADDER, lambda model: model != "m")[1].model == "m2"


def test_an_unknown_tier_escalates_like_medium() -> None:
    assert escalated(a_pin(tier=tier_named("X")), LADDER, anyone)[1].tier == "COMPLEX"


# ------------------------------------------------------------------------------------------------------ choice


def choose(
    pin: Pin | None, requested: str | None, fingerprint: str = "a", may_use: Callable[[str], bool] = anyone
) -> Choice:
    return chosen(
        pin, "k", requested, fingerprint, fallback="m", ladder=LADDER, may_use=may_use, repeat_limit=LIMIT
    )


def count(pin: Pin | None, choice: Choice) -> tuple[Pin, Change]:
    return counted(pin, choice, ladder=LADDER, repeat_limit=LIMIT, now=9)


REPEATED = {"run": 2, "last_hash": "a"}


@pytest.mark.parametrize(
    ("pin", "requested", "expected"),
    [
        pytest.param(None, None, ("m", "MEDIUM", False, False), id="nothing is known"),
        pytest.param(None, "c", ("c", "COMPLEX", True, False), id="named"),
        pytest.param(None, "unheard-of", ("unheard-of", "MEDIUM", True, False), id="named, not configured"),
        pytest.param(a_pin(), None, ("s", "SIMPLE", False, False), id="pinned"),
        pytest.param(a_pin(), "c", ("c", "COMPLEX", True, False), id="named beside a pin"),
        pytest.param(
            a_pin(explicit=True, **REPEATED), None, ("s", "SIMPLE", False, False), id="an explicit pin stays"
        ),
        pytest.param(a_pin(**REPEATED), None, ("m", "MEDIUM", False, True), id="the third in a row"),
        pytest.param(a_pin(**REPEATED), "s", ("s", "SIMPLE", True, False), id="the third, but named"),
        pytest.param(
            a_pin(tier="REASONING", **REPEATED), None, ("s", "REASONING", False, False), id="at the top"
        ),
        pytest.param(a_pin(run=2, last_hash="b"), None, ("s", "SIMPLE", False, False), id="another request"),
        pytest.param(a_pin(run=9, last_hash="a"), None, ("m", "MEDIUM", False, True), id="long overdue"),
    ],
)
def test_the_choice(pin: Pin | None, requested: str | None, expected: tuple[str, Tier, bool, bool]) -> None:
    choice = choose(pin, requested)
    assert (choice.model, choice.tier, choice.explicit, choice.escalates) == expected


def test_the_choice_without_a_usable_model_above() -> None:
    choice = choose(a_pin(**REPEATED), None, may_use=lambda _: False)
    assert (choice.model, choice.escalates) == ("s", False)


def test_counting_the_first_request() -> None:
    expected = Pin(
        session_key="k", model="m", tier="MEDIUM", last_hash="a", run=1, created_at=9, last_used_at=9
    )
    assert count(None, choose(None, None)) == (expected, "pinned")


@pytest.mark.parametrize(
    ("before", "requested", "expected", "change"),
    [
        pytest.param({}, None, {"run": 1, "last_hash": "a"}, "touched", id="the first of its kind"),
        pytest.param({"run": 1, "last_hash": "a"}, None, {"run": 2}, "struck", id="a repetition"),
        pytest.param(
            {"run": 1, "last_hash": "a"},
            "c",
            {"model": "c", "explicit": True, "run": 2},
            "struck",
            id="a repetition with a named model",
        ),
        pytest.param(
            {"run": 2, "last_hash": "b"}, None, {"run": 1, "last_hash": "a"}, "forgiven", id="a change"
        ),
        pytest.param(
            {},
            "c",
            {"model": "c", "explicit": True, "run": 1, "last_hash": "a"},
            "pinned",
            id="a named model",
        ),
        pytest.param(
            REPEATED,
            None,
            {"model": "m", "tier": "MEDIUM", "escalated": True, "run": 0, "last_hash": ""},
            "escalated",
            id="one too many",
        ),
    ],
)
def test_counting(
    before: dict[str, Any], requested: str | None, expected: dict[str, Any], change: Change
) -> None:
    pin = a_pin(**before)
    assert count(pin, choose(pin, requested)) == (replace(pin, **USED, **expected), change)


@pytest.mark.parametrize(
    ("now_is", "expected"),
    [
        pytest.param(
            a_pin(),
            {"model": "m", "tier": "MEDIUM", "run": 1, "last_hash": "a"},
            id="the strikes were reset: only pinned",
        ),
        pytest.param(
            a_pin(explicit=True, model="c", **REPEATED), {"run": 3}, id="somebody chose meanwhile: that stays"
        ),
        pytest.param(
            a_pin(model="m", tier="MEDIUM", escalated=True),
            {"run": 1, "last_hash": "a"},
            id="an operator was faster",
        ),
    ],
)
def test_counting_an_escalation_that_is_due_no_more(now_is: Pin, expected: dict[str, Any]) -> None:
    choice = choose(a_pin(**REPEATED), None)
    assert count(now_is, choice)[0] == replace(now_is, **USED, **expected)


def test_counting_an_escalation_of_a_pin_that_is_gone() -> None:
    after, change = count(None, choose(a_pin(**REPEATED), None))
    assert (after.model, after.tier, after.escalated, after.run, change) == (
        "m",
        "MEDIUM",
        False,
        1,
        "pinned",
    )


@given(st.text("ab", min_size=1, max_size=40))
def test_conversations_climb_with_every_third_repetition(requests: str) -> None:
    pin: Pin | None = None
    run, last, tier = 0, "", 1
    for request in requests:
        run, last = (run + 1 if request == last else 1), request
        if run == LIMIT and tier < 3:
            tier, run, last = tier + 1, 0, ""
        choice = choose(pin, None, request)
        pin, _ = count(pin, choice)
        assert (rank(pin.tier), pin.model, pin.run) == (tier, ["s", "m", "c", "r"][tier], run)
        assert choice.model == pin.model
