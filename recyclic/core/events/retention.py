"""Janitor: trims streams to their history, never into what some group has not acked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog

from recyclic.core.events.entries import as_number
from recyclic.errors import BusError

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.port import Ledger
    from recyclic.core.events.settings import BrokerSettings
    from recyclic.core.events.standing import Retained

log = structlog.get_logger(__name__)

DAY = 86_400.0
TROUBLE = 3
"""Streams of one sweep that cannot be trimmed before it is given up: the trouble is not theirs."""


class Janitor:
    """Looks after the streams of `events`. Every process runs one: each step is atomic, so several do no harm.

    What the last sweep found is there to be read, for health and metrics: `found`, by event, and `over_limit`.
    """

    def __init__(
        self, streams: Ledger, clock: Clock, settings: BrokerSettings, events: Callable[[], Iterable[str]]
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._settings = settings
        self._events = events
        self._told: dict[str, str | None] = {}
        self.found: dict[str, Retained] = {}
        self.swept_at: float | None = None
        self.trimmed = 0

    @property
    def over_limit(self) -> list[Retained]:
        """Return the streams that were longer than their hard limit, the longest first."""
        over = [found for found in self.found.values() if found.length > self._settings.hard_limit]
        return sorted(over, key=lambda found: -found.length)

    def held_for(self, event: str) -> float:
        """Return the age in seconds of the oldest entry that somebody has not acked, as the last sweep found it."""
        found = self.found.get(event)
        if found is None or found.held_from is None:
            return 0.0
        return max(0.0, self._clock.now() - as_number(found.held_from)[0] / 1000.0)

    async def run(self) -> None:
        """Sweep again and again, until cancelled."""
        while True:
            await self._clock.wait(self._settings.janitor)
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                log.warning("could not trim the streams", error=str(error))

    async def sweep(self) -> int:
        """Trim every stream once; return how many entries of history went.

        Raises:
            BusError: several streams could not be trimmed; one alone is logged, and does not keep the others waiting.
        """
        trimmed, failures, events = 0, list[BusError](), list(self._events())
        for gone in self.found.keys() - set(events):
            del self.found[gone]
        for event in events:
            try:
                found = await self._streams.trim(
                    event, self._settings.maxlen, retain=self._settings.retain_days * DAY, now=self._clock.now()
                )
            except BusError as error:
                failures.append(error)
                if len(failures) == TROUBLE:
                    raise
                log.warning("could not trim a stream", event_name=event, error=str(error))
                continue
            self.found[event] = found
            self.trimmed += found.trimmed
            trimmed += found.trimmed
            self._tell(found)
        self.swept_at = self._clock.now()
        return trimmed

    def _tell(self, found: Retained) -> None:
        """Say when a stream grows over its limit, when another holds it, and when it is short again."""
        if found.length <= self._settings.hard_limit:
            if self._told.pop(found.event, "") != "":
                log.info("a stream is below its hard limit again", event_name=found.event, length=found.length)
            return
        if self._told.get(found.event, "") == found.held_by:
            return
        self._told[found.event] = found.held_by
        if found.held_by is None:
            what = "a stream is longer than its hard limit: it is history that maxlen or retain_days keep"
            remedy = "lower them, or raise [bus] hard_limit"
        elif found.held_by.startswith("replay:"):
            what = "a stream is longer than its hard limit, because a replay has not ended"
            remedy = "see `recyclic events replay --help`"
        else:
            what = "a stream is longer than its hard limit, because some group has not acked it"
            remedy = "run the module, or `recyclic events forget` its group; see `recyclic events list`"
        log.warning(
            what,
            event_name=found.event,
            length=found.length,
            held_by=found.held_by,
            held_from=found.held_from,
            held_seconds=round(self.held_for(found.event)),
            remedy=remedy,
        )
