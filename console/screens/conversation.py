"""What was said in a session, page by page: the newest first, older and newer ones when somebody goes there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Set
from typing import Literal

from console.actions import BY_ID
from console.background import in_background
from console.desk import Desk
from console.panes.messages import LINES, SHOWN, Folds, MessageItem, NoteItem
from console.panes.pages import PAGE, Pages, is_held
from console.panes.reel import Item
from console.widgets.reel import ReelView
from core.errors import MaitredError
from core.protocol import Core, HistoryPage, Message

log = logging.getLogger(__name__)

Side = Literal["older", "newer"]
_KEYS: dict[Side, str] = {"older": "↑", "newer": "↓"}
_PATIENCE_SECONDS = 15.0
_THIRD = 3
"""What was searched for is put so far down, in parts of the height."""


class Conversation(ReelView):
    """The messages of one session of the core that `core` gives, once it is there.

    `read` brings the newest ones; with `at` it begins at that message instead. At its first line the page before is
    loaded, and at its last one the page after; what went wrong is told there, and the same key tries again.
    """

    def __init__(
        self,
        desk: Desk,
        session_key: str,
        core: Callable[[], Core | None],
        *,
        at: int | None = None,
        wanted: Set[str] = frozenset(),
        id: str | None = None,
    ) -> None:
        super().__init__(desk.looks, id=id)
        self._desk = desk
        self._key = session_key
        self._core = core
        self._at = at
        self._wanted = wanted
        self._pages = Pages()
        self._folds = Folds()
        self._loading: Side | None = None
        self._trouble: dict[Side, str] = {}
        self._answered = False
        self._unread = ""
        """Why nothing is shown."""
        self._show()

    # ----------------------------------------------------------------------------------------- reading

    async def read(self) -> None:
        """Read the newest page, or again what has come since. Tells what goes wrong in its own place."""
        core = self._core()
        if core is None or (self._answered and self._pages.after is not None):
            return  # somebody looks at older ones: the newest come when they go there
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                if self._at is not None and not self._answered:
                    await self._read_around(core, self._at)
                else:
                    self._pages.newest(await core.history(self._key, limit=PAGE))
        except Exception as error:
            self._unread = _trouble_of(error)
            if self._answered:
                self._desk.say(f"the messages were not read again: {self._unread}", "warn")
        else:
            self._answered, self._unread = True, ""
            self._trouble.clear()
        self._show()
        self._arrive()

    async def _read_around(self, core: Core, seq: int) -> None:
        older = await core.history(self._key, before=seq + 1, limit=PAGE)
        newer = await core.history(self._key, after=seq, limit=PAGE)
        self._pages.around(older, newer)

    def step(self, key: str) -> bool:
        if key == "end" and self._answered and self._pages.after is not None:
            # the end is that of the session, however far it is from here
            self._load("newer", newest=True)
            return True
        return super().step(key)

    def _load(self, side: Side, *, newest: bool = False) -> None:
        if self._loading is None and self._answered:
            self._loading = side
            self._trouble.pop(side, None)
            in_background(self, lambda: self._load_page(side, newest=newest), "page", alone=True)
            self._show(follow=False)

    async def _load_page(self, side: Side, *, newest: bool) -> None:
        core, pages = self._core(), self._pages
        try:
            if core is None:
                self._trouble[side] = "there is no core yet"
                return
            first, last = pages.before, pages.after
            async with asyncio.timeout(_PATIENCE_SECONDS):
                page = await (core.history(self._key, limit=PAGE) if newest else self._page(core, side))
            if newest:
                self._pages = Pages()
                self._pages.newest(page)
            elif (first, last) == (pages.before, pages.after):
                # else the newest page came meanwhile, and this one no longer joins on
                self._take(side, page)
        except Exception as error:
            self._trouble[side] = _trouble_of(error)
        finally:
            self._loading = None
            self._show(follow=False)
            if newest:
                self.reel.end()
                self.redraw()

    async def _page(self, core: Core, side: Side) -> HistoryPage:
        if side == "older":
            return await core.history(self._key, before=self._pages.before, limit=PAGE)
        return await core.history(self._key, after=self._pages.after, limit=PAGE)

    def _take(self, side: Side, page: HistoryPage) -> None:
        if side == "older":
            self._pages.older(page)
        else:
            self._pages.newer(page)

    def on_resize(self) -> None:
        """Another width; and with the first one there is a place to go to."""
        super().on_resize()
        self._arrive()

    def _arrive(self) -> None:
        """Where it was asked to begin, once that is read and there is room to show it."""
        if self._at is not None and self._answered and self.size.height:
            at, self._at = self._at, None
            self._go_to(at)

    def _go_to(self, seq: int) -> None:
        """Put the cursor on that message, unfolded if need be, and what is marked in it into sight."""
        item = next((each for each in self.reel.items if each.key == seq), None)
        if not isinstance(item, MessageItem) or not is_held(self._pages.messages, seq):
            self._desk.say(f"message {seq} is no longer there: it was removed or replaced", "warn")
            return
        cells, height = self.size.width, self.size.height
        block, line = item.place_of_match(cells)
        self.reel.choose(seq)
        if block == 0 and line < _shown_of(item, cells):
            self.reel.put_at(seq, 0, 0, height // _THIRD)
            self.reel.reveal(seq)
        else:
            self._folds.turn(seq)
            self.reel.forget()
            self.reel.put_at(seq, block, line, height // _THIRD)
        self.redraw()

    # ----------------------------------------------------------------------------------------- folding

    def fold(self) -> None:
        """Unfold the message under the cursor, or fold it again; where it begins stays where it is."""
        item = self.reel.chosen
        if not isinstance(item, MessageItem):
            self._desk.say("there is no message here to fold", "warn")
        elif not item.is_long(self.size.width):
            self._desk.say("this message is short: all of it is shown")
        else:
            self._refold(lambda: self._folds.turn(item.message.seq))

    def fold_all(self) -> None:
        """Unfold all messages, or fold all again."""
        self._refold(self._folds.turn_all)
        self._desk.say("all messages are unfolded" if self._folds.all_open else "long messages are folded")

    # ----------------------------------------------------------------------------------------- showing

    @property
    def message(self) -> Message | None:
        """What the cursor is on."""
        item = self.reel.chosen
        return item.message if isinstance(item, MessageItem) else None

    def _refold(self, turn: Callable[[], None]) -> None:
        reel = self.reel
        row = reel.row_of(reel.cursor) or 0
        turn()
        reel.forget()
        if reel.cursor is not None:
            reel.put_at(reel.cursor, 0, 0, row)
        self.redraw()
        self._desk.hurry()

    def _moved(self, by: int) -> None:
        super()._moved(by)
        if self._unread and not self._answered:
            in_background(self, self.read, "page", alone=True)
        elif by < 0 and self._pages.before is not None and self.reel.shows("older"):
            self._load("older")
        elif by > 0 and self._pages.after is not None and self.reel.shows("newer"):
            self._load("newer")
        self._desk.hurry()

    def _show(self, *, follow: bool = True) -> None:
        """Everything that is held, and at its ends what there is beyond them."""
        if not self._answered:
            text = f"cannot be shown: {self._unread}; ↑ tries again" if self._unread else "loading messages …"
            self.put([NoteItem("unread", text, "warn" if self._unread else "dim")])
            return
        items: list[Item] = [self._edge("older", more=self._pages.before is not None)]
        hint = f", {self._desk.keys.shown(BY_ID['fold'])} unfolds"
        items += [
            MessageItem(message, self._folds, hint=hint, wanted=self._wanted)
            for message in self._pages.messages
        ]
        if self._pages.after is not None:
            items.append(self._edge("newer", more=True))
        self.put(items, follow=follow)
        self._desk.hurry()

    def _edge(self, side: Side, *, more: bool) -> NoteItem:
        trouble = self._trouble.get(side)
        if trouble is not None:
            return NoteItem(
                side, f"{side} messages cannot be loaded: {trouble}; {_KEYS[side]} tries again", "warn"
            )
        if self._loading == side:
            return NoteItem(side, f"loading {side} …")
        if more:
            return NoteItem(side, f"… {_KEYS[side]} loads {side} messages")
        if not self._pages.messages:
            return NoteItem(side, "no messages yet")
        return NoteItem(side, "this is the beginning")


def _shown_of(item: MessageItem, cells: int) -> int:
    """How many of its lines can be seen while it is folded."""
    return SHOWN if item.is_long(cells) else LINES


def _trouble_of(error: Exception) -> str:
    """What went wrong, in words."""
    if isinstance(error, MaitredError):
        return error.message
    if isinstance(error, TimeoutError):
        return "the core did not answer in time"
    log.error("reading messages failed", exc_info=error)
    return f"{type(error).__name__}: {error}"
