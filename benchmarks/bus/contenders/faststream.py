"""FastStream: a stream subscriber with a group, as its documentation shows, with its fastest documented options."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from faststream.redis import RedisBroker, StreamSub

from benchmarks.bus.contenders import Handled, create_group
from benchmarks.bus.workload import CONSUMER, GROUP, STREAM


class FastStream:
    """Binary message format (its default), orjson (taken where installed), no access log, no validation of types."""

    source: Mapping[str, Any] = {"max_records": 500, "polling_interval": 2000}

    async def open(self, url: str) -> None:
        """Connect, and create the group: the subscriber itself would put it at the end, past the backlog."""
        self.broker = RedisBroker(url, logger=None, apply_types=False, max_connections=1000)
        self._handled: Handled = lambda _: None
        self.subscribe(StreamSub(STREAM, group=GROUP, consumer=CONSUMER, **self.source))
        await create_group(await self.broker.connect())

    def subscribe(self, source: StreamSub[Any]) -> None:
        """Register the handler."""

        @self.broker.subscriber(stream=source)
        async def write_entry(message: dict[str, Any]) -> None:
            self._handled(message["sent_at"])

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
