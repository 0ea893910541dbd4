"""What a check found."""

from __future__ import annotations

from typing import Literal

import msgspec


class Check(msgspec.Struct, frozen=True):
    """One finding: what was looked at, how it is, what was seen, and what to do about it."""

    name: str
    verdict: Literal["good", "note", "wrong"]
    said: str
    advice: str = ""


def good(name: str, said: str) -> Check:
    """It is as it should be."""
    return Check(name, "good", said)


def note(name: str, said: str, advice: str) -> Check:
    """It works, but somebody may want to know."""
    return Check(name, "note", said, advice)


def wrong(name: str, said: str, advice: str) -> Check:
    """It keeps maitred from working."""
    return Check(name, "wrong", said, advice)
