"""How a wrong setting is told: in one line that any terminal can show, whatever stands in the file."""

from __future__ import annotations

from core.errors import SettingsError

_LONGEST = 1000


def refusal(origin: object, problem: str, *, key: str = "") -> SettingsError:
    """The error: where it is, the key (if one is known), what was found and what is allowed."""
    line = f"{origin}: {key}: {problem}" if key else f"{origin}: {problem}"
    return SettingsError(
        "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line[:_LONGEST])
    )
