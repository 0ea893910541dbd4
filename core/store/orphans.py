"""What was left behind: runs that are recorded as running and have nobody behind them.

Each ends as interrupted; the text it was checkpointed with becomes a message, and what it has cost is estimated, so
that neither words nor money are lost (behaviours/runs.md, decisions 12 and 13; pins.md, decision 8).
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from core.store import cost_records, driver, run_records
from core.store.costs import Booked
from core.store.history import append_in
from core.store.message import prepare
from core.store.prices import CHARACTERS_PER_TOKEN, PriceList, Usage
from core.store.run_records import Orphan, RunEnd
from core.store.sessions import Stamp

_READ = "SELECT coalesce(sum(length), 0) FROM messages WHERE session_key = ?"
_EXIT_CODE = 1


def close_orphans(connection: Connection, prices: PriceList, stamp: Stamp) -> int:
    """Close what other epochs than the stamp's left running; answers how many runs that were."""
    orphans = run_records.orphans(connection, stamp.epoch)
    for orphan in orphans:
        _close(connection, orphan, prices, stamp)
    return len(orphans)


def close_left(
    connection: Connection, run_ids: Collection[str], prices: PriceList, stamp: Stamp
) -> list[Booked]:
    """Close those of the stamp's own epoch that are still recorded as running; answers what was booked for them."""
    left = [each for each in run_records.open_runs(connection, stamp.epoch) if each.run_id in run_ids]
    booked = [_close(connection, orphan, prices, stamp) for orphan in left]
    return [each for each in booked if each is not None]


def _close(connection: Connection, orphan: Orphan, prices: PriceList, stamp: Stamp) -> Booked | None:
    # the conversation is what the model had read; the answer comes after it
    usage = None if orphan.model is None else _estimated(connection, orphan)
    if orphan.text:
        said = {"role": "assistant", "content": orphan.text}
        message = prepare(said, at=orphan.at, run_id=orphan.run_id, partial=True)
        append_in(connection, orphan.session_key, message, stamp)
    micros, booked = 0, None
    if usage is not None and orphan.model is not None:
        micros = prices.price_or_zero(orphan.model, usage)
        booked = _book(connection, orphan, usage, micros, stamp.now)
    end = RunEnd(
        run_id=orphan.run_id,
        status="interrupted",
        exit_code=_EXIT_CODE,
        ended_at=stamp.now,
        input_tokens=usage.input_tokens if usage is not None else 0,
        output_tokens=usage.output_tokens if usage is not None else 0,
        micros=micros,
        estimated=usage is not None,
    )
    run_records.end(connection, end)
    return booked


def _estimated(connection: Connection, orphan: Orphan) -> Usage:
    read = int(driver.rows(connection, _READ, (orphan.session_key,))[0][0])
    written = len(orphan.text or "")
    return Usage(
        input_tokens=-(-read // CHARACTERS_PER_TOKEN),
        output_tokens=-(-written // CHARACTERS_PER_TOKEN),
        estimated=True,
    )


def _book(connection: Connection, orphan: Orphan, usage: Usage, micros: int, now: int) -> Booked:
    amounts = cost_records.Amounts(
        micros=micros,
        estimated_micros=micros,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=0,
        updated_at=now,
    )
    targets = cost_records.targets_of(
        orphan.session_key, user_id=orphan.user_id, project=orphan.project, model=orphan.model, now=now
    )
    return Booked(orphan.session_key, micros, True, cost_records.add(connection, targets, amounts))
