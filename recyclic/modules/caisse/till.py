"""Till: what the domain needs from outside: the bus, the clock and the shop's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from recyclic.core.clock import Clock, SystemClock
from recyclic.core.events.bus import EventBus
from recyclic.modules.caisse.settings import CaisseSettings


@dataclass(frozen=True)
class Till:
    """Handed to every operation that asks the time, knows a limit, or publishes."""

    bus: EventBus
    settings: CaisseSettings = field(default_factory=CaisseSettings)
    clock: Clock = field(default_factory=SystemClock)

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return datetime.fromtimestamp(self.clock.now(), UTC)

    def today(self) -> date:
        """Return the shop's day: a ticket sold at 00:30 in Paris belongs to the new day, whatever UTC says."""
        return self.now().astimezone(ZoneInfo(self.settings.timezone)).date()
