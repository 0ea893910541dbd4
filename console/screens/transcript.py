"""What a core tells of a session, as paragraphs: run events, acts, facts. Its messages are `console.panes.messages`."""

from __future__ import annotations

from typing import Any

import msgspec

from console import units
from console.panes import pins
from console.panes.pane import Fact, Tone
from console.panes.sessions import SESSIONS, SessionLine, cost_facts
from console.panes.spent import Spent
from console.text import fit, neutral
from console.widgets.log import Paragraph
from core.protocol import AuditPage, RunBatch, SessionDetail

_SAID_ALREADY = frozenset({"message", "code"})
_FRAME_LIMIT = 2_000
_LABEL_CELLS = 20
_OWN_FIELDS = frozenset({"runId", "sessionKey", "seq", "kind", "timestamp", "id"})
_TEXT_FIELDS = ("text", "delta", "content", "message", "error")
_FRAME_TONES: dict[str, Tone] = {"error": "bad", "complete": "good"}


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
    """The audit of a session, the newest first, with its figures: how many messages went, and how long one was."""
    shown = [
        Paragraph(
            f"{entry.at[:19].replace('T', ' ')} {entry.action:<12.12}",
            f"by {entry.actor}: {entry.outcome}"
            + (f" ({entry.reason})" if entry.reason else "")
            + _figures(entry.detail),
        )
        for entry in page.entries
    ]
    if page.before is not None:
        shown.append(Paragraph("", "… older entries are not shown here", "dim"))
    return shown or [Paragraph("", "no acts on this session", "dim")]


def facts(detail: SessionDetail, spent: Spent, now: int) -> list[Paragraph]:
    """Everything else that is known, label by label: live or not, a session has its pin and its cost."""
    shown: list[Fact] = []
    if detail.session is not None:
        row = SessionLine(detail.session, detail.pin, detail.cost, detail.run, spent, detail.run)
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


def _figures(detail: dict[str, Any]) -> str:
    """What an entry counts, in words where it is known what it means; a command's own words are its outcome's."""
    match detail:
        case {"from": source, "to": target, "count": count, **rest}:
            return f"; {rest.get('mode', 'transfer')} of {count} messages from {source} to {target}"
        case {"length": int(length)}:
            return f"; {units.count(length)} characters"
        case _:
            told = [f"{name} {value}" for name, value in detail.items() if name not in _SAID_ALREADY]
            return f"; {', '.join(told)}" if told else ""


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
