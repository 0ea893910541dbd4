"""What is being produced: runs, their logs, and who follows them (behaviours/runs.md)."""

from __future__ import annotations

from core.runs.activity import Activity, calling
from core.runs.answers import Control, Dropped, Published, Swallowed
from core.runs.log import RunEvent, RunLog
from core.runs.records import RunRecords
from core.runs.registry import RunRegistry
from core.runs.run import Run, RunStatus, Used, exit_code_of, frame, position
from core.runs.stored import StoredRuns
from core.runs.subscription import Lagged, Subscription

__all__ = [
    "Activity",
    "Control",
    "Dropped",
    "Lagged",
    "Published",
    "Run",
    "RunEvent",
    "RunLog",
    "RunRecords",
    "RunRegistry",
    "RunStatus",
    "StoredRuns",
    "Subscription",
    "Swallowed",
    "Used",
    "calling",
    "exit_code_of",
    "frame",
    "position",
]
