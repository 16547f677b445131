"""The disk of the Redis is full, then has room again; its memory is full, then has room again."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess

import pytest
from redis.exceptions import RedisError

from drills.drill import LEASE
from drills.processes import WORKER
from drills.redis_server import RedisServer

pytestmark = pytest.mark.slow

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux changes the limits of another process")
async def test_nothing_acknowledged_is_lost_while_the_disk_is_full(drill) -> None:
    """The append-only file cannot grow: Redis answers MISCONF and emits fail; with room again all goes on."""
    events, times = drill.size(full=4000, quick=500), drill.size(full=4, quick=1)
    async with drill.running(workers=2) as run:
        load = run.emitting(events)
        for step in range(1, times + 1):
            await run.passed(events * step // (times + 2))
            limit_files(run.redis, run.redis.append_only_file().stat().st_size + 4096)
            await run.until(lambda: "MISCONF" in refusal(run.redis), "Redis refuses to write")
            unknown = run.account.count("unknown")
            await run.until(lambda unknown=unknown: run.account.count("unknown") > unknown, "an emit is refused")
            await asyncio.sleep(2 * LEASE * drill.chance.random() * drill.full)  # the fault itself: it lasts
            limit_files(run.redis, None)
        await run.through(load)
        run.fact(f"the disk was full {times} times, Redis refused every write")
        await run.finish()
        assert run.account.in_flight.total() == 0


async def test_nothing_acknowledged_is_lost_while_memory_is_full(drill) -> None:
    """With `noeviction` Redis answers OOM: emits fail with an error; what is in is handled; then all goes on."""
    events, times = drill.size(full=4000, quick=500), drill.size(full=4, quick=1)
    async with drill.running(workers=2) as run:
        load = run.emitting(events)
        for step in range(1, times + 1):
            await run.passed(events * step // (times + 2))
            run.redis.client.config_set("maxmemory", 1)
            unknown = run.account.count("unknown")
            await run.until(lambda unknown=unknown: run.account.count("unknown") > unknown, "an emit is refused")
            assert "maxmemory" in refusal(run.redis)
            await asyncio.sleep(2 * LEASE * drill.chance.random() * drill.full)  # the fault itself: it lasts
            run.redis.client.config_set("maxmemory", 0)
        await run.through(load)
        run.fact(f"memory was full {times} times, Redis refused what needs more")
        await run.finish()
        assert run.account.in_flight.total() == 0


def test_a_redis_that_would_evict_is_refused_at_start(drill) -> None:
    """`allkeys-lru` would throw events away: the worker does not start, and says what to set."""
    redis = RedisServer(drill.folder / "redis", "--maxmemory-policy", "allkeys-lru")
    redis.start()
    try:
        (drill.folder / "config.toml").write_text("[modules]\nenabled = []\n")
        environment = {**os.environ, "RECYCLIC_CONFIG": str(drill.folder / "config.toml"), "REDIS_URL": redis.url}
        environment["RECYCLIC_LOG__LEVEL"] = "warning"
        answer = subprocess.run(WORKER, env=environment, capture_output=True, text=True, timeout=30, check=False)
    finally:
        redis.stop()
    assert answer.returncode != 0
    assert "allkeys-lru" in answer.stderr
    assert "set maxmemory-policy to noeviction" in answer.stderr
    drill.tell(f"{drill.name}: a worker refused: {answer.stderr.strip()}")


def limit_files(redis: RedisServer, size: int | None) -> None:
    """Let no file of the server grow beyond `size` bytes: its writes fail as on a full disk."""
    assert redis.process is not None
    limits = UNLIMITED if size is None else (size, resource.RLIM_INFINITY)
    resource.prlimit(redis.process.pid, resource.RLIMIT_FSIZE, limits)


def refusal(redis: RedisServer) -> str:
    """Return why a write is refused; nothing where it is not."""
    try:
        redis.client.set("drill:probe", "x")
    except RedisError as error:
        return str(error)
    return ""
