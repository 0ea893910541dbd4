"""Server-sent events, cut out of a byte stream. No I/O, no decoding of what they carry."""

from __future__ import annotations

from core.errors import UpstreamFailed

_LARGEST = 32 * 1024 * 1024


class FrameSplitter:
    """Feed it bytes as they come, get the data of every complete event.

    Splits on bytes, because lines of text also end at U+2028 and U+0085, which JSON may hold as they are.
    Comments, other fields and empty events are passed over.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._ends = False
        """Whether the rest is a complete event, but for the lone CR at its end that may be half of a CRLF."""

    def feed(self, data: bytes) -> list[bytes]:
        """The data of the events that are now complete; raises UpstreamFailed for one that never ends."""
        seam = bytes(self._rest[-1:]) + data
        self._rest += data
        if not (self._ends or b"\n\n" in seam or b"\n\r" in seam or b"\r\r" in seam):
            # no line is empty, so nothing ends here: a huge event is looked through once, not with every piece of it
            return self._check()
        block = bytes(self._rest)
        if b"\r" in block:
            # a lone CR at the end may be half of a CRLF: it waits for what follows
            held = b"\r" if block.endswith(b"\r") else b""
            block = block[: len(block) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *events, rest = block.split(b"\n\n")
        self._rest = bytearray(rest)
        self._ends = rest.endswith(b"\n\r")
        frames = self._check()
        for event in events:
            if event.startswith(b"data: ") and b"\n" not in event:
                frames.append(event[6:])
            else:
                found = _data_of(event)
                if found is not None:
                    frames.append(found)
        return frames

    def _check(self) -> list[bytes]:
        if len(self._rest) > _LARGEST:
            raise UpstreamFailed(f"the upstream sent an event of over {_LARGEST} bytes")
        return []


def _data_of(event: bytes) -> bytes | None:
    """The joined data lines of an event, None when it has none."""
    lines = []
    for line in event.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
    return b"\n".join(lines) if lines else None
