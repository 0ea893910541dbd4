"""The three faces of a core, each over the same house: in this loop, across a thread, across the network."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from core.agents import Directory
from core.embedded import EmbeddedCore
from core.protocol import AnyRow, Core, ViewHead, ViewRows, ViewTail
from core.remote import RemoteCore
from core.server.auth import local_token
from core.server.listener import bind
from core.server.serve import Server, asgi
from core.session_core import SessionCore
from core.settings import Server as ServerSettings
from core.settings import Settings, Storage, Upstream
from tests.upstream.server import Upstream as TestUpstream


class Face:
    """A core as a console sees it, and the address at which clients reach the same house."""

    def __init__(self, core: Core, url: str) -> None:
        self.core = core
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)

    async def chat(
        self, model: str = "echo", session: str = "s", text: str = "hello there", **fields: Any
    ) -> str:
        """One whole chat completion; answers the run's id."""
        answer = await self.http.post(
            "/v1/chat/completions",
            json={"model": model, "messages": [{"role": "user", "content": text}], **fields},
            headers={"x-session-id": session, "x-project": "p"},
        )
        return answer.headers["x-maitred-run"]

    async def view(self) -> tuple[ViewHead, list[AnyRow], str]:
        """A whole view: head, rows, cursor."""
        head: ViewHead | None = None
        rows: list[AnyRow] = []
        cursor = ""
        async for part in self.core.view():
            match part:
                case ViewHead():
                    head = part
                case ViewRows():
                    rows.extend(part.rows)
                case ViewTail():
                    cursor = part.cursor
        assert head is not None
        return head, rows, cursor


def command_id() -> str:
    return uuid4().hex


@pytest.fixture(
    params=[
        ("session_core", "sqlite"),
        ("embedded", "sqlite"),
        ("remote", "sqlite"),
        ("session_core", "postgres"),
    ],
    ids=["session_core", "embedded", "remote", "session_core-postgres"],
)
async def face(request: pytest.FixtureRequest, tmp_path: Path, upstream: TestUpstream) -> AsyncIterator[Face]:
    kind, kept_in = request.param
    kept_at = request.getfixturevalue("postgres").url if kept_in == "postgres" else kept_in
    settings = Settings(
        upstreams=[Upstream(name="test", base_url=upstream.base_url)], storage=Storage(url=kept_at)
    )
    listener = bind(ServerSettings(port=0))

    async def build() -> tuple[SessionCore, Server]:
        core = await SessionCore.open(
            settings, tmp_path, directory=Directory.of_upstreams(settings.upstreams, {})
        )
        server = Server(core, listener, asgi(core, tmp_path))
        await server.start()
        return core, server

    async with contextlib.AsyncExitStack() as stack:
        stack.callback(listener.close)
        core: Core
        if kind == "embedded":
            embedded = await EmbeddedCore.over(build, actor="local")
            stack.push_async_callback(embedded.aclose)
            core, url = embedded, str(embedded.url)
        else:
            inner, server = await build()
            stack.push_async_callback(server.leave, 0)
            core, url = inner, server.url
            if kind == "remote":
                core = RemoteCore(url, local_token(tmp_path))
                stack.push_async_callback(core.aclose)
        face = Face(core, url)
        stack.push_async_callback(face.http.aclose)
        yield face
