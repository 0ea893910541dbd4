"""Search from anywhere: what is typed is looked for in the messages of every session, and a hit is one key away."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input

from console import units
from console.actions import BY_ID, Scope, Target
from console.background import in_background
from console.cores import Attached
from console.desk import Desk
from console.panes.hits import HitItem
from console.panes.matches import words
from console.panes.messages import NoteItem
from console.panes.pane import Tone, session_target
from console.panes.reel import Item
from console.screens.base import Everywhere
from console.screens.entry import EntryScreen
from console.text import neutral
from console.widgets.field import Field
from console.widgets.line import Lines, Part
from console.widgets.reel import ReelView
from core.errors import MaitredError
from core.protocol import SearchHit

log = logging.getLogger(__name__)

LIMIT = 100
"""Hits that are asked for; who needs more needs another word."""

_TYPING_SECONDS = 0.15
"""So long nothing more is typed before the core is asked."""

_CRUMB = 24
"""So much of what was searched for names the search."""

_PATIENCE_SECONDS = 15.0
_HOW = (
    "Type words: every message that holds all of them is found, in all sessions.",
    "Words are found whole, in any order, whatever their case and accents.",
)


class Found(NamedTuple):
    """A hit, and the core that found it."""

    core: Attached
    hit: SearchHit


async def _search_in(attached: Attached, query: str) -> list[Found] | str:
    """What one core finds, the best first; or why it was not searched."""
    core = attached.feed.core
    try:
        if core is None:
            return "there is no core yet"
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return [Found(attached, hit) for hit in await core.search(query, limit=LIMIT)]
    except MaitredError as error:
        return error.message
    except TimeoutError:
        return "the core did not answer in time"
    except Exception as error:
        log.exception("a search failed")
        return f"{type(error).__name__}: {error}"


def _in_turn(answers: list[list[Found]]) -> list[Found]:
    """The best of each, then the second of each, and so on: how well a hit fits only its own core can tell."""
    return [found for best in zip_longest(*answers) for found in best if found is not None]


class SearchScreen(EntryScreen):
    """Asks the core for what is typed. The hits of the last question stay until the next ones are there."""

    # Only what leaves a text field is pressed here; both places have that.
    scope: ClassVar[Scope] = "panes"
    CSS = """
    SearchScreen #bar { height: 1; background: $surface; }
    SearchScreen #prompt { width: 9; background: $surface; }
    SearchScreen #query { width: 1fr; height: 1; background: $surface; }
    SearchScreen #status, SearchScreen #footer { background: $surface; }
    """
    AUTO_FOCUS: ClassVar[str | None] = "#query"

    def __init__(self, desk: Desk, everywhere: Everywhere, *, passed_on: bool = False) -> None:
        self._hits = ReelView(desk.looks, id="hits", focus=False, filled=True)
        field = Field(placeholder="words", id="query", compact=True, select_on_focus=False)
        super().__init__(desk, everywhere, field, self._hits.step, passed_on=passed_on)
        self._found: list[Found] = []
        self._found_for: str | None = None
        self._asked = ""
        self._searching = False
        self._trouble = ""
        self._was_lost = False
        """Since the trouble: with the link back, it is asked once more."""

    def compose(self) -> ComposeResult:
        yield Lines(2, id="header")
        with Horizontal(id="bar"):
            yield Lines(1, id="prompt")
            yield self._field
        yield self._hits
        yield Lines(1, id="status")
        yield Lines(1, id="footer")

    def on_mount(self) -> None:
        """How it works is told until there is something to show; the field has the focus by what is below."""
        self._show()

    @property
    def way(self) -> str:
        return f"search {neutral(self._asked, _CRUMB)}"

    def pointed(self) -> Target | str:
        item = self._hits.reel.chosen
        if not isinstance(item, HitItem):
            return "nothing is found here"
        core = self.desk.cores[item.core]
        target = session_target(core.state, item.hit.session_key)
        return replace(target, core=core.number, instance=self._name_of(core))

    def _name_of(self, core: Attached) -> str:
        return core.name if self.desk.cores.several else ""

    # --------------------------------------------------------------------------------------- searching

    @on(Input.Changed, "#query")
    def _typed(self, event: Input.Changed) -> None:
        query = event.value.strip()
        if query != self._asked:
            self._ask(query, _TYPING_SECONDS)

    def _ask(self, query: str, rest: float = 0.0) -> None:
        """Look for this, and for nothing else any more."""
        self._asked, self._trouble, self._was_lost = query, "", False
        self._searching = bool(query)
        # the one before is cancelled, and with it whatever its answer would have been
        search = partial(self._search_for, query, rest)
        in_background(self, search, "search", alone=True)
        self.desk.hurry()

    async def _search_for(self, query: str, rest: float) -> None:
        if not query:
            self._take([], None)
            return
        if rest:
            await self.desk.cores[0].feed.rest(rest)
        # what was said is the house's: one of its instances knows all of it
        asked = [
            core for core in self.desk.cores if not core.known or core.number in self.desk.cores.speakers
        ]
        answers = await asyncio.gather(*(_search_in(core, query) for core in asked))
        if query != self._asked:
            return
        self._searching = False
        troubles = [
            f"{core.name}: {answer}" if self.desk.cores.several else answer
            for core, answer in zip(asked, answers, strict=True)
            if isinstance(answer, str)
        ]
        self._trouble = "; ".join(troubles)
        if len(troubles) == len(asked):
            self._show()
        else:
            self._take(_in_turn([answer for answer in answers if not isinstance(answer, str)]), query)

    def _take(self, found: list[Found], query: str | None) -> None:
        self._found, self._found_for = found, query
        self._hits.reel.cursor = None
        self._show()
        self._hits.reel.home()
        self._hits.redraw()

    @on(Input.Submitted, "#query")
    def _submitted(self) -> None:
        item = self._hits.reel.chosen
        if self._trouble and (not self._found or self._asked != self._found_for):
            self._ask(self._asked)
        elif self._searching or self._asked != (self._found_for or ""):
            self.desk.say(
                "still searching; these are the hits of other words" if self._found else "still searching"
            )
        elif isinstance(item, HitItem):
            self._open(item)

    @on(ReelView.Opened)
    def _opened(self) -> None:
        item = self._hits.reel.chosen
        if isinstance(item, HitItem):
            self._open(item)

    def _open(self, item: HitItem) -> None:
        from console.screens.session import SessionScreen

        wanted = frozenset(words(self._found_for or ""))
        core = self.desk.cores[item.core]
        _ = self.app.push_screen(
            SessionScreen(
                self.desk, self.everywhere, item.hit.session_key, core=core, at=item.hit.seq, wanted=wanted
            )
        )

    # ----------------------------------------------------------------------------------------- drawing

    def restyle(self) -> None:
        self._hits.redraw()

    def _show(self) -> None:
        wanted = frozenset(words(self._found_for or ""))
        items: list[Item] = [
            HitItem(hit, wanted, core=core.number, instance=self._name_of(core)) for core, hit in self._found
        ]
        if not items:
            items = [NoteItem(n, text, tone) for n, (text, tone) in enumerate(self._instead())]
        elif len(items) >= LIMIT:
            items.append(NoteItem("most", f"these are the best {len(items)}; another word finds fewer"))
        self._hits.put(items, follow=False)
        self.desk.hurry()

    def _instead(self) -> list[tuple[str, Tone]]:
        """What stands where no hits are."""
        if self._trouble:
            return [("", ""), (f"Not searched: {self._trouble}", "warn"), ("enter tries again", "dim")]
        if self._found_for is None:
            return [("", ""), *((text, "dim") for text in _HOW)]
        if not words(self._found_for):
            return [
                ("", ""),
                (f"{self._found_for!r} holds no word: letters and digits are searched for.", ""),
            ]
        return [
            ("", ""),
            (f"No message holds {self._found_for!r}.", ""),
            ("Words are found whole: deploy does not find deployment. Fewer words find more.", "dim"),
        ]

    def draw(self) -> None:
        desk, look = self.desk, self.desk.looks.current
        self._ask_again()
        self._hits.show_stale(desk.stale)
        header = self.query_one("#header", Lines)
        header.put(0, self.link_parts())
        title = [Part(" ", look.style("tab")), Part("▸search ", look.style("tab_shown"))]
        header.put(1, [*title, Part("  messages of all sessions", look.style("dim"))])
        self.query_one("#prompt", Lines).put(0, [Part(" search ", look.style("key"))])
        self.query_one("#status", Lines).put(0, *self._status())
        self.query_one("#footer", Lines).put(0, self.footer())

    def _ask_again(self) -> None:
        """After a link was lost in the midst of it: once, when it is back."""
        links = {core.feed.link for core in self.desk.cores}
        if "lost" in links:
            self._was_lost = bool(self._trouble)
        elif self._was_lost and links == {"live"}:
            self._ask(self._asked)

    def _status(self) -> tuple[list[Part], list[Part]]:
        desk, look = self.desk, self.desk.looks.current
        left = [Part(" ", look.style("text"))]
        answer = desk.answer()
        if self._searching:
            left.append(Part("◐ searching …  ", look.style("accent")))
        elif self._trouble and self._found:
            these = "" if self._asked == self._found_for else f"these are for {self._found_for}; "
            left.append(Part(f"✗ {these}not searched: {self._trouble}  ", look.style("bad")))
        else:
            left += self.trouble_parts()
        left.append(Part(answer.text, look.style(answer.tone)))
        if not self._found:
            return left, []
        place = next((n for n, found in enumerate(self._found, 1) if self._is_chosen(found)), 0)
        more = "+" if len(self._found) >= LIMIT else ""
        text = f"{place}/{units.count(len(self._found))}{more} for {self._found_for} "
        return left, [Part(text, look.style("dim"))]

    def _is_chosen(self, found: Found) -> bool:
        core, hit = found
        return (core.number, hit.session_key, hit.seq) == self._hits.reel.cursor

    @on(ReelView.Moved)
    def _moved(self) -> None:
        self.desk.say("")

    def footer(self) -> list[Part]:
        """The keys that a text field leaves."""
        look, keys = self.desk.looks.current, self.desk.keys
        parts: list[Part] = []
        for key, label in (
            ("↑ ↓", "choose"),
            ("↵", "open"),
            (keys.shown(BY_ID["back"]), "back"),
            (keys.shown(BY_ID["theme"]), "theme"),
            (keys.shown(BY_ID["quit-now"]), "quit now"),
        ):
            parts += [Part("  " if parts else " ", look.style("dim")), Part(key, look.style("key"))]
            parts.append(Part(f" {label}", look.style("dim")))
        return parts
