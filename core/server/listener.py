"""Taking an address, before anything that costs time is started."""

from __future__ import annotations

import errno
import socket

from core.errors import PortInUse, StartRefused
from core.settings import Server as ServerSettings

_BACKLOG = 2048


def bind(settings: ServerSettings) -> socket.socket:
    """Take the address, before anything else is started; raises PortInUse or StartRefused."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    where = f"{host}:{settings.port}"
    listener = None
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
        if listener is not None:
            listener.close()
        raise _refusal(where, settings.port, error) from None
    return listener


def _refusal(where: str, port: int, error: OSError) -> StartRefused:
    if error.errno == errno.EADDRINUSE and not port:
        return PortInUse(f"{where}: no port is free; stop what listens, or choose one with --port")
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"{where}: somebody listens there already; stop that one, or choose another with --port or [server] port"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return StartRefused(
            f"{where}: cannot listen there, for this machine has no such address; choose one that it has with --host "
            "or [server] host, such as 127.0.0.1 or ::1"
        )
    if error.errno == errno.EACCES:
        return StartRefused(f"{where}: may not listen there; choose a port from 1024 on with --port")
    return StartRefused(f"{where}: cannot listen there ({error.strerror}); check [server] host and port")
