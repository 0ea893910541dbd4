"""An evening at a busy house, for the pictures: many runs of several models, in every state, and hostile names.

Everything is counted out from fixed dice and from one moment, `NOW`: the same house each time.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec

from core.clock import ManualClock, parse_timestamp
from core.protocol import (
    Acted,
    AnyEvent,
    CostChanged,
    CostRow,
    Follower,
    Noticed,
    PinChanged,
    RunChanged,
    RunRow,
    SeatChanged,
    SessionChanged,
    SessionGone,
)
from tests.console.busy_core import BusyCore
from tests.console.one_session import NOW, add_ours, before
from tests.console.rows import a_cost, a_finding, a_pin, a_queue, a_run, a_seat, a_session

_MODELS = (
    # id, tier, input and output in USD a million tokens, share of the runs
    ("gemini-2.5-flash", "SIMPLE", 0.3, 2.5, 6),
    ("gpt-4.1-mini", "SIMPLE", 0.4, 1.6, 9),
    ("mistral-small-3.2", "SIMPLE", 0.1, 0.3, 3),
    ("gpt-4.1", "MEDIUM", 2.0, 8.0, 5),
    ("qwen3-coder-480b-a35b-instruct", "MEDIUM", 1.5, 7.5, 4),
    ("claude-sonnet-4-5", "COMPLEX", 3.0, 15.0, 8),
    ("claude-opus-4-1", "REASONING", 15.0, 75.0, 2),
    ("deepseek-r1-distill-llama-70b", "REASONING", 0.7, 2.8, 2),
)
SEATED = "claude-sonnet-4-5"
"""The model whose seats are shown: more of them than fit on any screen."""

_USERS = (
    "ada.kovacs bruno.diaz chloé.moreau dana.okafor emil.ekberg farah.yilmaz grace.park hana.soto ivan.petrov "
    "jana.weber linh.tran maya.patel niko.costa noor.haas olga.novak priya.rao quinn.adler rosa.silva tariq.mbeki "
    "yuki.tanaka"
).split()
_TOPICS = (
    "fix-login flaky-tests invoice-export tokenizer retry-logic rate-limits csv-import slow-query webhooks "
    "crash-on-resume api-docs search-ranking cold-start schema-drift quarterly-report migration-plan"
).split()
_PROJECTS = (None, "checkout", "billing-etl", None, "mobile-app", "infra", "support-desk")
_GUESTS = (
    ("guest-\x1b[31mred\x1b[0m", "\x1b]0;owned\x07title"),
    ("guest-\u202egnp.exe", "\u2066sneaky\u2069/..\u200b/x"),
    ("guest-שלום", "مرحبا بالعالم"),
    ("guest-東京支店", "請求書の合計が合わない件について"),
    ("guest-Zoe\u0308\u0301", "n\u0303ai\u0308ve\u0300\u0315\u031a\u0352\u0358\u0489"),
    ("guest-👩\u200d👩\u200d👧\u200d👦", "🏳\ufe0f\u200d🌈-👍🏽-🇩🇪"),
    ("guest-[bold red]x[/]", "{curl}\n\tline two\r%s"),
    ("guest-" + "very-long-name-" * 12, "topic-" * 30),
)
"""Names of those who wish us no good; all of them hold the word "guest"."""

_ENDS = ("completed",) * 9 + ("failed", "aborted", "completed", "interrupted")
_STATES = ("running",) * 7 + ("stalled", "running", "running", "aborting")


def a_busy_house() -> BusyCore:
    """The house at `NOW`, with what happened in the half hour before in its journal."""
    dice = random.Random(2214)
    core = BusyCore(ManualClock(at=parse_timestamp(NOW) - 30 * 60_000))
    turns = [_a_turn(dice, number) for number in range(96)]
    for row in turns:
        core.rows.put(row)
        _add_session(core, dice, row)
    for number in range(12):
        _add_cron(core, dice, number)
    add_ours(core)
    _add_queues(core, dice)
    _add_sums(core)
    _add_findings(core)
    _add_journal(core, dice)
    core.moved.advance((parse_timestamp(NOW) - core.clock.now()) / 1000)
    return core


def an_empty_house() -> BusyCore:
    """A house that nobody has come to yet."""
    return BusyCore(ManualClock(at=parse_timestamp(NOW)))


def _model(dice: random.Random) -> tuple[str, Any, float, float]:
    name, tier, into, out, _ = dice.choices(_MODELS, weights=[model[4] for model in _MODELS])[0]
    return name, tier, into, out


def _run_id(dice: random.Random) -> str:
    return f"{dice.getrandbits(128):032x}"


def _a_turn(dice: random.Random, number: int) -> RunRow:
    """One run: of a guest when the number is small or by chance, else of somebody of the house."""
    if number < len(_GUESTS):
        user, topic = _GUESTS[number]
    else:
        user, topic = _USERS[number % len(_USERS)], _TOPICS[(number * 7 + number // 80) % len(_TOPICS)]
    model, _, into, out = _model(dice)
    in_flight = number < 40
    state: Any = _STATES[number % len(_STATES)] if in_flight else _ENDS[number % len(_ENDS)]
    took = dice.choice((3, 8, 21, 40, 95, 180, 400, 1_500)) * (0.5 + dice.random())
    ended = None if in_flight else dice.random() * 600
    tokens_in, tokens_out = dice.randrange(400, 90_000), int(took * dice.uniform(8, 60)) + 1
    return a_run(
        _run_id(dice),
        session_key=f"api:{user}/{topic}",
        user_id=user,
        provider="anthropic" if model.startswith("claude") else "litellm-eu",
        model=model,
        state=state,
        started_at=before(took + (ended or 0)),
        ended_at=None if ended is None else before(ended),
        exit_code=None if ended is None else int(state not in ("completed", "aborted") or number % 3 == 0),
        last_seq=tokens_out + 3,
        first_seq=max(1, tokens_out - 2_000),
        buffered_bytes=min(2_000, tokens_out) * 181,
        buffer_percent=min(100, tokens_out // 20),
        **_followed(dice.choice((0, 1, 1, 1, 2, 3)), tokens_out + 3, number),
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        micros=int(tokens_in * into + tokens_out * out),
        **_at(state, number),
    )


def _at(state: str, number: int) -> dict[str, Any]:
    """What some of them are at: a tool in use, one that waits to be allowed, one that the answer has called."""
    tool = ("bash", "apply_patch", "web_search", "read_file")[number // 3 % 4]
    if state not in ("running", "completed") or number % 3:
        return {}
    return {"tool": tool, "approval": tool if state == "running" and number % 9 == 0 else None}


def _followed(many: int, last: int, number: int) -> dict[str, Any]:
    """So many followers; of every seventh run one lags."""
    seqs = [max(0, last - 190 * (each == 0 and number % 7 == 0)) for each in range(many)]
    return {"subscribers": many, "followers": [Follower(name="client", seq=seq) for seq in seqs]}


def _add_session(core: BusyCore, dice: random.Random, run: RunRow) -> None:
    """The session of a run, with its pin and its cost; some of those whose run has ended are gone."""
    tier: Any = next(model[1] for model in _MODELS if model[0] == run.model)
    strikes, again = dice.choice((0, 0, 0, 0, 1, 1, 2, 3)), dice.randrange(3) > 1
    escalated, explicit = strikes == 3, dice.random() < 0.15
    # two strikes have escalated whoever may be, and an escalation begins anew
    counted = strikes if explicit or tier == "REASONING" else int(again) if escalated else min(1, strikes)
    core.rows.put(
        a_pin(
            run.session_key,
            model=run.model,
            tier=tier,
            strikes=counted,
            run=0 if escalated and not counted else counted + 1,
            escalated=escalated,
            explicit=explicit,
            request_count=dice.randrange(1, 240),
            last_used_at=run.started_at,
        )
    )
    turns = dice.randrange(1, 12)
    core.rows.put(
        a_cost(
            run.session_key,
            micros=run.micros * turns,
            estimated_micros=run.micros // 3 if run.state in ("aborted", "interrupted") else 0,
            input_tokens=run.input_tokens * turns,
            output_tokens=run.output_tokens * turns,
            cached_tokens=run.input_tokens * turns // 2,
            updated_at=run.ended_at or run.started_at,
        )
    )
    if run.ended_at is not None and dice.random() < 0.2:
        return
    core.rows.put(
        a_session(
            run.session_key,
            generation=dice.choice((1, 1, 1, 2, 3)),
            project=dice.choice(_PROJECTS),
            run_id=None if run.ended_at else run.run_id,
            dirty=dice.choice((None,) * 7 + ("deploy", "operator: prompt v14")),
            created_at=before(2_000 + dice.random() * 9_000),
            last_used_at=run.ended_at or run.started_at,
        )
    )


def _add_cron(core: BusyCore, dice: random.Random, number: int) -> None:
    """Sessions that no user talks in."""
    kind: Any = "always_on" if number % 4 == 0 else "cron"
    key = f"{kind}:{_TOPICS[number]}"
    at = before(60 + dice.random() * 3_000)
    core.rows.put(
        a_session(key, kind=kind, channel="scheduler", project="infra", created_at=at, last_used_at=at)
    )


def _add_queues(core: BusyCore, dice: random.Random) -> None:
    unwell: dict[str, dict[str, Any]] = {
        "claude-opus-4-1": {"health": "degraded", "paused_reason": "degraded"},
        "deepseek-r1-distill-llama-70b": {"health": "unhealthy", "paused_reason": "unhealthy"},
        "mistral-small-3.2": {"paused_reason": "closed"},
        "gpt-4.1-mini": {"paused_reason": "paused", "paused": True},
        SEATED: {
            "waiting": 14,
            "seated": 72,
            "draining": 5,
            "max_active": 72,
            "oldest_queued_at": before(371),
        },
    }
    for name, tier, *_ in _MODELS:
        waiting = dice.choice((0, 0, 2, 9))
        shown: dict[str, Any] = {
            "waiting": waiting,
            "seated": dice.randrange(1, 60),
            "instant_admit_capacity": 20,
            "max_active": dice.choice((0, 80, 250)),
            "oldest_queued_at": before(waiting * 20.5) if waiting else None,
        }
        core.rows.put(a_queue(name, tier=tier, context_tokens=128_000, **{**shown, **unwell.get(name, {})}))
    core.rows.put(
        a_queue("model-\x1b[31mred\u202e-漢字-👩\u200d💻", tier="MEDIUM", waiting=1_204, seated=10_500)
    )
    users = [user for user, _ in _GUESTS] + _USERS
    users += [f"{user.partition('.')[0]}.{letter}" for user in _USERS for letter in ("abe", "rossi", "vogt")]
    for n, user in enumerate(users):
        state: Any = ("active", "active", "queued", "active", "ended")[n % 5]
        core.rows.put(
            a_seat(
                user,
                model=SEATED,
                state=state,
                access_tier="limited" if n % 7 == 3 else "full",
                ticket=n,
                banned=n == 7,
                queued_at=before(40 + n * 13.7),
                admitted_at=None if state == "queued" else before(n * 11.2),
                expires_at=None if state == "queued" else before(-60 - n * 17.3),
            )
        )


def _add_sums(core: BusyCore) -> None:
    """What users, projects and models cost, from the runs there are."""
    for scope, of in (("model", "model"), ("user", "user_id")):
        sums: dict[str, list[int]] = {}
        for run in core.rows.runs.values():
            total = sums.setdefault(getattr(run, of), [0, 0, 0])
            for n, figure in enumerate((run.micros, run.input_tokens, run.output_tokens)):
                total[n] += figure * 7
        for key, (micros, tokens_in, tokens_out) in sums.items():
            core.rows.put(
                a_cost(
                    key, scope=scope, micros=micros, input_tokens=tokens_in, output_tokens=tokens_out,
                    cached_tokens=tokens_in // 3, updated_at=before(len(key) * 3.1),
                )
            )  # fmt: skip
    for n, project in enumerate(filter(None, _PROJECTS), 1):
        core.rows.put(_a_sum("project", project, n))
    for n, day in enumerate(("2026-04-15", "2026-04-16", "2026-04-17"), 4):
        core.rows.put(_a_sum("day", day, n))


def _a_sum(scope: str, key: str, n: int) -> CostRow:
    return a_cost(
        key,
        scope=scope,
        micros=n * 48_213_771,
        estimated_micros=n % 2 * 1_204_000,
        input_tokens=n * 9_870_123,
        output_tokens=n * 1_204_882,
        cached_tokens=n * 4_000_001,
        updated_at=before(n * 33),
    )


def _add_findings(core: BusyCore) -> None:
    for number, run in enumerate(list(core.rows.runs.values())[4:6]):
        core.rows.put(
            a_finding(
                run.run_id,
                session_key=run.session_key,
                since=before(40 + 95 * number),
                evidence="the run has ended and still holds the slot; its turn has not unwound",
                proven=False,
            )
        )
    core.rows.put(
        a_finding(
            "guest-[bold red]x[/]",
            kind="seat_without_instance",
            session_key=None,
            user_id="guest-[bold red]x[/]",
            since=before(12),
            evidence="its grace on gpt-5-mini is over, no instance can use it, and it is still there",
        )
    )


def _add_journal(core: BusyCore, dice: random.Random) -> None:
    """What the house decided in the last half hour, a few seconds apart."""
    runs = list(core.rows.runs.values())
    for number in range(230):
        core.journal.append(_happened(core, runs[number * 31 % len(runs)], number))
        core.moved.advance(0.4 + dice.random() * 13)


def _happened(core: BusyCore, run: RunRow, number: int) -> AnyEvent:
    key = run.session_key
    session, pin = core.rows.sessions.get(key), core.rows.pins[key]
    event: AnyEvent
    match number % 9:
        case 0:
            began = msgspec.structs.replace(run, last_seq=1, state="running", ended_at=None, exit_code=None)
            event = RunChanged(what="started", run=began)
        case 1 | 5:
            what: Any = "ended" if run.ended_at else "stalled"
            event = RunChanged(what=what, run=run, reason="" if run.ended_at else "no output for 60 s")
        case 2:
            costs = [a_cost(key, micros=run.micros)]
            event = CostChanged(session_key=key, micros=run.micros, estimated=number % 4 == 0, costs=costs)
        case 3 if session is not None:
            event = SessionChanged(what="turn_began", session=session)
        case 4:
            event = PinChanged(what="struck" if pin.strikes else "touched", pin=pin)
        case 6:
            event = SeatChanged(what="admitted", seat=a_seat(run.user_id or "", model=run.model))
        case 7 if number % 2:
            event = SessionGone(session_key=key, generation=2, reason="idle")
        case 8 if number % 3 == 2:
            text = "claude-opus-4-1: 4 of the last 10 turns failed; nobody new is admitted until one succeeds"
            event = Noticed(level="warning", code="model_degraded", message=text)
        case _:
            event = Acted(
                command_id=f"command-{number}",
                actor="jana.weber",
                action="dirty",
                target=key,
                reason="prompt v14",
                outcome="done",
                message="1 sessions will be rebuilt at their next use",
            )
    return event
