"""Publisher: keeps what this process has under way in Redis, ahead of every effect that its work has there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from recyclic.testing.workers.order import WORK_KEY

if TYPE_CHECKING:
    from recyclic.core.redis import Client
    from recyclic.testing.workers.channel import Channel


class Publisher:
    """Writes one field of the hash that every snapshot of the test reads in its own transaction.

    Before an operation of the bus it writes what has changed, and waits for the reply: so a task that a handler leaves
    behind stands there before the handler's ack, and no process works while it stands there as one that has nothing
    to do. What comes to rest is written a moment later; until then the test waits for it.
    """

    def __init__(self, client: Client, field: str, look: Callable[[], bytes], channel: Channel) -> None:
        self._client = client
        self._field = field
        self._look = look
        self._channel = channel
        self._written = b""
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()

    def changed(self) -> None:
        """Hear that there may be something to write."""
        self._changed.set()

    async def run(self) -> None:
        """Write whatever changes, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.publish()

    async def publish(self) -> None:
        """Write what is under way now, if it is not what stands there."""
        if self._look() == self._written:
            return
        async with self._turn:
            seen = self._look()
            await self._client.hset(WORK_KEY, self._field, seen)
            self._written = seen
        self._channel.send("changed")
