"""taskiq-redis: its stream broker, with orjson, and its receiver in this process as `taskiq worker` runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from taskiq.acks import AcknowledgeType
from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

from benchmarks.bus.contenders import Handled
from benchmarks.bus.workload import CONSUMER, GROUP, STREAM


class Taskiq:
    """100 tasks at once (its default) and as many prefetched, COUNT 500, no parsing of parameters, no results kept."""

    async def open(self, url: str) -> None:
        """Connect; `consumer_id="0"` creates the group at the stream's beginning."""
        self.broker = RedisStreamBroker(
            url,
            queue_name=STREAM,
            consumer_group_name=GROUP,
            consumer_name=CONSUMER,
            consumer_id="0",
            xread_count=500,
        ).with_serializer(ORJSONSerializer())
        self._handled: Handled = lambda _: None
        self._receiver: asyncio.Task[None] | None = None

        @self.broker.task(task_name="write_entry")
        async def write_entry(message: dict[str, Any]) -> None:
            self._handled(message["sent_at"])

        self._task = write_entry
        await self.broker.startup()

    def emit(self, payload: Mapping[str, Any]) -> Awaitable[Any]:
        """Kick the task."""
        return self._task.kiq(payload)

    async def consume(self, handled: Handled) -> None:
        """Start the receiver."""
        self._handled = handled
        receiving = run_receiver_task(
            self.broker, validate_params=False, max_prefetch=100, ack_time=AcknowledgeType.WHEN_EXECUTED
        )
        self._receiver = asyncio.create_task(receiving)

    async def close(self) -> None:
        """Stop the receiver and disconnect. A receiver that misses its cancellation ends with the process."""
        if self._receiver is not None:
            self._receiver.cancel()
            await asyncio.wait([self._receiver], timeout=1.0)
        await self.broker.shutdown()


CONTENDER = Taskiq
