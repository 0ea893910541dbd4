"""An operator's walk through `maitred sandbox` on a real terminal: look, drill in, filter, abort, resize, leave.

The house is alive while it is looked at. So nothing here goes by a row's place or by a moment: rows are found by what
they say, and everything is waited for.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Callable, Iterator

import pytest

from console.panes.sessions import SESSIONS
from tests.processes.processes import House
from tests.processes.terminal import Terminal
from tests.sandbox.seen import Console, Seen, check_nothing_is_left

WIDE, SMALL = (120, 40), (80, 24)
OPERATOR = "olga"

CTRL_C, ESCAPE, ENTER = "\x03", "\x1b", "\r"
RIGHT, LEFT, DOWN, HOME = "\x1b[C", "\x1b[D", "\x1b[B", "\x1b[H"

RUN = r"[●◐◌✓✗■▲] [a-z ]+ api:"
SESSION = r"[○●◐◌■] [a-z]+ +api:"
MONEY = r"\$[\d,]+\.\d+"


@contextlib.contextmanager
def walk(house: House, *arguments: str, leave: Callable[[Console], None]) -> Iterator[Console]:
    """The console over a sandbox, live and with turns in flight; in the end it leaves as everything should."""
    house.environment |= {"USER": OPERATOR, "LOGNAME": OPERATOR}
    with Terminal(house.command("sandbox", *arguments), house, size=WIDE) as terminal:
        console = Console(terminal, WIDE[0])
        console.until(is_busy, "turns in flight")
        yield console
        assert terminal.taken
        leave(console)
        assert terminal.finish() == 0
        terminal.check_given_back()
        assert terminal.said() == []
    check_nothing_is_left(house)


def is_busy(seen: Seen) -> bool:
    return bool(re.search(r"[1-9][\d,]* in flight", seen.header)) and bool(seen.rows)


def by_key(key: str) -> Callable[[Console], None]:
    return lambda console: console.press(key)


def by_signal(number: signal.Signals) -> Callable[[Console], None]:
    return lambda console: console.terminal.signal(number)


# ------------------------------------------------------------------------------------------------- looking

PANES: dict[str, tuple[str, str, str]] = {
    "1": ("queues", r"[a-z]+-\d .*[▶‖] .*[●◐✗] [a-z]+ ", "model"),
    "2": ("runs", RUN, "run"),
    "3": ("sessions", r"[○●◐◌✓✗■▲] [a-z ◆]+ api:", "session"),
    "4": ("strikes", r"\d/\d [▲◈]* *[●◈▲△] [a-z]+[ ▲]+api:", "session"),
    "5": ("cost", rf"{MONEY} .*(session|user|project|model|day) +\S", "cost"),
    "6": ("journal", r"\d\d:\d\d:\d\d +(run|pin|seat|session|queue|cost|info:|warning:|!) ?", "what"),
}
"""Key → the pane's title, what each of its rows has, and a label of its facts."""


TOTALS = (r"[1-9][\d,]* in flight", r"[1-9][\d,]* waiting", r"[1-9][\d,]* seated", r"\$(?!0\.0+\b)\d")


def test_every_pane_fills(house: House) -> None:
    with walk(house, "--users", "60", leave=by_key("q")) as console:
        for total in TOTALS:
            console.until(lambda seen: re.search(total, seen.header), total)  # noqa: B023
        for key, (title, row, label) in PANES.items():
            console.press(key)
            console.until(
                lambda seen: seen.shown == title and len(seen.rows) > 3 and seen.all(row),  # noqa: B023
                f"rows of the pane {title}",
            )
            if title == "journal":
                console.until(lambda seen: not seen.tail, "no second journal")
                console.press(DOWN)
            else:
                console.until(has_a_tail, "journal below the table")
            console.until(
                lambda seen: seen.cursor and seen.width < WIDE[0] and label in seen.facts,  # noqa: B023
                "facts of the row beside the table",
            )


