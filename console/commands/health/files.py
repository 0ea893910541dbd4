"""How many files this process may have open, which bounds how many clients it can serve at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.commands.health.check import Check, good, note

if TYPE_CHECKING:
    from core.settings import Server


def check_files(server: Server) -> Check:
    """Is there room for `max_connections`?"""
    from core.server.listener import room_for

    room = room_for(server.max_connections)
    if room < server.max_connections:
        return note(
            "files",
            f"there is room for {room} of {server.max_connections} connections",
            "raise the limit of open files (ulimit -Hn), or lower [server] max_connections",
        )
    return good("files", f"there is room for {room} connections")
