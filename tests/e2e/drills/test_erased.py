"""FLUSHALL, a deleted stream, a destroyed group: somebody takes away what the bus stands on, while events pass."""

from __future__ import annotations

import pytest

from drills.redis_server import STREAM

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", [("FLUSHALL",), ("DEL", STREAM)], ids=["flushall", "del"])
async def test_after_everything_was_erased_the_bus_goes_on(drill, command) -> None:
    """What was erased unhandled is gone and is counted; all that is emitted afterwards is handled once."""
    events, times = drill.size(full=3000, quick=400), drill.size(full=5, quick=1)
    async with drill.running(workers=2) as run:
        load = run.emitting(events)
        for step in range(1, times + 1):
            await run.passed(events * step // (times + 1))
            await run.a_busy_worker()
            run.erase(*command)
            if command == ("FLUSHALL",):
                run.redis.client.script_flush()
        await run.through(load)
        run.fact(f"{' '.join(command)} {times} times")
        await run.finish()
        assert run.account.erased, "nothing was erased unhandled: the drill proved nothing"
        assert run.account.in_flight.total() == 0


async def test_a_destroyed_group_starts_at_the_first_retained_entry(drill) -> None:
    """Its cursor is gone, so what is retained comes again: more than once, and nothing is missing."""
    events, times = drill.size(full=3000, quick=400), drill.size(full=3, quick=1)
    async with drill.running(workers=2) as run:
        load = run.emitting(events)
        for step in range(1, times + 1):
            await run.handled(events * step // (times + 2))
            group = drill.chance.choice(run.groups)
            retained = run.redis.entries().values()
            run.redis.client.xgroup_destroy(STREAM, group)
            run.account.in_flight.update((group, number) for number in retained)
        await run.through(load)
        run.fact(f"a group destroyed {times} times; all that is retained counts as in flight")
        await run.finish()
