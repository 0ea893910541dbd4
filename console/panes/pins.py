"""How a session's pin is told: on which model and tier it stays, how near it is to escalating, and what keeps it."""

from __future__ import annotations

from console import units
from console.panes.pane import Cell, Fact, Tone
from console.times import instant
from core.protocol import PinRow

ESCALATED, CHOSEN = "▲", "◈"
"""The marks of a session that has escalated, and of one whose model somebody has chosen."""
_TOP = "REASONING"


def needed(pin: PinRow) -> int:
    """How many strikes escalate: the first of so many equal requests is none."""
    return max(1, pin.repeat_limit - 1)


def blocked(pin: PinRow) -> str:
    """Why no repetition escalates this session; nothing when one does."""
    if pin.explicit:
        return "its model was chosen"
    return "it is at the top" if pin.tier == _TOP else ""


def nearness(pin: PinRow) -> float:
    """How near it is to escalating: from 0, no strike, to 1, the next equal request escalates it at the latest."""
    if not pin.strikes or blocked(pin):
        return 0.0
    return _share(pin)


def _share(pin: PinRow) -> float:
    return min(1.0, (pin.strikes + 1) / needed(pin))


def urgency(pin: PinRow) -> tuple[int, float, int, float]:
    """Who is the nearest to escalating, then who has, then who cannot and strikes all the same, then the others."""
    used = -instant(pin.last_used_at)
    if not pin.strikes:  # nearly all: a table of very many is sorted by this
        return 1 if pin.escalated else 3, 0.0, 0, used
    if blocked(pin):
        return 1 if pin.escalated else 2, 0.0, -pin.strikes, used
    return 0, -_share(pin), -pin.strikes, used


def marks(pin: PinRow) -> str:
    """What sticks to a pin, a glyph each."""
    return f"{ESCALATED if pin.escalated else ''}{CHOSEN if pin.explicit else ''}"


def strikes(pin: PinRow) -> Cell:
    """The strikes of those that escalate, and the marks: ``1/2 ▲``."""
    return Cell(f"{pin.strikes}/{needed(pin)} {marks(pin)}".rstrip(), _strike_tone(pin))


def _strike_tone(pin: PinRow) -> Tone:
    if nearness(pin) == 1:
        return "bad"
    if pin.strikes or pin.escalated:
        return "warn"
    return "" if pin.explicit else "dim"


def standing(pin: PinRow) -> Cell:
    """What there is to know of a pin at first sight, in a word."""
    if nearness(pin) == 1:
        return Cell("△ one more", "bad")
    if pin.explicit:
        return Cell(f"{CHOSEN} chosen{f' {ESCALATED}' if pin.escalated else ''}", "accent")
    return Cell(f"{ESCALATED} escalated", "warn") if pin.escalated else Cell("● pinned")


def words(pin: PinRow) -> str:
    """What a filter finds a pin by."""
    kept = blocked(pin)
    return (
        f"{pin.model} {pin.tier} {standing(pin).text} {'escalated' if pin.escalated else ''} "
        f"{'explicit chosen' if pin.explicit else ''} {'struck' if pin.strikes else ''} {'blocked' if kept else ''}"
    )


def facts(pin: PinRow) -> list[Fact]:
    """The model, the tier, and what moves them."""
    kept = blocked(pin)
    return [
        Fact("model", f"{pin.model}{f'  {CHOSEN} chosen' if pin.explicit else ''}"),
        Fact("tier", f"{pin.tier}{f'  {ESCALATED} escalated' if pin.escalated else ''}"),
        Fact("strikes", f"{pin.strikes} of {needed(pin)}", _strike_tone(pin) if pin.strikes else ""),
        Fact("equal in a row", f"{pin.run} of {pin.repeat_limit}"),
        Fact("escalates", f"never: {kept}" if kept else _next(pin), "dim" if kept else ""),
        Fact("requests", units.count(pin.request_count)),
    ]


def _next(pin: PinRow) -> str:
    left = pin.repeat_limit - pin.run
    if left <= 1:
        return "with the next equal request"
    return f"after {left} equal requests" if pin.run else f"after {pin.repeat_limit} equal requests"
