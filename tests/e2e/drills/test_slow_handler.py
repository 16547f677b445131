"""Handlers that take three leases, waiting or busy in a thread."""

from __future__ import annotations

import pytest

from drills.drill import LEASE

pytestmark = pytest.mark.slow


async def test_a_handler_three_leases_long_runs_once(drill) -> None:
    """Its process beats meanwhile, so nobody else runs it, and its group goes on beside it."""
    slow = drill.size(full=10, quick=2)
    async with drill.running(workers=2) as run:
        await run.through(run.emitting(slow, order=f"sleep:{3 * LEASE:g}"))
        await run.through(run.emitting(slow, order=f"thread:{3 * LEASE:g}"))
        await run.through(run.emitting(drill.size(full=1000, quick=100)))
        run.fact(f"{2 * slow} handlers of {3 * LEASE:g} s, the lease is {LEASE:g} s")
        await run.finish()
        assert run.account.in_flight.total() == 0
        assert run.tally.overlaps == []
        assert {handling.attempt for handling in run.tally.ends} == {1}
