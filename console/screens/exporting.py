"""The way of an export: ask for the format, write the rows off the event loop, and say where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from console.desk import Desk, Exporting
from console.exports import Unwritten, Written, write
from console.panes.export import ROWS_AT_ONCE, Format, chunks
from console.panes.model import PaneModel
from console.panes.pane import Column
from console.screens.menu import Choice, Menu
from console.text import neutral
from console.times import compact


class Export(NamedTuple):
    """What is to be written: the rows and columns as they were when the key was pressed."""

    pane: str
    what: str
    rows: Sequence[Any]
    columns: Sequence[Column[Any]]
    folder: Path


def export_of(desk: Desk, model: PaneModel) -> Export | str:
    """What an export of this pane would write, or why there is none."""
    if desk.folder is None:
        return "this console keeps no files, so nothing can be exported from it"
    if desk.exporting is not None:
        return f"{desk.exporting.text()} esc stops it"
    rows = model.picked()
    if not rows:
        return "there is nothing here to export"
    what = _counted(len(rows), " marked" if model.marks else "")
    return Export(model.pane.id, what, rows, model.columns, desk.folder / "exports")


def format_menu(export: Export) -> Menu:
    """In which format, and where to."""
    return Menu(
        f"Export {export.what} of {export.pane}:",
        [f"into {export.folder}"],
        [
            Choice("csv", "c", "CSV: the columns as they are shown, for a spreadsheet", safe=True),
            Choice("jsonl", "j", "JSON Lines: exact values, for programs"),
        ],
    )


async def carry_out(desk: Desk, export: Export, how: Format) -> None:
    """Write it, and say where it is; escape stops it."""
    exporting = desk.exporting = Exporting(export.what, len(export.rows))
    desk.say("")
    stem = f"{export.pane}-{compact(desk.cores.now())}"
    pieces = chunks(how, export.columns, export.rows, desk.cores.now)

    def told() -> Iterator[str]:
        for piece in pieces:
            yield piece
            exporting.done = min(exporting.done + ROWS_AT_ONCE, exporting.rows)
            desk.wake()

    try:
        answer = await write(export.folder, stem, how, told(), stopped=lambda: exporting.stopped)
    finally:
        desk.exporting = None
    match answer:
        case Written(path):
            # the name first: in a narrow line the end is cut, and the folder was told before
            desk.say(f"✓ {export.what}: {path.name} in {neutral(str(path.parent))}", "good")
        case Unwritten(why):
            desk.say(f"✗ nothing was exported: {why}", "bad")


def _counted(number: int, kind: str) -> str:
    return f"1{kind} row" if number == 1 else f"{number:,}{kind} rows"
