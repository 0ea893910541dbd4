"""Taking an address, before anything that costs time is started."""

from __future__ import annotations

import errno
import resource
import socket

from core.errors import PortInUse, StartRefused
from core.settings import Server as ServerSettings

_BACKLOG = 2048
_FILES_BESIDE = 256
"""For the database, the log, and whatever else is open."""
_FILES_EACH = 2
"""A client's connection, and that to the upstream which answers it."""


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


def url_of(listener: socket.socket, *, tls: bool) -> str:
    """Where a socket is reached."""
    host, port = listener.getsockname()[:2]
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def room_for(connections: int) -> int:
    """How many of so many connections this process has files for; it takes as many as it is allowed."""
    wanted = connections * _FILES_EACH + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            most = soft  # some systems allow less than they say
    return max(1, min(connections, (most - _FILES_BESIDE) // _FILES_EACH))


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
