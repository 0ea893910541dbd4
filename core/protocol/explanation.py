"""Why something is as it is: the rules that decided, what they went by, and what would change it."""

from __future__ import annotations

from typing import Literal

from core.protocol.rows import Wire

Explained = Literal["seat", "session"]
"""What can be explained: a user's seat (why they wait), a session (why it is on its model)."""

MOST_AHEAD = 20
"""So many of those ahead are named at most."""


class Because(Wire, frozen=True, kw_only=True):
    """One rule: its stable name, what it says here, what it went by, and what would change it (or nothing would)."""

    rule: str
    text: str
    facts: dict[str, str] = {}
    helps: str = ""


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
