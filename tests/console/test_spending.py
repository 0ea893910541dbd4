"""Strikes, rates and costs in the panes: who is nearest to escalating, who is running away, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest

from console.panes import pins
from console.panes.cost import COST
from console.panes.filter import Filter, parse
from console.panes.layout import arrange
from console.panes.model import PaneModel
from console.panes.sessions import SESSIONS
from console.panes.strikes import STRIKES
from console.state import ConsoleState, CostKey, reduce
from console.times import moment
from core.clock import timestamp
from core.protocol import CostChanged, PinRow, Progress, RunChanged
from tests.console.fake_core import FakeCore
from tests.console.opened import opened
from tests.console.rows import AT, a_cost, a_pin, a_run, a_session
from tests.console.test_state import seen

_NOW = moment(AT)
_KEY = CostKey("session", "api:ann/1")
_ALL = [
    _KEY,
    CostKey("user", "ann"),
    CostKey("model", "gpt-mini"),
    CostKey("project", "billing"),
    CostKey("day", "2026-04-17"),
    None,
]


def struck(key: str, strikes: int, **changes: Any) -> PinRow:
    return a_pin(key, strikes=strikes, run=strikes + 1, repeat_limit=4, **changes)


def shown(model: PaneModel) -> list[object]:
    return [key for key, _ in model.window()]


def spent(state: ConsoleState) -> list[int]:
    return [state.trends.spent.total(key) for key in _ALL]


def booked(micros: int) -> CostChanged:
    costs = [a_cost(key.key, scope=key.scope, micros=micros) for key in _ALL if key is not None]
    return CostChanged(at=AT, session_key="api:ann/1", micros=micros, estimated=False, costs=costs)


# --------------------------------------------------------------------------------------------------- strikes


def test_who_is_nearest_to_escalating_comes_first_then_who_has() -> None:
    state = seen(
        a_pin("quiet"),
        struck("one", 1),
        struck("two", 2),
        struck("again", 1, escalated=True, last_used_at="2026-04-17T12:00:01Z"),
        a_pin("escalated", escalated=True, run=0),
        struck("chosen", 9, explicit=True),
        struck("top", 3, tier="REASONING"),
    )
    model = PaneModel(STRIKES)
    model.resize(9)
    model.catch_up(state)
    assert shown(model) == ["two", "again", "one", "escalated", "chosen", "top", "quiet"]


@pytest.mark.parametrize(
    ("changes", "cell", "standing", "escalates"),
    [
        ({"run": 2, "strikes": 1}, "1/2", "△ one more", "with the next equal request"),
        ({"run": 2, "strikes": 1, "explicit": True}, "1/2 ◈", "◈ chosen", "never: its model was chosen"),
        ({"run": 0, "escalated": True}, "0/2 ▲", "▲ escalated", "after 3 equal requests"),
        ({"escalated": True, "explicit": True}, "0/2 ▲◈", "◈ chosen ▲", "never: its model was chosen"),
        ({"run": 3, "strikes": 2, "tier": "REASONING"}, "2/2", "● pinned", "never: it is at the top"),
        ({"run": 1}, "0/2", "● pinned", "after 2 equal requests"),
    ],
)
def test_a_pin_is_told_by_words_and_glyphs(
    changes: dict[str, Any], cell: str, standing: str, escalates: str
) -> None:
    pin = a_pin(**changes)
    assert pins.strikes(pin).text == cell
    assert pins.standing(pin).text == standing
    assert {fact.label: fact.text for fact in pins.facts(pin)}["escalates"] == escalates
    if pin.explicit:
        assert "chosen" in {fact.label: fact.text for fact in pins.facts(pin)}["model"]
    if pin.escalated:
        assert "escalated" in {fact.label: fact.text for fact in pins.facts(pin)}["tier"]


def test_a_narrow_screen_keeps_what_a_night_shift_needs() -> None:
    def ids(cells: int, sort: str) -> list[str]:
        return [place.column.id for place in arrange(SESSIONS.columns, cells, keep=sort)]

    assert ids(77, "rate") == ["turn", "session", "model", "strikes", "cost", "rate", "context"]
    assert {"tier", "idle", "project", "dirty"} < set(ids(197, "rate"))


# ------------------------------------------------------------------------------------------------------ money


def test_a_turn_in_flight_counts_as_it_grows_and_not_again_when_it_is_booked() -> None:
    state = seen(a_session(run_id="run-1", project="billing"))
    reduce(state, RunChanged(at=AT, what="started", run=a_run()))
    for micros in (300, 1_000):
        reduce(state, Progress(at=AT, runs=[a_run(micros=micros)]))
    assert spent(state) == [1_000] * len(_ALL)
    assert state.totals.micros == 0, "nothing is booked yet"
    assert state.take_changed(_NOW).of("costs") == {key for key in _ALL if key is not None}
    reduce(state, booked(1_200))
    ended = a_run(state="completed", ended_at=AT, exit_code=0, micros=1_200)
    reduce(state, RunChanged(at=AT, what="ended", run=ended))
    assert spent(state) == [1_200] * len(_ALL)
    assert state.totals.micros == 1_200


def test_what_was_never_booked_was_never_spent() -> None:
    state = seen(a_session(run_id="run-1", project="billing"))
    reduce(state, RunChanged(at=AT, what="started", run=a_run(micros=700)))
    reduce(state, RunChanged(at=AT, what="ended", run=a_run(state="failed", ended_at=AT, micros=700)))
    assert spent(state) == [0] * len(_ALL)


def test_what_a_turn_cost_before_the_console_came_is_no_trend() -> None:
    state = seen(a_session(run_id="run-1", project="billing"), a_run(micros=5_000))
    reduce(state, Progress(at=AT, runs=[a_run(micros=5_400)]))
    assert spent(state) == [400] * len(_ALL)
    reduce(state, booked(5_500))
    assert spent(state) == [500] * len(_ALL)


def test_a_session_shows_what_its_turn_costs_before_it_is_booked_and_once() -> None:
    state = seen(a_session(run_id="run-1", project="billing"), a_cost(micros=1_000))
    model = PaneModel(SESSIONS)
    model.catch_up(state)
    told = []
    for event in (
        RunChanged(at=AT, what="started", run=a_run()),
        Progress(at=AT, runs=[a_run(micros=400)]),
        Progress(at=AT, runs=[a_run(micros=900)]),
        CostChanged(
            at=AT, session_key="api:ann/1", micros=1_000, estimated=False, costs=[a_cost(micros=2_000)]
        ),
        RunChanged(at=AT, what="ended", run=a_run(state="completed", ended_at=AT, micros=1_000)),
    ):
        reduce(state, event)
        model.note(state.take_changed(_NOW))
        model.catch_up(state)
        line = model.selected()
        assert line is not None
        column = SESSIONS.column("cost")
        told.append((column.cell(line, _NOW).text, column.values(line, _NOW), column.sort(line)))
    assert told == [
        ("$0.0010", {"micros": 1_000, "unbooked_micros": 0}, 1_000),
        ("~$0.0014", {"micros": 1_000, "unbooked_micros": 400}, 1_400),
        ("~$0.0019", {"micros": 1_000, "unbooked_micros": 900}, 1_900),
        ("$0.0020", {"micros": 2_000, "unbooked_micros": 0}, 2_000),
        ("$0.0020", {"micros": 2_000, "unbooked_micros": 0}, 2_000),
    ]


def test_runaways_come_first_by_what_they_cost_a_minute() -> None:
    state = seen(*(a_session(f"s{n}", run_id=f"r{n}") for n in range(3)))
    for n, micros in enumerate((20_000, 90_000, 50_000)):
        reduce(state, RunChanged(at=AT, what="started", run=a_run(f"r{n}", session_key=f"s{n}")))
        reduce(state, Progress(at=AT, runs=[a_run(f"r{n}", session_key=f"s{n}", micros=micros)]))
    model = PaneModel(SESSIONS)
    model.resize(5)
    model.sort_by("rate", descending=True)
    model.catch_up(state)
    assert shown(model) == ["s1", "s2", "s0"]
    reduce(state, Progress(at=AT, runs=[a_run("r0", session_key="s0", micros=400_000)]))
    model.note(state.take_changed(_NOW))
    model.catch_up(state)
    assert shown(model) == ["s0", "s1", "s2"]
    line = model.window()[0][1]
    cells = {name: SESSIONS.column(name).cell(line, _NOW).text for name in ("rate", "cost", "strikes")}
    assert cells == {"rate": "$0.4000", "cost": "~$0.4000", "strikes": "–"}
    facts = {fact.label: fact.text for fact in SESSIONS.facts(line, _NOW)}
    assert (facts["this turn"], facts["per hour"]) == ("$0.4000, not booked", "$24.00/h")
    later = _NOW + 9 * 60_000
    assert SESSIONS.column("rate").cell(line, later).text == "$0.0444"
    assert model.selected() is not None
    assert timestamp(later) > AT


def test_a_guess_that_was_too_high_is_no_income() -> None:
    state = seen(a_cost(micros=100))
    reduce(state, CostChanged(at=AT, session_key="api:ann/1", micros=0, estimated=False, costs=[a_cost()]))
    line = COST.row(state, _KEY)
    assert line is not None
    assert COST.column("hour").cell(line, _NOW).text == "–"
    assert COST.column("trend").cell(line, _NOW).text == " " * 10


# ----------------------------------------------------------------------------------------------------- scopes

_COSTS = (
    a_cost("api:ann/1", micros=5),
    a_cost("ann", scope="user", micros=6),
    a_cost("billing", scope="project", micros=7),
    a_cost("gpt-mini", scope="model", micros=8),
    a_cost("2026-04-17", scope="day", micros=9),
)


@pytest.mark.parametrize("scope", ["session", "user", "project", "model", "day"])
def test_the_filter_knows_the_scopes(scope: str) -> None:
    state = seen(*_COSTS)
    parsed = parse(COST, f"scope:{scope}")
    assert isinstance(parsed, Filter)
    test = parsed.test
    assert test is not None
    rows = [COST.row(state, key) for key in COST.keys(state)]
    assert [row.cost.scope for row in rows if row is not None and test(row)] == [scope]


async def test_a_key_walks_the_scopes_of_the_cost_pane() -> None:
    async with opened(FakeCore(a_session(), *_COSTS)) as console:
        await console.press("5")
        await console.sees("c ▸all  session  user  project  model  day")
        for scope, key in (
            ("session", "api:ann/1"),
            ("user", "ann"),
            ("project", "billing"),
            ("model", "gpt-mini"),
        ):
            await console.press("c")
            await console.sees(f"▸{scope}")
            assert console.cursor == CostKey(scope, key)  # type: ignore[arg-type]
            await console.sees("1 shown of 5")
        await console.press("c", "c")
        await console.sees("▸all")
        await console.press("3", "c")
        await console.sees("all of one kind")
        assert console.sent() == []
