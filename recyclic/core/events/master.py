"""MasterWire: a wire to the master that the Sentinels name. It changes over when they name another."""

from __future__ import annotations

import asyncio
import contextlib

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from recyclic.core.events.multiplexed import TIMEOUT, Multiplexed
from recyclic.core.redis_sentinel import MasterPool

LOOK = 1.0
"""Seconds between two questions to the Sentinels."""

log = structlog.get_logger(__name__)


class MasterWire(Multiplexed):
    """Drops its connections when the Sentinels name another master than the one they lead to.

    A master that is demoted says so, or closes the connection. One that hangs or was cut off from the others says
    nothing: waiting for its replies would cost the timeout, and what it still accepts is lost with it.
    """

    def __init__(self, pool: MasterPool, *, timeout: float = TIMEOUT) -> None:
        super().__init__(self._to_master, timeout=timeout)
        self._pool = pool
        self._following: asyncio.Task[None] | None = None

    def _to_master(self) -> AbstractConnection:
        following = self._following
        if following is None or following.done() or following.get_loop() is not asyncio.get_running_loop():
            self._following = asyncio.create_task(self._follow(), name="recyclic-bus-master")
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        return connection

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            with contextlib.suppress(RedisError, OSError):  # while no Sentinel answers, what we have may work
                named = await self._pool.get_master_address()  # type: ignore[no-untyped-call]
                if dropped := self.abort_unless_at(named):
                    log.warning("the Sentinels name another master", was=dropped, now=named)

    async def close(self) -> None:
        """See Wire."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        await super().close()
