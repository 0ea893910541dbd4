"""Wire timestamps as milliseconds, remembered: the same row is drawn many times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from core.clock import day_of, parse_timestamp, timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1_024)
def moment(timestamp: str) -> int:
    """Milliseconds since 1970, or 0 for a time that cannot be read: a strange core must not stop the screen."""
    try:
        return parse_timestamp(timestamp)
    except ValueError:
        return 0


def instant(timestamp: str) -> float:
    """Seconds since 1970, to order by: read anew in a third of the time, where very many are too many to remember.

    0 for a time that cannot be read, as with `moment`.
    """
    try:
        return (datetime.fromisoformat(timestamp) - _EPOCH).total_seconds()
    except (TypeError, ValueError):  # TypeError: it names no offset
        return 0.0


def compact(ms: int) -> str:
    """A time in UTC for the name of a file: ``20260417T120000Z``."""
    return f"{timestamp(ms)[:19].replace('-', '').replace(':', '')}Z"


def day(ms: int) -> str:
    """The date in UTC of milliseconds since 1970, as costs are kept by: ``2026-04-17``."""
    return day_of(ms)
