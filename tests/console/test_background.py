"""Work in the background: what is called off before it began leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import warnings

from textual.app import App

from console.background import in_background


async def test_work_that_is_called_off_before_it_began_complains_of_nothing() -> None:
    app, done = App[None](), asyncio.Event()
    begun: list[str] = []

    async def work(name: str) -> None:
        begun.append(name)
        done.set()

    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        async with app.run_test():
            in_background(app, lambda: work("first"), "group", alone=True)
            in_background(app, lambda: work("second"), "group", alone=True)
            await done.wait()
        gc.collect()
    assert begun == ["second"]
    assert complaints == []


async def test_only_the_group_is_called_off_and_only_where_that_is_wanted() -> None:
    app = App[None]()
    ended: list[str] = []
    go_on = asyncio.Event()

    async def work(name: str) -> None:
        await go_on.wait()
        ended.append(name)

    async with app.run_test() as pilot:
        in_background(app, lambda: work("a"), "group")
        in_background(app, lambda: work("b"), "group")
        in_background(app, lambda: work("c"), "another", alone=True)
        await pilot.pause()
        go_on.set()
        await app.workers.wait_for_complete()
    assert ended == ["a", "b", "c"]
