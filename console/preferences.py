"""What the console remembers of its operator from one start to the next: the columns of each pane.

The file is theirs to lose: one that cannot be read is passed over with a notice, and replaced at the next choice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from console.files import replace_text, text_of
from console.panes.columns import Arrangement

_NAME = "console.json"
_MOST_BYTES = 65_536


class Preferences(msgspec.Struct, frozen=True):
    """The columns that were chosen, by the pane's id."""

    columns: dict[str, Arrangement] = {}
    version: int = 1


class Remembered(NamedTuple):
    """What is known from earlier, and why it is not all: empty when there is nothing to say."""

    preferences: Preferences
    trouble: str = ""


def recall(folder: Path) -> Remembered:
    """What was kept in this folder; never raises."""
    path = folder / _NAME
    try:
        found = msgspec.json.decode(text_of(path, _MOST_BYTES), type=Preferences)
    except FileNotFoundError:
        return Remembered(Preferences())
    except OSError as error:
        return _passed_over(path, error.strerror or str(error))
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        return _passed_over(path, str(error))
    if found.version != Preferences().version:
        return _passed_over(path, "it is of another version of maitred")
    return Remembered(found)


def _passed_over(path: Path, why: str) -> Remembered:
    return Remembered(Preferences(), f"columns are not as you left them: {why} ({path})")


def keep_columns(folder: Path, chosen: Mapping[str, Arrangement]) -> str:
    """Remember these, beside what other consoles keep of other panes; answers what is wrong, or nothing."""
    columns = {**recall(folder).preferences.columns, **chosen}
    some = {pane: each for pane, each in sorted(columns.items()) if each != Arrangement()}
    kept = msgspec.to_builtins(Preferences(columns=some))
    try:
        replace_text(folder / _NAME, json.dumps(kept, indent=2) + "\n")
    except OSError as error:
        return error.strerror or str(error)
    return ""
