"""Histories that are brought in, and the index that is made anew, over real sockets: by whoever may."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import msgspec
import pytest

from core.errors import Conflict, ImportGap, ImportNotFound, ReindexRunning
from core.protocol import Reindexed, ReindexFailed, ReindexProgress
from core.remote import RemoteCore
from core.store.history import given
from core.store.lines import line_of_prepared
from core.store.search import Search
from tests.end_to_end.conftest import House, Opening
from tests.end_to_end.test_runs import TOKENS, client, code, get, post
from tests.end_to_end.test_sessions import append

SAID = [{"role": "user", "content": "an apple"}, {"role": "assistant", "content": "a pear"}]


@pytest.fixture
async def guarded(open_house: Opening) -> AsyncIterator[House]:
    async with open_house(tokens=TOKENS) as house:
        yield house


def announced(key: str, messages: list[Any] = SAID, **more: Any) -> dict[str, Any]:
    lines = b"".join(line_of_prepared(given(message, "$")) for message in messages)
    return {
        "sessionKey": key,
        "digest": sha256(lines).hexdigest(),
        "count": len(messages),
    } | more


async def begun(house: House, key: str, token: str = "svc", **more: Any) -> str:
    told = (await post(house, "/v1/imports", announced(key, **more), token)).json()
    assert told["sessionKey"] == key, told
    return f"/v1/imports/{told['importId']}"


async def bring(
    house: House, path: str, token: str = "svc", start: int = 0, *messages: Any
) -> httpx.Response:
    return await post(house, f"{path}/messages", {"from": start, "messages": messages or SAID}, token)


async def contents(house: House, key: str) -> list[Any]:
    return [message.content for message in (await house.core.history(key)).messages]


async def test_a_history_is_brought_in_parts_and_shows_at_once(guarded: House) -> None:
    await append(guarded, "k", "former", userId="ann")
    path = await begun(guarded, "k")
    assert (await bring(guarded, path, "svc", 0, SAID[0])).json()["staged"] == 1
    assert code(await post(guarded, f"{path}/complete", {})) == (409, "import_gap")
    again = await post(guarded, "/v1/imports", announced("k"))
    assert again.json() == {"importId": path.rpartition("/")[2], "sessionKey": "k", "staged": 1}
    assert (await bring(guarded, path, "svc", 1, SAID[1])).json()["staged"] == 2
    assert await contents(guarded, "k") == ["former"]
    done = await post(guarded, f"{path}/complete", {})
    assert done.json() == {"importId": path.rpartition("/")[2], "sessionKey": "k", "messages": 2}
    assert await contents(guarded, "k") == ["an apple", "a pear"]
    (hit,) = (await get(guarded, "/v1/search", q="apple")).json()
    assert hit["sessionKey"] == "k"
    assert (await guarded.core.session("k")).owner == "ann"
    entry, *_ = (await guarded.core.audit(target="k")).entries
    assert (entry.action, entry.actor, entry.detail) == ("imported", "agents", {"count": 2})


async def test_other_messages_than_announced_are_thrown_away(guarded: House) -> None:
    path = await begun(guarded, "k")
    await bring(guarded, path, "svc", 0, SAID[0], {"role": "user", "content": "a plum"})
    assert code(await post(guarded, f"{path}/complete", {})) == (409, "import_differs")
    assert code(await post(guarded, f"{path}/complete", {})) == (404, "import_not_found")
    assert await contents(guarded, "k") == []


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        ([SAID[0], {"role": ""}], "$.messages[1].role"),
        ([SAID[0], 7], "$.messages[1]"),
        ([{"role": "user", "content": "x", "timestamp": "noon"}], "$.messages[0].timestamp"),
        (SAID * 501, "$.messages"),
        (SAID * 2, "$.messages"),
    ],
)
async def test_a_part_that_is_refused_leaves_nothing_of_it(
    guarded: House, messages: list[Any], path: str
) -> None:
    where = await begun(guarded, "k")
    told = await bring(guarded, where, "svc", 0, *messages)
    assert code(told) == (400, "invalid_argument")
    assert path in told.json()["error"]["message"]
    assert (await post(guarded, "/v1/imports", announced("k"))).json()["staged"] == 0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"digest": "x"}, "$.digest"),
        ({"digest": "A" * 64}, "$.digest"),
        ({"count": -1}, "$.count"),
        ({"count": 2**60}, "$.count"),
        ({"sessionKey": ""}, "$.sessionKey"),
        ({"sessionKey": "a\0b"}, "session key"),
        ({"userId": "a\0b"}, "$.userId"),
        ({"more": 1}, "more"),
    ],
)
async def test_what_cannot_be_announced(guarded: House, wrong: dict[str, Any], named: str) -> None:
    told = await post(guarded, "/v1/imports", announced("k") | wrong)
    assert code(told) == (400, "invalid_argument")
    assert named in told.json()["error"]["message"]


async def test_an_import_that_is_dropped_is_gone(guarded: House) -> None:
    path = await begun(guarded, "k")
    await bring(guarded, path)
    async with client(guarded, "svc") as http:
        assert (await http.delete(path)).json() == {"importId": path.rpartition("/")[2]}
        assert code(await http.delete(path)) == (404, "import_not_found")
    assert code(await bring(guarded, path)) == (404, "import_not_found")


# ---------------------------------------------------------------------------------------------- who may


async def test_a_user_imports_what_is_theirs_alone(guarded: House) -> None:
    path = await begun(guarded, "api:ann/x", token="ann")
    for others in ("bob", "see"):
        for answer in (
            await bring(guarded, path, others),
            await post(guarded, f"{path}/complete", {}, others),
        ):
            assert code(answer) in ((404, "import_not_found"), (403, "forbidden"))
    for key in ("api:ann/x", "tg:7"):
        assert code(await post(guarded, "/v1/imports", announced(key), "bob")) == (404, "session_not_found")
    await bring(guarded, path, "ann")
    assert (await post(guarded, f"{path}/complete", {}, "ann")).status_code == 200
    assert (await guarded.core.session("api:ann/x")).owner == "ann"
    page = await get(guarded, "/v1/sessions/api%3Aann%2Fx/messages", token="ann")
    assert len(page.json()["messages"]) == 2


async def test_nobody_is_given_anothers_session(guarded: House) -> None:
    await append(guarded, "tg:7", "mine", userId="ann")
    answer = await post(guarded, "/v1/imports", announced("tg:7", userId="bob"))
    assert code(answer) == (404, "session_not_found")
    path = await begun(guarded, "tg:8", userId="bob")
    await bring(guarded, path)
    await append(guarded, "tg:8", "ann was faster", userId="ann")
    assert code(await post(guarded, f"{path}/complete", {})) == (404, "session_not_found")
    assert await contents(guarded, "tg:8") == ["ann was faster"]


async def test_an_operator_imports_too_and_is_named(guarded: House) -> None:
    path = await begun(guarded, "k", token="op")
    await bring(guarded, path, "op")
    assert (await post(guarded, f"{path}/complete", {}, "op")).status_code == 200
    entry, *_ = (await guarded.core.audit(target="k")).entries
    assert (entry.action, entry.actor) == ("imported", "desk")


async def test_a_session_with_a_turn_is_left_alone_and_then_rebuilt(guarded: House) -> None:
    """The turn's own end is stored after its messages: it must not meet a history that it never saw."""
    async with client(guarded, "svc") as http:
        body: dict[str, Any] = {"model": "slow-between?s=60", "messages": SAID[:1], "stream": True}
        async with http.stream(
            "POST", "/v1/chat/completions", json=body, headers={"x-session-id": "k", "x-user-id": "ann"}
        ) as response:
            key = response.headers["x-maitred-session"]
            path = await begun(guarded, key)
            await bring(guarded, path)
            refused = await post(guarded, f"{path}/complete", {})
            assert code(refused) == (409, "session_busy")
            assert "has a turn; complete the import when that is over" in refused.text
            run = response.headers["x-maitred-run"]
            await post(guarded, f"/v1/runs/{run}/abort", {"userId": "ann"})
            async for _ in response.aiter_bytes():
                pass
    row = guarded.core.router.row(key)
    assert row is not None
    assert row.run_id is None
    assert row.dirty is None
    assert (await post(guarded, f"{path}/complete", {})).status_code == 200
    row = guarded.core.router.row(key)
    assert row is not None
    assert row.dirty == "its history was imported"
    assert await contents(guarded, key) == ["an apple", "a pear"]


