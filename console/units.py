"""Figures as an operator reads them: short, aligned, always with their unit."""

from __future__ import annotations

_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000
_DETAILED_MICROS = 100_000_000
_THOUSAND = 1_000
_KIBI = 1_024
_ROUNDS_UP = 0.05
"""One decimal is shown: 999.95 would read 1000.0, which is one of the next unit."""


def age(ms: int) -> str:
    """A duration in its two largest units: ``7s``, ``3m12s``, ``2h05m``, ``4d03h``; below zero it is ``0s``."""
    ms = max(0, ms)
    if ms < _MINUTE:
        return f"{ms // _SECOND}s"
    if ms < _HOUR:
        return f"{ms // _MINUTE}m{ms % _MINUTE // _SECOND:02d}s"
    if ms < _DAY:
        return f"{ms // _HOUR}h{ms % _HOUR // _MINUTE:02d}m"
    return f"{ms // _DAY}d{ms % _DAY // _HOUR:02d}h"


def lapse(ms: int) -> str:
    """A short duration with what matters of it: ``12ms``, ``1.25s``, ``12.5s``, from a minute on as `age`."""
    ms = max(0, ms)
    if ms < _SECOND:
        return f"{ms}ms"
    if ms < _MINUTE:
        return f"{ms / _SECOND:.2f}s" if ms < _SECOND * 10 else f"{ms / _SECOND:.1f}s"
    return age(ms)


def money(micros: int) -> str:
    """Micro-USD as dollars: ``$0.0123``, ``$12.3456``; from 100 dollars on in cents: ``$1,234.56``."""
    sign = "-" if micros < 0 else ""
    micros = abs(micros)
    if micros >= _DETAILED_MICROS:
        cents = (micros + 5_000) // 10_000
        return f"{sign}${cents // 100:,}.{cents % 100:02d}"
    shown = (micros + 50) // 100
    return f"{sign}${shown // 10_000}.{shown % 10_000:04d}"


def cents(micros: int) -> str:
    """Micro-USD as dollars and cents, for sums and rates that are only looked at: ``$12.35``, ``<$0.01``."""
    rounded = (micros + 5_000) // 10_000
    if micros > 0 and not rounded:
        return "<$0.01"
    return f"${rounded // 100:,}.{rounded % 100:02d}"


def count(number: int) -> str:
    """A count with thousands kept apart: ``1,234``."""
    return f"{number:,}"


def short(number: int) -> str:
    """A count in about four characters: ``999``, ``12.3k``, ``4.5M``, ``6.7G``."""
    if number < _THOUSAND:
        return str(number)
    scaled = float(number)
    for unit in "kMG":
        scaled /= _THOUSAND
        if scaled < _THOUSAND - _ROUNDS_UP:
            return f"{scaled:.1f}{unit}"
    return f"{scaled / _THOUSAND:.1f}T"


def size(number: int) -> str:
    """Bytes in about five characters: ``812B``, ``1.5K``, ``20.0M``."""
    if number < _KIBI:
        return f"{number}B"
    scaled = float(number)
    for unit in "KMG":
        scaled /= _KIBI
        if scaled < _KIBI - _ROUNDS_UP:
            return f"{scaled:.1f}{unit}"
    return f"{scaled / _KIBI:.1f}T"


def clock_time(timestamp: str) -> str:
    """The time of day of a wire timestamp: ``2026-04-17T12:00:00.250Z`` gives ``12:00:00``."""
    return timestamp[11:19]


def moment_time(ms: int) -> str:
    """The time of day of milliseconds since 1970, to the tenth of a second: ``12:00:00.2``."""
    tenths = ms // 100 % (_DAY // 100)
    hours, minutes, seconds = tenths // 36_000, tenths // 600 % 60, tenths // 10 % 60
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{tenths % 10}"
