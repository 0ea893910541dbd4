"""Taking an address: what stands in the way is told with the address as it is written, and with what to do."""

from __future__ import annotations

import errno
import resource
import socket
import subprocess
import sys

import pytest

from core.errors import PortInUse, StartRefused
from core.server.listener import _refusal, bind, room_for
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


ROOM = (
    "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
    "from core.server.listener import room_for\n"
    "print(room_for({wanted}), *resource.getrlimit(resource.RLIMIT_NOFILE))"
)


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "room", "after"),
    [
        (256, 5000, 1000, 1000, 2256),
        (5000, 5000, 1000, 1000, 5000),
        (256, 1000, 1000, 372, 1000),
        (64, 64, 9, 1, 64),
    ],
)
def test_as_many_files_as_are_allowed(soft: int, hard: int, wanted: int, room: int, after: int) -> None:
    """A soft limit is raised as far as it takes; what a hard one leaves is told."""
    script = ROOM.format(soft=soft, hard=hard, wanted=wanted)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout.split() == [str(room), str(after), str(hard)]


def test_nothing_is_lowered() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert room_for(1) == 1
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
