"""The server's certificate: can it be used, for how long still, and who else may read its key?"""

from __future__ import annotations

import shlex
import ssl
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from console.commands.health.check import Check, good, note, wrong
from console.commands.way import only

if TYPE_CHECKING:
    from core.settings import Server

_SOON_DAYS = 14


def check_certificate(server: Server) -> list[Check]:
    """Nothing where the server speaks plain HTTP."""
    from core.errors import MaitredError
    from core.server.tls import server_context

    try:
        context = server_context(server)
        if context is None:
            return []
        until = _valid_until(context, only(server.tls_certificate))
    except MaitredError as error:
        return [wrong("tls", error.message, "")]
    except ssl.SSLCertVerificationError as error:
        return [
            wrong(
                "tls",
                f"{server.tls_certificate}: clients refuse it ({error.verify_message})",
                "have it issued anew, then restart maitred",
            )
        ]
    return [_age(server.tls_certificate, until), *_key(Path(server.tls_key).expanduser())]


def _age(certificate: str, until: int) -> Check:
    from core.clock import SystemClock, day_of

    left = (until - SystemClock().now()) / 86_400_000
    said = f"{certificate} is good until {day_of(until)}"
    if left < _SOON_DAYS:
        return note("tls", said, "have it issued anew, then restart maitred")
    return good("tls", said)


def _key(path: Path) -> list[Check]:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        return [
            note("tls key", f"{path} is open to others than its owner", f"chmod 600 {shlex.quote(str(path))}")
        ]
    return [good("tls key", f"{path} is private")]


def _valid_until(server: ssl.SSLContext, client: ssl.SSLContext) -> int:
    """Lets the two sides meet in memory, as a client and the server would; answers for how long that goes well (ms)."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, answering, asking):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue  # it waits for the other side
    shown = asking.getpeercert() or {}
    return int(ssl.cert_time_to_seconds(str(shown["notAfter"]))) * 1000
