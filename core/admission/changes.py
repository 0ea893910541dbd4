"""What a unit of work did to the house: the database has it already, memory and the journal follow."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.admission.quota import Admit
from core.admission.seat import Seat

Put = Literal["queued", "switched", "taken_over", "admitted", "admitted_now"]
Removal = Literal["ended", "expired", "evicted", "abandoned", "model_gone"]


class SeatPut(msgspec.Struct, frozen=True):
    """A seat is now this."""

    what: Put
    seat: Seat


class SeatRemoved(msgspec.Struct, frozen=True):
    """A seat is no more."""

    what: Removal
    user_id: str
    model: str


class Booked(msgspec.Struct, frozen=True):
    """An admission was logged, or its units changed."""

    admit: Admit


class BanSet(msgspec.Struct, frozen=True):
    """A user is banned."""

    user_id: str


class BanLifted(msgspec.Struct, frozen=True):
    """A user is banned no more."""

    user_id: str


class PausesAre(msgspec.Struct, frozen=True):
    """Exactly these models are paused; the empty name stands for all."""

    models: frozenset[str]


Change = SeatPut | SeatRemoved | Booked | BanSet | BanLifted | PausesAre
