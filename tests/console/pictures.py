"""What there are pictures of, as data: by name the keys that lead there, and what must be shown before it is taken.

`covers` says what a picture is there for, in the words of `seen`; it is checked when the picture is taken, and the
whole of it against the catalog of panes, the table of actions and the screens there are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from console.actions import ACTIONS, BY_ID, Target
from console.app import ConsoleApp
from console.screens.choosing import dirty_menu, pause_menu
from console.screens.main import MainScreen
from console.screens.menu import Menu
from console.screens.session import SessionScreen
from console.state import CostKey
from core.clock import timestamp
from core.protocol import CostChanged, QueueChanged, QueueRow, RunChanged, RunRow
from tests.console.busy_core import BusyCore
from tests.console.busy_house import SEATED, a_busy_house, an_empty_house
from tests.console.fake_core import FakeCore
from tests.console.one_session import KEY, LATE, RUN
from tests.console.opened import Opened

_LIVE = "● live"

Then = Callable[[Opened, BusyCore], Awaitable[None]]


@dataclass(frozen=True)
class Picture:
    """The console over a house: `pane`, the row that the cursor is put `on`, `keys`, `then` what happens."""

    sees: str
    keys: tuple[str, ...] = ()
    pane: str = "2"
    on: str | None = None
    then: Then | None = None
    covers: tuple[str, ...] = ()
    house: Callable[[], BusyCore] = a_busy_house
    opens: str = _LIVE
    """What is seen before the first key."""
    read_only: bool = False
    playable: bool = False
    connects: bool = True
    beside: Callable[[BusyCore], FakeCore] | None = None
    """Makes a second core, of another house; the two are `eu-1` and `us-1`."""


_EVERYTHING = Target(label="x", session_key="x", generation=1, project="p", dirty=True, model="m")
MENUS = {
    BY_ID[action].key: {choice.key: choice.id for choice in menu.choices}
    for action, menu in (
        ("dirty", dirty_menu(_EVERYTHING)),
        ("pause", pause_menu(_EVERYTHING, any_paused=True)),
    )
}
"""Key of a menu → the letter of each of its choices → the choice."""


def dialogs() -> set[str]:
    """The ids of the actions that ask before they act."""
    return {action.id for action in ACTIONS if action.danger in ("loses work", "menu")}


def seen(app: ConsoleApp, picture: Picture) -> set[str]:
    """What the picture shows, in the words of `covers`."""
    screen = app.screen
    found = {f"screen {type(screen).__name__}"}
    if isinstance(screen, MainScreen):
        found.add(f"pane {screen.model.pane.id}")
    if isinstance(screen, SessionScreen):
        found.add(f"tab {screen._tab}")
    pressed = [action for action in ACTIONS if action.key in picture.keys]
    if screen.is_modal:
        found |= {f"dialog {action.id}" for action in pressed}
    for key, choices in MENUS.items():
        if key in picture.keys and not isinstance(screen, Menu):
            found.add(f"choice {choices[picture.keys[picture.keys.index(key) + 1]]}")
    return found


# ------------------------------------------------------------------------------------------ what happens meanwhile


async def _five_runs_move(console: Opened, core: BusyCore) -> None:
    moving = [run for run in core.rows.runs.values() if run.state == "running"][:5]
    core.happen(
        *(
            RunChanged(what="revived", run=msgspec.structs.replace(run, last_seq=run.last_seq + 900))
            for run in moving
        )
    )
    await console.sees("5 changed")
    await _pass(console, core, 12)


async def _the_core_goes(console: Opened, core: BusyCore) -> None:
    feed = console.app.desk.cores[0].feed
    await console.until(lambda: feed.age_ms() == 0)
    core.down = True
    await console.until(lambda: feed.link == "lost")
    core.moved.advance(47)


async def _the_other_goes(console: Opened, core: BusyCore) -> None:
    beside = console.app.desk.cores[1].feed
    assert isinstance(beside.core, FakeCore)
    beside.core.down = True
    await console.until(lambda: beside.link == "lost")
    core.moved.advance(47)
    await console.until(lambda: console.app.desk.cores[0].feed.age_ms() == 0)


async def _it_is_taken_back(console: Opened, core: BusyCore) -> None:
    await console.sees("✓ mark dirty")
    await _pass(console, core, 1)
    await console.press("Z")


async def _ten_minutes_go_by(console: Opened, core: BusyCore) -> None:
    """People queue and are let in, some turns end, and money is spent: what the trends show."""
    queues = list(core.rows.queues.values())[:5]
    running = [run for run in core.rows.runs.values() if run.state == "running"]
    for step in range(20):
        for n, queue in enumerate(queues):
            core.happen(QueueChanged(queue=_waiting(core, queue, abs((step + n * 5) * (n + 1) % 36 - 18))))
        now = timestamp(core.clock.now())
        ended = msgspec.structs.replace(running[step], state="completed", ended_at=now, exit_code=0)
        core.happen(RunChanged(what="ended", run=ended), _booked(core, ended, 9_000 * (2 + step * 3 % 7)))
        if step % 2:
            core.happen(_booked(core, core.rows.runs[RUN], 120_000 + step * 31_000))
        await console.until(lambda: console.app.desk.cores[0].state.cursor == core.journal.cursor)
        core.moved.advance(30)
    await _pass(console, core, 1)


def _waiting(core: BusyCore, queue: QueueRow, waiting: int) -> QueueRow:
    oldest = timestamp(core.clock.now() - waiting * 9_500) if waiting else None
    return msgspec.structs.replace(queue, waiting=waiting, oldest_queued_at=oldest)


def _booked(core: BusyCore, run: RunRow, micros: int) -> CostChanged:
    """So much is spent by a run, and counts for its session, its user, its model and a project."""
    keys = (
        ("session", run.session_key),
        ("user", run.user_id),
        ("model", run.model),
        ("project", "checkout"),
    )
    costs = []
    for scope, key in keys:
        before = core.rows.costs[CostKey(scope, key or "")]  # type: ignore[arg-type]
        now = timestamp(core.clock.now())
        costs.append(msgspec.structs.replace(before, micros=before.micros + micros, updated_at=now))
        core.rows.put(costs[-1])
    return CostChanged(session_key=run.session_key, micros=micros, estimated=False, costs=costs)


async def _pass(console: Opened, core: BusyCore, seconds: float) -> None:
    """So long nothing happens, and the core says so."""
    core.moved.advance(seconds)
    await console.until(lambda: console.app.desk.cores[0].feed.age_ms() == 0)


async def _it_is_searched(console: Opened, core: BusyCore) -> None:
    """The typing rests, and the core answers."""
    await _settle(console)
    core.moved.advance(1)
    await console.until(lambda: "searching" not in console.screen())


async def _the_second_is_looked_at(console: Opened, core: BusyCore) -> None:
    await _it_is_searched(console, core)
    await console.press("down")


async def _a_hit_is_opened(console: Opened, core: BusyCore) -> None:
    await _the_second_is_looked_at(console, core)
    await console.press("enter")
    await console.until(lambda: isinstance(console.app.screen, SessionScreen))


async def _it_is_lost_while_searching(console: Opened, core: BusyCore) -> None:
    await _it_is_searched(console, core)
    await _the_core_goes(console, core)
    await console.press(*" cent")
    await _it_is_searched(console, core)


async def _a_page_does_not_come(console: Opened, core: BusyCore) -> None:
    core.slow.clear()
    await console.press("home")


async def _a_page_cannot_come(console: Opened, core: BusyCore) -> None:
    await _the_core_goes(console, core)
    await console.press("home")


async def _nobody_says_what_would_be_lost(console: Opened, core: BusyCore) -> None:
    core.slow.clear()
    await console.press("X")


async def _settle(console: Opened) -> None:
    for _ in range(3):
        await console.pilot.pause()


def _half_a_view() -> BusyCore:
    core = a_busy_house()
    core.half = True
    return core


def _nobody_there() -> BusyCore:
    core = an_empty_house()
    core.down = True
    return core


def _a_small_house(core: BusyCore) -> FakeCore:
    """Some turns of another house, at the same time."""
    runs = [
        msgspec.structs.replace(run, run_id=run.run_id[::-1], session_key=f"{run.session_key}-us")
        for run in list(core.rows.runs.values())[:12]
    ]
    sessions = [
        msgspec.structs.replace(row, session_key=f"{row.session_key}-us", run_id=None)
        for row in list(core.rows.sessions.values())[:12]
    ]
    queues = list(core.rows.queues.values())[:2]
    return FakeCore(*runs, *sessions, *queues, clock=core.clock, epoch="91cc", house="us")


# ------------------------------------------------------------------------------------------------------ the pictures

_PANES = {
    "queues": Picture("degraded", pane="1", keys=("down", "down"), covers=("pane queues",)),
    "seats": Picture("queues › seats", pane="1", on=SEATED, keys=("enter", "down"), covers=("pane seats",)),
    "runs": Picture("4/98", keys=("down", "down", "down"), covers=("pane runs", "screen MainScreen")),
    "runs-far-down": Picture("/98", keys=("pagedown", "pagedown")),
    "runs-sorted": Picture("turns it round", keys=("s", "s")),
    "runs-filtering": Picture("/ running", keys=("slash", *"running", *" -guest")),
    "runs-filter-completing": Picture("tab", keys=("slash", *"model:g", "tab")),
    "runs-filter-faulty": Picture("▲", keys=("slash", *"running )")),
    "runs-filtered": Picture("/guest", keys=("slash", *"guest", "enter")),
    "runs-none-match": Picture("No row matches", keys=("slash", *"nobody", "enter")),
    "runs-frozen": Picture("frozen 12s, 5 changed", keys=("f",), then=_five_runs_move),
    "runs-maximised": Picture("sorted by", keys=("m", "s")),
    "runs-after-a-while": Picture("in flight", then=_ten_minutes_go_by),
    "queues-after-a-while": Picture("WAITING", pane="1", then=_ten_minutes_go_by),
    "cost-after-a-while": Picture("WHICH", pane="5", then=_ten_minutes_go_by),
    "sessions": Picture("SESSION", pane="3", keys=("down",), covers=("pane sessions",)),
    "strikes": Picture("2/98", pane="4", keys=("down",), covers=("pane strikes",)),
    "cost": Picture("WHICH", pane="5", keys=("down",), covers=("pane cost",)),
    "journal": Picture("DETAILS", pane="6", keys=("down", "down"), covers=("pane journal",)),
    "findings": Picture("EVIDENCE", pane="7", keys=("down",), covers=("pane findings",)),
}

_LINK = {
    "empty": Picture("curl", house=an_empty_house),
    "fresh": Picture("p sandbox", house=an_empty_house, playable=True),
    "empty-queues": Picture("[[admission.models]]", pane="1", house=an_empty_house),
    "empty-findings": Picture("Nothing contradicts itself", pane="7", house=an_empty_house),
    "starting": Picture("Starting the core", house=an_empty_house, opens="◌ starting", connects=False),
    "loading": Picture("◐ loading 150 of", house=_half_a_view, opens="◐ loading"),
    "unreachable": Picture("Trying again", house=_nobody_there, opens="cannot be reached"),
    "lost": Picture("✗ lost, data 47s old", keys=("down",), then=_the_core_goes),
    "lost-session": Picture("✗ lost, data 47s old", pane="3", on=KEY, keys=("enter",), then=_the_core_goes),
    "read-only": Picture("◇ read-only", keys=("exclamation_mark",), read_only=True),
    "disarmed": Picture("press ! to let keys act", keys=("exclamation_mark", "X")),
}

_SESSION = {
    "session-messages": Picture(
        "smallest fix",
        pane="3",
        on=KEY,
        keys=("enter",),
        covers=("tab messages", "screen SessionScreen"),
    ),
    "session-broken-off": Picture("broken off here", pane="3", on=KEY, keys=("enter", "home")),
    "session-events": Picture(
        "finished: stop", pane="3", on=KEY, keys=("enter", "2"), covers=("tab events",)
    ),
    "session-truncated": Picture("are no longer kept", pane="3", on=KEY, keys=("enter", "2", "home")),
    "session-audit": Picture("no_active_run", pane="3", on=KEY, keys=("enter", "3"), covers=("tab acts",)),
    "session-facts": Picture("generation", pane="3", on=KEY, keys=("enter", "4"), covers=("tab facts",)),
    "session-facts-end": Picture("on-call engineer", pane="3", on=KEY, keys=("enter", "4", "end")),
    "session-idle": Picture("no run: it shows here", pane="3", on=LATE, keys=("enter", "2")),
    "session-guest": Picture("no messages yet", keys=("slash", *"guest", "enter", "down", "enter", "1")),
}

_OF_MESSAGES = {
    "session-folded": Picture("31 more lines, space unfolds", pane="3", on=LATE, keys=("enter", "up")),
    "session-unfolded": Picture("run 11", pane="3", on=LATE, keys=("enter", "up", "space")),
    "session-older": Picture("Attempt 30 passed", pane="3", on=LATE, keys=("enter", "home", "up", "up")),
    "session-older-loading": Picture(
        "loading older …", pane="3", on=LATE, keys=("enter",), then=_a_page_does_not_come
    ),
    "session-older-failed": Picture(
        "↑ tries again", pane="3", on=LATE, keys=("enter",), then=_a_page_cannot_come
    ),
    "session-beginning": Picture("this is the beginning", pane="3", on=LATE, keys=("enter", "home", "home")),
}

_SEARCH = {
    "search": Picture("Type words", keys=("ctrl+f",), covers=("screen SearchScreen",)),
    "search-typing": Picture("◐ searching", keys=("ctrl+f", *"the total")),
    "search-hits": Picture("1/3 for the total", keys=("ctrl+f", *"the total"), then=_it_is_searched),
    "search-chosen": Picture(
        "2/3 for the total", keys=("ctrl+f", *"the total"), then=_the_second_is_looked_at
    ),
    "search-opened": Picture("smallest fix", keys=("ctrl+f", *"the total"), then=_a_hit_is_opened),
    "search-none": Picture("No message holds", keys=("ctrl+f", *"the totla"), then=_it_is_searched),
    "search-lost": Picture(
        "these are for the total", keys=("ctrl+f", *"the total"), then=_it_is_lost_while_searching
    ),
    "search-read-only": Picture(
        "1/3 for the total", keys=("ctrl+f", *"the total"), then=_it_is_searched, read_only=True
    ),
}

_PALETTE = {
    "palette": Picture("1  queues", on=RUN, keys=("colon",), covers=("screen PaletteScreen",)),
    "palette-names": Picture("session  ", keys=("colon", *"guest")),
    "palette-refused": Picture("✗ no run here to abort", pane="1", keys=("ctrl+p", *"abort")),
    "palette-save": Picture("save view as evening", keys=("b", *"evening")),
    "links": Picture("Go to:", on=RUN, keys=("g",)),
    "links-followed": Picture("› sessions", on=RUN, keys=("g", "s")),
    "palette-user": Picture("runs ", keys=("colon", *"user ada.k", "enter")),
}

_HELP = {
    "help-panes": Picture("Keys in the panes", keys=("question_mark",), covers=("screen HelpScreen",)),
    "help-panes-end": Picture("end to the ends", keys=("question_mark", "end")),
    "help-session": Picture("Keys in a session", pane="3", on=KEY, keys=("enter", "question_mark")),
    "help-read-only": Picture("this console is read-only", keys=("question_mark",), read_only=True),
}

_TO_WAITING = ("slash", *"queued", "enter", "down", "down")

_DIALOGS = {
    "abort": Picture(f"Abort run {RUN}?", on=RUN, keys=("X",), covers=("dialog abort", "screen AskScreen")),
    "abort-waits": Picture("asking what would be lost …", on=RUN, then=_nobody_says_what_would_be_lost),
    "close": Picture(f"Close {KEY}?", pane="3", on=KEY, keys=("C",), covers=("dialog close",)),
    "close-guest": Picture("Close api:guest-", keys=("slash", *"owned", "enter", "C")),
    "close-long": Picture("very-long-name-very", keys=("slash", *"very-long", "enter", "C")),
    "dirty-menu": Picture("c  clear", pane="3", on=KEY, keys=("D",), covers=("dialog dirty", "screen Menu")),
    "dirty-menu-on-nothing": Picture("a  all sessions", pane="1", keys=("D",)),
    "dirty-one": Picture("✓ mark dirty", pane="3", on=LATE, keys=("D", "o"), covers=("choice session",)),
    "dirty-project": Picture(
        "all of project checkout?", pane="3", on=KEY, keys=("D", "p"), covers=("choice project",)
    ),
    "dirty-all": Picture("type 99 to go on", pane="3", on=KEY, keys=("D", "a"), covers=("choice all",)),
    "dirty-all-wrong": Picture("that is not 99", pane="3", on=KEY, keys=("D", "a", *"12", "enter")),
    "dirty-clear": Picture("✓ clear dirty", pane="3", on=KEY, keys=("D", "c"), covers=("choice clear",)),
    "aborted": Picture("✓ aborted 4f1c0a9be2d8: acknowledged", on=RUN, keys=("X", "right", "enter")),
    "undone": Picture("✓ clear dirty", pane="3", on=LATE, keys=("D", "o"), then=_it_is_taken_back),
    "evict-refused": Picture("✗ evict refused", pane="3", on=KEY, keys=("E",)),
    "abort-impossible": Picture("no turn is running on", pane="3", on=LATE, keys=("X",)),
    "why-waiting": Picture(
        "at capacity", pane="1", on=SEATED, keys=("enter", *_TO_WAITING, "i"), covers=("screen WhyScreen",)
    ),
    "why-session": Picture("changed by", pane="3", on=KEY, keys=("i",)),
    "pause-menu": Picture("esc  cancel", pane="1", on=SEATED, keys=("P",), covers=("dialog pause",)),
    "pause-one": Picture("✓ pause", pane="1", on=SEATED, keys=("P", "o"), covers=("choice one",)),
    "pause-all": Picture(
        "Pause all models?", pane="1", on=SEATED, keys=("P", "a"), covers=("choice pause-all",)
    ),
    "resume-all": Picture("✓ resume all models", pane="1", keys=("P", "r"), covers=("choice resume-all",)),
    "model-menu": Picture("Keep on the model", pane="3", on=KEY, keys=("M",), covers=("dialog model",)),
    "model-ask": Picture("Keep", pane="3", on=KEY, keys=("M", "1")),
    "unpinned": Picture("✓ reset strikes", pane="4", on=KEY, keys=("U",)),
    "ban": Picture("Ban ", pane="1", on=SEATED, keys=("enter", *_TO_WAITING, "B"), covers=("dialog ban",)),
    "end-seat": Picture("End seat of", pane="1", on=SEATED, keys=("enter", *_TO_WAITING, "E")),
    "admitted": Picture("✓ admit", pane="1", on=SEATED, keys=("enter", *_TO_WAITING, "N")),
    "bulk": Picture(
        "is left out",
        keys=("end", "space", "slash", *"state:running", "enter", "asterisk", "X"),
    ),
    "copy-cell": Picture("0  the whole row", pane="3", on=KEY, keys=("k", "down", "down")),
    "columns": Picture(
        "fixed",
        pane="3",
        keys=("w", "down", "down", "space", "end", "less_than_sign", "plus", "plus"),
        covers=("screen ColumnsScreen",),
    ),
    "export": Picture("Export 98 rows", keys=("x",)),
    "marked": Picture("marked", keys=("space", "space", "down", "v")),
    "quit": Picture("in flight?", keys=("q",), covers=("dialog quit",)),
}

_TWO = "● 2 live"

_SEVERAL = {
    "several-runs": Picture("INSTANCE", beside=_a_small_house, opens=_TWO, keys=("down",)),
    "several-queues": Picture("INSTANCE", beside=_a_small_house, opens=_TWO, pane="1"),
    "several-instances": Picture(
        "us-1", beside=_a_small_house, opens=_TWO, pane="0", keys=("down",), covers=("pane instances",)
    ),
    "several-lost": Picture("✗ us-1 47s", beside=_a_small_house, opens=_TWO, pane="0", then=_the_other_goes),
    "several-lost-rows": Picture(
        "✗ us-1 47s", beside=_a_small_house, opens=_TWO, keys=("slash", *"-us", "enter"), then=_the_other_goes
    ),
    "several-dialog": Picture(
        "on eu-1?", beside=_a_small_house, opens=_TWO, keys=("slash", *RUN, "enter", "X")
    ),
}

PICTURES = {
    **_PANES,
    **_LINK,
    **_SESSION,
    **_OF_MESSAGES,
    **_SEARCH,
    **_PALETTE,
    **_HELP,
    **_DIALOGS,
    **_SEVERAL,
}
