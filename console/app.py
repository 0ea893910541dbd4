"""The application: paints first, connects then, and draws a frame when something changed.

`ConsoleApp` puts the parts on the desk and owns the two tasks that run beside the screens: the feed, and the frames.
However much happens, at most `frames_per_second` frames are drawn, but one at once for a key; and one a second when
nothing happens, so that ages go on.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.timer import Timer

from console.acting import Acting
from console.background import in_background
from console.cores import Attached, Cores
from console.desk import ADDRESS, Desk, Said
from console.feed import Feed
from console.keymap import keymap
from console.look import load_looks
from console.preferences import Preferences, Remembered, recall
from console.screens.base import DeskScreen
from console.screens.everywhere import EVERYWHERE
from console.screens.main import MainScreen
from console.state import ConsoleState
from console.views import Kept, Recalled, recall_kept
from console.widgets.log import Log
from core.clock import Clock, SystemClock
from core.errors import StartRefused
from core.protocol import Core

log = logging.getLogger(__name__)

ACore = Core | Callable[[], Awaitable[Core]]

_KEY_SECONDS = 1 / 30

OnQuit = Callable[[bool], Awaitable[None]]
"""Lets go of the core; True means at once, without draining."""


class ConsoleApp(App[None]):
    """The console over one core, or over several.

    `core` is a core, or a function that makes one when the first picture stands; or several of these by name. With
    `embedded` the core ends
    with the console, so that leaving asks while turns are in flight. `on_quit` replaces `core.aclose()`, and
    `address` and `model` are where clients reach the core and what they may ask for, for the hints in empty panes.
    With `playable` the key of the sandbox is offered while nobody has come. `folder` is where its files are kept.
    Raises SettingsError for a theme or a key that there is not. After `run`, `failure` says why the core did not
    start, and `play` whether the operator wants the sandbox now.
    """

    TITLE: str | None = "maitred"
    ENABLE_COMMAND_PALETTE = False
    # What has the focus is filled, and nothing else is: Textual fills the button that loses work, and empties it when
    # it is chosen. In sixteen colours or none its own reverse does the same.
    CSS = """
    Button.-style-default {
        color: $foreground; background: $surface; background-tint: transparent; border: none; text-style: bold;
        &:hover { background: $background; text-style: bold underline; }
        &:focus { color: $background; background: $foreground; text-style: bold; }
        &.-error { color: $error; background: $surface; }
        &.-error:focus { color: $background; background: $error; }
        &:ansi:focus { text-style: bold reverse; color: ansi_default; background: ansi_default; }
        &.-error:ansi { color: $error; background: ansi_default; }
        &.-error:ansi:focus { color: $error; background: ansi_default; text-style: bold reverse; }
    }
    Input:nocolor {
        &>.input--cursor { text-style: reverse; }
        &>.input--selection { text-style: underline; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave(True)", show=False, priority=True),
        Binding("ctrl+c", "leave(False)", show=False, priority=True),
    ]

    def __init__(  # noqa: PLR0913 - what the command line decides, by name
        self,
        core: ACore | Mapping[str, ACore],
        *,
        read_only: bool = False,
        theme: str = "dark",
        theme_folders: Iterable[Path] = (),
        folder: Path | None = None,
        keys: Mapping[str, str] | None = None,
        frames_per_second: float = 8,
        title: str = "maitred",
        embedded: bool = True,
        address: str = ADDRESS,
        model: str = "auto",
        first: str = "runs",
        playable: bool = False,
        on_quit: OnQuit | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._looks = load_looks(theme, theme_folders)
        keymap_in_force = keymap(keys)
        super().__init__()
        if self.no_color:
            self._looks.do_without_colours()
        self.failure: StartRefused | None = None
        self.play = False
        self._embedded = embedded
        self._on_quit = on_quit
        self._frame_seconds = 1 / frames_per_second
        self._resting: Timer | None = None
        """Until it ends no frame is drawn but for a key."""
        self._hurried: Timer | None = None
        """Until it ends none is drawn for another key: one that is held down comes thirty times a second."""
        self._wanted = self._wanted_at_once = False
        self._first = first
        self._dark = ExitStack()
        self._leaving = False
        self._asking = False
        named = core if isinstance(core, Mapping) else {title: core}
        remembered = Remembered(Preferences()) if folder is None else recall(folder)
        recalled = Recalled(Kept()) if folder is None else recall_kept(folder)
        self.desk = Desk(
            cores=Cores(
                [
                    self._attached(number, name, each, clock or SystemClock())
                    for number, (name, each) in enumerate(named.items())
                ]
            ),
            acting=Acting(read_only=read_only),
            keys=keymap_in_force,
            looks=self._looks,
            wake=self.wake,
            hurry=self.hurry,
            leave=self._leave,
            restyle=self._restyle,
            play=self._leave_to_play if playable else None,
            folder=folder,
            columns=dict(remembered.preferences.columns),
            layout=remembered.preferences.layout,
            kept=recalled.kept,
            said=Said("; ".join(filter(None, (remembered.trouble, recalled.trouble))), "warn"),
            title=title,
            address=address,
            model=model,
        )

    def _attached(self, number: int, name: str, core: ACore, clock: Clock) -> Attached:
        state = ConsoleState(number=number)
        feed = Feed(
            _connector(core),
            state,
            clock,
            on_change=self.wake,
            on_fatal=self._fatal,
            pace=min(0.1, self._frame_seconds),
        )
        return Attached(number, name, state, feed)

    @property
    def native_ansi_color(self) -> bool:
        """With NO_COLOR the terminal's own two colours; Textual alone would still send shades of grey."""
        # asked for while Textual's own __init__ runs, before it has looked for NO_COLOR
        return bool(getattr(self, "no_color", False)) or super().native_ansi_color

    def get_driver_class(self) -> type[Driver]:
        """Textual's own for this terminal, in the form that outlives it."""
        from textual.drivers.linux_driver import LinuxDriver

        from console.driver import TerminalDriver

        found = super().get_driver_class()
        return TerminalDriver if found is LinuxDriver else found

    # ---------------------------------------------------------------------------------------- running

    def on_mount(self) -> None:
        """Paint, and only then let the feed import and connect."""
        for look in self._looks.all():
            self.register_theme(look.theme)
        self.theme = self._looks.current.theme.name
        _ = self.push_screen(MainScreen(self.desk, EVERYWHERE, first=self._first))
        self.set_interval(1.0, self.wake)
        self._heed_signals()
        self.call_after_refresh(self._start_feed)

    def _heed_signals(self) -> None:
        """Without this a signal would end the process and leave the terminal as it is drawn."""
        if self.is_headless or threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.terminate)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _start_feed(self) -> None:
        self.draw()
        for core in self.desk.cores:
            in_background(self, core.feed.run, "feed")

    def _handle_exception(self, error: Exception) -> None:
        log.error("the console broke", exc_info=error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Textual would print the variables of every frame, too: tokens, keys, and what people have said."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        report = self.console.render(Traceback(show_locals=False, width=None), self.console.options)
        self._exit_renderables.append(Segments(report))
        self._close_messages_no_wait()

    def _fatal(self, error: StartRefused) -> None:
        self.failure = error
        self.exit(return_code=1)

    # ----------------------------------------------------------------------------------------- frames

    def wake(self) -> None:
        """Something is new: draw it, now if there was no frame for a while, else when the next one is due."""
        if not self._wanted and self.is_running:
            self._wanted = True
            if self._resting is None:
                _ = self.call_later(self._draw_wanted)

    def hurry(self) -> None:
        """A key has done something: draw it now."""
        if not self._wanted_at_once and self.is_running:
            self._wanted = self._wanted_at_once = True
            if self._hurried is None:
                _ = self.call_later(self._draw_at_once)

    def _draw_wanted(self) -> None:
        self._resting = None
        if self._wanted:
            self.draw()

    def _draw_at_once(self) -> None:
        self._hurried = None
        if self._wanted_at_once:
            self._hurried = self.set_timer(min(_KEY_SECONDS, self._frame_seconds), self._draw_at_once)
            self.draw()

    def draw(self) -> None:
        """Draw one frame: what changed since the last one, on every screen that is open."""
        self._wanted = self._wanted_at_once = False
        if not self.is_running:
            return  # it was asked for before the screens began to be taken down
        if self._resting is None:
            self._resting = self.set_timer(self._frame_seconds, self._draw_wanted)
        self.desk.note()
        for screen in self.screen_stack:
            if isinstance(screen, DeskScreen) and screen.is_mounted:
                screen.draw()

    def on_key(self, event: events.Key) -> None:
        """The key of the themes works in front of a dialog, too; all its other keys are the dialog's."""
        if not self.screen.is_modal:
            return
        action = self.desk.keys.find("panes", event.key, event.character, acting=False)
        if action is not None and action.id == "theme":
            event.stop()
            self.desk.next_theme()

    def _restyle(self) -> None:
        self.theme = self._looks.current.theme.name
        for screen in self.screen_stack:
            if isinstance(screen, DeskScreen):
                screen.restyle()
            for log in screen.query(Log):
                log.refresh()
        self.draw()

    # ---------------------------------------------------------------------------------------- leaving

    def action_leave(self, now: bool) -> None:
        """ctrl+q leaves at once, ctrl+c as q does; and who presses it again means it."""
        if self._asking and not now:
            self.terminate()
        else:
            self._leave(now)

    def terminate(self) -> None:
        """What a signal does: drain and leave without asking; a second one leaves at once."""
        # a signal comes from outside: what follows belongs into the app's own context
        self.call_later(lambda: self._leave(self._leaving, ask=False))

    def _hang_up(self) -> None:
        """The terminal is gone: drain as on a signal, and draw no more, for the queue to it would fill and block."""
        self._dark.enter_context(self.batch_update())
        self.terminate()

    def _leave_to_play(self) -> None:
        self._leave(False, play=True)

    def _leave(self, now: bool, *, ask: bool = True, play: bool = False) -> None:
        if self._leaving and now:
            # beside the drain that is under way, which this cuts short; who is in such a hurry wants nothing else
            self.play = False
            in_background(self, lambda: self._let_go_and_exit(True), "cut", alone=True)
            return
        in_background(self, lambda: self._quit(now, ask=ask, play=play), "quit", alone=True)

    async def _quit(self, now: bool, *, ask: bool, play: bool) -> None:
        turns = self.desk.cores.totals().in_flight
        if turns and ask and not now and self._embedded and not await self._may_cut(turns):
            return
        self._leaving, self.play = True, play
        if not now:
            await self._settle()
        self.desk.say(
            "leaving" if now else "leaving: waiting for the turns to end; ctrl+q cuts them off", "warn"
        )
        self.draw()
        await self._let_go_and_exit(now)

    async def _settle(self) -> None:
        """What was sent is answered before the way to its core goes; what waits to be sent is not sent any more."""
        desk = self.desk
        if desk.bulk is not None:
            desk.bulk.stopped = True
        if desk.acting.under_way:
            acts = "1 act" if desk.acting.under_way == 1 else f"{desk.acting.under_way} acts"
            desk.say(f"leaving: waiting for the answer to {acts}; ctrl+q leaves without it", "warn")
            self.draw()
            await desk.acting.settled()

    async def _let_go_and_exit(self, now: bool) -> None:
        try:
            await self._let_go(now)
        except Exception:
            # whatever the core does, the terminal is given back
            log.exception("the core did not close well")
        self.exit()

    async def _let_go(self, now: bool) -> None:
        if self._on_quit is not None:
            await self._on_quit(now)
            return
        for attached in self.desk.cores:
            if attached.feed.core is not None:
                await attached.feed.core.aclose()

    async def _may_cut(self, turns: int) -> bool:
        from console.screens.ask import AskScreen, Question, Stake

        what = "1 turn is" if turns == 1 else f"{turns:,} turns are"
        question = Question(title=f"Quit while {what} in flight?", verb="Drain and quit", cancel="Stay")
        stake = Stake(["The core ends with this console: it drains first, and cuts off what is left."])
        self._asking = True
        try:
            return await self.push_screen_wait(AskScreen(question, stake)) is not None
        finally:
            self._asking = False


def _connector(core: ACore) -> Callable[[], Awaitable[Core]]:
    if callable(core):
        return core

    async def there() -> Core:
        return core

    return there
