"""Why something is as it is: the rules that decided, what they went by, and what would change it."""

from __future__ import annotations

from typing import Literal

from core.protocol.rows import Wire

Explained = Literal["seat", "session", "run"]
"""What can be explained: a user's seat (why they wait), a session (why it is on its model)."""

MOST_AHEAD = 20
"""So many of those ahead are named at most."""


class Because(Wire, frozen=True, kw_only=True):
    """One rule: its stable name, what it says here, what it went by, and what would change it (or nothing would)."""

    rule: str
    text: str
    facts: dict[str, str] = {}
    helps: str = ""


class Origin(Wire, frozen=True, kw_only=True):
    """Where a seat's request came from, as far as the front that asked for it said so; for operators alone.

    `seats_there` is how many stored seats come from the address, `address_cap` the most that may (0: any number).
    """

    country_code: str = ""
    block_reason: str = ""
    privacy_signals: list[str] = []
    address_hash: str = ""
    checked_at: str = ""
    seats_there: int = 0
    address_cap: int = 0


class Explanation(Wire, frozen=True, kw_only=True):
    """The answer to "why": a line that says it, and the rules behind it, the gravest first.

    `ahead` are the users who come first, the very first at the head; `ahead_count` is how many they are in all.
    """

    kind: Explained
    key: str
    summary: str
    because: list[Because]
    ahead: list[str] = []
    ahead_count: int = 0
    origin: Origin | None = None
