"""Carrying a history from one session to another, in one transaction (behaviours/history.md, decision 5)."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection

from core.clock import Clock
from core.errors import InvalidArgument
from core.store import audit_records, configuration, driver, message_records, search, sessions
from core.store.database import Database
from core.store.message import check_key
from core.store.sessions import Stamp

Mode = Literal["copy", "move"]

_COUNT = "SELECT messages FROM sessions WHERE session_key = ?"
_COPIES = "SELECT id, content FROM messages WHERE session_key = ? AND seq >= ? AND seq < ? ORDER BY seq"
_BATCH = 500
_COPY = """
INSERT INTO messages (session_key, seq, role, at, length, chain, run_id, partial, audited, content, extra)
SELECT ?, ? + row_number() OVER (ORDER BY seq) - 1, role, at, length, chain, run_id, partial, ?, content, extra
FROM messages WHERE session_key = ?
"""


def transfer_in(
    connection: Connection,
    source: str,
    target: str,
    stamp: Stamp,
    *,
    mode: Mode = "copy",
    with_config: bool = False,
) -> int:
    """Replace the target's history by the source's, times kept; answers how many messages that are.

    ``move`` leaves no message behind. With `with_config` the configuration goes along, the source's values winning.
    An empty or unknown source empties the target; source = target changes nothing. Raises InvalidArgument for a bad
    key or mode.
    """
    check_key(source, "session key of the source")
    check_key(target, "session key of the target")
    if mode not in ("copy", "move"):
        raise InvalidArgument(f"mode: must be copy or move; found {mode!r:.60}", path="$.mode")
    if source == target:
        return 0
    known = driver.held(connection, _COUNT, (source,))
    count = int(known[0][0]) if known else 0
    session = sessions.take(connection, target, count, stamp)
    message_records.remove_in(connection, target, 0, session.next_seq)
    _copy(connection, source, target, session.next_seq)
    if with_config:
        configuration.merge_in(connection, source, target, move=mode == "move")
    if mode == "move" and known:
        left = sessions.take(connection, source, 0, stamp)
        message_records.remove_in(connection, source, 0, left.next_seq)
    audit_records.record(
        connection,
        audit_records.NewEntry(
            at=stamp.now,
            actor=stamp.actor,
            action="transferred",
            target=target,
            second_target=source,
            at_seq=session.next_seq,
            detail={"from": source, "to": target, "count": count, "mode": mode},
        ),
    )
    return count


def _copy(connection: Connection, source: str, target: str, first_seq: int) -> None:
    """Give the target the source's messages, under its own numbers from `first_seq` on."""
    copied = driver.changed(connection, _COPY, (target, first_seq, False, source))
    for start in range(first_seq, first_seq + copied, _BATCH):
        for message_id, content in driver.rows(connection, _COPIES, (target, start, start + _BATCH)):
            search.index_stored(connection, message_id, content)


class Transfer:
    """Transfers between sessions, on a database."""

    def __init__(self, database: Database, clock: Clock, epoch: str) -> None:
        self._database = database
        self._clock = clock
        self._epoch = epoch

    async def run(
        self,
        source: str,
        target: str,
        *,
        mode: Mode = "copy",
        with_config: bool = False,
        actor: str = audit_records.HOUSE,
    ) -> int:
        """See `transfer_in`."""
        stamp = Stamp(now=self._clock.now(), epoch=self._epoch, actor=actor)
        return await self._database.write(
            lambda connection: transfer_in(
                connection, source, target, stamp, mode=mode, with_config=with_config
            )
        )
