"""Workers are replaced one after the other, in order, while events pass."""

from __future__ import annotations

import pytest

from drills.redis_server import RedisServer
from drills.shop import shop

pytestmark = pytest.mark.slow


async def test_workers_that_are_replaced_lose_nothing_and_repeat_nothing(drill) -> None:
    """Each finishes what it runs, hands back what waits, and goes: nothing is handled twice, no attempt is counted."""
    events, rounds = drill.size(full=5000, quick=600), drill.size(full=5, quick=1)
    async with drill.running(workers=2, seconds=0.01) as run:
        load = run.emitting(events)
        steps = 2 * rounds
        for step in range(1, steps + 1):
            await run.passed(events * step // (steps + 2))
            oldest = run.workers[0]
            run.start_worker()
            await run.end(oldest)
        await run.through(load)
        run.fact(f"{steps} workers asked to go, each after another had come")
        await run.finish()
        assert run.account.in_flight.total() == 0
        assert {handling.attempt for handling in run.tally.ends} == {1}


async def test_a_shop_that_is_restarted_process_by_process_books_every_session_once(drill) -> None:
    """The process that serves too: a till that finds nobody for a moment asks again."""
    sessions, rounds = drill.size(full=100, quick=20), drill.size(full=4, quick=1)
    redis = RedisServer(drill.folder / "redis")
    redis.start()
    try:
        async with shop(drill, redis_url=redis.url) as running:
            closing = running.closing(sessions)
            steps = 3 * rounds
            for step in range(1, steps + 1):
                await running.sessions_closed(sessions * step // (steps + 2))
                oldest = running.workers[0]
                await running.end(oldest)
                running.again(oldest)
            await running.until(closing.done, "every session closed")
            await closing
            running.facts.append(f"{steps} processes replaced in order")
            await running.finish()
    finally:
        redis.stop()
