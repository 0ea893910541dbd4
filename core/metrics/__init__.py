"""What is counted of a running core, for those who watch over it."""

from __future__ import annotations

from core.metrics.histogram import DISTANCES, SECONDS, WAITS, Histogram
from core.metrics.tally import Tally

__all__ = ["DISTANCES", "SECONDS", "WAITS", "Histogram", "Tally"]
