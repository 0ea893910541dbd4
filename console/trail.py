"""The way by which the operator came to a pane: links that were followed, and how to come back from each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from console.desk import Desk
from console.panes.links import Link
from console.panes.model import Held, PaneModel
from console.preferences import Layout
from console.state import At, Key
from console.text import ELLIPSIS, neutral

_LONGEST = 20
"""No way back is longer."""

_SHOWN = 2
"""So many of the places before are named."""

_CRUMB = 24
"""So many characters name one place."""


class CameFrom(NamedTuple):
    """Where a link was followed: what that place is called, and what shows it again where it is no pane."""

    crumb: str
    again: Callable[[], None] | None = None


@dataclass(slots=True)
class Left:
    """What was shown when a link was followed, and how the pane that it leads to was shown before."""

    came_from: CameFrom
    stack: list[PaneModel]
    changed: PaneModel
    held: Held
    depth: int
    brought: str = ""
    """The filter that the link has brought to that pane."""
    layouts: tuple[Layout, Layout] | None = None
    """What stood beside the tables before, and what the link has brought instead."""


class Trail:
    """What escape goes back to, the latest last; the panes are shown again as they were then."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._left: list[Left] = []

    @property
    def crumbs(self) -> tuple[str, ...]:
        """The places before, the latest last."""
        names = tuple(left.came_from.crumb for left in self._left)
        return names if len(names) <= _SHOWN else (ELLIPSIS, *names[-_SHOWN:])

    @property
    def depth(self) -> int:
        """How many panes lie over one another where the last link led."""
        return self._left[-1].depth if self._left else 1

    def leave(self, came_from: CameFrom, stack: list[PaneModel], to: list[PaneModel]) -> None:
        """A link leads from one stack of panes to another one."""
        self._left.append(Left(came_from, stack, to[-1], to[-1].hold(), len(to)))
        if len(self._left) > _LONGEST:
            self._drop(self._left.pop(0))

    def arrive(self, link: Link) -> str:
        """Show what the link that was just followed leads to; answers what the operator should know of it."""
        left = self._left[-1]
        told = self._put(left.changed, link)
        left.brought = left.changed.filter
        return told

    def brought(self, model: PaneModel) -> bool:
        """Whether the filter of this pane is the one that the last link has brought: it goes when one goes back."""
        return bool(self._left) and self._left[-1].changed is model and self._left[-1].brought == model.filter

    def back(self) -> Left | None:
        """Go back by one link; None when there is none."""
        if not self._left:
            return None
        left = self._left.pop()
        left.changed.show_as(left.held)
        if left.layouts is not None and self._desk.layout == left.layouts[1]:
            # else the operator has chosen another one since
            self._desk.layout = left.layouts[0]
        return left

    def forget(self) -> None:
        """The operator has gone somewhere on their own; what is shown stays as it is."""
        for left in self._left:
            self._drop(left)
        self._left = []

    def _drop(self, left: Left) -> None:
        for model in left.stack:
            if model in self._desk.watching:
                self._desk.watching.remove(model)

    def _put(self, model: PaneModel, link: Link) -> str:
        if link.id == "view":
            view = self._desk.kept.views.get(link.label)
            if view is None:
                return f"the view {link.label} is gone"
            model.show_as(view.held())
            self._left[-1].layouts = self._desk.layout, view.layout
            self._desk.layout = view.layout
            return f"view {link.label}"
        if link.filter:
            model.show_as(model.hold()._replace(filter=link.filter, scope="", cursor=None, top=0))
            return ""
        if link.key is None:
            return ""
        key = next((key for key in self._keys(link) if model.knows(key)), None)
        if key is None:
            return (
                "the pane is frozen: f goes on" if model.frozen else f"{link.label}: there is no such row now"
            )
        dropped = ""
        if model.position_of(key) is None:
            dropped = model.filter or model.scope
            self._desk.keep_filter(model.pane.id, model.filter)
            model.show_as(model.hold()._replace(filter="", scope=""))
        at = model.position_of(key)
        if at is not None:
            model.move_to(at)
        return f"{dropped!r} hid this row, and is dropped until esc goes back" if dropped else ""

    def _keys(self, link: Link) -> list[Key]:
        """What the row may be known by: what a house shares is told by one of its cores, which may be another one."""
        cores = self._desk.cores
        if not cores.several:
            return [link.key]
        others = [core.number for core in cores if core.number != link.core]
        return [At(number, link.key) for number in (link.core, *others)]


def crumb(pane: str, row: str) -> str:
    """What a place is called on the way from it."""
    return f"{pane} {neutral(row, _CRUMB)}".rstrip()
