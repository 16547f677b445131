"""SIGSTOP: processes that stand still, for less and for more than their lease, and go on."""

from __future__ import annotations

import asyncio

import pytest

from drills.drill import LEASE

pytestmark = pytest.mark.slow


async def test_a_process_that_stood_still_beyond_its_lease_starts_nothing_of_another_s(drill) -> None:
    """Others take over what it held. When it goes on, its queue is dropped and its acks are refused."""
    events, stops = drill.size(full=5000, quick=500), drill.size(full=8, quick=1)
    async with drill.running(workers=3, seconds=0.01) as run:
        load = run.emitting(events)
        for step in range(1, stops + 1):
            await run.handled(events * step // (stops + 2))
            stopped = await run.a_busy_worker()
            run.stop(stopped)
            held = run.redis.pending(run.groups, stopped.pid)
            await run.until(
                lambda held=held: all(run.tally.ended[group][number] for group, number in held),
                "the others have handled what it held",
            )
            stopped.resume()
        await run.through(load)
        run.fact(f"{stops} processes stopped until the others had handled what they held")
        await run.finish()
        assert run.account.in_flight, "no process was stopped with work in hand: the drill proved nothing"


async def test_a_stop_within_the_lease_changes_nothing(drill) -> None:
    """Its entries wait for it; nobody takes it for dead, so nothing is handled twice."""
    events, stops = drill.size(full=3000, quick=300), drill.size(full=10, quick=2)
    async with drill.running(workers=2, seconds=0.01) as run:
        load = run.emitting(events)
        for step in range(1, stops + 1):
            await run.handled(events * step // (stops + 2))
            stopped = await run.a_busy_worker()
            stopped.stop()
            await asyncio.sleep(LEASE * drill.chance.uniform(0.05, 0.4))  # the fault itself: it stands still
            stopped.resume()
        await run.through(load)
        run.fact(f"{stops} stops of at most {0.4 * LEASE:g} s, the lease is {LEASE:g} s")
        await run.finish()
        assert run.account.in_flight.total() == 0


async def test_a_machine_that_slept_takes_nobody_for_dead(drill) -> None:
    """All processes stand still beyond their lease and go on together, as on a laptop: nothing runs twice."""
    events = drill.size(full=2000, quick=300)
    async with drill.running(workers=3, seconds=0.01) as run:
        load = run.emitting(events)
        await run.handled(events // 3)
        await run.a_busy_worker()
        for worker in run.workers:
            worker.stop()
        await asyncio.sleep(1.5 * LEASE)  # the fault itself: the machine sleeps
        for worker in run.workers:
            worker.resume()
        await run.through(load)
        run.fact(f"all processes stood still for {1.5 * LEASE:g} s")
        await run.finish()
        assert run.account.in_flight.total() == 0
