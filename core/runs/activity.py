"""What a run is at, where its events tell: the tool that is used, and what somebody is asked to allow. Pure.

Agents name their events in one of a few ways; whatever else they publish goes through and says nothing here. Only names
are read, never what a tool is given or gives back: everybody who sees runs sees these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

LONGEST_NAME = 120
"""Characters of a tool's name that are kept."""

_CALLS = frozenset({"tool_use", "tool_call", "function_call"})
_RETURNS = frozenset({"tool_result", "tool_output", "function_call_output"})
_ASKS = frozenset({"permission_request", "approval_request", "tool_approval_request"})
_ANSWERS = frozenset(
    {"permission_response", "permission_cancelled", "approval_response", "approval_cancelled"}
)
_SPEAKS = frozenset({"text", "stream_delta", "reasoning", "thinking"})
_NAMED = ("toolName", "tool_name", "name", "tool")


class Activity(msgspec.Struct, frozen=True):
    """The name of the tool in use, and of what waits to be allowed; "" where it has none."""

    tool: str | None = None
    approval: str | None = None


IDLE = Activity()


def activity_after(event: Mapping[str, Any], before: Activity) -> Activity:
    """What a run is at once it has published this event."""
    kind = event["kind"]
    if kind in _CALLS:
        return Activity(tool=_name(event))
    if kind in _ASKS:
        return Activity(tool=before.tool, approval=_name(event))
    if kind in _ANSWERS:
        return Activity(tool=before.tool)
    if kind in _RETURNS or kind in _SPEAKS:
        return IDLE
    return before


def calling(name: str | None) -> Activity:
    """An answer that calls a tool, or (None) none."""
    return IDLE if name is None else Activity(tool=name[:LONGEST_NAME])


def _name(event: Mapping[str, Any]) -> str:
    function = event.get("function")
    named = [event.get(field) for field in _NAMED]
    named.append(function.get("name") if isinstance(function, Mapping) else None)
    return next((each[:LONGEST_NAME] for each in named if isinstance(each, str) and each), "")
