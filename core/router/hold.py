"""What a session is in use for: why neither an eviction nor anybody else gets at it just now. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple, assert_never

HeldBy = Literal["turn", "maintenance", "rebuild", "departure", "shutdown"]


class Hold(NamedTuple):
    """One use of a session. `purpose` is what a maintenance is for."""

    by: HeldBy
    purpose: str = ""

    @property
    def text(self) -> str:
        """What is true of the session while it lasts, for a refusal.

        >>> Hold("maintenance", "import").text
        'is reserved for import'
        """
        match self.by:
            case "turn":
                return "has a turn"
            case "maintenance":
                return f"is reserved for {self.purpose}"
            case "rebuild":
                return "is being rebuilt"
            case "departure":
                return "is on its way out already"
            case "shutdown":
                return "is on its way out, for the core is leaving"
            case _:
                assert_never(self.by)
