"""Taking an address: what stands in the way is told with the address as it is written, and with what to do."""

from __future__ import annotations

import errno
import socket

import pytest

from core.errors import PortInUse, StartRefused
from core.server.listener import _refusal, bind
from core.settings import Server


def test_a_port_that_is_taken() -> None:
    with bind(Server(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"^127.0.0.1:{port}: somebody listens there already; .* --port"):
            bind(Server(port=port))


def test_an_address_that_this_machine_has_not() -> None:
    with pytest.raises(
        StartRefused,
        match=r"^192\.0\.2\.1:0: cannot listen there, for this machine has no such address; .* --host",
    ):
        bind(Server(host="192.0.2.1", port=0))


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    with pytest.raises(StartRefused, match=r"^\[2001:db8::1\]:0: "):
        bind(Server(host="2001:db8::1", port=0))


@pytest.mark.parametrize(
    ("number", "port", "kind", "said"),
    [
        (errno.EADDRINUSE, 0, PortInUse, "no port is free"),
        (errno.EADDRINUSE, 80, PortInUse, "somebody listens there already"),
        (errno.EACCES, 80, StartRefused, "a port from 1024 on"),
        (errno.EMFILE, 80, StartRefused, "Too many open files"),
    ],
)
def test_what_is_said(number: int, port: int, kind: type[StartRefused], said: str) -> None:
    error = OSError(number, "Too many open files")
    refusal = _refusal("h:1", port, error)
    assert type(refusal) is kind
    assert refusal.message.startswith("h:1: ")
    assert said in refusal.message
    assert "\n" not in refusal.message
