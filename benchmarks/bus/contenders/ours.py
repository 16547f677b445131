"""Recyclic's bus as shipped: validation, typed handler, retries, dead letters, leases, all at their defaults."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from benchmarks.bus.contenders import Handled
from benchmarks.bus.workload import GROUP
from recyclic.core.events.broker import Broker
from recyclic.core.events.bus import EventBus
from recyclic.core.events.event import Event
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect


class SessionCounted(Event):
    """A till session was counted."""

    session_id: str
    register_name: str
    closed_by: str
    ticket_count: int
    total_cents: int
    payments: dict[str, int]
    counted_cash_cents: int
    variance_cents: int
    comment: str
    sent_at: int


@asynccontextmanager
async def open_broker(url: str) -> AsyncIterator[Broker]:
    """Open a bus as the host's lifespan does, with the default settings. The one place that builds one."""
    client = connect(url)
    streams = RedisStreams(client)
    broker = Broker(streams)
    try:
        yield broker
    finally:
        await broker.close()
        await streams.close()
        await client.aclose()


class Ours:
    """One process of a host: it emits as a module does, and runs a module's handler."""

    broker: Broker
    bus: EventBus

    async def open(self, url: str) -> None:
        """Build what the host's lifespan builds."""
        self._opened = AsyncExitStack()
        self.broker = await self._opened.enter_async_context(open_broker(url))
        self.bus = self.broker.scoped(GROUP, emits=[SessionCounted])
        self._handled: Handled = lambda _: None

        async def write_entry(session_id: str, total_cents: int, payments: dict[str, int], sent_at: int) -> None:
            self._handled(sent_at)

        self.bus.on(SessionCounted, write_entry)
        await self.broker.start()

    def emit(self, payload: Mapping[str, Any]) -> Awaitable[Any]:
        """Emit by name, as modules do; the payload is validated against the event's class."""
        return self.bus.emit("session_counted", **payload)

    async def consume(self, handled: Handled) -> None:
        """Run the handler."""
        self._handled = handled
        self.broker.consume()

    async def close(self) -> None:
        """Drain, as a host that shuts down."""
        await self._opened.aclose()


CONTENDER = Ours
