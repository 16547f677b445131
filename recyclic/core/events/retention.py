"""Janitor: trims streams to their history, never into what some group has not acked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.port import Streams
    from recyclic.core.events.settings import BrokerSettings

log = structlog.get_logger(__name__)


class Janitor:
    """Looks after the streams of `events`. Several may run: each step is atomic."""

    def __init__(
        self, streams: Streams, clock: Clock, settings: BrokerSettings, events: Callable[[], Iterable[str]]
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._settings = settings
        self._events = events

    async def run(self) -> None:
        """Sweep again and again, until cancelled."""
        while True:
            await self._clock.wait(self._settings.janitor)
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                log.warning("could not trim the streams", error=str(error))

    async def sweep(self) -> int:
        """Trim every stream once; return how many entries went."""
        trimmed = 0
        for event in list(self._events()):
            trimmed += await self._streams.trim(event, self._settings.maxlen)
            if (length := await self._streams.length(event)) > self._settings.hard_limit:
                log.warning(
                    "a stream is longer than its hard limit, because some group has not acked it",
                    event_name=event,
                    length=length,
                    remedy="see `recyclic events list`",
                )
        return trimmed
