"""An empty home for processes, with the test upstream named in its settings."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.processes import House, Serving
from tests.upstream import Upstream


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_reaches_the_processes() -> None:
    """A shell that runs the tests in the background has them ignore ctrl+c, and what they start inherits that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def house(tmp_path: Path, upstream: Upstream) -> House:
    """A home with settings that name the test upstream, and nothing else."""
    house = House(tmp_path, upstream.base_url)
    house.settings()
    return house


@pytest.fixture(scope="module")
def serving(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _upstream_server: Upstream
) -> Iterator[Serving]:
    """One `maitred serve` for all tests of a module that ask for it, with the module's `SETTINGS`."""
    house = House(tmp_path_factory.mktemp("house"), _upstream_server.base_url)
    house.settings(getattr(request.module, "SETTINGS", ""))
    with house.serve(**getattr(request.module, "SERVE", {})) as serving:
        yield serving
