"""What the console shows, read off the characters of its screen: no widget is asked, as no operator can."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.processes.processes import PATIENCE, House
from tests.processes.terminal import Terminal

_TAB = re.compile(r"▸\d ([a-z]+(?: ›? ?[a-z]+)*)")
_SCOPES = re.compile(r"  \S+ [▸ ]all ")
_RULE = "─" * 20
_LABEL_CELLS = 15


@dataclass(frozen=True)
class Seen:
    """One picture of a pane, or of a session, taken apart. Texts have no blanks at their right end."""

    lines: tuple[str, ...]
    """All of it."""
    shown: str
    """The tab that is marked, as in ``runs``, ``queues › seats``, ``run events``."""
    header: str
    """What stands above the tabs."""
    rows: tuple[str, ...]
    """The lines of the table below its heading, without its empty ones, its scroll bar and what is beside it."""
    top: int
    """The line of the first row."""
    bottom: int
    """The line below the table's last one."""
    width: int
    """How many cells the table has; as many as the screen when no facts stand beside it."""
    facts: dict[str, str]
    """Of the panel beside the table; empty when there is none."""
    tail: tuple[str, ...]
    """The journal's lines below the table; empty when there are none."""
    status: str
    footer: str

    @property
    def cursor(self) -> str:
        """The row that the cursor is on; empty when there is none."""
        return next((row for row in self.rows if row.startswith("▸ ")), "")

    def all(self, pattern: str) -> bool:
        """Whether there are rows, and each has this in it."""
        return bool(self.rows) and all(re.search(pattern, row) for row in self.rows)


def see(text: str, columns: int) -> Seen | None:
    """Take a screen of that many columns apart; None when it is none of the console's."""
    lines = tuple(text.split("\n"))
    tabs = next((y for y, line in enumerate(lines[:4]) if _TAB.search(line)), None)
    if tabs is None:
        return None
    # the kinds of rows, where a pane can be narrowed to one of them, stand above its heading
    heading = tabs + 2 if _SCOPES.match(lines[tabs + 1]) else tabs + 1
    top = heading + 1
    bottom = next((y for y, line in enumerate(lines) if line.startswith(_RULE)), len(lines) - 2)
    # a scroll bar stands before it, where what is shown has no heading, and at the screen's end where nothing is beside
    beside = lines[heading].rfind("│", 0, columns - 1)
    width = columns if beside < 0 else beside
    shown = _TAB.search(lines[tabs])
    assert shown is not None
    return Seen(
        lines=lines,
        shown=shown[1],
        header=" ".join(lines[:tabs]),
        rows=tuple(row for line in lines[top:bottom] if (row := line[: width - 1].rstrip())),
        top=top,
        bottom=bottom,
        width=width,
        facts={} if beside < 0 else _facts([line[beside:] for line in lines[heading:bottom]]),
        tail=lines[bottom + 1 : -2],
        status=lines[-2],
        footer=lines[-1],
    )


def _facts(panel: list[str]) -> dict[str, str]:
    """Label and text of each; a text that goes on in the next lines is put together again."""
    facts: dict[str, str] = {}
    label = ""
    for line in panel:
        text = line.removeprefix("│ ").rstrip()
        if text in ("", "│"):
            label = ""
            continue
        label = text[:_LABEL_CELLS].strip() or label
        facts[label] = facts.get(label, "") + text[_LABEL_CELLS:]
    return facts


class Console:
    """An operator before a terminal: presses keys, and looks until something is there."""

    def __init__(self, terminal: Terminal, columns: int) -> None:
        self.terminal = terminal
        self._columns = columns

    def press(self, *keys: str) -> None:
        """Type these, one right after the other."""
        self.terminal.press("".join(keys))

    def resize(self, columns: int, lines: int) -> None:
        """Pull the window to another size."""
        self._columns = columns
        self.terminal.resize(columns, lines)

    def until(self, holds: Callable[[Seen], Any], what: str, seconds: float = PATIENCE) -> Seen:
        """The first picture for which that holds."""
        found: list[Seen] = []

        def is_it(text: str) -> bool:
            seen = see(text, self._columns)
            if seen is None or not holds(seen):
                return False
            found.append(seen)
            return True

        self.terminal.until(is_it, what, seconds)
        return found[-1]

    def comes(self, holds: Callable[[Seen], Any], seconds: float) -> bool:
        """Whether that holds within so many seconds."""
        with contextlib.suppress(AssertionError):
            self.until(holds, "picture", seconds)
            return True
        return False

    def on(self, tab: str) -> Seen:
        """The picture, once that tab is shown."""
        return self.until(lambda seen: seen.shown == tab, f"tab {tab}")


def check_nothing_is_left(house: House) -> None:
    """A sandbox keeps no settings, no data and no log, and its temporary folder is gone."""
    assert [path for path in house.home.rglob("*") if path.name != "tmp"] == []
