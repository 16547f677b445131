"""The measures: what one contender does in a process of its own, and how long it takes."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from benchmarks.bus.contenders import Contender
from benchmarks.bus.workload import GROUP, STREAM, Size, payload

AT_ONCE = 100
"""Emits that a `gather` starts together."""
WARM = 200
"""Emits before the clock starts: connections are opened, scripts loaded, code specialised."""
PATIENCE = 300.0
"""Seconds after which a measure is given up."""

Result = dict[str, float]
Measure = Callable[[Contender, str, Size], Awaitable[Result]]


async def backlog(contender: Contender, url: str, size: Size) -> Result:
    """Emit a backlog a hundred at a time, then consume and ack all of it."""
    server = Redis.from_url(url, protocol=2)
    body = payload()
    await contender.open(url)
    await asyncio.gather(*(contender.emit(body) for _ in range(AT_ONCE)))
    emitting = await Meter.start(server)
    for _ in range(size.backlog // AT_ONCE):
        await asyncio.gather(*(contender.emit(body) for _ in range(AT_ONCE)))
    emitted = await emitting.stop()
    tally = Tally(size.backlog // AT_ONCE * AT_ONCE + AT_ONCE)
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
    per = 100_000 / size.backlog
    return {
        "concurrent_emits": size.backlog / emitted["seconds"],
        "consumed": tally.expected / consumed["seconds"],
        "cpu": (emitted["cpu"] + consumed["cpu"]) * per,
        "cpu_emit": emitted["cpu"] * per,
        "cpu_consume": consumed["cpu"] * per,
        "cpu_redis": (emitted["redis"] + consumed["redis"]) * per,
    }


async def sequential(contender: Contender, url: str, size: Size) -> Result:
    """Emit one event after the other, each awaited."""
    body = payload()
    await contender.open(url)
    for _ in range(WARM):
        await contender.emit(body)
    began = time.perf_counter()
    for _ in range(size.sequential):
        await contender.emit(body)
    seconds = time.perf_counter() - began
    await contender.close()
    return {"sequential_emits": size.sequential / seconds}


async def latency(contender: Contender, url: str, size: Size) -> Result:
    """Emit and consume in one process at a fixed rate: how long from the emit until the handler starts."""
    await contender.open(url)
    waits: list[int] = []
    count = int(size.rate * size.seconds)
    done = asyncio.Event()

    def handled(sent_at: int) -> None:
        waits.append(time.monotonic_ns() - sent_at)
        if len(waits) >= count + WARM:
            done.set()

    await contender.consume(handled)
    late = await emit_at_rate(contender, size.rate, count + WARM)
    await asyncio.wait_for(done.wait(), PATIENCE)
    await contender.close()
    return {**quantiles(waits[WARM:], "one_process"), "one_process_late": late}


async def emit_at_rate(contender: Contender, rate: int, count: int) -> float:
    """Emit at a fixed rate whatever the answers take; return the milliseconds by which the latest emit was late."""
    underway: set[asyncio.Future[Any]] = set()
    begun, late = time.monotonic_ns(), 0
    for number in range(count):
        due = begun + number * 1_000_000_000 // rate
        while (now := time.monotonic_ns()) < due:  # noqa: ASYNC110 - uvloop's timers count whole milliseconds
            await asyncio.sleep((due - now) / 1e9)
        late = max(late, now - due)
        sending = asyncio.ensure_future(contender.emit(payload(time.monotonic_ns())))
        underway.add(sending)
        sending.add_done_callback(underway.discard)
    await asyncio.gather(*underway)
    return late / 1e6


def quantiles(waits: list[int], name: str) -> Result:
    """Return the median and the 99th percentile of nanoseconds, in microseconds."""
    ordered = sorted(waits)
    return {
        f"{name}_p50": ordered[len(ordered) // 2] / 1e3,
        f"{name}_p99": ordered[len(ordered) * 99 // 100] / 1e3,
    }


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


class Meter:
    """Seconds, and the CPU seconds of this process and of Redis, between `start` and `stop`."""

    def __init__(self, server: Redis, redis: float) -> None:
        self._server = server
        self._redis = redis
        self._cpu = _own_cpu()
        self.began = time.perf_counter()

    @classmethod
    async def start(cls, server: Redis) -> Meter:
        """Begin to measure."""
        return cls(server, await _redis_cpu(server))

    async def stop(self) -> Result:
        """Return what was used."""
        seconds, cpu = time.perf_counter() - self.began, _own_cpu() - self._cpu
        return {"seconds": seconds, "cpu": cpu, "redis": await _redis_cpu(self._server) - self._redis}


async def acked(server: Redis) -> None:
    """Return once the group has nothing pending and nothing unread."""
    while True:
        groups = {group["name"]: group for group in await server.xinfo_groups(STREAM)}
        end = (await server.xinfo_stream(STREAM))["last-generated-id"]
        group = groups.get(GROUP.encode()) or groups[next(iter(groups))]
        if not group["pending"] and group["last-delivered-id"] == end:
            return
        await asyncio.sleep(0.001)


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _redis_cpu(server: Redis) -> float:
    info = await server.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


MEASURES: dict[str, Measure] = {"backlog": backlog, "sequential": sequential, "latency": latency}
