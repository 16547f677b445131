"""A backlog of 200 000 events, worked off by a process that serves HTTP on the same loop."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

import httpx
import pytest

from drills.processes import Worker

pytestmark = pytest.mark.slow

PROBER = Path(__file__).parent / "prober.py"
SLOWEST = 0.5
"""Seconds that a request may take at most in the whole drill, on a busy machine."""


async def test_http_answers_while_a_backlog_is_worked_off(drill, free_port) -> None:
    """Every event of the backlog is handled once by its group, and /health/live answers all the while."""
    events, answers = drill.size(full=200_000, quick=5_000), drill.folder / "answers"
    async with drill.running(workers=0, groups=("drill_north",), seconds=0.0, window=events + 1) as run:
        load = run.emitting(events)
        await run.through(load)
        run.start_worker(command=(sys.executable, "-m", "recyclic", "serve", "--port", str(free_port)))
        await serving(run, free_port)
        probe = (sys.executable, str(PROBER), str(free_port), "/health/live", str(answers))
        prober = Worker(probe, drill.folder, {}, "prober")
        try:
            began, before = time.monotonic(), run.tally.handled("drill_north")
            await run.handled(events)
            seconds = time.monotonic() - began
        finally:
            prober.kill()
        times = sorted(map(float, answers.read_text().split()))
        assert times, "nobody was asked: the drill proved nothing"
        p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
        run.fact(f"{events:,} events waited; {events - before:,} handled in {seconds:.2f} s while HTTP was asked")
        figures = f"p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, slowest {times[-1] * 1000:.1f} ms"
        run.fact(f"/health/live: {len(times)} answers, {figures}")
        await run.finish()
        assert run.account.in_flight.total() == 0
        assert times[-1] < SLOWEST


async def serving(run, port: int) -> None:
    """Wait until the process answers."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
        deadline = time.monotonic() + 30
        while True:
            try:
                await http.get("/health/live")
            except httpx.TransportError:
                assert time.monotonic() < deadline, run.story()
                await asyncio.sleep(0.01)  # between two looks at a process that starts
            else:
                return
