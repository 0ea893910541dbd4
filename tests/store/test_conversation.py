"""behaviours/history.md, decision 8: a request carries its whole conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, text

from core.errors import InvalidArgument, SessionNotFound
from core.store import audit, driver, history, pending, sessions
from core.store.conversation import Reconciled, reconcile
from core.store.message import chain, clean_message, form_of, prepare
from core.store.sessions import Stamp
from core.store.tables import messages, removed_messages
from core.store.words import index_text
from tests.storage.storage import Storage

STAMP = Stamp(now=1_000, epoch="e")
Turn = dict[str, Any]


def said(*contents: str) -> list[Turn]:
    roles = ("user", "assistant")
    return [{"role": roles[place % 2], "content": content} for place, content in enumerate(contents)]


def stored(connection: Connection) -> list[tuple[int, Any]]:
    return [
        (message.seq, message.content) for message in history.page_in(connection, "k", limit=1000).messages
    ]


def told(connection: Connection) -> list[tuple[str, Any]]:
    return [(entry.action, entry.detail.get("count")) for entry in audit.of_session(connection, "k")]


@pytest.mark.parametrize(
    ("before", "request_", "appended", "dropped"),
    [
        ("", "u", 1, 0),
        ("", "uau", 3, 0),
        ("u", "u", 0, 0),
        ("ua", "uau", 1, 0),
        ("ua", "uaua", 2, 0),
        ("ua", "u", 0, 1),
        ("uau", "", 0, 3),
        ("", "", 0, 0),
        ("ua", "uA", 1, 1),
        ("uaua", "uAu", 2, 3),
        ("ua", "xyz", 3, 2),
        ("uau", "au", 2, 3),
    ],
)
def test_what_a_request_changes(
    storage: Storage, before: str, request_: str, appended: int, dropped: int
) -> None:
    with storage.scratch() as connection:
        reconcile(connection, "k", said(*before), STAMP)
        assert reconcile(connection, "k", said(*request_), STAMP) == Reconciled(
            appended=appended, dropped=dropped
        )
        assert [content for _, content in stored(connection)] == list(request_)
        assert (("rewritten", dropped) in told(connection)) == (dropped > 0)


def test_numbers_go_on_and_a_rewritten_tail_has_no_entries(storage: Storage) -> None:
    with storage.scratch() as connection:
        reconcile(connection, "k", said("a", "b", "c"), STAMP)
        reconcile(connection, "k", said("a", "B", "C"), STAMP)
        reconcile(connection, "k", said("a", "B", "C", "d"), STAMP)
        assert stored(connection) == [(1, "a"), (4, "B"), (5, "C"), (6, "d")]
        entries = [action for action, _ in told(connection)]
        assert entries == ["created", "message", "message", "message", "rewritten", "message"]


def test_a_run_and_a_time_are_kept(storage: Storage) -> None:
    with storage.scratch() as connection:
        reconcile(connection, "k", said("a"), STAMP, run_id="r1")
        reconcile(connection, "k", said("a", "b"), msgspec.structs.replace(STAMP, now=2_000), run_id="r2")
        shown = history.page_in(connection, "k").messages
        assert [(message.run_id, message.timestamp) for message in shown] == [
            ("r1", "1970-01-01T00:00:01Z"),
            ("r2", "1970-01-01T00:00:02Z"),
        ]


def test_a_client_that_writes_messages_its_own_way_rewrites_nothing(storage: Storage) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    with storage.scratch() as connection:
        reconcile(connection, "k", [{"role": "user", "content": "hi\0"}], STAMP)
        history.append_in(connection, "k", prepare(answer), STAMP)
        resent_call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}
        request: list[Turn] = [
            {"role": "user", "content": [{"type": "text", "text": "hi\ufffd"}]},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [resent_call],
                "refusal": None,
                "annotations": [],
            },
            {"role": "tool", "content": "1", "tool_call_id": "c"},
        ]
        assert reconcile(connection, "k", request, STAMP) == Reconciled(appended=1, dropped=0)


@pytest.mark.parametrize("bad", [{}, {"role": 1}, None, {"role": "user", "content": object()}])
def test_a_malformed_message_is_named(storage: Storage, bad: Any) -> None:
    request: list[Any] = [*said("a"), bad]
    with storage.scratch() as connection:
        with pytest.raises(InvalidArgument) as refused:
            reconcile(connection, "k", request, STAMP)
        assert str(refused.value.path).startswith("$.messages[1]")
        assert stored(connection) == []


def test_somebody_elses_session_does_not_exist(storage: Storage) -> None:
    with storage.scratch() as connection:
        reconcile(connection, "k", said("a"), msgspec.structs.replace(STAMP, owner="ann"))
        with pytest.raises(SessionNotFound):
            reconcile(connection, "k", said("a"), msgspec.structs.replace(STAMP, owner="bob"))


def test_a_retry_in_a_new_life_writes_nothing(storage: Storage) -> None:
    with storage.scratch() as connection:
        reconcile(connection, "k", said("a"), STAMP)
        next_life = msgspec.structs.replace(STAMP, epoch="e2")
        reconcile(connection, "k", said("a"), next_life)
        assert told(connection) == [("created", None), ("message", None)]
        reconcile(connection, "k", said("a", "b"), next_life)
        assert told(connection)[2:] == [("resumed", None), ("message", None)]


def _rows_read(connection: Connection, request: Sequence[Turn]) -> int:
    """How many stored rows a reconciliation looks at one by one."""
    read = 0
    original = driver.rows

    def counting(*arguments: Any) -> list[tuple[Any, ...]]:
        nonlocal read
        found = original(*arguments)
        if "ORDER BY seq DESC LIMIT ?" in arguments[1]:
            read += len(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "rows", counting)
        reconcile(connection, "k", request, STAMP)
    return read


def test_the_cost_is_that_of_the_difference(storage: Storage) -> None:
    long = [f"message {number}" for number in range(5_000)]
    with storage.scratch() as connection:
        reconcile(connection, "k", said(*long), STAMP)
        assert _rows_read(connection, said(*long)) == 0
        assert _rows_read(connection, said(*long, "one more")) == 0
        assert _rows_read(connection, said(*long, "another")) <= 16
        assert _rows_read(connection, said(*long)) <= 16
        assert _rows_read(connection, said(*long[:-100])) <= 16 + 32 + 64
        assert _rows_read(connection, said("new", *long)) == 4_900


# ------------------------------------------------------------------------------------ against a list

CONTENT = st.sampled_from(["a", "b", "c", "two words", "ü", ""])
CONVERSATION = st.lists(CONTENT, max_size=6)


class Edit(msgspec.Struct, frozen=True, tag=True):
    """Keep so many of what is stored, and go on with these."""

    keep: int
    then: list[str]


class Append(msgspec.Struct, frozen=True, tag=True):
    content: str


class Replace(msgspec.Struct, frozen=True, tag=True):
    contents: list[str]


class Clear(msgspec.Struct, frozen=True, tag=True):
    pass


STEP = st.one_of(
    st.builds(Edit, st.integers(0, 12), CONVERSATION),
    st.builds(Edit, st.just(12), CONVERSATION),
    st.builds(Append, CONTENT),
    st.builds(Replace, CONVERSATION),
    st.builds(Clear),
)


class Naive:
    """The history as a list, with everything that ever was in it."""

    def __init__(self) -> None:
        self.stored: list[tuple[int, str, bool]] = []
        self.removed: list[int] = []
        self.next_seq = 1

    def cut(self, keep: int) -> int:
        gone = self.stored[keep:]
        del self.stored[keep:]
        self.removed += [seq for seq, _, appended in gone if appended]
        return len(gone)

    def add(self, contents: Sequence[str], *, appended: bool) -> None:
        for content in contents:
            self.stored.append((self.next_seq, content, appended))
            self.next_seq += 1

    def request(self, contents: Sequence[str]) -> Reconciled:
        common = 0
        for (_, mine, _), theirs in zip(self.stored, contents, strict=False):
            if mine != theirs:
                break
            common += 1
        dropped = self.cut(common)
        self.add(contents[common:], appended=not dropped)
        return Reconciled(appended=len(contents) - common, dropped=dropped)


def user(content: str) -> Turn:
    return {"role": "user", "content": content}


def play(connection: Connection, naive: Naive, step: Edit | Append | Replace | Clear) -> None:
    match step:
        case Edit(keep=keep, then=then):
            contents = [content for _, content, _ in naive.stored[:keep]] + then
            assert reconcile(connection, "k", [user(one) for one in contents], STAMP) == naive.request(
                contents
            )
        case Append(content=content):
            assert history.append_in(connection, "k", prepare(user(content)), STAMP) == naive.next_seq
            naive.add([content], appended=True)
        case Replace(contents=contents):
            history.replace_in(connection, "k", [prepare(user(one)) for one in contents], STAMP)
            naive.cut(0)
            naive.add(contents, appended=False)
        case Clear():
            assert history.clear_in(connection, "k", STAMP) == naive.cut(0)


def words_in(entry: str) -> set[str]:
    """The words of an entry of the index: joined by spaces, or as PostgreSQL writes them, 'word':1,2 each."""
    return {each.partition(":")[0].strip("'") for each in entry.split()}


def check(connection: Connection, naive: Naive) -> None:
    pending.of(connection).write(connection)
    assert stored(connection) == [(seq, content) for seq, content, _ in naive.stored]
    row = sessions.look(connection, "k")
    assert (row.messages if row else 0) == len(naive.stored)
    links: list[bytes] = []
    for _, content, _ in naive.stored:
        links.append(chain(links[-1] if links else None, form_of(clean_message(user(content)))))
    by_seq = select(messages.c.chain).order_by(messages.c.seq)
    assert list(connection.execute(by_seq).scalars()) == links
    assert sorted(connection.execute(select(removed_messages.c.seq)).scalars()) == sorted(naive.removed)
    indexed = connection.execute(
        text(
            "SELECT seq, words FROM message_words JOIN messages ON messages.id = message_words.rowid ORDER BY seq"
        )
    ).all()
    assert [(row.seq, words_in(row.words)) for row in indexed] == [
        (seq, set(index_text(content).split())) for seq, content, _ in naive.stored if index_text(content)
    ]
    assert connection.execute(text("SELECT count(*) FROM message_words")).scalar_one() == len(indexed)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=12))
def test_any_course_of_events_is_that_of_a_list(
    storage: Storage, steps: list[Edit | Append | Replace | Clear]
) -> None:
    naive = Naive()
    with storage.scratch() as connection:
        for step in steps:
            play(connection, naive, step)
            check(connection, naive)
