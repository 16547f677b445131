"""Meter: seconds and CPU seconds, ours and Redis's; quantiles of what was timed."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence

from redis.asyncio import Redis

Result = dict[str, float]
"""Figure → value."""


class Meter:
    """Seconds, and the CPU seconds of this process and of Redis, between `start` and `stop`."""

    def __init__(self, server: Redis, redis: float) -> None:
        self._server = server
        self._redis = redis
        self._cpu = own_cpu()
        self.began = time.perf_counter()

    @classmethod
    async def start(cls, server: Redis) -> Meter:
        """Begin to measure."""
        return cls(server, await redis_cpu(server))

    async def stop(self) -> Result:
        """Return what was used."""
        seconds, cpu = time.perf_counter() - self.began, own_cpu() - self._cpu
        return {"seconds": seconds, "cpu": cpu, "redis": await redis_cpu(self._server) - self._redis}


def own_cpu() -> float:
    """Return the CPU seconds that this process has used, its kernel time included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def redis_cpu(server: Redis) -> float:
    """Return the CPU seconds that the server has used, its threads included."""
    info = await server.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def quantiles(waits: Sequence[int]) -> Result:
    """Return the median and the 99th percentile of nanoseconds, in microseconds."""
    ordered = sorted(waits)
    return {"p50": ordered[len(ordered) // 2] / 1e3, "p99": ordered[len(ordered) * 99 // 100] / 1e3}
