"""BusCondition: how the bus is at one moment, and what of it an operator has to look at."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from recyclic.core.events.gauges import EventGauge, Persistence
from recyclic.errors import BusError, BusFullError, DatabaseError

if TYPE_CHECKING:
    from recyclic.core.events.broker import Broker
    from recyclic.core.events.settings import BrokerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class BusCondition:
    """What was found; None, or empty, where it could not be asked."""

    redis: BusError | None = None
    """Why Redis takes no writes."""
    persistence: Persistence | None = None
    events: Mapping[str, EventGauge] | None = None
    outbox_depth: int | None = None
    outbox_age: float | None = None
    settings: BrokerSettings = field(repr=False)

    def checks(self) -> dict[str, str]:
        """Return each check by name: empty where all is well, else what is wrong; "unknown" where nobody could say."""
        checks = {"redis": "" if self.redis is None else str(self.redis)}
        if self.persistence is None or self.events is None:
            checks |= dict.fromkeys(("persistence", "dead_letters", "backlog"), "unknown")
        else:
            limit = self.settings.hard_limit
            dead = {event: gauge.dead_letters for event, gauge in self.events.items() if gauge.dead_letters}
            long = {event: gauge.length for event, gauge in self.events.items() if gauge.length > limit}
            checks["persistence"] = _unkept(self.persistence)
            checks["dead_letters"] = f"dead letters wait for a decision: {dead}" if dead else ""
            checks["backlog"] = f"streams are longer than {limit}: {long}" if long else ""
        if self.outbox_age is None:
            checks["outbox"] = "unknown"
        else:
            late = self.outbox_age > self.settings.outbox_limit
            found = f"{self.outbox_depth} events wait in the outbox, the oldest for {self.outbox_age:.0f} s"
            checks["outbox"] = found if late else ""
        return checks

    @property
    def reasons(self) -> list[str]:
        """Return the names of what is wrong; `redis_full` and `redis_away` tell apart why Redis takes no writes."""
        kind = "redis_full" if isinstance(self.redis, BusFullError) else "redis_away"
        return sorted(kind if name == "redis" else name for name, text in self.checks().items() if text not in _FINE)


_FINE = ("", "unknown")


def _unkept(persistence: Persistence) -> str:
    if persistence.append_only is False:
        return "Redis keeps no append-only file: what is not handled yet is lost if it crashes"
    return "Redis cannot write its append-only file" if persistence.failing else ""


class BusWatch:
    """Reads the condition. Whoever asks while it is being read gets the same answer: many cost as much as one."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._reading: asyncio.Task[BusCondition] | None = None

    async def read(self) -> BusCondition:
        """Ask Redis and the database now. Never raises because they are away."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read(), name="recyclic-bus-condition")
        return await asyncio.shield(self._reading)

    async def close(self) -> None:
        """Wait until nothing is being read."""
        if self._reading is not None:
            await asyncio.wait({self._reading})

    async def _read(self) -> BusCondition:
        broker, streams = self._broker, self._broker.streams
        redis: BusError | None = None
        persistence: Persistence | None = None
        events: Mapping[str, EventGauge] | None = None
        depth: int | None = None
        age: float | None = None
        try:
            await streams.probe()
        except BusError as error:
            redis = error
        if redis is None or isinstance(redis, BusFullError):
            try:
                persistence, events = await streams.persistence(), await streams.gauges(sorted(broker.events))
            except BusError as error:
                redis = redis or error
        if broker.outbox is None:
            depth, age = 0, 0.0
        else:
            try:
                depth, age = await broker.outbox.depth(), await broker.outbox.age()
            except (SQLAlchemyError, DatabaseError, OSError):
                depth = age = None  # the database has a check of its own
        return BusCondition(
            redis=redis,
            persistence=persistence,
            events=events,
            outbox_depth=depth,
            outbox_age=age,
            settings=broker.settings,
        )
