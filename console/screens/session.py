"""One session from the inside: its messages, its run's events as they come, the acts on it, and what is known of it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Set
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal, TypeVar

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from console import units
from console.actions import Action, Scope, Target
from console.background import in_background
from console.cores import Attached
from console.desk import Desk
from console.panes.buffer import picture
from console.panes.links import Link
from console.panes.pane import Fact, session_target
from console.panes.runs import abort_facts, run_line
from console.panes.sessions import SESSIONS
from console.panes.spent import spent_on
from console.screens import transcript
from console.screens.base import DeskScreen, Everywhere, Handlers
from console.screens.conversation import Conversation
from console.state import CostKey
from console.text import neutral, width
from console.trail import CameFrom, crumb
from console.widgets.facts import FactsPanel
from console.widgets.line import Lines, Part
from console.widgets.log import Log, Paragraph
from core.errors import MaitredError
from core.protocol import Core, RunBatch, SessionDetail

log = logging.getLogger(__name__)

Tab = Literal["messages", "events", "acts", "facts"]
_TABS: tuple[Tab, ...] = ("messages", "events", "acts", "facts")
_TITLES = {"messages": "messages", "events": "run events", "acts": "audit", "facts": "facts"}
_WIDE, _TALL = 112, 20
"""From these sizes on the facts stand beside the text, and the picture of the run's buffer above it."""
_OF_MESSAGES = frozenset({"fold", "fold-all"})
_PICTURE_LINES = 3
_PAGE = 200
_REST_SECONDS = 0.1
"""Between two readings of a run: what comes faster is drawn together."""

T = TypeVar("T")


async def _run_events(run_id: str, after: int, core: Core) -> RunBatch:
    return await core.run_events(run_id, after)


