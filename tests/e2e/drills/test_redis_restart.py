"""Redis killed with SIGKILL and started again on its append-only file, written to disk every second."""

from __future__ import annotations

import asyncio

import pytest

from drills.shop import shop

pytestmark = pytest.mark.slow


async def test_a_killed_redis_loses_nothing_that_it_acknowledged(drill) -> None:
    """Emits during the outage fail, and are known to have failed; all others are handled by every group."""
    events, kills = drill.size(full=5000, quick=600), drill.size(full=8, quick=2)
    async with drill.running(workers=3, seconds=0.01) as run:
        load = run.emitting(events)
        for step in range(1, kills + 1):
            await run.passed(events * step // (kills + 2))
            run.kill_redis()
            await asyncio.sleep(drill.chance.uniform(0.0, 1.5))  # the fault itself: Redis is away
            run.redis.start()
        await run.through(load)
        run.fact(f"Redis killed and started again {kills} times")
        await run.finish()
        assert run.account.count("ok") > events // 2, "the outages took most of the load: the drill proved little"


async def test_a_shop_whose_redis_is_killed_closes_and_books_every_session_once(drill) -> None:
    """The embedded Redis, shared by three processes, dies again and again; they start it, and no close waits for it."""
    sessions, kills = drill.size(full=120, quick=20), drill.size(full=12, quick=3)
    async with shop(drill) as running:
        closing = running.closing(sessions)
        for step in range(1, kills + 1):
            await running.sessions_closed(sessions * step // (kills + 2))
            await running.until(running.redis_pid, "the embedded Redis runs")
            running.kill_redis()
        await running.until(closing.done, "every session closed")
        await closing
        running.facts.append(f"the embedded Redis killed {kills} times")
        await running.finish()
        assert running.refused == 0, "a till had to wait for Redis"
