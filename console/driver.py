"""The terminal as the console writes to it: once it is gone, what is written goes nowhere."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, TextIO

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App


class Lenient(io.TextIOBase):
    """A file that takes everything, whether it gets where it should or not."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()


class TerminalDriver(LinuxDriver):
    """Textual's own, which outlives its terminal.

    Textual writes from a thread with a short queue. A terminal that is closed would end that thread with an error;
    nobody would empty the queue any more, and the app would wait for ever to write its farewell.
    """

    def __init__(
        self,
        app: App[object],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if self._file is not None:
            self._file = Lenient(self._file)  # type: ignore[assignment]
