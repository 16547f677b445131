"""The clocks of two machines jump by an hour, one forward and one back, while events pass and some are tried again."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from drills.drill import LEASE

pytestmark = pytest.mark.slow

CLOCKWORK = (sys.executable, str(Path(__file__).parent / "clockwork.py"))
FORWARD, BACK = signal.SIGUSR1, signal.SIGUSR2


async def test_an_hour_more_or_less_repeats_nothing_and_delays_nothing(drill) -> None:
    """Leases and claims go by durations; a retry that a wrong clock scheduled comes in time all the same."""
    events = drill.size(full=3000, quick=300)
    async with drill.running(workers=1) as run:
        fast, late = run.start_worker(command=CLOCKWORK), run.start_worker(command=CLOCKWORK)
        await run.up()
        load = run.emitting(events)
        await run.until(lambda: run.tally.running(fast.pid) and run.tally.running(late.pid), "all handle something")
        fast.signal(FORWARD)
        late.signal(BACK)
        await run.through(load)
        for wrong in (fast, late):
            failed = await fails_in(run, wrong)
            run.fact(f"{len(failed)} events failed in a process whose clock was {'fast' if wrong is fast else 'late'}")
        fast.signal(BACK)
        late.signal(FORWARD)
        await run.through(run.emitting(events // 3))
        await run.finish(patience=10 * LEASE)
        assert run.account.in_flight.total() == 0


async def fails_in(run, worker) -> set[int]:
    """Emit events that fail once until one process has had some of them."""
    first, had = len(run.account.emitted), set[int]()
    while len(had) < 3:
        await run.through(run.emitting(10, order="fail:1"))
        await run.handled(first)
        had = {number for _, number in run.tally.begun_by[worker.pid] if number >= first}
    return had
