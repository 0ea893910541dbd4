"""Figures as an operator reads them: short, aligned, always with their unit."""

from __future__ import annotations

import re

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


_LENGTH = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)(ms|s))?(?![\w.])")
_NUMBER = re.compile(r"(\d[\d,]*(?:\.\d+)?|\.\d+)([kMGTKB%]?)(?![\w.])")
_SIZES = {"": 1.0, "B": 1.0, "%": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "K": 1024.0}
_MARKS = "~<⋯"


def figure(text: str) -> float | None:
    """What one of the texts above says, as a number; durations in seconds. None for a text that begins with no figure.

    What stands behind the figure does not count: ``2/3`` is 2, and ``$1.20/h`` is 1.2.
    """
    text = text.strip().lstrip(_MARKS)
    sign = -1.0 if text.startswith("-") else 1.0
    text = text.removeprefix("-").removeprefix("$")
    length = _LENGTH.match(text)
    if length is not None and length.end():
        days, hours, minutes, seconds, unit = length.groups()
        small = float(seconds or 0) / (1000 if unit == "ms" else 1)
        return sign * (int(days or 0) * 86_400 + int(hours or 0) * 3_600 + int(minutes or 0) * 60 + small)
    number = _NUMBER.match(text)
    if number is None:
        return None
    return sign * float(number[1].replace(",", "")) * _SIZES[number[2]]
