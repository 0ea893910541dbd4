"""What a core tells of a session, as paragraphs: messages, run events, acts, facts."""

from __future__ import annotations

from typing import Any

import msgspec

from console import units
from console.panes import pins
from console.panes.pane import Fact, Tone
from console.panes.sessions import SESSIONS, SessionLine, cost_facts
from console.panes.spent import Spent
from console.text import fit, lines, neutral
from console.widgets.log import Paragraph
from core.protocol import AuditPage, HistoryPage, Message, RunBatch, SessionDetail

_TEXT_LIMIT = 20_000
_FRAME_LIMIT = 2_000
_CALL_LIMIT = 500
_ROLES: dict[str, Tone] = {"user": "accent", "assistant": "", "system": "dim", "tool": "dim"}
_LABEL_CELLS = 20
_OWN_FIELDS = frozenset({"runId", "sessionKey", "seq", "kind", "timestamp", "id"})
_TEXT_FIELDS = ("text", "delta", "content", "message", "error")
_FRAME_TONES: dict[str, Tone] = {"error": "bad", "complete": "good"}


def messages(page: HistoryPage) -> list[Paragraph]:
    """A page of history, line by line, with the role before the first line of each message."""
    shown: list[Paragraph] = []
    if page.before is not None:
        shown.append(Paragraph("", "… older messages are not shown", "dim"))
    for message in page.messages:
        head = f"{units.clock_time(message.timestamp)} {message.role:<9.9}"
        tone = _ROLES.get(message.role, "")
        calls = _calls(message)
        text = _plain(message.content)
        # one that only calls tools says nothing, and has no line for that
        told: list[tuple[str, Tone]] = (
            [(line, tone) for line in lines(text, _TEXT_LIMIT)] if text or not calls else []
        )
        told += [(call, "accent") for call in calls]
        for n, (line, its_tone) in enumerate(told):
            shown.append(Paragraph(head if n == 0 else " " * len(head), line, its_tone))
        if message.partial:
            shown.append(Paragraph(" " * len(head), "✗ broken off here", "warn"))
    return shown or [Paragraph("", "no messages yet", "dim")]


def frames(batch: RunBatch) -> list[Paragraph]:
    """A run's events, one a paragraph: the seq, the kind, and what it says."""
    return [_frame(raw) for raw in batch.events]


def last_seq(batch: RunBatch, after: int) -> int:
    """The seq of the last frame that came; as far as counting says when it cannot be read."""
    if not batch.events:
        return after
    frame = _decode(batch.events[-1])
    seq = frame.get("seq") if isinstance(frame, dict) else None
    return seq if isinstance(seq, int) else after + len(batch.events)


def acts(page: AuditPage) -> list[Paragraph]:
    """The audit of a session, the newest first."""
    shown = [
        Paragraph(
            f"{entry.at[:19].replace('T', ' ')} {entry.action:<12.12}",
            f"by {entry.actor}: {entry.outcome}" + (f" ({entry.reason})" if entry.reason else ""),
        )
        for entry in page.entries
    ]
    return shown or [Paragraph("", "no acts on this session", "dim")]


def facts(detail: SessionDetail, spent: Spent, now: int) -> list[Paragraph]:
    """Everything else that is known, label by label: live or not, a session has its pin and its cost."""
    shown: list[Fact] = []
    if detail.session is not None:
        row = SessionLine(detail.session, detail.pin, detail.cost, detail.run, spent)
        shown += SESSIONS.facts(row, now)
    else:
        shown.append(Fact("live", "○ not now", "dim"))
        if detail.pin is not None:
            shown += [Fact("", ""), *pins.facts(detail.pin)]
        shown += [Fact("", ""), *cost_facts(detail.cost, detail.run, spent, now)]
    shown.append(Fact("", ""))
    shown.append(Fact("owner", detail.owner or "–"))
    shown.append(Fact("messages", units.count(detail.messages)))
    if detail.seat is not None:
        shown.append(Fact("seat", f"{detail.seat.state} for {detail.seat.model}"))
    if detail.config:
        shown.append(Fact("", ""))
    shown += [Fact(name, value, "dim") for name, value in sorted(detail.config.items())]
    return [Paragraph(fit(neutral(fact.label), _LABEL_CELLS), fact.text, fact.tone) for fact in shown]


def _frame(raw: msgspec.Raw) -> Paragraph:
    frame = _decode(raw)
    if not isinstance(frame, dict):
        return Paragraph(f"{'?':>7} {'unreadable':<14}", bytes(raw)[:200].decode("utf-8", "replace"), "warn")
    kind = str(frame.get("kind", "?"))
    text = next((frame[name] for name in _TEXT_FIELDS if isinstance(frame.get(name), str)), None)
    if text is None:
        text = _chunk(frame.get("chunk"))
    if text is None:
        rest = {name: value for name, value in frame.items() if name not in _OWN_FIELDS}
        text = _json(rest) if rest else ""
    return Paragraph(
        f"{frame.get('seq', '?')!s:>7.7} {kind:<14.14}", text[:_FRAME_LIMIT], _FRAME_TONES.get(kind, "")
    )


def _chunk(chunk: Any) -> str | None:
    """What an upstream's chunk adds: the end's reason, the usage, or what is new; None when it is of another form."""
    match chunk:
        case {"choices": [{"finish_reason": str(reason)}, *_]}:
            return f"finished: {reason}"
        case {"choices": [{"delta": delta}, *_]}:
            return _json(delta)
        case {"usage": dict(usage)}:
            return _json(usage)
        case _:
            return None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode("utf-8", "replace")


def _decode(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _calls(message: Message) -> list[str]:
    """The tools that a message calls, one a line."""
    called = (message.extra or {}).get("tool_calls")
    told: list[str] = []
    for call in called if isinstance(called, list) else ():
        match call:
            case {"function": {"name": str(name), "arguments": str(arguments)}}:
                told.append(f"→ {name} {arguments}"[:_CALL_LIMIT])
            case _:
                told.append(f"→ {_json(call)}"[:_CALL_LIMIT])
    return told


def _plain(content: Any) -> str:
    """A message's text; of structured parts the texts, and the kinds of the others."""
    match content:
        case str():
            return content
        case None:
            return ""
        case list():
            return "\n".join(_plain(part) for part in content)
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": str(kind)}:
            return f"[{kind}]"
        case _:
            return _json(content)