def has_a_tail(seen: Seen) -> bool:
    _, *told = seen.tail or ("",)
    return len(told) > 3 and all(re.search(PANES["6"][1], line) for line in told)


def test_into_rows_and_back(house: House) -> None:
    with walk(house, "--users", "100", "--speed", "3", leave=by_key(CTRL_C)) as console:
        console.until(lambda seen: len(in_flight(seen)) > 3, "several runs in flight")
        into_a_run_that_talks(console)
        check_the_tabs(console)
        console.press(ESCAPE)
        console.on("runs")

        console.press("1", HOME)
        console.until(lambda seen: seen.shown == "queues" and len(seen.rows) > 2, "queues")
        # the order moves all the time, and a cursor that is moved down step by step may pass its model by
        filter_by(console, "wren-2")
        console.press(HOME, DOWN)
        console.until(lambda seen: "wren-2" in seen.cursor, "the cursor on its model")
        for back in (ESCAPE, "q"):
            console.press(ENTER)
            console.until(
                lambda seen: (
                    seen.shown == "queues › seats"
                    and seen.all(r"[●◌○] (active|queued|ended) +[a-z.]+ ")
                    and seen.facts.get("model") == "wren-2"
                ),
                "the seats of that model",
            )
            console.press(back)
            console.until(lambda seen: seen.shown == "queues" and "wren-2" in seen.cursor, "the same queue")


def in_flight(seen: Seen) -> list[str]:
    return [row for row in seen.rows if "● running" in row]


def run_and_seq(seen: Seen) -> tuple[str, int] | None:
    """The run that a session's screen follows, and how far; None as long as it does not say."""
    found = re.search(r"run (\w+) seq ([\d,]+)$", seen.status)
    return (found[1], int(found[2].replace(",", ""))) if found and seen.shown == "run events" else None


def into_a_run_that_talks(console: Console) -> None:
    """Open one running run after the other until events come in: some of the sandbox's say nothing for long."""
    filter_by(console, "running")
    for number in range(8):
        console.until(lambda seen: seen.all("● running"), "only running ones")
        console.press(HOME, *[DOWN] * number, ENTER)
        first = run_and_seq(console.until(run_and_seq, "run that is followed"))
        if console.comes(lambda seen: is_further(run_and_seq(seen), first), seconds=4):  # noqa: B023
            break
        console.press(ESCAPE)
        console.on("runs")
    else:
        raise AssertionError("no run says anything")
    console.until(lambda seen: are_consecutive(numbers(seen)), "events, none missing and none twice")


def is_further(now: tuple[str, int] | None, before: tuple[str, int] | None) -> bool:
    """Whether the same run has gone on."""
    return now is not None and before is not None and now[0] == before[0] and now[1] > before[1]


def filter_by(console: Console, words: str) -> None:
    """Filter, and wait until the field is closed: what is pressed before that is typed into it."""
    console.press(f"/{words}{ENTER}")
    console.until(lambda seen: f" /{words} " in seen.status, f"filter {words}")


def numbers(seen: Seen) -> list[int]:
    """The seqs of the run's events on the screen."""
    lines = [re.match(r" {2,}(\d+) [a-z_]+ ", line) for line in seen.lines[seen.top - 1 :]]
    return [int(line[1]) for line in lines if line]


def are_consecutive(found: list[int]) -> bool:
    return len(found) > 1 and found == list(range(found[0], found[0] + len(found)))


def check_the_tabs(console: Console) -> None:
    text = {
        "1": ("messages", r"\d\d:\d\d:\d\d (user|system) +\S"),
        "3": ("audit", r"no acts on this session|by \w+: "),
        "4": ("facts", r"owner +[a-z]+\.[a-z]+"),
        "2": ("run events", r" \d+ [a-z]+ +\S"),
    }
    for key, (title, holds) in text.items():
        console.press(key)
        console.until(
            lambda seen: seen.shown == title and re.search(holds, "\n".join(seen.lines)),  # noqa: B023
            f"text of the tab {title}",
        )
    console.press(RIGHT)
    console.on("audit")
    console.press(LEFT, LEFT)
    console.until(
        lambda seen: seen.shown == "messages" and "session" in seen.facts and len(seen.status) == WIDE[0] - 1,
        "facts beside the text, and what is below them as wide as the screen",
    )


