"""One suite for every `Core`: what a console may rely on, wherever the core runs."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from core.errors import InvalidArgument, RunNotFound, SessionNotFound
from core.protocol import (
    AbortRun,
    Acted,
    AnyEvent,
    AnyRow,
    BanUser,
    ClearDirty,
    CloseSession,
    CostRow,
    Done,
    EvictSession,
    FindingRow,
    MarkDirty,
    PauseAdmission,
    PinRow,
    Progress,
    QueueRow,
    Refused,
    RunChanged,
    RunRow,
    SeatRow,
    SessionChanged,
    SessionGone,
    SessionRow,
    UnbanUser,
)
from tests.contract.conftest import Face, command_id
from tests.upstream.server import Upstream

KEY = "api:local/s"


async def until(
    face: Face, cursor: str, found: type[AnyEvent] | tuple[type, ...]
) -> tuple[list[AnyEvent], str]:
    """The events up to the first of that class, and the cursor after them."""
    seen: list[AnyEvent] = []
    async with asyncio.timeout(10):
        while not any(isinstance(event, found) for event in seen):
            batch = await face.core.events(cursor, wait=5)
            assert not batch.gap
            seen += batch.events
            cursor = batch.cursor
    return seen, cursor


async def in_flight(face: Face, upstream: Upstream, model: str = "hang") -> tuple[asyncio.Task[str], RunRow]:
    """A turn that does not end by itself, and its run."""
    asking = asyncio.create_task(face.chat(model))
    await upstream.until_arrived(model)
    _, rows, _ = await face.view()
    return asking, next(row for row in rows if isinstance(row, RunRow) and row.state == "running")


async def test_a_view_is_counted_and_has_a_cursor(face: Face) -> None:
    await face.chat()
    head, rows, cursor = await face.view()
    assert sum(head.counts.values()) == len(rows)
    assert cursor.startswith(f"{head.epoch}.")
    kinds = {type(row) for row in rows}
    assert {SessionRow, PinRow, CostRow, RunRow} <= kinds
    (session,) = [row for row in rows if isinstance(row, SessionRow)]
    assert (session.session_key, session.project, session.run_id) == (KEY, "p", None)


async def test_a_view_and_later_events_are_the_state_now(face: Face) -> None:
    _, rows, cursor = await face.view()
    await face.chat(session="one")
    await face.chat(session="two")
    run_id = await face.chat(session="one", text="again")
    # figures that move without a decision come with the next progress event
    while not any(
        row.run_id == run_id and row.subscribers == 0 and row.ended_at for row in await runs_in(face)
    ):
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.6)
    batch = await face.core.events(cursor, wait=0)
    state = {key_of(row): row for row in rows}
    for event in batch.events:
        apply(state, event)
    _, now, _ = await face.view()
    assert state == {key_of(row): row for row in now}


async def runs_in(face: Face) -> list[RunRow]:
    return [row for row in (await face.view())[1] if isinstance(row, RunRow)]


def key_of(row: AnyRow) -> tuple[str, ...]:
    match row:
        case QueueRow():
            return ("queue", row.model)
        case SeatRow():
            return ("seat", row.user_id)
        case SessionRow() | PinRow():
            return (type(row).__name__, row.session_key)
        case CostRow():
            return ("cost", row.scope, row.key)
        case RunRow():
            return ("run", row.run_id)
        case FindingRow():
            return ("finding", row.kind, row.key)


def apply(state: dict[tuple[str, ...], AnyRow], event: AnyEvent) -> None:
    if isinstance(event, SessionGone):
        del state["SessionRow", event.session_key]
    for name in ("queue", "seat", "session", "run", "pin"):
        row = getattr(event, name, None)
        if row is not None:
            state[key_of(row)] = row
    for name in ("runs", "costs"):
        for row in getattr(event, name, []):
            state[key_of(row)] = row


async def test_events_have_no_hole_and_resume(face: Face) -> None:
    await face.chat()
    first = await face.core.events("", limit=3)
    rest = await face.core.events(first.cursor, wait=0)
    seqs = [event.seq for event in first.events + rest.events]
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(first.events) == 3


async def test_events_wait_for_the_next_one(face: Face) -> None:
    _, _, cursor = await face.view()
    waiting = asyncio.create_task(face.core.events(cursor, wait=20))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await face.chat()
    assert (await waiting).events
    empty = await face.core.events((await face.view())[2], wait=0.05)
    assert (empty.events, empty.gap) == ([], False)


async def test_a_foreign_cursor_is_a_gap(face: Face) -> None:
    batch = await face.core.events("another.5", wait=0)
    assert batch.gap
    assert batch.cursor == (await face.view())[2]


async def test_a_session_in_full(face: Face) -> None:
    run_id = await face.chat()
    detail = await face.core.session(KEY)
    assert (detail.owner, detail.messages) == ("local", 2)
    assert detail.session is not None
    assert detail.pin is not None
    assert detail.cost is not None
    assert detail.run is not None
    assert detail.run.run_id == run_id
    with pytest.raises(SessionNotFound):
        await face.core.session("api:local/never")


async def test_a_key_may_hold_anything(face: Face) -> None:
    for session in ("a/b:c", "ü ?#%2F&", "x" * 300):
        await face.http.post(
            "/v1/chat/completions",
            json={"model": "echo", "messages": [{"role": "user", "content": "hi"}]},
            headers={b"x-session-id": session.encode("latin-1")},
        )
        assert (await face.core.session(f"api:local/{session}")).messages == 2


async def test_the_events_of_a_run(face: Face) -> None:
    run_id = await face.chat("count-3", stream=True)
    batch = await face.core.run_events(run_id)
    frames = [msgspec.json.decode(frame) for frame in batch.events]
    assert [frame["seq"] for frame in frames] == list(range(1, batch.last_seq + 1))
    assert all(frame["runId"] == run_id and frame["sessionKey"] == KEY for frame in frames)
    assert "".join(frame["content"] for frame in frames if frame["kind"] == "text") == "1 2 3"
    assert frames[-1]["kind"] == "complete"
    assert batch.ended
    tail = await face.core.run_events(run_id, after=batch.last_seq - 1, wait=0)
    assert len(tail.events) == 1
    assert not tail.truncated
    with pytest.raises(RunNotFound):
        await face.core.run_events("never", wait=0)


async def test_a_running_run_is_waited_for(face: Face, upstream: Upstream) -> None:
    asking, run = await in_flight(face, upstream, "slow-first?s=0.3")
    batch = await face.core.run_events(run.run_id, run.last_seq, wait=10)
    assert batch.events
    await asking


async def test_history_in_pages(face: Face) -> None:
    for place in range(3):
        await face.chat(session="s", text=f"question {place}")
    newest = await face.core.history(KEY, limit=2)
    assert [message.seq for message in newest.messages] == sorted(message.seq for message in newest.messages)
    assert newest.messages[-1].role == "assistant"
    for limit in (0, 1001):
        with pytest.raises(InvalidArgument):
            await face.core.history(KEY, limit=limit)


async def test_messages_are_found_by_their_words(face: Face) -> None:
    await face.chat(text="the zebra crossing")
    hits = await face.core.search("ZEBRA")
    assert {hit.session_key for hit in hits} == {KEY}
    assert "zebra" in hits[0].snippet
    assert await face.core.search("giraffe") == []


async def test_abort_stops_the_run_and_tells(face: Face, upstream: Upstream) -> None:
    _, _, cursor = await face.view()
    asking, run = await in_flight(face, upstream)
    command = AbortRun(command_id=command_id(), run_id=run.run_id, reason="enough")
    preview = await face.core.preview(command)
    assert (preview.targets, preview.turns) == (1, 1)
    outcome = await face.core.execute(command)
    assert isinstance(outcome, Done)
    await asking
    events, _ = await until(face, cursor, (Acted,))
    acted = next(event for event in events if isinstance(event, Acted))
    assert (acted.actor, acted.action, acted.target, acted.reason, acted.outcome) == (
        "local",
        "abort",
        run.run_id,
        "enough",
        "done",
    )
    page = await face.core.audit(target=run.run_id)
    assert [(entry.actor, entry.action, entry.reason) for entry in page.entries] == [
        ("local", "abort", "enough")
    ]
    of_session = (await face.core.audit(target=run.session_key)).entries
    assert page.entries[0] in of_session, "an act on a run is one on its session"
    ended = [row for row in await runs_in(face) if row.run_id == run.run_id]
    assert ended[0].state == "aborted"


async def test_a_repeated_command_answers_the_stored_outcome(face: Face, upstream: Upstream) -> None:
    asking, run = await in_flight(face, upstream)
    command = AbortRun(command_id=command_id(), run_id=run.run_id)
    first = await face.core.execute(command)
    await asking
    assert await face.core.execute(command) == first
    again = await face.core.execute(AbortRun(command_id=command_id(), run_id=run.run_id))
    assert isinstance(again, Refused)
    assert again.code == "no_active_run"
    entries = (await face.core.audit(target=run.run_id)).entries
    assert [entry.outcome for entry in entries] == ["refused", "done"]


async def test_a_busy_session_is_closed_not_evicted(face: Face, upstream: Upstream) -> None:
    asking, _ = await in_flight(face, upstream)
    refused = await face.core.execute(EvictSession(command_id=command_id(), session_key=KEY))
    assert isinstance(refused, Refused)
    assert refused.code == "session_busy"
    close = CloseSession(command_id=command_id(), session_key=KEY)
    assert (await face.core.preview(close)).turns == 1
    assert isinstance(await face.core.execute(close), Done)
    await asking
    assert (await face.core.session(KEY)).session is None


async def test_what_was_rebuilt_is_not_hit(face: Face) -> None:
    await face.chat()
    cursor = (await face.view())[2]
    mark = MarkDirty(command_id=command_id(), session_key=KEY, generation=1)
    assert await face.core.execute(mark) == Done(
        command_id=mark.command_id, count=1, message="1 sessions will be rebuilt at their next use"
    )
    events, cursor = await until(face, cursor, SessionChanged)
    assert [event.what for event in events if isinstance(event, SessionChanged)] == ["marked_dirty"]
    await face.chat(text="more")
    assert (await face.core.session(KEY)).session.generation == 2  # type: ignore[union-attr]
    late = await face.core.execute(EvictSession(command_id=command_id(), session_key=KEY, generation=1))
    assert isinstance(late, Refused)
    assert late.code == "gone"
    right = await face.core.execute(EvictSession(command_id=command_id(), session_key=KEY, generation=2))
    assert isinstance(right, Done)
    gone, _ = await until(face, cursor, SessionGone)
    assert [event.reason for event in gone if isinstance(event, SessionGone)] == ["operator"]


async def test_marks_for_one_a_project_and_all(face: Face) -> None:
    for session in ("a", "b", "c"):
        await face.chat(session=session)
    outcomes = [
        await face.core.execute(command)
        for command in (
            MarkDirty(command_id=command_id(), project="p"),
            MarkDirty(command_id=command_id(), project="other"),
            MarkDirty(command_id=command_id(), all=True),
            ClearDirty(command_id=command_id(), session_key="api:local/a"),
        )
    ]
    assert [outcome.count for outcome in outcomes if isinstance(outcome, Done)] == [3, 0, 3, 1]
    dirty = {row.session_key for row in (await face.view())[1] if isinstance(row, SessionRow) and row.dirty}
    assert dirty == {"api:local/b", "api:local/c"}
    unclear = await face.core.execute(MarkDirty(command_id=command_id()))
    assert isinstance(unclear, Refused)
    assert unclear.code == "invalid_argument"
    unknown = await face.core.execute(MarkDirty(command_id=command_id(), session_key="nobody"))
    assert isinstance(unknown, Refused)


async def test_admission_is_paused_and_users_are_banned(face: Face) -> None:
    for command in (
        PauseAdmission(command_id=command_id()),
        BanUser(command_id=command_id(), user_id="local", reason="abuse"),
    ):
        assert isinstance(await face.core.execute(command), Done)
    refused = await face.http.post(
        "/v1/chat/completions", json={"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "banned")
    assert refused.headers["x-should-retry"] == "false"
    assert isinstance(await face.core.execute(UnbanUser(command_id=command_id(), user_id="local")), Done)
    assert await face.chat()


async def test_why_is_told(face: Face) -> None:
    nobody = await face.core.explain("seat", "nobody/at:all")
    assert (nobody.key, [because.rule for because in nobody.because]) == ("nobody/at:all", ["no_seat"])
    with pytest.raises(SessionNotFound):
        await face.core.explain("session", "api:never/was")
    with pytest.raises(InvalidArgument):
        await face.core.explain("seat", "")
    await face.chat()
    told = await face.core.explain("session", KEY)
    assert told.key == KEY
    assert told.because[0].rule in ("pinned", "explicit")
    assert told.because[0].facts["model"]
    assert [because.rule for because in told.because][-1:] == ["idle"]


async def test_why_a_run_ended_and_a_session_is_gone_is_told_with_who_did_it(face: Face) -> None:
    with pytest.raises(RunNotFound):
        await face.core.explain("run", "nobody")
    run = await face.chat()
    # whoever reads leaves an entry in the audit, and has done nothing
    await face.core.history(KEY)
    told = await face.core.explain("session", KEY)
    assert [because.rule for because in told.because if because.rule == "act"] == []
    told = await face.core.explain("run", run)
    assert (told.kind, told.key, [because.rule for because in told.because]) == ("run", run, ["completed"])
    command = EvictSession(command_id=command_id(), session_key=KEY, reason="tidying up")
    assert isinstance(await face.core.execute(command), Done)
    told = await face.core.explain("session", KEY)
    gone, act = told.because[-2:]
    assert (gone.rule, act.rule) == ("gone_operator", "act")
    assert "evict: done, because: tidying up" in act.text


async def test_a_command_needs_an_id(face: Face) -> None:
    with pytest.raises(InvalidArgument):
        await face.core.execute(PauseAdmission(command_id=""))


async def test_progress_tells_of_runs_that_move(face: Face) -> None:
    _, _, cursor = await face.view()
    asking = asyncio.create_task(face.chat("slow-between?s=0.2", stream=True, text="a b c d e f"))
    events, _ = await until(face, cursor, Progress)
    moved = next(event for event in events if isinstance(event, Progress))
    assert [run.session_key for run in moved.runs] == [KEY]
    started = next(event for event in events if isinstance(event, RunChanged))
    assert (started.what, started.run.run_id) == ("started", moved.runs[0].run_id)
    await asking


async def test_an_operator_s_reading_is_audited_once(face: Face, request: pytest.FixtureRequest) -> None:
    run_id = await face.chat()
    for _ in range(3):
        await face.core.history(KEY)
        await face.core.run_events(run_id, wait=0)
    entries = (await face.core.audit(target=KEY)).entries
    read = [(entry.actor, entry.detail["what"]) for entry in entries if entry.action == "read"]
    # a core in its own loop is its embedder's own: there is no operator between
    inside = "session_core" in request.node.name
    assert read == ([] if inside else [("local", "run"), ("local", "history")])
