"""Whatever arrives as a body or over the wire: it is what its type says, or refused in words."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import CoreUnreachable, InvalidArgument
from core.protocol import (
    AnyCommand,
    AnyEvent,
    AuditPage,
    EventBatch,
    Explanation,
    HistoryPage,
    Outcome,
    Preview,
    RunBatch,
    SessionDetail,
    ViewPart,
)
from core.remote import RemoteCore
from core.server.routes import _decode
from core.server.table import routes

BODIES = {route.path: route.takes for route in routes(MagicMock(), MagicMock()) if route.takes is not None}
WIRE = [
    *(AnyCommand, AnyEvent, ViewPart, EventBatch, Outcome, Preview, RunBatch),
    *(HistoryPage, AuditPage, SessionDetail, Explanation),
]
TAGS = ["action", "kind", "part", "row", "outcome"]
WORDS = [
    "abort",
    "ban",
    "pause",
    "dirty",
    "seat_changed",
    "run_changed",
    "noticed",
    "head",
    "rows",
    "tail",
    "done",
]
NAMES = [
    *TAGS,
    *(
        "commandId",
        "sessionKey",
        "userId",
        "runId",
        "model",
        "messages",
        "role",
        "content",
        "event",
        "events",
    ),
    *("seq", "at", "cursor", "rows", "queue", "seat", "counts", "reason", "all", "provider", "stream"),
]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=6)
    ),
    max_leaves=10,
)
JSON = VALUES.map(msgspec.json.encode)
ODD = [
    b"",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'"\\ud800"',
    b'"\xff"',
    b"1e999",
    b"-",
    b"\xef\xbb\xbf{}",
    b"9" * 5000,
]
BYTES = (
    JSON
    | st.tuples(JSON, st.binary(max_size=3)).map(b"".join)
    | st.binary(max_size=40)
    | st.sampled_from(ODD)
)


@pytest.mark.parametrize("path", BODIES)
@given(BYTES)
def test_any_body(path: str, body: bytes) -> None:
    try:
        found = _decode(msgspec.json.Decoder(BODIES[path]), body)
    except InvalidArgument as refusal:
        told = refusal
    else:
        again = msgspec.json.encode(found)
        assert msgspec.json.encode(msgspec.json.decode(again, type=BODIES[path])) == again
        return
    assert told.path is not None
    assert told.path.startswith("$")
    assert told.message.startswith(f"{told.path}: ")
    assert len(told.message) < 1000


class Elsewhere:
    """A remote core whose other side answers with `body`, whatever it is asked."""

    def __init__(self) -> None:
        self.body = b""
        self.core = RemoteCore("http://elsewhere", None)
        transport = httpx.MockTransport(lambda request: httpx.Response(200, content=self.body))
        self.core._client = httpx.AsyncClient(
            base_url="http://elsewhere", transport=transport, trust_env=False
        )


ELSEWHERE = Elsewhere()


@pytest.mark.parametrize("kind", WIRE, ids=lambda kind: getattr(kind, "__name__", str(kind)[:40]))
@settings(deadline=None)
@given(BYTES)
async def test_any_answer_of_a_core_elsewhere(kind: Any, body: bytes) -> None:
    """A remote core is believed what it says, or is told to be none."""
    ELSEWHERE.body = body
    try:
        found = await ELSEWHERE.core._get("/any", {}, kind)
    except CoreUnreachable as refusal:
        told = refusal.message
    else:
        assert msgspec.json.decode(msgspec.json.encode(found), type=kind) == found
        return
    assert "does not speak as a maitred does" in told
    assert len(told) < 1000


@settings(deadline=None)
@given(st.lists(BYTES, max_size=3).map(b"\n".join))
async def test_any_view_of_a_core_elsewhere(body: bytes) -> None:
    ELSEWHERE.body = body
    with pytest.raises(CoreUnreachable, match=r"does not speak|broke its view off"):
        _ = [part async for part in ELSEWHERE.core.view()]
