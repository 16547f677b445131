"""A power cut: every process of the shop dies at once, and Redis comes back without its last second."""

from __future__ import annotations

import os

import pytest

from drills.redis_server import RedisServer
from drills.shop import shop

pytestmark = pytest.mark.slow


async def test_a_power_cut_takes_no_closed_session_from_the_books(drill) -> None:
    """All processes die, Redis has forgotten the last closes: their events were stored with them, and come again."""
    before, after = drill.size(full=20, quick=4), drill.size(full=60, quick=24)  # more than handlers run at once
    redis = RedisServer(drill.folder / "redis")
    redis.start()
    try:
        async with shop(drill, redis_url=redis.url, workers=1) as running:
            await close(running, before)
            await running.until(lambda: len(running.booked()) == before, "the first sessions are booked")
            size = redis.append_only_file().stat().st_size
            running.paheko.lock()
            await close(running, after)
            sent = before + after
            await running.until(lambda: redis.client.xlen("events:sale_closed") == sent, "every close was sent")
            for worker in list(running.workers):
                running.kill(worker)
            redis.kill()
            os.truncate(redis.append_only_file(), size)
            running.paheko.unlock()
            running.paheko.wait_until_idle()
            redis.start()
            running.start_serving()
            running.facts.append(
                f"a power cut: Redis lost the events of the last {after} closes, which it had acknowledged"
            )
            await running.finish()
    finally:
        redis.stop()


async def close(running, sessions: int) -> None:
    closing = running.closing(sessions)
    await running.until(closing.done, "every session closed")
    await closing
