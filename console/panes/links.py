"""Where a row leads: to its session, its run, its user, its seat and its model, each a place in a pane. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from console.actions import Target
from console.panes.cost import COST
from console.panes.filter import term
from console.panes.finder import Entry
from console.panes.queues import QUEUES
from console.panes.runs import RUNS
from console.panes.seats import SEATS
from console.panes.sessions import SESSIONS
from console.panes.strikes import STRIKES
from console.state import CostKey, Rows


class Link(NamedTuple):
    """A place: a pane, and in it a row by its own core's key, or the rows that a filter shows."""

    id: str
    label: str
    pane: str
    key: Any = None
    core: int = 0
    filter: str = ""
    model: str = ""
    """Whose seats they are, where the pane is that of the seats."""


LETTER_OF = {
    "session": "s",
    "run": "r",
    "pin": "p",
    "cost": "c",
    "sessions": "u",
    "runs": "n",
    "seat": "t",
    "queue": "m",
}
"""What chooses a link from a list, by its id."""


def links_of(rows: Rows, target: Target, key: Any = None) -> list[Link]:
    """What there is to go to from what the cursor is on, which is the row of that `key`; nothing that is not there."""
    links: list[Link] = []
    core, session_key = target.core, target.session_key
    paid = key if isinstance(key, CostKey) else None

    def row(link_id: str, label: str, pane: str, key: Any, model: str = "") -> None:
        links.append(Link(link_id, label, pane, key, core, model=model))

    if session_key in rows.sessions:
        row("session", f"session: {session_key}", SESSIONS.id, session_key)
    run_id = target.run_id or rows.latest.get(session_key or "", "")
    run = rows.runs.get(run_id)
    if run is not None:
        row("run", f"{'run' if target.run_id else 'its latest run'}: {run_id}", RUNS.id, run_id)
    if session_key is not None and session_key in rows.pins:
        row("pin", f"pin and strikes of {session_key}", STRIKES.id, session_key)
    if session_key is not None and CostKey("session", session_key) in rows.costs:
        row("cost", f"cost of {session_key}", COST.id, CostKey("session", session_key))
    user_id = paid.key if paid is not None and paid.scope == "user" else target.user_id
    if user_id is not None:
        links.append(sessions_of(user_id, core))
        links.append(Link("runs", f"runs of {user_id}", RUNS.id, None, core, term("user", user_id)))
        seat = rows.seats.get(user_id)
        if seat is not None:
            row("seat", f"seat of {user_id}: {seat.state}, {seat.model}", SEATS.id, user_id, seat.model)
    model = target.model or (run.model if run is not None else None) or target.pinned
    if paid is not None and paid.scope == "model":
        model = paid.key
    if model is not None and model in rows.queues:
        row("queue", f"queue of {model}", QUEUES.id, model)
    return links


def sessions_of(user_id: str, core: int = 0) -> Link:
    """A user's sessions, by the name in their keys."""
    return Link("sessions", f"sessions of {user_id}", SESSIONS.id, None, core, term("session", user_id))


def link_to(entry: Entry, rows: Rows) -> Link:
    """Where a pane, a user or a model that was found by its name is looked at."""
    match entry.kind:
        case "user":
            return sessions_of(entry.id, entry.core)
        case "model" if entry.id in rows.queues:
            return Link("queue", entry.text, QUEUES.id, entry.id, entry.core)
        case "model":
            return Link("runs", entry.text, RUNS.id, None, entry.core, term("model", entry.id))
        case _:
            return Link("pane", entry.text, entry.id)
