"""One session of the busy house, known by name: its messages, its run's frames, and what operators did to it."""

from __future__ import annotations

from typing import Any

import msgspec

from core.clock import parse_timestamp, timestamp
from core.protocol import AuditEntry, Follower, Message
from tests.console.busy_core import BusyCore
from tests.console.rows import a_cost, a_pin, a_run, a_session

NOW = "2026-04-17T20:45:00Z"
"""The moment of every picture."""

KEY = "api:ada.kovacs/incident-2214"
"""The session that the pictures look into: a turn runs on it, it belongs to a project, and it is marked dirty."""
RUN = "4f1c0a9be2d84c7bb35de6a1f0937c52"
"""Its turn."""
LATE = "api:noor.haas/flaky-tests"
"""A session whose run has ended, and that nobody has marked; a long one, with more messages than one page has."""

_TEXTS = (
    "The cause is in ", "src/auth/session.ts", ": the token is read ", "before the transaction ", "has been ",
    "committed. ", "I ran the test 27 times; ", "it fails only when two workers ", "start in the same second.",
)  # fmt: skip


def before(seconds: float) -> str:
    """The wire timestamp of so many seconds before `NOW`."""
    return timestamp(parse_timestamp(NOW) - round(seconds * 1000))


def add_ours(core: BusyCore) -> None:
    """The sessions that the pictures aim at, known by their names."""
    run_id = RUN
    ours = {"model": "claude-sonnet-4-5", "provider": "anthropic"}
    core.rows.put(
        a_run(
            run_id,
            session_key=KEY,
            user_id="ada.kovacs",
            started_at=before(754),
            first_seq=3_337,
            last_seq=3_412,
            buffered_bytes=1_048_211,
            buffer_percent=100,
            subscribers=2,
            followers=[Follower(name="ada's tablet", seq=3_352), Follower(name="client", seq=3_412)],
            input_tokens=84_210,
            output_tokens=12_904,
            micros=446_190,
            **ours,
        )
    )
    core.rows.put(
        a_run(
            "9be2d84c7bb35de6a1f0937c524f1c0a",
            session_key=LATE,
            user_id="noor.haas",
            state="failed",
            exit_code=1,
            started_at=before(310),
            ended_at=before(262),
            last_seq=97,
            **ours,
        )
    )
    core.rows.put(
        a_session(
            KEY,
            generation=3,
            project="checkout",
            run_id=run_id,
            dirty="deploy 2026-04-17.3",
            created_at=before(5_040),
            last_used_at=before(754),
        )
    )
    core.rows.put(a_pin(LATE, model="claude-sonnet-4-5", tier="COMPLEX", last_used_at=before(262)))
    core.rows.put(a_session(LATE, project="checkout", created_at=before(900), last_used_at=before(262)))
    core.rows.put(
        a_pin(
            KEY, model="claude-sonnet-4-5", tier="COMPLEX", escalated=True, strikes=1, run=2, request_count=58
        )
    )
    core.rows.put(
        a_cost(
            KEY, micros=18_214_400, estimated_micros=120_000, input_tokens=4_120_443, output_tokens=310_288,
            cached_tokens=2_800_000, updated_at=before(754),
        )
    )  # fmt: skip
    core.messages[KEY] = list(_messages())
    core.messages[LATE] = list(_many_messages())
    core.frames[run_id] = list(_frames())
    core.truncated.add(run_id)
    core.audited = list(_audit())


def _messages() -> list[Message]:
    said: list[tuple[str, Any, bool]] = [
        (
            "system",
            "You are the on-call engineer of the checkout team. Never run anything against production.",
            False,
        ),
        ("user", "INC-2214: totals are off by one cent since the 18:00 deploy.\nFind out why.", False),
        ("assistant", "I look at the rounding first. " * 3, False),
        ("tool", [{"type": "tool_result", "id": "call_1"}], False),
        ("assistant", "The cause is in src/cart/total.ts: the discount is rounded per line. " * 6, True),
        (
            "user",
            [{"type": "text", "text": "You broke off. Go on, and look at this:"}, {"type": "image_url"}],
            False,
        ),
        (
            "assistant",
            "Yes: \x1b[2Jthe picture shows\u202e the same\u202c total twice; 合計が二回丸められています。",
            False,
        ),
        ("user", "Then write the smallest fix, with a test.", False),
    ]
    return [
        Message(seq=n, role=role, content=content, timestamp=before(1_900 - 140 * n), partial=partial)
        for n, (role, content, partial) in enumerate(said, 1)
    ]


_RUNS = "\n".join(
    f"run {n:>2}: {'FAILED  expected 1999, got 2000' if n % 9 == 4 else 'passed'}  seed {n * 7919 % 9973}"
    for n in range(1, 41)
)


def _many_messages() -> list[Message]:
    """A hundred and thirty, the last of them long, and one that tells of totals."""
    messages = [
        Message(
            seq=n,
            role="user" if n % 2 else "assistant",
            content=f"Attempt {n}: run it again, with another seed." if n % 2 else f"Attempt {n} passed.",
            timestamp=before(9_000 - 60 * n),
        )
        for n in range(1, 131)
    ]
    messages[-3] = msgspec.structs.replace(
        messages[-3], content="Is this the TOTAL of INC-2214? One test in nine rounds the discount twice."
    )
    messages[-2] = msgspec.structs.replace(
        messages[-2], content=f"Forty runs, and four of them failed:\n{_RUNS}"
    )
    return messages


def _frames() -> list[dict[str, Any]]:
    """What is kept of a run: tools, words as they came, and an error of the upstream that it survived."""
    call = {
        "tool_calls": [{"index": 0, "function": {"name": "run_tests", "arguments": '{"path": "src/cart"}'}}]
    }
    frames: list[dict[str, Any]] = [
        {"kind": "tool_call", "chunk": {"choices": [{"index": 0, "delta": call, "finish_reason": None}]}},
        {"kind": "reasoning", "content": "The sum of rounded parts is not the rounded sum. " * 4},
    ]
    frames += [{"kind": "text", "content": _TEXTS[n % len(_TEXTS)]} for n in range(70)]
    frames += [
        {"kind": "error", "message": "upstream answered 529 overloaded; trying again in 2 s"},
        {"kind": "text", "content": "escape \x1b[31m, direction \u202e, 漢字, é, 👩\u200d💻"},
        {
            "kind": "usage",
            "usage": {"prompt_tokens": 84_210, "completion_tokens": 12_904, "total_tokens": 97_114},
        },
        {"kind": "chunk", "chunk": {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}},
    ]
    return [{"seq": n, "runId": "r", **frame} for n, frame in enumerate(frames, 3_337)]


def _audit() -> list[AuditEntry]:
    acts = (
        ("dirty", "operator", "done", "deploy 2026-04-17.3"),
        ("evict", "jana.weber", "session_busy", "from the console"),
        ("clear-dirty", "jana.weber", "done", ""),
        (
            "abort",
            "night-watch",
            "no_active_run",
            "loops: the same request 40 times in a row, cost/min above the cap",
        ),
        ("release-pin", "operator", "done", "a\x1b[31mb\u202ec"),
    )
    return [
        AuditEntry(
            id=n,
            at=before(5_000 - 900 * n),
            actor=actor,
            action=action,
            target=KEY,
            outcome=outcome,
            reason=reason,
        )
        for n, (action, actor, outcome, reason) in enumerate(acts, 1)
    ]
