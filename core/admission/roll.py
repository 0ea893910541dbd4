"""Writing down when those who wait were last heard of, for the other processes and for who looks into the database."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from sqlalchemy import Connection

from core.admission import ledger
from core.admission.attendance import Attendance
from core.admission.changes import Change
from core.admission.landing import Write

_NOTES = 1000


async def write_down(attendance: Attendance, write: Write, now: int) -> None:
    """Write what is due, in parts of a bounded size. Raises StorageFailed; what was not written stays due."""
    due = attendance.unwritten()
    left = iter(due.items())
    while part := dict(islice(left, _NOTES)):

        def note(connection: Connection, part: Mapping[str, int] = part) -> tuple[list[Change], list[str]]:
            return [], ledger.note_seen(connection, part)

        attendance.written({user_id: part[user_id] for user_id in await write(note, now)})
