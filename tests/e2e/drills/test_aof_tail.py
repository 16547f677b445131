"""The machine loses its power: the end of the append-only file is missing, cut in the middle of a command."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


async def test_a_redis_whose_file_lost_its_tail_starts_and_the_bus_goes_on(drill) -> None:
    """What stood in the tail is gone and is counted, its acks too; everything else is handled, and later events are."""
    events, times = drill.size(full=4000, quick=500), drill.size(full=4, quick=1)
    async with drill.running(workers=2, window=40) as run:
        load = run.emitting(events)
        for step in range(1, times + 1):
            await run.passed(events * step // (times + 1))
            await run.a_busy_worker()
            run.redis.kill()
            run.lose_tail(drill.chance.randrange(20_000, 40_000))
            run.redis.start()
            assert "truncated" in run.redis.log()
        await run.through(load)
        run.fact(f"the append-only file cut {times} times")
        await run.finish()
        assert run.account.erased, "no event stood in the tail: the drill proved nothing"
