"""Poison: events that always raise, hang, kill their process, or weigh 50 MB; they end as dead letters."""

from __future__ import annotations

import asyncio

import pytest

from drills.drill import POISONED

pytestmark = pytest.mark.slow

ATTEMPTS = 2
BUS = {"max_attempts": ATTEMPTS, "backoff": 0.2}
NORTH = "drill_north"


async def test_poison_that_raises_hangs_or_is_heavy_stops_nobody(drill) -> None:
    """After its attempts it is a dead letter of the one module that it poisons; the other module handles it."""
    events, each = drill.size(full=2000, quick=200), drill.size(full=10, quick=3)
    megabytes = drill.size(full=50, quick=5)
    async with drill.running(workers=2, bus=BUS, environment={"DRILL_TIMEOUT": "1"}) as run:
        load = run.emitting(events)
        poison = [run.emitting(each, order="raise"), run.emitting(each, order="hang")]
        poison.append(run.emitting(1, order="raise", padding="x" * megabytes * 1_000_000))
        for task in (load, *poison):
            await run.through(task)
        run.account.poison |= {(NORTH, number) for number in range(events, events + 2 * each + 1)}
        await run.through(run.emitting(events // 4))
        run.fact(f"{each} events that raise, {each} that hang, one of {megabytes} MB that raises")
        await run.finish()
        reasons = set(run.account.dead.values())
        assert reasons == {f"it failed in each of {ATTEMPTS} attempts"}


async def test_poison_that_kills_its_process_is_dead_after_as_many_deaths(drill) -> None:
    """`os._exit` in a handler, again and again: what its processes held beside it is handled."""
    events, attempts = drill.size(full=1000, quick=100), drill.size(full=5, quick=3)
    async with drill.running(workers=2, bus={"max_attempts": attempts}) as run:
        await run.through(run.emitting(events))
        await run.through(run.emitting(1, order="exit"))
        run.account.poison.add((NORTH, events))
        load = run.emitting(events)
        supervisor = asyncio.create_task(replace_the_dead(run))
        await run.through(load)
        await run.until(lambda: run.redis.dead(run.groups), "the poison is a dead letter")
        supervisor.cancel()
        deaths = [worker for worker in run.gone if worker.status == POISONED]
        run.fact(f"{len(deaths)} processes ended themselves over it")
        await run.finish()
        assert len(deaths) == attempts
        assert "its process died" in run.account.dead[NORTH, events]


async def replace_the_dead(run) -> None:
    """Do what a supervisor does: start another process for one that ended."""
    while True:
        for worker in list(run.workers):
            if not worker.alive:
                run.kill(worker)
                run.start_worker()
        await asyncio.sleep(0.02)  # between two looks at processes that end by themselves
