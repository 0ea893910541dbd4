"""The way of an export: ask for the format, write the rows off the event loop, and say where they are."""

from __future__ import annotations

from typing import Any

from textual.app import App

from console.desk import Desk
from console.exports import Unwritten, Written, write
from console.panes.export import Format, chunks
from console.panes.model import PaneModel
from console.screens.menu import Choice, Menu
from console.text import neutral
from console.times import compact


async def export(app: App[Any], desk: Desk, model: PaneModel) -> None:
    """Write what the pane shows, or what is marked in it, into a new file of the operator's."""
    if desk.folder is None:
        desk.say("this console keeps no files, so nothing can be exported from it", "warn")
        return
    if desk.exporting:
        desk.say("an export is under way: wait until it says where it is", "warn")
        return
    rows, columns = model.picked(), model.pane.columns
    if not rows:
        desk.say("there is nothing here to export", "warn")
        return
    what = _counted(len(rows), " marked" if model.marks else "")
    folder = desk.folder / "exports"
    how = await app.push_screen_wait(
        Menu(
            f"Export {what} of {model.pane.title}:",
            [f"into {folder}"],
            [
                Choice("csv", "c", "CSV: the columns as they are shown, for a spreadsheet", safe=True),
                Choice("jsonl", "j", "JSON Lines: exact values, for programs"),
            ],
        )
    )
    if how is None:
        desk.say("nothing was exported")
        return
    desk.say(f"◐ exporting {what} …")
    stem = f"{model.pane.id}-{compact(desk.cores.now())}"
    form: Format = "csv" if how == "csv" else "jsonl"
    desk.exporting = True
    try:
        answer = await write(folder, stem, form, chunks(form, columns, rows, desk.cores.now))
    finally:
        desk.exporting = False
    match answer:
        case Written(path):
            # the name first: in a narrow line the end is cut, and the folder was told before
            desk.say(f"✓ {what}: {path.name} in {neutral(str(path.parent))}", "good")
        case Unwritten(why):
            desk.say(f"✗ nothing was exported: {why}", "bad")


def _counted(number: int, kind: str) -> str:
    return f"1{kind} row" if number == 1 else f"{number:,}{kind} rows"
