"""behaviours/history.md, decision 5."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidArgument, StorageFailed
from core.store.conversation import Reconciled, reconcile
from core.store.sessions import Stamp
from core.store.transfer import Mode
from tests.storage.refusing import refuse
from tests.store.remembered import NOON, Remembered


async def fill(store: Remembered) -> None:
    """a:1 with apples and pears (and a gap in its numbers), b:2 with an old message; a configuration for both."""
    await store.history.append("a:1", "user", "gone")
    await store.history.clear("a:1")
    await store.history.append("a:1", "user", "apples", timestamp="2026-01-01T00:00:00Z", run_id="r")
    await store.history.append("a:1", "assistant", "pears", timestamp="2026-01-02T00:00:00Z", partial=True)
    await store.history.append("b:2", "user", "old")
    for key, name in (("a:1", "both"), ("a:1", "only a"), ("b:2", "both"), ("b:2", "only b")):
        await store.configuration.set(key, name, key)


async def everything(store: Remembered) -> list[Any]:
    state: list[Any] = []
    for key in ("a:1", "b:2"):
        state += [
            await store.messages(key),
            await store.configuration.all(key),
            await store.audit.of_session(key),
        ]
    return [*state, await store.found("apples"), await store.found("old"), (await store.audit.page()).entries]


@pytest.mark.parametrize("mode", ["copy", "move"])
async def test_messages_keep_what_they_are(store: Remembered, mode: Mode) -> None:
    await fill(store)
    before = await store.messages("a:1")
    store.clock.advance(60)
    assert await store.transfer.run("a:1", "b:2", mode=mode) == 2
    after = await store.messages("b:2")
    assert [message.seq for message in after] == [2, 3]
    assert [(m.role, m.content, m.timestamp, m.run_id, m.partial) for m in after] == [
        (m.role, m.content, m.timestamp, m.run_id, m.partial) for m in before
    ]
    assert await store.messages("a:1") == (before if mode == "copy" else [])
    assert await store.history.append("b:2", "user", "next") == 4
    assert await store.history.append("a:1", "user", "next") == 4


@pytest.mark.parametrize("mode", ["copy", "move"])
async def test_the_index_goes_along(store: Remembered, mode: Mode) -> None:
    await fill(store)
    await store.transfer.run("a:1", "b:2", mode=mode)
    assert await store.found("apples") == [("b:2", 2), *([("a:1", 2)] if mode == "copy" else [])]
    assert await store.found("old") == []


@pytest.mark.parametrize(
    ("mode", "with_config", "of_a", "of_b"),
    [
        ("copy", False, {"both": "a:1", "only a": "a:1"}, {"both": "b:2", "only b": "b:2"}),
        ("move", False, {"both": "a:1", "only a": "a:1"}, {"both": "b:2", "only b": "b:2"}),
        ("copy", True, {"both": "a:1", "only a": "a:1"}, {"both": "a:1", "only a": "a:1", "only b": "b:2"}),
        ("move", True, {}, {"both": "a:1", "only a": "a:1", "only b": "b:2"}),
    ],
)
async def test_configuration_goes_along_when_asked(
    store: Remembered, mode: Mode, with_config: bool, of_a: dict[str, str], of_b: dict[str, str]
) -> None:
    await fill(store)
    await store.transfer.run("a:1", "b:2", mode=mode, with_config=with_config)
    assert await store.configuration.all("a:1") == of_a
    assert await store.configuration.all("b:2") == of_b


@pytest.mark.parametrize("mode", ["copy", "move"])
async def test_one_entry_is_found_under_both_keys(store: Remembered, mode: Mode) -> None:
    await store.history.append("a:1", "user", "x")
    await store.history.append("b:2", "user", "12")
    await store.transfer.run("a:1", "b:2", mode=mode, actor="olga")
    await store.history.append("a:1", "user", "123")
    await store.history.append("b:2", "user", "1234")
    entry = ("transferred", {"from": "a:1", "to": "b:2", "count": 1, "mode": mode})
    assert await store.told("a:1") == [
        ("created", {}),
        ("message", {"length": 1}),
        entry,
        ("message", {"length": 3}),
    ]
    assert await store.told("b:2") == [
        ("created", {}),
        ("message", {"length": 2}),
        entry,
        ("message", {"length": 4}),
    ]
    of_both = [(await store.audit.of_session(key))[2] for key in ("a:1", "b:2")]
    assert of_both[0] == of_both[1]
    assert of_both[0].actor == "olga"
    for key in ("a:1", "b:2"):
        assert of_both[0] in (await store.audit.page(target=key)).entries


@pytest.mark.parametrize("mode", ["copy", "move"])
@pytest.mark.parametrize("source", ["empty", "unknown"])
async def test_nothing_replaces_the_target_too(store: Remembered, mode: Mode, source: str) -> None:
    await store.configuration.set("empty", "k", "v")
    await store.history.append("b:2", "user", "old")
    assert await store.transfer.run(source, "b:2", mode=mode) == 0
    assert await store.messages("b:2") == []
    assert await store.found("old") == []
    assert (await store.told("b:2"))[-1] == (
        "transferred",
        {"from": source, "to": "b:2", "count": 0, "mode": mode},
    )
    assert (await store.told(source))[-1][0] == "transferred"


@pytest.mark.parametrize("mode", ["copy", "move"])
async def test_to_itself_changes_nothing(store: Remembered, mode: Mode) -> None:
    await fill(store)
    before = await everything(store)
    assert await store.transfer.run("a:1", "a:1", mode=mode, with_config=True) == 0
    assert await everything(store) == before
    assert await store.transfer.run("unknown", "unknown") == 0
    assert await store.told("unknown") == []


async def test_an_unknown_mode_is_refused(store: Remembered) -> None:
    await fill(store)
    before = await everything(store)
    for target in ("b:2", "a:1"):
        with pytest.raises(InvalidArgument, match="copy or move"):
            await store.transfer.run("a:1", target, mode="swap")  # type: ignore[arg-type]
    assert await everything(store) == before


@pytest.mark.parametrize("mode", ["copy", "move"])
@pytest.mark.parametrize(
    "breaks",
    [
        ("messages", "new.session_key = 'b:2' AND new.content LIKE '%pears%'"),
        ("audit", "new.action = 'transferred'"),
        ("configuration", "new.session_key = 'b:2'"),
    ],
)
async def test_a_transfer_that_breaks_leaves_everything_as_it_was(
    store: Remembered, mode: Mode, breaks: tuple[str, str]
) -> None:
    await fill(store)
    before = await everything(store)
    await store.database.write(lambda connection: refuse(connection, "INSERT", *breaks))
    with pytest.raises(StorageFailed, match="disk refuses"):
        await store.transfer.run("a:1", "b:2", mode=mode, with_config=True)
    assert await everything(store) == before
    assert await store.history.append("b:2", "user", "x") == 2, "the numbers were not taken either"


async def test_a_copied_conversation_goes_on(store: Remembered) -> None:
    """The copy is recognised when a client resends it, as the original would be."""
    await fill(store)
    await store.transfer.run("a:1", "b:2")
    request = [
        {"role": "user", "content": "apples"},
        {"role": "assistant", "content": "pears"},
        {"role": "user", "content": "plums"},
    ]
    stamp = Stamp(now=NOON, epoch=store.epoch)
    done = await store.database.write(lambda connection: reconcile(connection, "b:2", request, stamp))
    assert done == Reconciled(appended=1, dropped=0)
