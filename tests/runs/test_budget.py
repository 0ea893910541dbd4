"""All buffers together, whatever grows, ends and goes (behaviours/runs.md, decision 3)."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from core.runs import Run
from tests.runs.fakes import House, ready

RETENTION = 60.0

steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 4), st.integers(0, 300)),
        st.tuples(st.just("complete"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("wait"), st.just(0), st.integers(1, 40)),
    ),
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(steps=steps, total_bytes=st.integers(150, 1500), buffer_bytes=st.integers(150, 1500))
def test_together_they_keep_within_their_bound_and_ended_runs_give_first(
    steps: list[tuple[str, int, int]], total_bytes: int, buffer_bytes: int
) -> None:
    asyncio.run(_play(steps, total_bytes, buffer_bytes))


async def _play(steps: list[tuple[str, int, int]], total_bytes: int, buffer_bytes: int) -> None:
    house = House(total_bytes=total_bytes, buffer_bytes=buffer_bytes, retention_seconds=RETENTION)
    registry, ended = house.registry, list[Run]()
    runs = [registry.start(f"s{place}", "acme") for place in range(5)]
    for what, place, number in steps:
        run = runs[place]
        before = [(each, each.log.first) for each in ended]
        match what:
            case "append":
                registry.append(run, ready("x" * number))
            case "complete":
                registry.complete(run.id, exit_code=0)
                ended.append(run)
                runs[place] = registry.start(f"s{place}", "acme")
            case _:
                house.clock.advance(number)
        kept = {row.run_id for row in registry.rows()}
        ended = [each for each in ended if each.id in kept]
        every = [*ended, *runs]
        assert sum(each.log.bytes for each in every) == registry._kept._budget.total <= total_bytes
        assert all(each.log.bytes <= buffer_bytes for each in every)
        gave = [each for each, first in before if each.log.first > first and each.id in kept]
        earlier = [each for each in ended if gave and ended.index(each) < ended.index(gave[-1])]
        assert all(not each.log.bytes for each in earlier), (
            "the one that ended earliest gives all it has first"
        )
    await registry.settle()
