"""Standard output: data for whoever reads it, who may go away at any time."""

from __future__ import annotations

import os
import sys


def write_line(line: bytes) -> bool:
    """Write a line to standard output, now; answers False when nobody reads there any more.

    Raises OSError when it cannot be written for another reason, such as a full disk.
    """
    if sys.stdout is None:
        return False  # closed by who started us
    try:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.buffer.flush()
    except OSError as error:
        # what is left in the buffer would be tried, and complained of, once more when the interpreter ends
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if isinstance(error, BrokenPipeError):
            return False
        raise
    return True
