"""What the menus offer for a target: which sessions to mark dirty, which queues to hold, what of a pin to let go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from console.actions import BY_ID, Action, Target
from console.panes.links import LETTER_OF, Link
from console.screens.menu import Choice, Menu

_MODEL = "model-"
"""Begins the id of a model's line; what follows is the name in hexadecimal, since ids are plain words."""

Chosen = tuple[Action, Target]


def dirty_menu(target: Target) -> Menu:
    """One session, its project, all, or take a mark back; what cannot be done here is not offered."""
    live = target.session_key is not None and target.generation is not None
    choices: list[Choice] = []
    if live:
        choices.append(Choice("session", "o", "one: this session, at once", safe=True))
    if target.project is not None:
        choices.append(Choice("project", "p", "project: every session of it, asks first"))
    choices.append(Choice("all", "a", "all sessions, asks first"))
    if live and target.dirty:
        choices.append(Choice("clear", "c", "clear: take the mark back"))
    facts = [f"session  {target.session_key or '–'}", f"project  {target.project or '–'}", *_where(target)]
    return Menu("Rebuild at the next use:", facts, choices)


def pause_menu(target: Target, *, any_paused: bool) -> Menu:
    """Hold or let go one queue, or all of them."""
    choices: list[Choice] = []
    if target.model is not None:
        verb = "resume: let people in again" if target.paused else "pause: nobody is let in"
        choices.append(Choice("one", "o", f"{verb}, here", safe=True))
    choices.append(Choice("pause-all", "a", "pause all models"))
    if any_paused:
        choices.append(Choice("resume-all", "r", "resume all models: lifts every pause"))
    return Menu("Admission:", [f"model  {target.model or '–'}", *_where(target)], choices)


def unpin_menu(target: Target) -> Menu:
    """Where the model was chosen and there are strikes as well: which of them."""
    times = "1 strike" if target.strikes == 1 else f"{target.strikes} strikes"
    choices = [
        Choice("release", "r", "release: repetitions may escalate it again", safe=True),
        Choice("strikes", "s", f"strikes: forget {times}"),
    ]
    facts = [
        f"session  {target.session_key or '–'}",
        f"model    {target.pinned or '–'}, chosen",
        *_where(target),
    ]
    return Menu("Of this pin:", facts, choices)


LETTERS = "123456789abcdefghijklmnoprstuvwxyz"
"""Of the menu's lines; q leaves."""


def model_menu(target: Target, models: Sequence[str]) -> Menu:
    """Every model that is known, but the one that the session is kept on already."""
    others = [model for model in models if not (target.explicit and model == target.pinned)]
    choices = [
        Choice(f"{_MODEL}{model.encode().hex()}", letter, model)
        for letter, model in zip(LETTERS, others, strict=False)
    ]
    how = "chosen" if target.explicit else "by itself"
    facts = [
        f"session  {target.session_key or '–'}",
        f"model    {target.pinned or '–'}, {how}",
        *_where(target),
    ]
    return Menu("Keep on the model:", facts, choices)


def link_menu(target: Target, links: Iterable[Link]) -> Menu:
    """Where one can go from a row; nothing of it changes anything."""
    choices = [Choice(link.id, LETTER_OF[link.id], link.label, safe=True) for link in links]
    return Menu("Go to:", [f"from  {target.label}", *_where(target)], choices)


def _where(target: Target) -> list[str]:
    return [f"on       {target.instance}"] if target.instance else []


def chosen(  # noqa: PLR0911 - a table
    action: Action, target: Target, choice: str | None
) -> Chosen | None:
    """The action and the target that a choice stands for; None when nothing was chosen."""
    match action.id, choice:
        case _, None:
            return None
        case "dirty", "clear":
            return BY_ID["undo"], target
        case "dirty", "session" | "project" | "all":
            return action, replace(target, what=choice)
        case "unpin", "release":
            return action, target
        case "unpin", "strikes":
            return action, replace(target, what="strikes")
        case "model", str(name) if name.startswith(_MODEL):
            return action, replace(target, choice=bytes.fromhex(name.removeprefix(_MODEL)).decode())
        case "pause", "one":
            return action, target
        case "pause", "pause-all":
            return action, replace(target, what="all", paused=False)
        case "pause", "resume-all":
            return action, replace(target, what="all", paused=True)
        case _:
            raise ValueError(f"the menu of {action.id} has no choice {choice!r}")
