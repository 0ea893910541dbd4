"""A waiting room's parts, put together from the settings and from what the database holds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy import Connection

from core.admission import ledger
from core.admission.catalog import Catalog
from core.admission.desk import Desk
from core.admission.floor import Floor
from core.admission.following import Following
from core.admission.health import FleetHealth
from core.admission.herald import Herald
from core.admission.landing import Landing
from core.admission.ledger import Snapshot
from core.admission.prober import Fetcher, Prober
from core.admission.quota import Meter
from core.admission.rounds import Rounds, Spans
from core.admission.tick import TickTerms
from core.admission.ticker import Ticker
from core.admission.views import Pace, Views
from core.clock import Clock
from core.journal import Journal
from core.settings import Admission
from core.store import change_log
from core.store.change_log import Cursor
from core.store.database import Database


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a waiting room works with."""

    enabled: bool
    bypass: frozenset[str]
    """Addresses in lower case that admission does not apply to."""
    spans: Spans
    pace: Pace
    address_cap: int
    clock: Clock
    database: Database
    new_id: Callable[[], str]
    catalog: Catalog
    health: FleetHealth
    desk: Desk
    floor: Floor
    views: Views
    herald: Herald
    landing: Landing
    following: Following | None
    """None where no other process writes to the database."""
    ticker: Ticker
    prober: Prober


async def assemble(
    settings: Admission, *, database: Database, clock: Clock, journal: Journal, new_id: Callable[[], str]
) -> Parts:
    """Read seats, bans, pauses and today's admits, and build everything on them."""
    now = clock.now()
    catalog = Catalog(settings)
    meter = Meter(settings.quota, catalog)
    since = meter.since(now)

    def load(connection: Connection) -> tuple[Snapshot, Cursor | None]:
        cursor = change_log.begin(connection) if database.is_shared else None
        return ledger.load(connection, since), cursor

    snapshot, cursor = await database.write(load)
    spans = Spans(session=max(1, _ms(settings.session_seconds)), grace=_ms(settings.grace_seconds))
    pace = Pace(settings.admits_per_tick, _ms(settings.tick_seconds))
    terms = TickTerms(
        enabled=settings.enabled,
        grace=spans.grace,
        abandon=_ms(settings.abandon_seconds),
        admits_per_tick=settings.admits_per_tick,
    )
    fetcher = _fetcher(settings)
    asked = [model.id for model in settings.models if model.health_url] if fetcher is not None else []
    health = FleetHealth(_ms(settings.health.stale_seconds), asked)
    rounds = Rounds(catalog, meter, spans)
    floor = Floor(catalog, meter, grace=spans.grace, abandon=terms.abandon, now=now)
    floor.load(snapshot, now)
    views = Views(catalog, meter, floor, pace, health)
    herald = Herald(floor, views, journal, now)
    landing = Landing(database, herald)
    following = None if cursor is None else Following(cursor, database, landing, floor, herald, meter, clock)
    return Parts(
        enabled=settings.enabled,
        bypass=frozenset(email.lower() for email in settings.bypass_emails),
        spans=spans,
        pace=pace,
        address_cap=settings.address_cap,
        clock=clock,
        database=database,
        new_id=new_id,
        catalog=catalog,
        health=health,
        desk=Desk(catalog, meter, rounds, spans, address_cap=settings.address_cap, patience=pace.tick),
        floor=floor,
        views=views,
        herald=herald,
        landing=landing,
        following=following,
        ticker=Ticker(floor, rounds, landing, herald, health, terms, clock, following),
        prober=Prober(
            settings.models,
            interval=settings.health.interval_seconds,
            fetcher=fetcher,
            health=health,
            herald=herald,
            clock=clock,
        ),
    )


def _fetcher(settings: Admission) -> Fetcher | None:
    """What asks for the health of the models, if anybody is to be asked: without admission nothing goes by it."""
    if not settings.enabled or not any(model.health_url for model in settings.models):
        return None
    # its HTTP client costs 10 MB, which a house whose models have no address has no use for
    from core.admission.fetch import HttpFetcher

    return HttpFetcher(settings.health.timeout_seconds)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
