"""The best loop one can write on redis-py: uvloop, hiredis, COUNT 500, one XACK a batch. It keeps no promise at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

import orjson
from redis.asyncio import BlockingConnectionPool, Redis

from benchmarks.bus.contenders import Handled
from benchmarks.bus.workload import CONSUMER, GROUP, STREAM

COUNT = 500


class Raw:
    """XADD of one JSON field; XREADGROUP of 500, the handler for each, one XACK."""

    count = COUNT
    ack_each = False
    dumps = staticmethod(orjson.dumps)
    loads = staticmethod(orjson.loads)

    async def open(self, url: str) -> None:
        """Connect; the pool has a connection for each of sixteen emits at once, the fastest number measured."""
        self._redis = Redis.from_pool(BlockingConnectionPool.from_url(url, protocol=2, max_connections=16))
        self._reader = Redis.from_url(url, protocol=2, socket_timeout=None)
        await self._redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        self._task: asyncio.Task[None] | None = None

    def emit(self, payload: Mapping[str, Any]) -> Awaitable[Any]:
        """XADD, awaited."""
        return self._redis.xadd(STREAM, {"data": self.dumps(payload)})

    async def consume(self, handled: Handled) -> None:
        """Start the loop."""

        async def handler(data: dict[str, Any]) -> None:
            handled(data["sent_at"])

        self._task = asyncio.create_task(self._loop(handler))

    async def _loop(self, handler: Any) -> None:
        redis, loads = self._reader, self.loads
        while True:
            reply = await redis.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=self.count, block=2000)
            for _, entries in reply:
                for _, fields in entries:
                    await handler(loads(fields[b"data"]))
                await redis.xack(STREAM, GROUP, *(entry_id for entry_id, _ in entries))

    async def close(self) -> None:
        """Cancel the loop and disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._reader.aclose()
        await self._redis.aclose()


CONTENDER = Raw
