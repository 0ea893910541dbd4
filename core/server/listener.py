"""Taking an address, before anything that costs time is started."""

from __future__ import annotations

import errno
import socket

from core.errors import PortInUse, StartRefused
from core.settings import Server as ServerSettings

_BACKLOG = 2048


def bind(settings: ServerSettings) -> socket.socket:
    """Take the address, before anything else is started; raises PortInUse or StartRefused."""
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"{where}: somebody listens there already; stop that one, or choose another with --port or "
                "[server] port"
            ) from None
        raise StartRefused(
            f"{where}: cannot listen there ({error.strerror}); check [server] host and port"
        ) from None
    return listener
