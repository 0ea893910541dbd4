"""A console over several cores: whose row it is, where a command goes, and what one core's silence means for others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.app import ConsoleApp
from console.commands.way import Way, names_of, ways_to_cores
from console.cores import Attached, Cores
from console.feed import Feed
from console.panes.merged import RowOf, merged
from console.panes.model import PaneModel
from console.panes.queues import QUEUES
from console.panes.runs import RUNS
from console.state import At, Changed, ConsoleState
from core.clock import ManualClock
from core.protocol import AbortRun, CostRow, Message, PauseAdmission, QueueChanged, RunChanged, ViewHead
from tests.console.fake_core import FakeCore
from tests.console.opened import FRAMES, Opened
from tests.console.rows import AT, a_queue, a_run, a_seat, a_session


def a_core(name: str, *, house: str = "") -> FakeCore:
    """One session with a turn, and one queue in which somebody waits."""
    core = FakeCore(
        a_queue("gpt-mini", waiting=3),
        a_seat(f"ann@{name}"),
        a_session(f"api:ann/{name}", run_id=f"run-{name}"),
        a_session(f"api:bob/{name}", generation=4),
        a_run(f"run-{name}", session_key=f"api:ann/{name}", state="running", ended_at=None),
        house=house or f"house of {name}",
    )
    core.messages[f"api:ann/{name}"] = [
        Message(seq=1, role="user", content=f"said on {name}", timestamp=AT),
    ]
    return core


class Several(Opened):
    """A console over the cores `eu` and `us`."""

    def __init__(self, app: ConsoleApp, cores: dict[str, FakeCore], pilot: object) -> None:
        super().__init__(app, cores["eu"], pilot)  # type: ignore[arg-type]
        self.cores = cores

    async def to(self, text: str) -> None:
        """Move the cursor down to the row that has this."""
        await self.press("home")
        for _ in range(20):
            line = next((line for line in self.screen().split("\n") if line.startswith("▸ ")), "")
            if text in line:
                return
            await self.press("down")
        raise AssertionError(f"no row with {text!r}:\n{self.screen()}")

    async def goes(self, name: str) -> None:
        """That core is gone, and the console has noticed."""
        self.cores[name].down = True
        await self.until(lambda: self._attached(name).feed.link == "lost")

    async def comes_back(self, name: str) -> None:
        """That core is there again, and the console has noticed."""
        self.cores[name].down = False
        await self.until(lambda: self._attached(name).feed.link == "live")

    def _attached(self, name: str) -> Attached:
        return next(core for core in self.app.desk.cores if core.name == name)


@asynccontextmanager
async def attached(
    *, size: tuple[int, int] = (120, 30), house: str = "", lost: str = "", first: str = "runs"
) -> AsyncIterator[Several]:
    cores = {"eu": a_core("eu", house=house), "us": a_core("us", house=house)}
    if lost:
        cores[lost].down = True
    app = ConsoleApp(dict(cores), frames_per_second=FRAMES, embedded=False, first=first)
    async with app.run_test(size=size) as pilot:
        console = Several(app, cores, pilot)
        await console.sees("● 1 live" if lost else "● 2 live")
        yield console
    for core in cores.values():
        assert core.closed == 0


# ------------------------------------------------------------------------------------------------------ what is seen


async def test_each_row_says_whose_it_is_and_the_header_counts_all() -> None:
    async with attached() as console:
        for instance in ("eu", "us"):
            (line,) = [
                line for line in console.screen().split("\n") if f"api:ann/{instance}" in line and "●" in line
            ]
            assert f" {instance} " in line
        await console.sees("2 in flight")
        await console.sees("6 waiting")
        for key in ("1", "3", "6"):
            await console.press(key)
            await console.sees("INSTANCE")


async def test_one_instance_alone_by_the_filter() -> None:
    async with attached() as console:
        await console.press("slash", *"instance:us", "enter")
        await console.until(lambda: "api:ann/eu" not in console.screen())
        assert "api:ann/us" in console.screen()


async def test_the_cores_themselves_have_a_pane_that_leads_to_their_runs() -> None:
    async with attached() as console:
        await console.goes("us")
        await console.press("0")
        await console.sees("▸0 instances")
        lines = console.screen().split("\n")
        (eu,) = [line for line in lines if line[2:].startswith("eu ")]
        (us,) = [line for line in lines if line[2:].startswith("us ")]
        assert "● live" in eu
        assert "✗ lost" in us
        assert "connection refused" in us
        await console.press("down", "enter")
        await console.sees("/instance:us")
        await console.until(lambda: "api:ann/eu" not in console.screen())


async def test_a_console_over_one_core_has_neither_the_pane_nor_the_column() -> None:
    core = a_core("eu")
    app = ConsoleApp({"eu": core}, frames_per_second=FRAMES, embedded=False)
    async with app.run_test(size=(120, 30)) as pilot:
        console = Opened(app, core, pilot)
        await console.sees("● live")
        await console.press("0")
        assert "INSTANCE" not in console.screen()
        assert "instances" not in console.screen()


async def test_the_journals_are_one_by_the_time_of_what_happened() -> None:
    async with attached() as console:
        for second, name in enumerate(("us", "eu", "us")):
            run = a_run(f"later-{second}", session_key=f"api:cy/{second}")
            console.cores[name].journal._clock = ManualClock(1_776_500_000_000 + second * 1000)
            console.cores[name].happen(RunChanged(what="started", run=run))
        await console.press("6")
        await console.sees("api:cy/2")
        shown = [line for line in console.screen().split("\n") if "api:cy/" in line]
        assert [line.split("api:cy/")[1][0] for line in shown] == ["2", "1", "0"]


async def test_a_session_is_read_from_its_own_core() -> None:
    async with attached(first="sessions") as console:
        await console.to("api:ann/us")
        await console.press("enter", "1")
        await console.sees("said on us")


async def test_a_search_asks_every_core_and_a_hit_opens_where_it_was_found() -> None:
    async with attached() as console:
        await console.press("ctrl+f", *"said")
        await console.sees("1/2 for said")
        lines = console.screen().split("\n")
        for name in ("eu", "us"):
            (hit,) = [line for line in lines if f"api:ann/{name}" in line]
            assert f"  {name}  " in hit
        await console.press("down", "enter")
        await console.sees("said on us")
        await console.sees("▸1 messages")


async def test_a_search_tells_who_was_not_asked_and_asks_again_when_it_is_back() -> None:
    async with attached() as console:
        await console.goes("us")
        await console.press("ctrl+f", *"said")
        await console.sees("not searched: us: connection refused")
        await console.sees("api:ann/eu")
        await console.comes_back("us")
        await console.sees("api:ann/us")
        await console.until(lambda: "not searched" not in console.screen())


async def test_a_house_is_searched_once() -> None:
    async with attached(house="one") as console:
        await console.press("ctrl+f", *"said")
        await console.until(lambda: console.cores["eu"].searched)
        await console.sees("1/1 for said")
        assert console.cores["us"].searched == []


# ------------------------------------------------------------------------------------------------- where commands go


async def test_a_command_goes_to_the_core_of_its_row_and_says_where() -> None:
    async with attached() as console:
        await console.to("api:ann/us")
        await console.press("X")
        await console.sees("Abort run run-us on us?")
        await console.press("right", "enter")
        await console.sees("✓ aborted run-us")
        assert console.cores["eu"].executed == []
        assert [type(command) for command in console.cores["us"].executed] == [AbortRun]


async def test_what_is_taken_back_is_taken_back_where_it_was_done() -> None:
    async with attached(first="sessions") as console:
        await console.to("api:bob/us")
        await console.press("D")
        await console.sees("on       us")
        await console.press("o")
        await console.sees("✓ mark dirty")
        await console.to("api:bob/eu")
        await console.press("Z")
        await console.sees("✓ clear dirty")
        assert console.cores["eu"].executed == []
        assert len(console.cores["us"].executed) == 2


async def test_a_pause_is_of_one_core() -> None:
    async with attached(first="queues") as console:
        await console.to("us")
        await console.press("P")
        await console.sees("on       us")
        await console.press("o")
        await console.sees("✓ pause")
        assert [type(command) for command in console.cores["us"].executed] == [PauseAdmission]
        assert console.cores["eu"].executed == []


# -------------------------------------------------------------------------------------------------- when one is gone


async def test_a_lost_core_keeps_its_rows_and_refuses_alone() -> None:
    async with attached() as console:
        await console.goes("us")
        await console.sees("● 1 live  ✗ us")
        await console.to("api:ann/us")
        await console.press("X")
        await console.sees("us: not sent: the link to the core is not there (connection refused")
        await console.to("api:ann/eu")
        await console.press("X")
        await console.sees("Abort run run-eu on eu?")
        await console.press("right", "enter")
        await console.sees("✓ aborted run-eu")
        assert console.cores["us"].executed == []
        await console.comes_back("us")
        await console.sees("● 2 live")
        await console.to("api:ann/us")
        await console.press("X")
        await console.sees("Abort run run-us on us?")


async def test_only_the_rows_of_the_lost_core_are_dimmed() -> None:
    async with attached() as console:
        await console.goes("us")
        await console.pilot.pause(0.2)
        table = console.app.screen.query_one("#table")
        stale = {row.cells[0].text: row.stale for row in table._drawn if hasattr(row, "stale")}  # type: ignore[attr-defined]
        assert stale == {"eu": False, "us": True}


async def test_a_core_that_never_came_is_told_and_the_others_work() -> None:
    async with attached(lost="us") as console:
        await console.sees("✗ us")
        await console.sees("api:ann/eu")
        await console.comes_back("us")
        await console.sees("api:ann/us")


# ------------------------------------------------------------------------------------------ what a house's cores share


async def test_what_the_instances_of_one_house_share_is_shown_once() -> None:
    async with attached(house="one", first="queues") as console:
        await console.sees("2 in flight")
        await console.sees("3 waiting")
        assert len([line for line in console.screen().split("\n") if line[2:4] in ("eu", "us")]) == 1
        await console.press("2")
        await console.sees("api:ann/us")
        await console.sees("api:ann/eu")


async def test_another_instance_speaks_for_the_house_when_the_first_is_gone() -> None:
    async with attached(house="one", first="queues") as console:
        await console.to("eu")
        await console.goes("eu")
        await console.until(lambda: any(line[2:].startswith("us ") for line in console.screen().split("\n")))
        console.cores["us"].happen(QueueChanged(queue=a_queue("gpt-mini", waiting=41)))
        await console.sees("41 waiting")


# ---------------------------------------------------------------------------------------------------- below the screen


def a_state(number: int, house: str, *rows: object) -> ConsoleState:
    state = ConsoleState(number=number)
    state.head = ViewHead(
        house=house, instance=str(number), epoch=str(number), version="1", now=AT, counts={}
    )
    for row in rows:
        state.rows.put(row)  # type: ignore[arg-type]
    state.changed.everything = True
    return state


def a_link(state: ConsoleState, link: str = "live") -> Feed:
    feed = Feed(
        lambda: None,  # type: ignore[arg-type,return-value]
        state,
        ManualClock(),
        on_change=lambda: None,
        on_fatal=lambda error: None,
    )
    feed.link = link  # type: ignore[assignment]
    return feed


def cores_of(*states: ConsoleState, lost: frozenset[int] = frozenset()) -> Cores:
    return Cores(
        [
            Attached(
                state.number,
                f"core-{state.number}",
                state,
                a_link(state, "lost" if state.number in lost else "live"),
            )
            for state in states
        ]
    )


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.booleans()), max_size=40))
def test_any_changes_of_any_cores_give_the_union(steps: list[tuple[int, int, bool]]) -> None:
    """A merged pane that follows the changes shows what one that is read anew does."""
    states = [a_state(number, f"house {number}") for number in range(3)]
    cores = cores_of(*states)
    cores.choose_speakers()
    model = PaneModel(merged(RUNS, cores))
    model.catch_up(cores)
    for number, name, there in steps:
        state = states[number]
        if there:
            state.rows.put(a_run(f"run-{name}"))
        else:
            state.rows.runs.pop(f"run-{name}", None)
        state.changed.add("runs", f"run-{name}")
        model.note(state.take_changed(0))
        model.catch_up(cores)
    anew = PaneModel(merged(RUNS, cores))
    anew.catch_up(cores)
    model.resize(100)
    anew.resize(100)
    assert model.window() == anew.window()
    assert {key for key, _ in model.window()} == {
        At(state.number, key) for state in states for key in state.rows.runs
    }


def test_a_changed_row_is_read_from_its_own_core() -> None:
    one, two = a_state(0, "a", a_run("same")), a_state(1, "b", a_run("same", model="other"))
    cores = cores_of(one, two)
    pane = merged(RUNS, cores)
    two.changed = Changed()
    two.changed.add("runs", "same")
    (key,) = pane.changed(two.take_changed(0))
    found = pane.row(cores, key)
    assert isinstance(found, RowOf)
    assert (found.core, found.row.run.model) == (1, "other")
    assert pane.target(cores, found).core == 1


@pytest.mark.parametrize(
    ("houses", "lost", "speakers"),
    [
        (("a", "b"), set(), {0, 1}),
        (("a", "a"), set(), {0}),
        (("a", "a"), {0}, {1}),
        (("a", "a"), {0, 1}, {0}),
        (("a", "b", "a"), {0}, {1, 2}),
    ],
    ids=str,
)
def test_who_speaks(houses: tuple[str, ...], lost: set[int], speakers: set[int]) -> None:
    cores = cores_of(*(a_state(n, house) for n, house in enumerate(houses)), lost=frozenset(lost))
    assert cores.choose_speakers()
    assert cores.speakers == speakers
    assert not cores.choose_speakers()


def test_what_is_shared_counts_once() -> None:
    def state(number: int) -> ConsoleState:
        cost = CostRow(
            scope="model",
            key="m",
            micros=7,
            estimated_micros=0,
            input_tokens=0,
            output_tokens=0,
            cached_tokens=0,
            updated_at=AT,
        )
        made = a_state(number, "one", cost, a_queue("m", waiting=5, seated=2), a_run(f"r{number}"))
        made.totals.waiting, made.totals.seated, made.totals.micros, made.totals.in_flight = 5, 2, 7, 1
        return made

    cores = cores_of(state(0), state(1))
    cores.choose_speakers()
    totals = cores.totals()
    assert (totals.waiting, totals.seated, totals.micros, totals.in_flight) == (5, 2, 7, 2)
    assert (cores.count("queues"), cores.count("costs"), cores.count("runs")) == (1, 1, 2)
    assert list(merged(QUEUES, cores).keys(cores)) == [At(0, "m")]


def test_there_is_always_a_core() -> None:
    with pytest.raises(ValueError, match="without a core"):
        Cores([])


# -------------------------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize(
    ("urls", "names"),
    [
        (["https://eu.example", "https://us.example:8484"], ["eu.example", "us.example"]),
        (
            ["http://127.0.0.1:1", "http://127.0.0.1:2", "https://eu.example"],
            ["127.0.0.1:1", "127.0.0.1:2", "eu.example"],
        ),
        (["http://a:1", "https://a:1"], ["http://a:1", "https://a:1"]),
    ],
)
def test_names_tell_addresses_apart(urls: list[str], names: list[str]) -> None:
    assert names_of(urls) == names


def test_an_address_twice_is_refused() -> None:
    with pytest.raises(click.UsageError, match="given twice"):
        names_of(["http://a:1", "http://a:1"])


@pytest.mark.parametrize(
    ("arguments", "ways"),
    [
        ([], [Way()]),
        (["a", "b"], [Way(), Way()]),
        (["a", "b", "--token-env", "T"], [Way("T"), Way("T")]),
        (["a", "b", "--token-env", "T", "--token-env", "U"], [Way("T"), Way("U")]),
        (
            ["a", "b", "--token-file", "f", "--ca", "x", "--ca", "y"],
            [Way(None, "f", "x"), Way(None, "f", "y")],
        ),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_each_address_has_its_way(arguments: list[str], ways: list[Way]) -> None:
    assert _ways(arguments) == ways


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a", "b", "c", "--ca", "x", "--ca", "y"], "2 times for 3 addresses"),
        (["a", "--token-env", "T", "--token-file", "f"], "both name a token"),
    ],
    ids=["too few", "both"],
)
def test_ways_that_do_not_fit(arguments: list[str], why: str) -> None:
    with pytest.raises(click.UsageError, match=why):
        _ways(arguments)


def _ways(arguments: list[str]) -> list[Way]:
    @click.command()
    @click.argument("urls", nargs=-1)
    @ways_to_cores
    def command(urls: tuple[str, ...], ways: list[Way]) -> list[Way]:
        return ways

    made: list[Way] = command.main(arguments, standalone_mode=False)
    return made
