"""The loop that everybody writes first: redis-py's pool, COUNT 10, the standard library's JSON, an XACK for each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.bus.contenders.raw import Raw
from benchmarks.bus.workload import GROUP, STREAM


class Naive(Raw):
    """As the best raw loop, without what makes that one fast. Each of a hundred emits has a connection of its own."""

    count = 10
    dumps = staticmethod(json.dumps)
    loads = staticmethod(json.loads)
    options: Mapping[str, Any] = {"protocol": 2, "max_connections": 1000}

    async def ack(self, entry_ids: Sequence[bytes]) -> None:
        """An XACK for each, awaited."""
        for entry_id in entry_ids:
            await self._reader.xack(STREAM, GROUP, entry_id)


CONTENDER = Naive
