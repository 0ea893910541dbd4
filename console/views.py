"""Views that were given a name, and the latest filters: what the operator keeps from one start to the next.

They stand in one file in the state folder, for its owner alone. A file that cannot be read is passed over with a
notice, and put aside when something new is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from console.files import recalled, replace_text
from console.panes.columns import Arrangement
from console.panes.filter import Fault, parse
from console.panes.model import Held, PaneModel
from console.preferences import Layout
from console.text import neutral

NAME = "views.json"
_ASIDE = ".unreadable"
_MOST_BYTES = 1_000_000
_MOST_VIEWS = 200
_MOST_FILTERS = 50
_LONGEST_FILTER = 1_000
LONGEST_NAME = 60


class View(msgspec.Struct, frozen=True):
    """How a pane is shown: what passes the filter, which kind of rows, their order and columns; and what beside it."""

    pane: str
    filter: str = ""
    scope: str = ""
    sort: str = ""
    descending: bool = False
    columns: Arrangement = Arrangement()
    layout: Layout = "all"

    def held(self) -> Held:
        """The same for a pane's model, with the cursor at the top."""
        return Held(self.filter, self.scope, self.sort, self.descending, None, 0, self.columns)

    def text(self) -> str:
        """What it shows, in a few words."""
        parts = [self.pane, self.scope, f"/{self.filter}" if self.filter else ""]
        return "  ".join([*filter(None, parts), f"by {self.sort}{'▾' if self.descending else '▴'}"])


class Kept(msgspec.Struct, frozen=True):
    """What the file holds: views by their names, and the latest filters by their panes, the latest last."""

    views: dict[str, View] = {}
    filters: dict[str, list[str]] = {}
    version: int = 1


class Recalled(NamedTuple):
    """What was kept, and why that is not all; empty when there is nothing to say."""

    kept: Kept
    trouble: str = ""


def view_of(model: PaneModel, layout: Layout = "all") -> View:
    """How this pane is shown now."""
    held = model.hold()
    return View(model.pane.id, held.filter, held.scope, held.sort, held.descending, held.columns, layout)


def trouble_of(view: View, models: Mapping[str, PaneModel]) -> str:
    """Why this view cannot be shown here; empty when it can. It may be of another version, or of other cores."""
    model = models.get(view.pane)
    if model is None:
        return f"there is no pane {view.pane!r} here"
    if view.sort not in [column.id for column in model.pane.columns]:
        return f"the pane {view.pane} has no column {view.sort!r} here"
    if view.scope not in ("", *model.pane.scopes):
        return f"the pane {view.pane} has no {view.scope!r}"
    parsed = parse(model.pane, view.filter)
    return f"its filter cannot be used: {parsed.why}" if isinstance(parsed, Fault) else ""


def name_of(text: str) -> str:
    """The name that was typed, as a view can have it: neutral and with single blanks; it may be empty."""
    return " ".join(neutral(text).split())


def with_view(kept: Kept, name: str, view: View) -> Kept:
    """With this view as the latest, in the place of another one of that name; the oldest of too many go."""
    views = {**{each: kept.views[each] for each in kept.views if each != name}, name: view}
    return msgspec.structs.replace(kept, views=dict([*views.items()][-_MOST_VIEWS:]))


def without_view(kept: Kept, name: str) -> Kept:
    """Without the view of that name."""
    return msgspec.structs.replace(
        kept, views={each: kept.views[each] for each in kept.views if each != name}
    )


def with_filter(kept: Kept, pane: str, text: str) -> Kept:
    """With this filter, once, as the latest of the pane."""
    if not text.strip() or len(text) > _LONGEST_FILTER:
        return kept
    before = [each for each in kept.filters.get(pane, []) if each != text]
    filters = {**kept.filters, pane: [*before, text][-_MOST_FILTERS:]}
    return msgspec.structs.replace(kept, filters=filters)


def recall_kept(folder: Path) -> Recalled:
    """What was kept in this folder; never raises."""
    path = folder / NAME
    found = recalled(path, Kept, _MOST_BYTES)
    if found is None:
        return Recalled(Kept())
    if isinstance(found, str):
        return Recalled(Kept(), f"{path} is passed over: {found}")
    if found.version != Kept().version:
        return Recalled(Kept(), f"{path} is passed over: it is of another version of maitred")
    return Recalled(_bounded(found))


def change_kept(folder: Path, change: Callable[[Kept], Kept]) -> str:
    """Change what is kept now, by whichever console; answers what is wrong, or nothing. A file that was passed over is
    put aside first: what is in it may still be wanted.
    """
    path = folder / NAME
    recalled = recall_kept(folder)
    text = json.dumps(msgspec.to_builtins(change(recalled.kept)), indent=2, ensure_ascii=False) + "\n"
    try:
        if recalled.trouble:
            path.replace(path.with_name(path.name + _ASIDE))
        replace_text(path, text)
    except OSError as error:
        return error.strerror or str(error)
    except UnicodeEncodeError as error:
        return str(error)
    return ""


def _bounded(found: Kept) -> Kept:
    """No more of it, and nothing longer, than could have been kept."""
    views = {
        name: view
        for name, view in found.views.items()
        if 0 < len(name) <= LONGEST_NAME and name_of(name) == name
    }
    kept = Kept(dict([*views.items()][-_MOST_VIEWS:]))
    for pane, filters in found.filters.items():
        for text in filters:
            kept = with_filter(kept, pane, text)
    return kept
