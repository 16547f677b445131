"""FastStream: a stream subscriber with a group, as its documentation shows, and its fastest documented options."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from faststream.redis import RedisBroker, StreamSub

from benchmarks.bus.contenders import Handled
from benchmarks.bus.workload import CONSUMER, GROUP, STREAM


class FastStream:
    """Binary message format (its default), no access log, orjson (it takes it where it is installed)."""

    async def open(self, url: str) -> None:
        """Connect, and create the group: the subscriber itself would put it at the end, past the backlog."""
        self.broker = RedisBroker(url, logger=None, apply_types=False)
        self._handled: Handled = lambda _: None

        @self.broker.subscriber(stream=self._source())
        async def write_entry(message: dict[str, Any]) -> None:
            self._handled(message["sent_at"])

        redis = await self.broker.connect()
        await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)

    def _source(self) -> StreamSub[Any]:
        return StreamSub(STREAM, group=GROUP, consumer=CONSUMER, max_records=100, polling_interval=2000)

    def emit(self, payload: Mapping[str, Any]) -> Awaitable[Any]:
        """Publish to the stream."""
        return self.broker.publish(payload, stream=STREAM)

    async def consume(self, handled: Handled) -> None:
        """Start the subscriber."""
        self._handled = handled
        await self.broker.start()

    async def close(self) -> None:
        """Stop the subscriber and disconnect."""
        await self.broker.stop()


CONTENDER = FastStream
