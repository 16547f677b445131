"""kill -9 of workers at random moments while events pass."""

from __future__ import annotations

import pytest

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
