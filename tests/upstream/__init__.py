"""A small real model server for tests and benchmarks: it speaks the OpenAI chat-completions protocol over TCP.

The requested model's name says how it behaves; `tests.upstream.behaviours` has the table. In a test ask for the
`upstream` fixture; for a process of its own run ``python -m tests.upstream --port 0``.
"""

from __future__ import annotations

from tests.upstream.record import Seen
from tests.upstream.server import Upstream

__all__ = ["Seen", "Upstream"]
