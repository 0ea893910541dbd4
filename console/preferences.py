"""What the console remembers of its operator from one start to the next: the columns of each pane, and the layout.

The file is theirs to lose: one that cannot be read is passed over with a notice, and replaced at the next choice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import msgspec

from console.files import recalled, replace_text
from console.panes.columns import Arrangement

_NAME = "console.json"
_MOST_BYTES = 65_536


Layout = Literal["all", "facts", "journal", "table"]
"""What stands beside a pane's table where there is room: the facts of a row, the latest of the journal."""

LAYOUTS: tuple[Layout, ...] = get_args(Layout)


class Preferences(msgspec.Struct, frozen=True):
    """The columns that were chosen, by the pane's id, and what stands beside the tables."""

    columns: dict[str, Arrangement] = {}
    layout: Layout = "all"
    version: int = 1


class Remembered(NamedTuple):
    """What is known from earlier, and why it is not all: empty when there is nothing to say."""

    preferences: Preferences
    trouble: str = ""


def recall(folder: Path) -> Remembered:
    """What was kept in this folder; never raises."""
    path = folder / _NAME
    found = recalled(path, Preferences, _MOST_BYTES)
    if found is None:
        return Remembered(Preferences())
    if isinstance(found, str):
        return _passed_over(path, found)
    if found.version != Preferences().version:
        return _passed_over(path, "it is of another version of maitred")
    return Remembered(found)


def _passed_over(path: Path, why: str) -> Remembered:
    return Remembered(Preferences(), f"columns and layout are not as you left them: {why} ({path})")


def keep_columns(folder: Path, chosen: Mapping[str, Arrangement]) -> str:
    """Remember these, beside what other consoles keep of other panes; answers what is wrong, or nothing."""
    before = recall(folder).preferences
    columns = {**before.columns, **chosen}
    some = {pane: each for pane, each in sorted(columns.items()) if each != Arrangement()}
    return _keep(folder, msgspec.structs.replace(before, columns=some))


def keep_layout(folder: Path, layout: Layout) -> str:
    """Remember this one; answers what is wrong, or nothing."""
    return _keep(folder, msgspec.structs.replace(recall(folder).preferences, layout=layout))


def _keep(folder: Path, preferences: Preferences) -> str:
    kept = msgspec.to_builtins(preferences)
    try:
        replace_text(folder / _NAME, json.dumps(kept, indent=2) + "\n")
    except OSError as error:
        return error.strerror or str(error)
    return ""
