"""Local times of day as instants, in the zones of the settings. Pure: the zone database is a table.

A local time that a clock change skips or repeats counts once, at the offset in force before the change
(behaviours/admission.md, decision 17).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def local_date(now: int, zone: ZoneInfo) -> date:
    """The calendar day that `now` (ms) falls on in `zone`."""
    return (_EPOCH + now * _MILLISECOND).astimezone(zone).date()


def instant(day: date, minutes: int, zone: ZoneInfo) -> int:
    """The instant (ms) at which it is `minutes` past midnight on `day` in `zone`."""
    moment = datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=zone)
    return (moment - _EPOCH) // _MILLISECOND
