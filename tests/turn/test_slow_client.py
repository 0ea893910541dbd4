"""A client that does not read."""

from __future__ import annotations

import asyncio
import json

from core.settings import Runs
from tests.end_to_end.conftest import Opening
from tests.end_to_end.test_chat import HELLO, finished


async def test_a_client_that_stops_reading_slows_nobody(open_house: Opening) -> None:
    """Its turn ends as fast as ever, and the house keeps no more of it than the run's buffer."""
    async with open_house(runs=Runs(buffer_bytes=1_000_000)) as house:
        body = json.dumps({"model": "large?mb=24", "messages": HELLO, "stream": True}).encode()
        host, port = house.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        (row,) = await finished(house)
        assert (row.state, row.exit_code) == ("completed", 0)
        assert row.buffered_bytes <= 1_000_000
        text = b""
        while data := await asyncio.wait_for(reader.read(1 << 20), 5):
            text += data
            if text.endswith(b"0\r\n\r\n"):
                break
        assert b"[DONE]" not in text
        assert b"read so slowly" in text
        assert len(text) < 24_000_000
        writer.close()
