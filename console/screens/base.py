"""What the screens with keys have in common: a key press becomes an action of the table, and the action is done."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, ClassVar

from textual import events, on

from console.actions import BY_ID, Action, Aimed, Scope, Target, offered
from console.background import in_background
from console.cores import Attached, Cores
from console.desk import Desk
from console.instances import OLD_MS, link
from console.panes.links import Link, links_of
from console.screens.closing import ClosesOnce
from console.screens.typed import Passed, Typed
from console.text import neutral, width
from console.trail import CameFrom
from console.views import View
from console.widgets.line import Lines, Part
from console.widgets.moving import Moving

Handlers = Mapping[str, Callable[[], None]]
Everywhere = Mapping[str, Callable[["DeskScreen"], None]]
"""What the keys do that open another screen from any screen, by action id."""


class DeskScreen(ClosesOnce[None]):
    """A screen of the console. It draws when told to, and holds no data of its own."""

    scope: ClassVar[Scope]
    CSS = "DeskScreen { layout: vertical; background: $background; }"

    def __init__(self, desk: Desk, everywhere: Everywhere) -> None:
        super().__init__()
        self.desk = desk
        self.everywhere = everywhere
        self._above: Typed[Any] | None = None
        """The screen that gets the keys which are still on their way here."""
        self._handlers: Handlers = {
            **{action_id: partial(do, self) for action_id, do in everywhere.items()},
            "theme": desk.next_theme,
            "arm": self._arm,
            "copy": self._copy,
            "quit-now": lambda: desk.leave(True),
            **self.handlers(),
        }

    @abstractmethod
    def handlers(self) -> Handlers:
        """What the looking actions of this screen do, by action id."""

    @abstractmethod
    def draw(self) -> None:
        """Draw one frame."""

    @abstractmethod
    def restyle(self) -> None:
        """Draw everything anew in another theme."""

    @property
    def worth(self) -> tuple[str, ...]:
        """The ids of the actions on what the cursor is on that the footer names first."""
        return ("abort", "evict", "dirty")

    @abstractmethod
    def pointed(self) -> Target | str:
        """What the cursor is on, or why it is on nothing."""

    @property
    def way(self) -> str:
        """What this place is called where one has gone on from it."""
        return ""

    def offers(self, action: Action) -> bool:
        """Whether an action of this screen's scope is of use in what it shows now."""
        return True

    def aim(self) -> Target | str:
        """What a command would hit now, or why nothing is hit."""
        return self.pointed()

    def aimed(self) -> Aimed | str:
        """All that a command would hit now, or why nothing is hit."""
        target = self.aim()
        return target if isinstance(target, str) else Aimed((target,))

    def hold_aim(self) -> Aimed | str:
        """What is hit by what is chosen in the palette, which names it: from now on that is the operator's."""
        return self.aimed()

    def view(self) -> View | str:
        """What is shown, to be kept under a name; or why it cannot be."""
        return "only what a pane shows can be kept as a view"

    def links(self, target: Target) -> list[Link]:
        """Where one can go from here."""
        return links_of(self.desk.core_of(target).state.rows, target)

    def follow(self, link: Link) -> None:
        """Go to where a link leads; escape comes back."""

    def go_to(self, link: Link, came_from: CameFrom | None = None) -> None:
        """Show the pane that a link leads to; escape comes back to where one `came_from`, else to what is shown now.

        The lowest screen has the panes: those above it go.
        """
        lowest = next(screen for screen in self.app.screen_stack if isinstance(screen, DeskScreen))
        while self.app.screen is not lowest:
            _ = self.app.pop_screen()
        lowest.go_to(link, came_from)

    def example(self) -> str:
        """What can be copied where there is no row: lines that bring one, or nothing."""
        return ""

    def on_mount(self) -> None:
        """Keys that move are worked off here, among the others: an act hits the row that its key was pressed on."""
        for widget in self.query(Moving):  # type: ignore[type-abstract]
            widget.led = True

    def on_key(self, event: events.Key) -> None:
        """Do what the key map says, or move; other keys go on to Textual."""
        if self._above is not None:
            event.stop()
            event.prevent_default()
            self._above.typed_below(event)
            return
        action = self.desk.keys.find(
            self.scope,
            event.key,
            event.character,
            acting=not self.desk.acting.read_only,
            fresh=self.desk.fresh,
            several=self.desk.cores.several,
        )
        if action is not None and (not self.typing or _works_while_typing(action, event)):
            event.stop()
            event.prevent_default()
            self.press(action)
        elif isinstance(self.focused, Moving) and self.focused.step(event.key):
            event.stop()
            event.prevent_default()
        elif self.typing and event.is_printable and event.character is not None:
            event.stop()
            event.prevent_default()
            self.typed_late(event.character)

    @property
    def typing(self) -> bool:
        """Whether keys are going into a text field now; then only the one that leaves it is an action."""
        return False

    def typed_late(self, character: str) -> None:
        """A character for the text field, pressed before the field had the focus."""

    def press(self, action: Action, aimed: Aimed | str | None = None) -> None:
        """Carry out an action: one that acts goes the way of commands, any other is done here and now.

        `aimed` is what is hit, where that was told before.
        """
        if not action.acts:
            self._handlers[action.id]()
            return
        refusal = self.desk.acting.refusal(action)
        if refusal is not None:
            self.desk.say(refusal, "warn")
            return
        from console.screens.act import begin

        if self.desk.bulk is not None:
            self.desk.say(f"{self.desk.bulk.text()} first; esc stops it", "warn")
            return
        aimed = self.aimed() if aimed is None else aimed
        rest = begin(self.desk, self._answer_of, action, aimed)
        if isinstance(rest, str):
            core = None if isinstance(aimed, str) else self.desk.core_of(aimed.targets[0])
            lost = core is not None and core.feed.link != "live"
            self.desk.say(rest, "warn", core=core.number if core is not None else 0, while_lost=lost)
        else:
            in_background(self, rest, "act")

    def _answer_of(self, screen: Typed[Any]) -> asyncio.Future[Any]:
        """Open a screen above, and have what it is closed with."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(result: Any) -> None:
            if not answer.done():
                answer.set_result(result)

        self.open_above(screen, answered)
        return answer

    def open_above(self, screen: Typed[Any], answered: Callable[[Any], None] | None = None) -> None:
        """Open a screen that is typed into; it gets the keys which are still on their way here.

        These may have been given to what has the focus here; what is sent the same way behind them tells when they
        are all through. None of them may act on anything.
        """
        self._above = screen
        _ = self.app.push_screen(screen, answered)
        (self.focused or self).post_message(Passed())

    def type_above(self, keys: Iterable[events.Key]) -> None:
        """Give these keys to the screen above, if one was opened that is typed into."""
        if self._above is not None:
            for key in keys:
                self._above.typed_below(key)

    def footer(self) -> list[Part]:
        """The keys worth knowing, the most important first; how to leave is always among them."""
        fresh = self.desk.fresh
        # in a fresh house there is nothing to act on
        here = offered(
            self.scope,
            acting=self.desk.acting.armed and not fresh,
            fresh=fresh,
            several=self.desk.cores.several,
        )
        first = [action for wanted in self.worth for action in here if action.id == wanted and not fresh]
        shown = (action for action in here if action.footer and self.offers(action))
        others = sorted(shown, key=lambda action: action.footer)
        while len(first) > 1 and self._cells(first, others) > self.app.size.width:
            # a narrow line, or long keys of the operator's own: the help has them
            first.pop()
        everything = BY_ID["palette"]
        if self._cells(first, [*others, everything]) <= self.app.size.width:
            # the mouse gets to all the rest from there; help and the way back stay last
            others[-2:-2] = [everything]
        look = self.desk.looks.current
        parts: list[Part] = []
        for action in [*first, *others]:
            parts.append(Part("  " if parts else " ", look.style("dim")))
            tone = look.style("key_acts" if action.acts else "key")
            parts.append(Part(self.desk.keys.shown(action), tone, action.id))
            parts.append(Part(f" {action.label}", look.style("dim"), action.id))
        return parts

    @on(Lines.Pressed)
    def _clicked(self, event: Lines.Pressed) -> None:
        event.stop()
        self.press(BY_ID[event.action])

    def _cells(self, *actions: list[Action]) -> int:
        """How wide they are in the footer."""
        texts = [f"  {self.desk.keys.shown(action)} {action.label}" for group in actions for action in group]
        return width("".join(texts)) - 1

    def link_parts(self) -> list[Part]:
        """The core, whether it is there, and how old its last word is."""
        desk, look = self.desk, self.desk.looks.current
        parts = [Part(f" {desk.title} ", look.style("strong"))]
        if desk.cores.several:
            parts += self._links(desk.cores)
        else:
            parts.append(self._link(desk.cores[0]))
        if desk.acting.read_only:
            parts.append(Part("  ◇ read-only", look.style("warn")))
        elif not desk.acting.armed:
            parts.append(Part("  ◇ disarmed", look.style("warn")))
        return parts

    def _link(self, core: Attached) -> Part:
        """One core in full."""
        look, age = self.desk.looks.current, core.feed.age_ms()
        old = "" if age is None or age < OLD_MS else f" {age // 1000}s"
        data = "no data yet" if age is None else f"data {age // 1000}s old"
        done, total = core.state.view_progress() or (0, 0)
        return {
            "live": Part(f"● live{old}", look.style("good")),
            "loading": Part(f"◐ loading {done:,} of {total:,}", look.style("accent")),
            "connecting": Part("◌ starting", look.style("accent")),
            "lost": Part(f"✗ lost, {data}", look.style("bad")),
        }[core.feed.link]

    def _links(self, cores: Cores) -> list[Part]:
        """How many cores there are of each kind; the names of those that are not well, as far as there is room."""
        look = self.desk.looks.current
        live = sum(core.feed.link == "live" for core in cores)
        parts = [Part(f"● {live} live", look.style("good" if live else "dim"))]
        for core in cores:
            if core.feed.link == "live":
                continue
            cell = link(core)
            age = core.feed.age_ms()
            old = "" if age is None or core.feed.link != "lost" else f" {age // 1000}s"
            parts.append(Part(f"  {cell.text[:1]} {core.name}{old}", look.style(cell.tone)))
        return parts

    def trouble_parts(self) -> list[Part]:
        """Why the core cannot be reached now, for the status line; of several, the header and key 0 tell it."""
        core = self.desk.cores[0]
        if self.desk.cores.several or not core.stale:
            return []
        return [Part(f"{core.feed.trouble}; trying again  ", self.desk.looks.current.style("bad"))]

    @on(Passed)
    def _all_passed(self) -> None:
        above, self._above = self._above, None
        if above is not None:
            above.all_typed_below()

    def _arm(self) -> None:
        self.desk.say(self.desk.acting.toggle(), "accent")

    def _copy(self) -> None:
        target = self.pointed()
        if isinstance(target, str):
            if example := self.example():
                self.app.copy_to_clipboard(example)
                self.desk.say("copied: the lines that send a first turn")
            else:
                self.desk.say(target, "warn")
            return
        self.app.copy_to_clipboard(neutral(target.label))
        self.desk.say(f"copied: {target.label}")


def _works_while_typing(action: Action, event: events.Key) -> bool:
    """What leaves the text field does, and what no text field takes for its own."""
    return action.id == "back" or (action.id == "theme" and not event.is_printable)