# ------------------------------------------------------------------------------------------------- filter


def test_a_filter_stays_until_it_is_dropped(house: House) -> None:
    def is_filtered(seen: Seen) -> bool:
        return (
            seen.shown == "runs"
            and "/completed wren" in seen.status
            and re.search(r"\d shown of \d", seen.status) is not None
            and seen.all(r"✓ completed +api:.* wren-2 ")
        )

    with walk(house, "--users", "100", "--speed", "5", leave=by_signal(signal.SIGTERM)) as console:
        console.until(lambda seen: any("✓ completed" in row for row in seen.rows), "completed run")
        console.press("/completed wren")
        console.until(
            lambda seen: any("/ " in line and "completed wren" in line for line in seen.lines), "field"
        )
        console.press(ENTER)
        console.until(is_filtered, "only what matches")
        console.press(HOME, ENTER)
        console.on("run events")
        console.press(ESCAPE)
        console.until(is_filtered, "the filter on the way back")
        console.press("3")
        console.until(
            lambda seen: seen.shown == "sessions" and "/completed" not in seen.status, "a pane without it"
        )
        console.press("2")
        console.until(is_filtered, "the filter of before")
        console.press(ESCAPE)
        console.until(
            lambda seen: "shown of" not in seen.status and "/completed" not in seen.status, "no filter"
        )
        console.press(HOME)
        console.until(lambda seen: len(in_flight(seen)) > 3, "runs that it has hidden")


# -------------------------------------------------------------------------------------------------- abort


def test_abort_asks_and_ends_that_run(house: House) -> None:
    arguments = ("--users", "200", "--speed", "1", "--scenario", "runaway")
    with walk(house, *arguments, leave=by_key("q")) as console:
        # the slow models: what runs there is not over while it is asked for
        filter_by(console, "running condor")
        # several, because one alone may fail the next moment
        console.until(
            lambda seen: len(seen.rows) > 2 and seen.all("● running .* condor-1 "),
            "runs of a slow model",
            seconds=40,
        )
        run = abort_one(console)
        console.press(ESCAPE)
        console.until(lambda seen: "/running" not in seen.status, "all runs")
        filter_by(console, run)
        console.until(
            lambda seen: len(seen.rows) == 1 and seen.all("■ aborted") and seen.facts.get("run") == run,
            "end of that very run",
        )

        console.press("6")
        console.on("journal")
        filter_by(console, f"abort {run}")
        console.press("m")
        console.until(
            lambda seen: (
                seen.width == WIDE[0]
                and seen.all("abort")
                and any("! abort" in row and OPERATOR in row for row in seen.rows)
            ),
            "the act and whose it was",
        )


def abort_one(console: Console) -> str:
    """Abort the run under the cursor, after thinking twice; the next one if it has ended meanwhile."""
    for _ in range(4):
        asked = ask_to_abort(console)
        console.press(ENTER)
        console.until(lambda seen: "nothing was done" in seen.status, "that Cancel has the focus")
        again = ask_to_abort(console)
        console.press(RIGHT, ENTER)
        done = console.until(lambda seen: re.search(r"[✓✗■] abort", seen.status), "answer of the core").status
        if re.search(rf"✓ aborted {again[:12]}: .*slot freed ", done) and asked == again:
            return again
    raise AssertionError("no run lived long enough")


def ask_to_abort(console: Console) -> str:
    """The run that the question is about."""
    console.press(HOME, "X")
    question = console.terminal.until(lambda text: re.search(r"Abort run (\w+)\?", text), "question")
    found = re.search(r"Abort run (\w+)\?", question)
    assert found is not None
    console.terminal.shows("Cancel")
    return found[1]


# ------------------------------------------------------------------------------------------------- resize


