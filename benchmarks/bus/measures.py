"""The measures: what one contender does in a process of its own, and how long it takes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from benchmarks.bus.contenders import Contender
from benchmarks.bus.meter import Meter, Result, own_cpu, quantiles
from benchmarks.bus.workload import GROUP, STREAM, Run, payload

AT_ONCE = 100
"""Emits that a `gather` starts together."""
WARM = 200
"""Emits before the clock starts: connections are opened, scripts loaded, code specialised."""
PATIENCE = 120.0
"""Seconds after which a measure is given up."""


async def backlog(contender: Contender, run: Run) -> Result:
    """Emit a backlog a hundred at a time, then consume and ack all of it."""
    server = Redis.from_url(run.url, protocol=2)
    body = payload()
    await contender.open(run.url)
    await asyncio.gather(*(contender.emit(body) for _ in range(AT_ONCE)))
    emitting = await Meter.start(server)
    for _ in range(run.size.backlog // AT_ONCE):
        await asyncio.gather(*(contender.emit(body) for _ in range(AT_ONCE)))
    emitted = await emitting.stop()
    tally = Tally(run.size.backlog + AT_ONCE)
    consuming = await Meter.start(server)
    await contender.consume(tally.handled)
    await asyncio.wait_for(tally.complete.wait(), PATIENCE)
    await acked(server)
    consuming.began = tally.first
    consumed = await consuming.stop()
    extra = tally.count - tally.expected
    await contender.close()
    await server.aclose()
    if extra:
        raise RuntimeError(f"{extra} events were handled twice though nothing failed")
    per = 100_000 / run.size.backlog
    return {
        "concurrent_emits": run.size.backlog / emitted["seconds"],
        "consumed": tally.expected / consumed["seconds"],
        "cpu": (emitted["cpu"] + consumed["cpu"]) * per,
        "cpu_emit": emitted["cpu"] * per,
        "cpu_consume": consumed["cpu"] * per,
        "cpu_redis": (emitted["redis"] + consumed["redis"]) * per,
    }


async def sequential(contender: Contender, run: Run) -> Result:
    """Emit one event after the other, each awaited."""
    body = payload()
    await contender.open(run.url)
    for _ in range(WARM):
        await contender.emit(body)
    began = time.perf_counter()
    for _ in range(run.size.sequential):
        await contender.emit(body)
    seconds = time.perf_counter() - began
    await contender.close()
    return {"sequential_emits": run.size.sequential / seconds}


async def latency(contender: Contender, run: Run) -> Result:
    """Consume what another process emits at a fixed rate: how long from the emit until the handler starts."""
    arrivals = Arrivals(run)
    await contender.open(run.url)
    await contender.consume(arrivals.handled)
    emitter = await asyncio.create_subprocess_exec(*run.command("emitter"), stdout=asyncio.subprocess.PIPE)
    answer, _ = await emitter.communicate()
    if emitter.returncode:
        raise RuntimeError("the emitting process failed")
    emitted: Result = json.loads(answer.splitlines()[-1])
    await asyncio.wait_for(arrivals.complete.wait(), PATIENCE)
    cpu = (arrivals.cpu + emitted["cpu"]) * 100_000 / run.size.steady
    await contender.close()
    return {**quantiles(arrivals.waits[WARM:]), "cpu_at_rate": cpu, "late_ms": emitted["late_ms"]}


async def emitter(contender: Contender, run: Run) -> Result:
    """Emit at the fixed rate; the other half of `latency`, in a process of its own."""
    await contender.open(run.url)
    emitted = await emit_at_rate(contender, run)
    await contender.close()
    return emitted


async def latency_one(contender: Contender, run: Run) -> Result:
    """Emit and consume at a fixed rate in one process, as a host with a single worker does."""
    arrivals = Arrivals(run)
    await contender.open(run.url)
    await contender.consume(arrivals.handled)
    await emit_at_rate(contender, run)
    await asyncio.wait_for(arrivals.complete.wait(), PATIENCE)
    await contender.close()
    return {f"one_{name}": value for name, value in quantiles(arrivals.waits[WARM:]).items()}


async def emit_at_rate(contender: Contender, run: Run) -> Result:
    """Emit at a fixed rate whatever the answers take; return the CPU used and by how much the latest emit was late.

    Raises:
        RuntimeError: the rate was not kept, and so the latencies would be those of another load.
    """
    underway: set[asyncio.Future[Any]] = set()
    failures: list[BaseException] = []

    def done(sending: asyncio.Future[Any]) -> None:
        underway.discard(sending)
        if error := sending.exception():
            failures.append(error)

    count, late, cpu = run.size.steady + WARM, 0, 0.0
    begun = time.monotonic_ns()
    for number in range(count):
        due = begun + number * 1_000_000_000 // run.size.rate
        while (now := time.monotonic_ns()) < due:  # noqa: ASYNC110 - uvloop's timers count whole milliseconds
            await asyncio.sleep((due - now) / 1e9)
        if number == WARM:
            late, cpu = 0, own_cpu()
        late = max(late, now - due)
        sending = asyncio.ensure_future(contender.emit(payload(time.monotonic_ns())))
        underway.add(sending)
        sending.add_done_callback(done)
        if failures:
            raise failures[0]
    await asyncio.gather(*underway)
    if time.monotonic_ns() - begun > 1.2e9 * count / run.size.rate + 1e9:
        raise RuntimeError(f"{run.size.rate} emits a second were not reached")
    return {"cpu": own_cpu() - cpu, "late_ms": late / 1e6}


async def acked(server: Redis) -> None:
    """Return once the group has nothing pending and nothing unread."""
    while True:
        [group] = [group for group in await server.xinfo_groups(STREAM) if group["name"] == GROUP.encode()]
        end = (await server.xinfo_stream(STREAM))["last-generated-id"]
        if not group["pending"] and group["last-delivered-id"] == end:
            return
        await asyncio.sleep(0.001)


class Tally:
    """Counts what is handled, and knows when the first came and that the last has come."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.count = 0
        self.first = 0.0
        self.complete = asyncio.Event()

    def handled(self, sent_at: int) -> None:
        """Count one."""
        if not self.count:
            self.first = time.perf_counter()
        self.count += 1
        if self.count == self.expected:
            self.complete.set()


class Arrivals:
    """Notes how long each event was on its way, in nanoseconds, and the CPU this process used for those that count."""

    def __init__(self, run: Run) -> None:
        self.waits: list[int] = []
        self.cpu = 0.0
        self.complete = asyncio.Event()
        self._expected = run.size.steady + WARM

    def handled(self, sent_at: int) -> None:
        """Note one."""
        self.waits.append(time.monotonic_ns() - sent_at)
        if len(self.waits) == WARM:
            self.cpu = own_cpu()
        elif len(self.waits) == self._expected:
            self.cpu = own_cpu() - self.cpu
            self.complete.set()


MEASURES: dict[str, Callable[[Contender, Run], Awaitable[Result]]] = {
    "backlog": backlog,
    "sequential": sequential,
    "latency": latency,
    "latency_one": latency_one,
}
"""What the command can be asked for."""
PARTS = {**MEASURES, "emitter": emitter}
