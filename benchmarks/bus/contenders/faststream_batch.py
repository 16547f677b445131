"""FastStream's batches: the handler gets a list of up to a hundred events, which are acked, or fail, together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faststream.redis import StreamSub

from benchmarks.bus.contenders.faststream import FastStream


class FastStreamBatch(FastStream):
    """Another promise than ours: one bad event of a hundred leaves all of them unacked."""

    source: Mapping[str, Any] = {"max_records": 100, "polling_interval": 2000, "batch": True}

    def subscribe(self, source: StreamSub[Any]) -> None:
        """Register the handler, which takes a list."""

        @self.broker.subscriber(stream=source)
        async def write_entries(messages: list[dict[str, Any]]) -> None:
            for message in messages:
                self._handled(message["sent_at"])


CONTENDER = FastStreamBatch
