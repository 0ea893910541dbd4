"""Work that is begun here and waited for by nobody: the screen goes on meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual.dom import DOMNode
from textual.worker import Worker


def in_background(
    node: DOMNode, work: Callable[[], Awaitable[object]], group: str, *, alone: bool = False
) -> None:
    """Begin work that ends with the screen or app it is begun on; `alone` calls off what the group has under way.

    It is called when its turn comes: a coroutine that was made before, and called off before its first step, would
    complain that nobody has waited for it.
    """

    async def run() -> None:
        _ = await work()

    _: Worker[None] = node.run_worker(run, group=group, exclusive=alone)
