"""What the processes of a house tell each other of their changes, and what one makes of the others' notes.

A note says whose seat, ban, admission or pause was changed; what it is now is read from the rows, in a unit of this
process's own writer. So it comes in between this one's own changes where it belongs, and nothing goes back to an older
state (`core.store.change_log`).
"""

from __future__ import annotations

from typing import assert_never, get_args

import msgspec
from sqlalchemy import Connection

from core.admission import ledger, seat_records
from core.admission.changes import (
    BanLifted,
    BanSet,
    Booked,
    Change,
    PausesAre,
    Put,
    Removal,
    SeatPut,
    SeatRemoved,
)
from core.admission.floor import Floor
from core.admission.ledger import Snapshot
from core.admission.quota import Admit
from core.admission.seat import Seat
from core.store import change_log
from core.store.change_log import Cursor, Note

MOST = 2000
"""How many notes of each other process are read at once."""

_SEAT, _BAN, _ADMIT, _PAUSE = "seat", "ban", "admit", "pause"
_REMOVALS: dict[str, Removal] = {name: name for name in get_args(Removal)}
_PUTS: dict[str, Put] = {name: name for name in get_args(Put)}


def note_of(change: Change) -> Note:
    """What the others are told of a change."""
    match change:
        case SeatPut(what=put, seat=seat):
            return Note(_SEAT, seat.user_id, put)
        case SeatRemoved(what=removal, user_id=user_id):
            return Note(_SEAT, user_id, removal)
        case Booked(admit=admit):
            return Note(_ADMIT, str(admit.id), "")
        case BanSet(user_id=user_id) | BanLifted(user_id=user_id):
            return Note(_BAN, user_id, "")
        case PausesAre():
            return Note(_PAUSE, "", "")
        case _:
            assert_never(change)


class Found(msgspec.Struct, frozen=True):
    """What is in the database now of that which others changed."""

    seats: dict[str, Seat | None] = {}
    whats: dict[str, str] = {}
    """User → what was done to the seat last."""
    bans: dict[str, bool] = {}
    admits: list[Admit] = []
    pauses: frozenset[str] | None = None


class Look(msgspec.Struct, frozen=True):
    """One look at what the others did: what was found, or everything there is, and where the next look begins."""

    found: Found | Snapshot
    cursor: Cursor
    more: bool
    """Whether there may be notes that this look did not come to."""


def look(connection: Connection, cursor: Cursor, since: int) -> Look:
    """What the others changed after the cursor; everything when that is too long ago, with the admits since then."""
    seen = change_log.read(connection, cursor, MOST)
    if seen is None:
        cursor = change_log.begin(connection)
        return Look(ledger.snapshot(connection, since), cursor, more=False)
    notes, cursor = seen
    return Look(found(connection, notes) if notes else Found(), cursor, more=len(notes) >= MOST)


def found(connection: Connection, notes: list[Note]) -> Found:
    """What the rows say now of everything that the notes name."""
    whats = {note.key: note.what for note in notes if note.topic == _SEAT}
    seats: dict[str, Seat | None] = dict.fromkeys(whats)
    if whats:
        seats |= {seat.user_id: seat for seat in seat_records.several(connection, whats)}
    users = {note.key for note in notes if note.topic == _BAN}
    banned = ledger.banned_among(connection, users) if users else set()
    entries = {int(note.key) for note in notes if note.topic == _ADMIT}
    return Found(
        seats=seats,
        whats=whats,
        bans={user_id: user_id in banned for user_id in sorted(users)},
        admits=ledger.admits_among(connection, entries) if entries else [],
        pauses=ledger.paused(connection) if any(note.topic == _PAUSE for note in notes) else None,
    )


def differences(floor: Floor, now_there: Found | Snapshot) -> list[Change]:
    """What must happen to the floor so that it says the same as the database."""
    if isinstance(now_there, Snapshot):
        now_there = _as_found(floor, now_there)
    changes: list[Change] = [
        BanSet(user_id) if banned else BanLifted(user_id)
        for user_id, banned in now_there.bans.items()
        if banned != (user_id in floor.bans)
    ]
    changes += [Booked(admit) for admit in now_there.admits]
    for user_id, seat in now_there.seats.items():
        known = floor.seats.get(user_id)
        what = now_there.whats.get(user_id, "")
        if seat is not None and not _is_told(known, seat):
            changes.append(SeatPut(_PUTS.get(what) or _what(seat), seat))
        elif seat is None and known is not None:
            changes.append(SeatRemoved(_REMOVALS.get(what, "ended"), user_id, known.model))
    if now_there.pauses is not None and now_there.pauses != floor.pauses:
        changes.append(PausesAre(now_there.pauses))
    return changes


def _is_told(known: Seat | None, seat: Seat) -> bool:
    """Whether nothing has happened to a seat but that somebody was heard of, which is no news."""
    return known is not None and msgspec.structs.replace(known, seen_at=seat.seen_at) == seat


def _what(seat: Seat) -> Put:
    return "queued" if seat.status == "queued" else "admitted"


def _as_found(floor: Floor, snapshot: Snapshot) -> Found:
    seats: dict[str, Seat | None] = dict.fromkeys(floor.seats)
    seats |= {seat.user_id: seat for seat in snapshot.seats}
    return Found(
        seats=seats,
        bans={user_id: user_id in snapshot.bans for user_id in sorted(floor.bans | snapshot.bans)},
        admits=snapshot.admits,
        pauses=snapshot.pauses,
    )
