"""Cases whose rules a later issue completes: id → what is missing. Strict: a case that passes must leave the list."""

from __future__ import annotations

EXPECTED_FAILURES: dict[str, str] = {}
