"""The keys that open another screen from any screen: help, why, search, links, the palette.

They stand above the screens that they open, and those know nothing of them: the app hands `EVERYWHERE` to the first
screen, and each hands it on to what it opens.
"""

from __future__ import annotations

from textual import events

from console.actions import BY_ID, Aimed
from console.background import in_background
from console.cores import Attached
from console.panes.finder import Entry
from console.panes.links import Link, link_to
from console.screens.base import DeskScreen, Everywhere
from console.views import with_view, without_view


def ask_for_help(screen: DeskScreen) -> None:
    """The keys of this place."""
    from console.screens.help import HelpScreen

    _ = screen.app.push_screen(HelpScreen(screen.desk, screen.scope))


def ask_why(screen: DeskScreen) -> None:
    """Why it is so with what the cursor is on."""
    from console.screens.why import WhyScreen

    desk, target = screen.desk, screen.pointed()
    if isinstance(target, str):
        desk.say(target, "warn")
    elif target.explains is None:
        desk.say("nothing to explain here: choose somebody's seat, or a session", "warn")
    else:
        _ = screen.app.push_screen(WhyScreen(desk, desk.core_of(target), *target.explains))


def search(screen: DeskScreen) -> None:
    """Look for words in all messages."""
    from console.screens.search import SearchScreen

    below = screen.app.screen_stack[:-1]
    if below and isinstance(below[-1], SearchScreen):
        # it was opened from there: back to that search, not into another one above it
        screen.desk.say("")
        _ = screen.dismiss(None)
    else:
        screen.open_above(SearchScreen(screen.desk, screen.everywhere, passed_on=True))


def choose_link(screen: DeskScreen) -> None:
    """Go from what the cursor is on to what belongs to it."""
    from console.screens.choosing import link_menu

    target = screen.pointed()
    if isinstance(target, str):
        screen.desk.say(target, "warn")
        return
    links = {link.id: link for link in screen.links(target)}
    if not links:
        screen.desk.say(f"nothing else is known of {target.label or 'this'}")
        return

    def chosen(link_id: str | None) -> None:
        if link_id is not None:
            screen.follow(links[link_id])

    screen.open_above(link_menu(target, links.values()), chosen)


def open_palette(screen: DeskScreen, text: str = "") -> None:
    """All that can be done and looked at from here, by its name; with `text` in the field already."""
    from console.screens.palette import PaletteScreen

    palette = PaletteScreen(screen.desk, screen, screen.hold_aim(), text, passed_on=True)

    def closed(_: None) -> None:
        if palette.chosen is not None:
            carry_out(screen, palette.chosen, palette.held)
        screen.type_above([events.Key(character, character) for character in palette.typed_after])

    screen.open_above(palette, closed)


def save_view(screen: DeskScreen) -> None:
    """Keep what is shown under a name."""
    open_palette(screen, "save view as ")


def carry_out(screen: DeskScreen, chosen: Entry, aimed: Aimed | str) -> None:
    """Do what was chosen in the palette."""
    desk = screen.desk
    core = desk.cores[chosen.core]
    match chosen.kind:
        case "action":
            screen.press(BY_ID[chosen.id], aimed)
        case "session":
            _look_into(screen, core, chosen.id)
        case "run":
            run = core.state.rows.runs.get(chosen.id)
            if run is None:
                desk.say(f"run {chosen.id} is gone", "warn")
            else:
                _look_into(screen, core, run.session_key, run.run_id)
        case "view":
            screen.follow(Link("view", chosen.id, desk.kept.views[chosen.id].pane))
        case "save":
            _keep_view(screen, chosen.id)
        case "remove":
            in_background(screen, lambda: desk.keep(lambda kept: without_view(kept, chosen.id)), "keep")
            desk.say(f"the view {chosen.id} is removed")
        case "pane" | "user" | "model":
            screen.follow(link_to(chosen, core.state.rows))


def _keep_view(screen: DeskScreen, name: str) -> None:
    view = screen.view()
    if isinstance(view, str):
        screen.desk.say(view, "warn")
        return
    screen.desk.say(f"kept as the view {name}; the palette lists it")
    in_background(screen, lambda: screen.desk.keep(lambda kept: with_view(kept, name, view)), "keep")


def _look_into(screen: DeskScreen, core: Attached, session_key: str, run_id: str | None = None) -> None:
    from console.screens.session import SessionScreen

    first = "messages" if run_id is None else "events"
    _ = screen.app.push_screen(
        SessionScreen(screen.desk, screen.everywhere, session_key, core=core, run_id=run_id, first=first)
    )


EVERYWHERE: Everywhere = {
    "help": ask_for_help,
    "why": ask_why,
    "search": search,
    "go": choose_link,
    "palette": open_palette,
    "palette-too": open_palette,
    "save-view": save_view,
}
"""What these keys do, by action id."""
