"""The reconciler: what the parts of a house hold against each other, and what is dead is let go."""

from __future__ import annotations

from core.reconciler.inventory import Inventory
from core.reconciler.reconciler import Reconciler
from core.reconciler.releases import Releases

__all__ = ["Inventory", "Reconciler", "Releases"]
