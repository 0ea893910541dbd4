"""Runs the benches, one after another, between two measures of how fast this machine is right now."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import pkgutil
import platform
import time
from types import ModuleType

import tests.bench
from tests.bench.report import calibration


def benches() -> dict[str, ModuleType]:
    """Every module of the folder that has a ``main``, by name."""
    found = {}
    for info in pkgutil.iter_modules(tests.bench.__path__):
        if not info.name.startswith(("_", "test_")):
            module = importlib.import_module(f"tests.bench.{info.name}")
            if callable(getattr(module, "main", None)):
                found[info.name] = module
    return found


def main() -> None:
    """Run those that are named, or all."""
    known = benches()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=tests.bench.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(known)} (all)")
    parser.add_argument("--quick", action="store_true", help="shorter, and so less exact")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"there is no bench {', '.join(unknown)}; there are {', '.join(known)}")
    cores = len(os.sched_getaffinity(0))
    print(f"Python {platform.python_version()} on {platform.machine()}, {cores} cores")
    print(f"calibration loop: {calibration():.3f} s")
    for name in options.names or known:
        started = time.perf_counter()
        run = known[name].main
        if "quick" in inspect.signature(run).parameters:
            run(quick=options.quick)
        else:
            run()
        print(f"({name}: {time.perf_counter() - started:.0f} s)")
    print(f"calibration loop: {calibration():.3f} s")


if __name__ == "__main__":
    main()
