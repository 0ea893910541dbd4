"""All panes, in the order of their keys."""

from __future__ import annotations

from typing import Any

from console.panes.cost import COST
from console.panes.findings import FINDINGS
from console.panes.journal import JOURNAL
from console.panes.pane import Pane
from console.panes.queues import QUEUES
from console.panes.runs import RUNS
from console.panes.seats import SEATS
from console.panes.sessions import SESSIONS
from console.panes.strikes import STRIKES
from console.state import ConsoleState

PANES: tuple[Pane[Any, ConsoleState], ...] = (QUEUES, RUNS, SESSIONS, STRIKES, COST, JOURNAL, FINDINGS)
"""What the keys 1 to 7 show; the action that shows a pane has the pane's id."""

BEHIND: dict[str, Pane[Any, ConsoleState]] = {QUEUES.id: SEATS}
"""The pane that Enter opens from a row of another; from all others it opens the session."""