# ---------------------------------------------------------------------------------------------- reindex


async def test_the_index_is_made_anew_and_tells_how_far_it_is(guarded: House) -> None:
    await append(guarded, "k", *(f"message {number}" for number in range(450)))
    core = RemoteCore(guarded.url, "op")
    try:
        parts = [part async for part in core.reindex()]
    finally:
        await core.aclose()
    assert parts[-1] == Reindexed(messages=450)
    progress = [part for part in parts if isinstance(part, ReindexProgress)]
    assert progress
    assert progress == sorted(progress, key=lambda part: part.done)
    assert {part.of for part in progress} == {450}
    entry, *_ = (await guarded.core.audit()).entries
    assert (entry.actor, entry.action) == ("desk", "reindex")
    assert code(await post(guarded, "/v1/reindex", {}, "svc")) == (403, "forbidden")


async def test_one_at_a_time_and_who_leaves_ends_it(guarded: House, monkeypatch: pytest.MonkeyPatch) -> None:
    begun_, cancelled = asyncio.Event(), asyncio.Event()

    async def reindex(self: Search, progress: Any = None) -> int:
        progress(1, 2)
        begun_.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(Search, "reindex", reindex)
        async with client(guarded, "op") as http, http.stream("POST", "/v1/reindex") as response:
            lines = response.aiter_lines()
            assert msgspec.json.decode(await anext(lines)) == {"part": "progress", "done": 1, "of": 2}
            await begun_.wait()
            assert code(await post(guarded, "/v1/reindex", {}, "op")) == (409, ReindexRunning.code)
        await asyncio.wait_for(cancelled.wait(), 10)
    core = RemoteCore(guarded.url, "op")
    parts: list[Any] = []
    try:
        while not parts:
            with contextlib.suppress(Conflict):  # its end is a turn of the loop away
                parts = [part async for part in core.reindex()]
    finally:
        await core.aclose()
    assert parts[-1] == Reindexed(messages=0)


