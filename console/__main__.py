"""The command line of maitred.

Standard output carries data only; everything else goes to standard error. Exit codes: 0 done, 1 refused or failed,
2 wrong usage, 3 cannot reach the core.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; `--version` answers before anything is imported."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        from console.output import write_line

        write_line(f"maitred {version('maitred')}".encode())
        return
    _check_house()
    from console.commands import run

    run()


def _check_house() -> None:
    """`core` and `console` are common names: say so when somebody else's stands in the way."""
    from pathlib import Path

    import console
    import core

    ours = Path(console.__file__ or "").resolve().parent.parent
    found = Path(core.__file__ or "").resolve()
    # asked by name: looking the attribute up would import the whole core before the first picture
    if found.parent.parent != ours or "EmbeddedCore" not in getattr(core, "__all__", ()):
        sys.stderr.write(
            f"maitred: the package `core` comes from {found}, which is not maitred's; "
            "remove it from the path, or start maitred in an environment of its own\n"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