class SessionScreen(DeskScreen):
    """Reads what it shows when it opens, follows the session's run, and reads again when a run has ended.

    With `at` it opens at that message, and marks the `wanted` words in all of them.
    """

    scope: ClassVar[Scope] = "session"
    CSS = """
    SessionScreen #status, SessionScreen #footer { background: $surface; }
    SessionScreen .tab { display: none; }
    SessionScreen .tab.shown { display: block; }
    """

    def __init__(
        self,
        desk: Desk,
        everywhere: Everywhere,
        session_key: str,
        *,
        core: Attached | None = None,
        run_id: str | None = None,
        first: str = "messages",
        at: int | None = None,
        wanted: Set[str] = frozenset(),
    ) -> None:
        super().__init__(desk, everywhere)
        self.core = core or desk.cores[0]
        self.session_key = session_key
        self.run_id = run_id
        self._tab: Tab = "events" if first == "events" else "messages"
        self._messages = Conversation(
            desk, session_key, lambda: self.core.feed.core, at=at, wanted=wanted, id="messages"
        )
        self._logs: dict[Tab, Log] = {tab: Log(desk.looks, id=tab) for tab in _TABS if tab != "messages"}
        """Held, not looked up: an answer may come when the screen is closing, and has lost them already."""
        self._parts: dict[Tab, Conversation | Log] = {"messages": self._messages, **self._logs}
        for part in self._parts.values():
            part.add_class("tab")
        self._detail: SessionDetail | None = None
        self._seq = 0
        self._following: str | None = None
        current = self._current()
        self._passed = current if run_id not in (None, current) else None
        """The session's run when an earlier one was opened on purpose: it does not take its place."""

    def compose(self) -> ComposeResult:
        yield Lines(2, id="header")
        with Horizontal():
            with Vertical():
                yield Lines(_PICTURE_LINES, id="picture")
                yield from self._parts.values()
            yield FactsPanel(self.desk.looks, id="panel")
        yield Lines(1, id="status")
        yield Lines(1, id="footer")

    def on_mount(self) -> None:
        """Show the frame at once; the rest comes when the core has answered."""
        self.desk.say("")
        self._show(self._tab)
        in_background(self, self._read, "read", alone=True)
        self._follow_run()

    def handlers(self) -> Handlers:
        def turn(by: int) -> Callable[[], None]:
            return lambda: self._show(_TABS[(_TABS.index(self._tab) + by) % len(_TABS)])

        def shows(tab: Tab) -> Callable[[], None]:
            return lambda: self._show(tab)

        return {
            **{str(tab): shows(tab) for tab in _TABS},
            "next-tab": turn(1),
            "last-tab": turn(-1),
            "fold": lambda: self._fold(whole=False),
            "fold-all": lambda: self._fold(whole=True),
            "back": self._close,
            "quit": self._close,
        }

    def offers(self, action: Action) -> bool:
        return self._tab == "messages" or action.id not in _OF_MESSAGES

    def _fold(self, *, whole: bool) -> None:
        if self._tab != "messages":
            self.desk.say("only messages are folded: 1 shows them")
        elif whole:
            self._messages.fold_all()
        else:
            self._messages.fold()

    def _current(self) -> str | None:
        session = self.core.state.rows.sessions.get(self.session_key)
        return session.run_id if session is not None else None

    def pointed(self) -> Target | str:
        return replace(
            session_target(self.core.state, self.session_key),
            core=self.core.number,
            instance=self.core.name if self.desk.cores.several else "",
        )

    def follow(self, link: Link) -> None:
        app, first = self.app, "events" if self._tab == "events" else "messages"

        def again() -> None:
            _ = app.push_screen(
                SessionScreen(
                    self.desk,
                    self.everywhere,
                    self.session_key,
                    core=self.core,
                    run_id=self.run_id,
                    first=first,
                )
            )

        came_from = None if link.id == "pane" else CameFrom(crumb("session", self.session_key), again)
        self.go_to(link, came_from)

    def _close(self) -> None:
        self.desk.say("")
        _ = self.dismiss(None)

    def _show(self, tab: Tab) -> None:
        self._tab = tab
        for shown in self._parts.values():
            shown.set_class(shown.id == tab, "shown")
        self._parts[tab].focus()
        self.desk.hurry()

    # --------------------------------------------------------------------------------------- reading

    async def _ask(self, ask: Callable[[Core], Awaitable[T]], tab: Tab) -> T | None:
        """One question to the core; when it fails, this part alone says why and the others go on."""
        core = self.core.feed.core
        if core is None:
            return None
        try:
            return await ask(core)
        except MaitredError as error:
            trouble = error.message
        except Exception as error:
            log.exception("reading a session failed")
            trouble = f"{type(error).__name__}: {error}"
        self._logs[tab].put([Paragraph("", f"cannot be shown: {trouble}", "warn")])
        return None

    async def _read(self) -> None:
        key = self.session_key
        self._detail = await self._ask(lambda core: core.session(key), "facts")
        if self._detail is not None:
            spent = spent_on(self.core.state, CostKey("session", key))
            facts = transcript.facts(self._detail, spent, self.core.now())
            self._logs["facts"].put(facts, from_top=True)
        await self._messages.read()
        acts = await self._ask(lambda core: core.audit(limit=_PAGE, target=key), "acts")
        if acts is not None:
            self._logs["acts"].put(transcript.acts(acts), from_top=True)
        if self.run_id is None and self._detail is not None and self._detail.run is not None:
            self.run_id = self._detail.run.run_id
        self._follow_run()
        self.desk.hurry()

    def _follow_run(self) -> None:
        """Follow the run that was opened, else the session's; and its next one when that begins."""
        current = self._current()
        if current is not None and current != self._passed:
            self.run_id, self._passed = current, None
        if self.run_id is None:
            self._logs["events"].put([Paragraph("", "no run: it shows here when a turn begins", "dim")])
        elif self.run_id != self._following:
            self._following, self._seq = self.run_id, 0
            self._logs["events"].put([])
            in_background(self, partial(self._run, self.run_id), "run", alone=True)

    async def _run(self, run_id: str) -> None:
        shown = self._logs["events"]
        while True:
            after = self._seq
            batch = await self._ask(partial(_run_events, run_id, after), "events")
            if batch is None:
                return
            if batch.truncated:
                first = units.count(batch.first_seq)
                shown.add([Paragraph("", f"… the events before {first} are no longer kept", "warn")])
            shown.add(transcript.frames(batch))
            self._seq = transcript.last_seq(batch, after)
            if batch.ended and (not batch.events or self._seq >= batch.last_seq):
                in_background(self, self._read, "read", alone=True)
                return
            await self.core.feed.rest(_REST_SECONDS)

    # --------------------------------------------------------------------------------------- drawing

    def on_resize(self) -> None:
        """The facts stand beside the text where there is room."""
        self.query_one("#panel").display = self.app.size.width >= _WIDE
        self.desk.hurry()

    def restyle(self) -> None:
        for shown in self._parts.values():
            shown.redraw()
        self.query_one(FactsPanel).redraw()

    def _facts(self) -> list[Fact]:
        row, now = SESSIONS.row(self.core.state, self.session_key), self.core.now()
        if row is None:
            facts = [Fact("session", self.session_key, "strong"), Fact("live", "○ not now", "dim")]
        else:
            facts = SESSIONS.facts(row, now)
        line = run_line(self.core.state, self._following or "")
        return facts if line is None or line.walk is None else [*facts, *abort_facts(line.walk, now)]

    def draw(self) -> None:
        desk, look = self.desk, self.desk.looks.current
        if self._current() not in (None, self._passed, self._following):
            self._follow_run()
        facts = self._facts()
        panel = self.query_one(FactsPanel)
        if panel.display:
            panel.put(facts, stale=self.core.stale)
        self._draw_picture()
        header = self.query_one("#header", Lines)
        header.put(0, self.link_parts(), [Part(f"{fact.text} ", look.cell(fact.tone)) for fact in facts[1:2]])
        tabs: list[Part] = [Part(" ", look.style("tab"))]
        for n, tab in enumerate(_TABS, 1):
            style = look.style("tab_shown" if tab == self._tab else "tab")
            mark = "▸" if tab == self._tab else " "
            tabs += [Part(f"{mark}{n} {_TITLES[tab]} ", style, tab), Part(" ", look.style("tab"))]
        name = Part(f" {self.session_key}", look.style("strong"))
        # where there is no room for both, the session's name is what must be seen
        taken = sum(width(neutral(part.text)) for part in (*tabs, name))
        came = f" {self._came()}"
        if taken + width(came) <= self.app.size.width:
            tabs.append(Part(came, look.style("dim")))
        header.put(1, [*tabs, name])
        said = [Part(" ", look.style("text"))]
        if self.core.stale:
            said.append(Part(f"{self.core.feed.trouble}; trying again  ", look.style("bad")))
        answer = desk.answer()
        said.append(Part(answer.text, look.style(answer.tone)))
        self._messages.show_stale(desk.stale)
        self.query_one("#status", Lines).put(0, said, [Part(self._place(), look.style("dim"))])
        self.query_one("#footer", Lines).put(0, self.footer())

    def _came(self) -> str:
        """The way to here, from the screen that lies below."""
        stack = self.app.screen_stack
        below = stack[stack.index(self) - 1] if self in stack else None
        return f"{below.way} › session" if isinstance(below, DeskScreen) else "session"

    @property
    def way(self) -> str:
        return crumb("session", self.session_key)

    def _place(self) -> str:
        """Where the operator is: the message under the cursor, or how far the run has been read."""
        message = self._messages.message
        if self._tab != "messages" or message is None:
            return f"run {self._following or '–'} seq {self._seq:,} "
        return f"message {units.count(message.seq)} of {message.timestamp[:10]} "

    def _draw_picture(self) -> None:
        """Where the run's buffer begins and ends, and its followers stand, above its events."""
        line = run_line(self.core.state, self._following or "")
        shown = self.query_one("#picture", Lines)
        shown.display = self._tab == "events" and line is not None and self.app.size.height >= _TALL
        if line is None or not shown.display:
            return
        look, now = self.desk.looks.current, self.core.now()
        lines = picture(line, now, shown.size.width - 2)
        for y, pieces in enumerate(lines):
            shown.put(
                y,
                [Part(" ", look.style("text")), *(Part(each.text, look.cell(each.tone)) for each in pieces)],
            )
