"""Start and idle beside other consoles of the kind: each from the package registry, in an environment of its own.

What cannot be installed or started is told instead of its figures. The environments stay in `.venv/others`, so that
the next run does not install them again.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.bench.report import Table
from tests.bench.terminal import MAITRED, Watched, on_terminal

_ENVIRONMENTS = Path(__file__).parents[2] / ".venv" / "others"
_INSTALLING_SECONDS = 600
_SETTLING_SECONDS = 3.0


class Program(msgspec.Struct, frozen=True):
    """A console: the package that has it, its command, and the words that stand on its first whole picture."""

    name: str
    command: str
    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    """What its package does not ask for, and does not work without."""


class Measured(msgspec.Struct, frozen=True):
    """CPU and wall seconds to the first whole picture, MB of memory then; CPU while idle in hundredths of a core."""

    cpu: float
    wall: float
    memory: float
    idle: float | None
    idle_memory: float | None


_OTHERS = (
    Program(
        "posting",
        "posting",
        ("collection", "response", "headers"),
        # it ends in a segmentation fault with the one after
        requirements=("tree-sitter>=0.25,<0.26",),
    ),
    Program("toolong", "tl", ("line 39",), ("lines.log",)),
    Program("harlequin", "harlequin", ("data catalog", "query editor", "query results")),
)


def main(*, quick: bool = False) -> None:
    """Measure maitred and the others in turns, and print the medians."""
    times, idle = (1, 3.0) if quick else (5, 15.0)
    table = Table(
        f"beside other consoles: start (median of {times}), and idle for {idle:.0f} s",
        "program",
        "CPU to first picture",
        "wall",
        "memory then",
        "idle",
        "memory idle",
    )
    commands: dict[str, tuple[Program, Sequence[str]]] = {
        "maitred": (Program("maitred", "", ("queues", "runs", "sessions", "journal", "findings")), MAITRED)
    }
    for program in _OTHERS:
        found = _installed(program)
        if isinstance(found, str):
            print(f"{program.name} was not measured: {found}")
        else:
            version, command = found
            commands[f"{program.name} {version}"] = (program, command)
    starts: dict[str, list[Measured]] = {name: [] for name in commands}
    for round_ in range(times):
        # in turns, so that a slow minute of the machine is one for all of them
        for name, (program, command) in commands.items():
            try:
                starts[name].append(_measure(program, command, idle if round_ == 0 else None))
            except (OSError, TimeoutError) as error:
                print(f"{name} was not measured: {error}")
    for name, found_of in starts.items():
        if found_of:
            _row(table, name, found_of)
    table.print()


def _row(table: Table, name: str, found: list[Measured]) -> None:
    idle = next((one for one in found if one.idle is not None), None)
    table.row(
        name,
        f"{statistics.median(one.cpu for one in found):.2f} s",
        f"{statistics.median(one.wall for one in found):.2f} s",
        f"{statistics.median(one.memory for one in found):.0f} MB",
        "–" if idle is None else f"{idle.idle:.2f} %",
        "–" if idle is None else f"{idle.idle_memory:.0f} MB",
    )


def _installed(program: Program) -> tuple[str, Sequence[str]] | str:
    """The version and the command of a program, installed if it is not; or why it is not there."""
    folder = _ENVIRONMENTS / program.name
    command, python = folder / "bin" / program.command, str(folder / "bin" / "python")
    try:
        if not command.exists():
            print(f"installing {program.name} …", flush=True)
            _run(sys.executable, "-m", "venv", "--clear", str(folder))
            _run(python, "-m", "pip", "install", "--quiet", program.name, *program.requirements)
        code = f"from importlib.metadata import version; print(version({program.name!r}))"
        return _run(python, "-c", code).strip(), (str(command),)
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip() or str(error)).splitlines()[-1]
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)


def _run(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALLING_SECONDS)
    return done.stdout


def _measure(program: Program, command: Sequence[str], idle_seconds: float | None) -> Measured:
    """One start, and with `idle_seconds` how it idles so long."""
    with tempfile.TemporaryDirectory(prefix="maitred-bench-", ignore_cleanup_errors=True) as home:
        (Path(home) / "lines.log").write_text("".join(f"line {n}\n" for n in range(40)), encoding="utf-8")
        arguments = [str(Path(home) / each) if each.endswith(".log") else each for each in program.arguments]
        with on_terminal(Path(home), *arguments, program=command) as console:
            painted = console.until(
                lambda text: all(word in text.lower() for word in program.words), "first picture"
            )
            idle = None if idle_seconds is None else _idle(console, idle_seconds)
    return Measured(painted.cpu, painted.wall, painted.memory, *(idle or (None, None)))


def _idle(console: Watched, seconds: float) -> tuple[float, float]:
    """The share of a core in hundredths, and MB of memory."""
    time.sleep(_SETTLING_SECONDS)
    began = console.spent()
    time.sleep(seconds)
    ended = console.spent()
    return (ended.cpu - began.cpu) / (ended.wall - began.wall) * 100, ended.memory
