"""kill -9 of workers at random moments while events pass."""

from __future__ import annotations

import pytest

from drills.redis_server import RedisServer
from drills.shop import shop

pytestmark = pytest.mark.slow


async def test_workers_killed_at_random_moments_lose_nothing(drill) -> None:
    """Three workers; whichever is chosen dies at once, another starts; what it had in hand is handled by the others."""
    events, kills = drill.size(full=5000, quick=600), drill.size(full=15, quick=3)
    async with drill.running(workers=3, seconds=0.01) as run:
        load = run.emitting(events)
        for step in range(1, kills + 1):
            await run.handled(events * step // (kills + 2) + drill.chance.randrange(20))
            run.kill(await run.a_busy_worker())
            run.start_worker()
        await run.through(load)
        run.fact(f"{kills} workers killed")
        await run.finish()
        assert run.account.in_flight, "no worker was killed with work in hand: the drill proved nothing"


async def test_a_shop_whose_processes_are_killed_books_every_session_once(drill) -> None:
    """The process that serves and those that handle die in turn, in the middle of closes and of entries."""
    sessions, kills = drill.size(full=150, quick=25), drill.size(full=20, quick=4)
    redis = RedisServer(drill.folder / "redis")
    redis.start()
    try:
        async with shop(drill, redis_url=redis.url) as running:
            closing = running.closing(sessions)
            for step in range(1, kills + 1):
                await running.sessions_closed(sessions * step // (kills + 2))
                victim = drill.chance.choice(running.workers)
                running.kill(victim)
                running.again(victim)
            await running.until(closing.done, "every session closed")
            await closing
            running.facts.append(f"{kills} processes killed")
            await running.finish()
    finally:
        redis.stop()