async def test_a_storage_that_fails_is_told_as_the_end(
    guarded: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.errors import StorageFailed

    async def reindex(self: Search, progress: Any = None) -> int:
        raise StorageFailed("the disk is full; make room")

    monkeypatch.setattr(Search, "reindex", reindex)
    core = RemoteCore(guarded.url, "op")
    try:
        (part,) = [part async for part in core.reindex()]
    finally:
        await core.aclose()
    assert part == ReindexFailed(
        code="storage_failed", message="the disk is full; make room; then begin again"
    )


# ----------------------------------------------------------------------------------------- as a client


async def test_a_remote_core_brings_them_and_raises_the_same(guarded: House) -> None:
    core = RemoteCore(guarded.url, "op")
    lines = [line_of_prepared(given(message, "$"))[:-1] for message in SAID]
    told = announced("k")
    try:
        started = await core.begin_import("k", told["digest"], told["count"], "ann")
        assert started.staged == 0
        with pytest.raises(ImportGap):
            await core.stage(started.import_id, 1, [msgspec.Raw(lines[1])])
        staged = await core.stage(started.import_id, 0, [msgspec.Raw(line) for line in lines])
        assert staged.staged == 2
        assert (await core.complete_import(started.import_id)).messages == 2
        with pytest.raises(ImportNotFound):
            await core.complete_import("nowhere/at all")
    finally:
        await core.aclose()
    assert (await guarded.core.session("k")).owner == "ann"
