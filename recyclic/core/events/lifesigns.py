"""Lifesigns: this consumer's heartbeat, and who else has stopped beating."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from recyclic.core.events.lane import Lane

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.port import Streams

log = structlog.get_logger(__name__)

BEATS = 6
"""Heartbeats in one lease."""
LOOKS = 3
"""A counter must be seen unchanged so often, whatever the clock says: a stalled claimer takes nobody for dead."""


@dataclass(slots=True)
class _Standing:
    counter: int | None
    since: float
    looks: int = 0


class Lifesigns:
    """Raises a counter in Redis, and takes a consumer for dead whose counter stood still for `lease` of our clock."""

    def __init__(self, streams: Streams, clock: Clock, consumer: str, lanes: Iterable[Lane], lease: float) -> None:
        self._streams = streams
        self._clock = clock
        self._consumer = consumer
        self._lanes = lanes
        self._lease = lease
        self._seen: dict[str, _Standing] = {}
        self._ticks = 0
        self._last_beat = clock.monotonic()
        self.found: Callable[[], None] = lambda: None
        self.overslept: Callable[[], None] = lambda: None

    @property
    def trusted(self) -> bool:
        """Return whether the others still take us for alive, as far as we know."""
        return self._clock.monotonic() - self._last_beat < self._lease

    async def run(self) -> None:
        """Beat and look, until cancelled."""
        failures = 0
        while True:
            try:
                await self.tick()
                failures = 0
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                failures += 1
                if failures == 1:
                    log.warning("no heartbeat", error=str(error))
            await self._clock.wait(self._lease / BEATS)

    async def tick(self) -> None:
        """Beat once and look who stands still."""
        now = self._clock.monotonic()
        counters = await self._streams.beat(self._consumer)
        if not self.trusted:
            self.overslept()
        self._last_beat = now
        for name, counter in counters.items():
            self._look(name, counter)
        self._ticks += 1
        if any(self._is_dead(name) for name in counters) or self._ticks % LOOKS == 1:
            await self._recover(counters)

    def _look(self, name: str, counter: int | None) -> None:
        seen = self._seen.get(name)
        if seen is None or seen.counter != counter:
            self._seen[name] = _Standing(counter, self._clock.monotonic())
        else:
            seen.looks += 1

    def _is_dead(self, name: str) -> bool:
        seen = self._seen.get(name)
        stood = seen is not None and self._clock.monotonic() - seen.since >= self._lease and seen.looks >= LOOKS
        return stood and name != self._consumer

    async def _recover(self, counters: dict[str, int]) -> None:
        """Mark what the dead still hold for claiming; remove those that hold nothing."""
        lanes = list(self._lanes)
        holding: set[str] = set()
        known: set[str] = set()
        for lane, consumers in zip(lanes, await self._streams.consumers([lane.pair for lane in lanes]), strict=True):
            for name, held in consumers.items():
                known.add(name)
                if name not in counters:
                    self._look(name, None)
                if not self._is_dead(name):
                    continue
                if held or not await self._streams.remove_consumer(lane.pair, name):
                    holding.add(name)
                    lane.dead.add(name)
        if holding:
            log.warning("dead consumers: their entries are claimed", consumers=sorted(holding))
            self.found()
        for name in [name for name in self._seen if self._is_dead(name) and name not in holding]:
            if name in counters:
                await self._streams.forget_beat(name)
            del self._seen[name]
        for name in [name for name in self._seen if name not in counters and name not in known]:
            del self._seen[name]
