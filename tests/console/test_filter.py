"""The language of filters, what completes it, and how it is typed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import units
from console.panes.completion import complete
from console.panes.filter import Fault, Filter, parse
from console.panes.model import PaneModel
from console.panes.pane import Cell, Column, Pane
from console.panes.runs import RUNS, RunLine
from console.panes.sessions import SESSIONS
from console.state import ConsoleState, reduce
from core.clock import parse_timestamp
from core.protocol import RunChanged
from tests.console.fake_core import FakeCore
from tests.console.opened import opened
from tests.console.rows import AT, a_run, a_session
from tests.console.test_app_looking import a_house
from tests.console.test_state import seen

NOW = parse_timestamp(AT) + 600_000

ROWS = {
    "a": a_run("a", state="running", ended_at=None, model="gpt", micros=2_500_000, output_tokens=12_345),
    "b": a_run("b", session_key="api:bob/1", user_id="bob", model="gpt", micros=400_000, state="completed"),
    "c": a_run("c", session_key="cron:tidy up", user_id=None, model="claude (eu)", micros=0, state="failed"),
}


def found(text: str) -> set[str]:
    """The keys of the rows that pass."""
    parsed = parse(RUNS, text, lambda: NOW)
    assert isinstance(parsed, Filter), parsed
    test = parsed.test
    return {key for key, row in ROWS.items() if test is None or test(RunLine(row, None, None))}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", "abc"),
        ("gpt", "ab"),
        ("GPT bob", "b"),
        ("gpt OR claude", "abc"),
        ("bob OR claude gpt", "b"),
        ("(bob OR claude) gpt", "b"),
        ("gpt (running OR completed) -bob", "a"),
        ("-(gpt)", "c"),
        ("-(gpt OR claude)", ""),
        ("--gpt", "ab"),
        ('"tidy up"', "c"),
        ('model:"claude (eu)"', "c"),
        ("model:claude", "c"),
        ("state:running", "a"),
        ("STATE:Running", "a"),
        ("state=running", "a"),
        ("state!=running", "bc"),
        ("-state=running", "bc"),
        ("cost>1", "a"),
        ("cost > $1", "a"),
        ("cost>=0.4", "ab"),
        ("cost<=0.4", "bc"),
        ("cost=0.4", "b"),
        ("cost>0 -cost>1", "b"),
        ("out>10k", "a"),
        ("out<10k", "bc"),
        ("tokens>10k", "a"),
        ("Tokens<10k", "bc"),
        ("age>5m", "abc"),
        ("age>1h", ""),
        ("session:api:bob", "b"),
        ("api:", "ab"),
        ("nosuch:thing", ""),
        ("and", ""),
        ("(gpt", "ab"),
        ('"tidy', "c"),
        ("gpt OR", "ab"),
        ("state:", "abc"),
        ("cost>", "abc"),
        ("-", "abc"),
        ("ORDER", ""),
    ],
)
def test_what_passes(text: str, keys: str) -> None:
    assert found(text) == set(keys)


@pytest.mark.parametrize(
    ("text", "at", "length", "why"),
    [
        ("gpt )", 4, 1, "nothing is open"),
        ("OR gpt", 0, 2, "before OR"),
        ("gpt (OR bob)", 5, 2, "before OR"),
        ("gpt ()", 4, 2, "nothing stands in this group"),
        ("cots>1", 0, 4, "no column 'cots'; there are: state, session"),
        ("gpt cost>much", 9, 4, "'much' is no figure"),
        ("state=)", 6, 1, "after state= a value"),
        ("(" * 60, 50, 1, "more than 50 groups"),
    ],
)
def test_what_is_wrong_is_pointed_at(text: str, at: int, length: int, why: str) -> None:
    fault = parse(RUNS, text)
    assert isinstance(fault, Fault)
    assert (fault.at, fault.length) == (at, length)
    assert why in fault.why


_PIECES = st.sampled_from(
    [
        "(",
        ")",
        "-",
        "OR",
        '"',
        " ",
        "cost",
        ">",
        ">=",
        "=",
        "!=",
        ":",
        "1",
        "5m",
        "$2",
        "api",
        "state",
        "ann",
        "\u200b",
        "é",
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(_PIECES, max_size=30).map("".join)))
def test_any_text_can_be_used_or_is_pointed_at(text: str) -> None:
    parsed = parse(RUNS, text, lambda: NOW)
    if isinstance(parsed, Fault):
        assert 0 <= parsed.at <= len(text)
        assert parsed.at + parsed.length <= max(len(text), parsed.at + 1)
        assert parsed.why
    elif parsed.test is not None:
        for row in ROWS.values():
            assert parsed.test(RunLine(row, None, None)) in (True, False)


@given(st.text(max_size=20))
def test_a_filter_and_its_opposite_share_the_rows(word: str) -> None:
    quoted = word.replace('"', "")
    if quoted:
        assert found(f'"{quoted}"') ^ found(f'-"{quoted}"') == set(ROWS)


# ----------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("text", "figure"),
    [
        ("5", 5),
        ("1,234", 1234),
        ("$1,234.56", 1234.56),
        ("~$0.0123", 0.0123),
        ("-$2", -2),
        ("<$0.01", 0.01),
        ("$106.32/h", 106.32),
        ("13.1k", 13_100),
        ("1.2M", 1_200_000),
        ("45%", 45),
        ("⋯45%", 45),
        ("2/3 ◈", 2),
        ("3 −12", 3),
        ("5m", 300),
        ("1h05m", 3_900),
        ("4d03h", 356_400),
        ("12ms", 0.012),
        ("1.25s", 1.25),
        ("1.5K", 1536),
        (".5", 0.5),
        ("–", None),
        ("", None),
        ("gpt", None),
        ("5x", None),
        ("4f1c0a", None),
    ],
)
def test_figures_are_read_as_they_are_shown(text: str, figure: float | None) -> None:
    assert units.figure(text) == (figure if figure is None else pytest.approx(figure))


@given(st.integers(0, 10**12))
def test_what_is_written_is_read(number: int) -> None:
    assert units.figure(units.count(number)) == number
    money = units.figure(units.money(number))
    assert money is not None
    assert money == pytest.approx(number / 1e6, abs=0.01)
    age = units.figure(units.age(number))
    assert age is not None
    assert age == pytest.approx(number / 1000, rel=0.05, abs=1)
    short = units.figure(units.short(number))
    assert short is not None
    assert short == pytest.approx(number, rel=0.06)


# --------------------------------------------------------------------------------------------------------- over time


def _aged(now: list[int]) -> PaneModel:
    pane: Pane[Any, ConsoleState] = Pane(
        id="aged",
        title="aged",
        columns=(
            Column("age", "AGE", 5, lambda row, now: Cell(units.age(now - row[1])), lambda row: row[0]),
        ),
        sort="age",
        descending=False,
        keys=lambda state: state.rows.runs,
        row=lambda state, key: (key, parse_timestamp(state.rows.runs[key].started_at)),
        changed=lambda changed: changed.of("runs"),
        search=lambda row: str(row[0]),
        facts=lambda row, now: [],
        target=lambda state, row: None,  # type: ignore[arg-type,return-value]
        empty=(),
    )
    return PaneModel(pane, now=lambda: now[0])


def test_what_grows_old_comes_in_by_itself() -> None:
    state = ConsoleState()
    for number in range(1_200):
        reduce(state, RunChanged(what="started", run=a_run(f"run-{number}")))
    now = [parse_timestamp(AT)]
    model = _aged(now)
    model.catch_up(state)
    model.filter_by("age>5m")
    assert (len(model), model.known) == (0, 1_200)
    now[0] += 301_000
    for _ in range(4):  # some rows with each frame, none twice before all were looked at
        model.catch_up(state)
    assert len(model) == 1_200


# -------------------------------------------------------------------------------------------------------- completion


def options(text: str, cursor: int | None = None) -> tuple[str, ...]:
    lines = [RunLine(row, None, None) for row in ROWS.values()]
    made = complete(RUNS, text, len(text) if cursor is None else cursor, lines, NOW)
    end = text[made.start : len(text) if cursor is None else cursor]
    return (end, *made.options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("",)),
        ("st", ("st", "state:")),
        ("-st", ("-st", "-state:")),
        ("gpt s", ("s", "state:", "session:", "seq:", "speed:")),
        ("(mod", ("mod", "model:")),
        ("model:", ("model:", "model:gpt", 'model:"claude (eu)"')),
        ("model:c", ("model:c", 'model:"claude (eu)"')),
        ("-state=r", ("-state=r", "-state=running")),
        ("nosuch:", ("nosuch:",)),
        ('"st', ("",)),
        ("zzz", ("zzz",)),
    ],
)
def test_what_completes_a_word(text: str, expected: tuple[str, ...]) -> None:
    assert options(text) == expected


@given(st.text(max_size=40), st.integers(0, 40))
def test_what_completes_any_text_can_be_used(text: str, cursor: int) -> None:
    cursor = min(cursor, len(text))
    lines = [RunLine(row, None, None) for row in ROWS.values()]
    made = complete(RUNS, text, cursor, lines, NOW)
    assert 0 <= made.start <= cursor
    for option in made.options:
        assert isinstance(parse(RUNS, option), Filter)


# ------------------------------------------------------------------------------------------------------------- typed


async def test_tab_completes_and_walks() -> None:
    async with opened(a_house(), size=(100, 30)) as console:
        await console.press("slash", *"st")
        await console.sees(" state: ")
        await console.press("tab")
        await console.sees(" / state:")
        await console.press(*"comp")
        await console.press("tab")
        await console.press("enter")
        await console.sees("/state:comp")


async def test_a_fault_is_shown_where_it_is_and_hides_nothing() -> None:
    async with opened(a_house(), size=(100, 30)) as console:
        await console.press("slash", *"ann )")
        await console.sees("▲ nothing is open here")
        lines = console.screen().split("\n")
        field = next(line for line in lines if line.startswith(" / ann )"))
        mark = next(line for line in lines if "▲ nothing" in line)
        assert mark.index("▲") == field.index(")")
        await console.sees("api:ann/1")
        await console.press("enter")
        assert console.app.focused is not None
        assert console.app.focused.id == "filter", "it stays open until it can be used"
        await console.press("backspace", "enter")
        await console.sees("/ann")


async def test_up_brings_earlier_filters_back() -> None:
    async with opened(a_house(), size=(100, 30)) as console:
        for text in ("ann", "bob"):
            await console.press("slash", *text, "enter", "escape")
        await console.press("slash", *"new", "up")
        await console.sees(" / bob")
        await console.press("up", "up")
        await console.sees(" / ann")
        await console.press("down", "down")
        await console.sees(" / new")


async def test_leaving_the_pane_drops_a_fault() -> None:
    async with opened(a_house(), size=(100, 30)) as console:
        await console.press("slash", *"ann", "enter", "slash", *" )")
        await console.sees("▲")
        await console.press("escape")
        await console.until(lambda: "▲" not in console.screen())
        assert console.app.desk.models["runs"].fault is None


def test_a_column_goes_by_the_name_that_it_has_elsewhere() -> None:
    state = seen(a_session("api:ann/1", run_id="run-1"), a_session("api:bob/2"), a_run(state="stalled"))
    model = PaneModel(SESSIONS)
    model.catch_up(state)
    model.filter_by("state:stalled")
    assert [line.session.session_key for _, line in model.window()] == ["api:ann/1"]
    assert model.no_columns == ()
    assert complete(SESSIONS, "state:st", 8, model.picked(), NOW).options == ("state:stalled",)


async def test_what_names_no_column_is_told_where_nothing_is_found() -> None:
    async with opened(FakeCore(a_session("api:ann/1"))) as console:
        await console.press("3", "slash", *"api:ann", "enter")
        await console.sees("1/1")
        await console.press("slash", *" user:bob user:x", "enter")
        await console.sees("No row matches the filter 'api:ann user:bob user:x'; esc drops it.")
        await console.sees("api: and user: were looked for as text; the columns here: turn")
        await console.press("escape", "slash", *"project:nobody", "enter")
        await console.sees("No row matches")
        assert "as text" not in console.screen()