def test_another_size_while_it_lives(house: House) -> None:
    with walk(house, "--users", "200", "--speed", "2", leave=by_key("\x11")) as console:
        # a session stays far longer than all of this takes; a run that has ended does not
        console.press("3")
        console.on("sessions")
        # more than the small screen can show, and the cursor on one that will not be in sight there
        console.until(lambda seen: len(seen.rows) > 20, "many sessions", seconds=40)
        # an order that stands still: by what they cost, the row under the cursor may go out of sight by itself
        columns = [column.id for column in SESSIONS.columns]
        console.press(*"s" * ((columns.index("session") - columns.index(SESSIONS.sort)) % len(columns)))
        console.until(lambda seen: "by session" in seen.status, "the order by name")
        console.press(HOME, *[DOWN] * 19, "y")
        seen = console.until(
            lambda seen: f"copied: {seen.facts.get('session')}" in seen.status, "the key under the cursor"
        )
        session, widths = seen.facts["session"], {WIDE: seen.width, SMALL: SMALL[0]}
        for size in (SMALL, WIDE, SMALL, WIDE):
            console.resize(*size)
            seen = console.until(
                lambda seen: (
                    is_laid_out(console, seen, *size)  # noqa: B023
                    and seen.width == widths[size]  # noqa: B023
                    and session[:12] in seen.cursor
                    and seen.facts.get("session", session) == session
                ),
                f"the layout for {size}, and the cursor where it was",
            )
        console.until(lambda now: now.header != seen.header, "figures that go on")


def is_laid_out(console: Console, seen: Seen, columns: int, lines: int) -> bool:
    """Every line has what belongs there at that size, and the rows fill the table's width."""
    wide = (columns, lines) == WIDE
    if not seen.cursor or len(seen.lines) != lines or (bool(seen.facts), bool(seen.tail)) != (wide, wide):
        return False
    chosen = next(y for y in range(seen.top, seen.bottom) if seen.lines[y].startswith("▸ "))
    row = console.terminal.backgrounds(chosen)[: seen.width]
    return (
        seen.lines[0].startswith(" maitred sandbox")
        and all(re.match(f"[▸ ] {SESSION}", row) for row in seen.rows)
        and len(seen.rows) == seen.bottom - seen.top
        and len(set(row[2:-1])) == 1
        and row[-1] != row[-2]
        and re.search(r"\d/\d+$", seen.status) is not None
        and len(seen.status) == columns - 1
        and seen.footer.startswith(" X abort")
    )


# -------------------------------------------------------------------------------------------------- crash

CRASHES = {
    "in a widget that draws": "from console.widgets.table import LiveTable as broken; name = 'draw'",
    "in a screen that opens": "from console.screens.session import SessionScreen as broken; name = 'compose'",
    "in the feed": "from console.feed import Feed as broken; name = 'run'",
    "before the first picture": "from console.app import ConsoleApp as broken; name = 'on_mount'",
}
_INJECT = """
import sys
{where}
whole = getattr(broken, name)
def fail(*arguments, **options):
    if name != "draw" or arguments[0].app.desk.cores[0].state.rows.runs:
        raise RuntimeError("an injected defect")
    whole(*arguments, **options)
setattr(broken, name, fail)
sys.argv = ["maitred", "sandbox", "--users", "60"]
from console.__main__ import main
main()
"""


@pytest.mark.parametrize("where", CRASHES)
def test_a_crash_gives_the_terminal_back_and_leaves_nothing(house: House, where: str) -> None:
    command = [*house.command()[:1], "-c", _INJECT.format(where=CRASHES[where])]
    with Terminal(command, house, size=WIDE) as terminal:
        if where == "in a screen that opens":
            console = Console(terminal, WIDE[0])
            console.until(lambda seen: seen.cursor, "run")
            assert any((house.home / "tmp").iterdir())
            console.press(ENTER)
        assert terminal.finish() == 1
        terminal.check_given_back()
        assert "an injected defect" in "\n".join(terminal.said())
    check_nothing_is_left(house)
