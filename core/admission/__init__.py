"""Who may come in: seats, queues, quotas, the tick and the gate (behaviours/admission.md).

Rules are pure (`catalog`, `seat`, `gate`, `quota`, `queue`, `health`); `desk` applies them inside one unit of work
on the database, `floor` remembers what was acknowledged, and `waiting_room` is what the rest of the core calls.
"""

from __future__ import annotations

from core.admission.answers import AdmitAnswer, SeatAnswer, TickReport
from core.admission.gate import GateAnswer
from core.admission.seat import Access, Seat
from core.admission.waiting_room import WaitingRoom

__all__ = ["Access", "AdmitAnswer", "GateAnswer", "Seat", "SeatAnswer", "TickReport", "WaitingRoom"]
