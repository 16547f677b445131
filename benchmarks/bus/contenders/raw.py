"""The best loop one can write on redis-py: uvloop, hiredis, COUNT 500, one XACK a batch. It keeps no promise at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import orjson
from redis.asyncio import Redis

from benchmarks.bus.contenders import Handled, create_group
from benchmarks.bus.workload import CONSUMER, GROUP, STREAM


class Raw:
    """XADD of one JSON field; XREADGROUP of 500, the handler for each, one XACK.

    One connection of its own for emits, without redis-py's pool: measured, the fastest for emits one by one.
    """

    count = 500
    dumps = staticmethod(orjson.dumps)
    loads = staticmethod(orjson.loads)
    options: Mapping[str, Any] = {"protocol": 2, "single_connection_client": True}

    async def open(self, url: str) -> None:
        """Connect."""
        self._redis = Redis.from_url(url, **self.options)
        self._reader = Redis.from_url(url, socket_timeout=None, **self.options)
        self._task: asyncio.Task[None] | None = None
        await create_group(self._redis)

    def emit(self, payload: Mapping[str, Any]) -> Awaitable[Any]:
        """XADD."""
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
                await self.ack([entry_id for entry_id, _ in entries])

    async def ack(self, entry_ids: Sequence[bytes]) -> None:
        """One XACK for all."""
        await self._reader.xack(STREAM, GROUP, *entry_ids)

    async def close(self) -> None:
        """Cancel the loop and disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._reader.aclose()
        await self._redis.aclose()


CONTENDER = Raw
