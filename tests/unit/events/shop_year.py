"""A year of a shop's history, and the modules that it is replayed to."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from recyclic.core.events.event import Envelope, Event, EventMeta

EVENT = "sale_closed"
PAIR = (EVENT, "paheko")
DAY = 86_400


class SaleClosed(Event):
    """A till was closed."""

    number: int


class Module:
    """What a module's handler got."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, str, bool]] = []

    async def handle(self, number: int, meta: EventMeta) -> None:
        self.seen.append((number, meta.id, meta.replayed))

    @property
    def numbers(self) -> list[int]:
        return sorted(number for number, _, _ in self.seen)


def envelope(number: int, at: float) -> Envelope:
    return Envelope(
        id=f"event-{number}",
        event=EVENT,
        source="caisse",
        time=datetime.fromtimestamp(at, UTC),
        data={"number": number},
    )


async def a_year(bench, count: int = 365) -> list[str]:
    """Write one event a day, as it was written then; return the entry ids."""
    start, found = int(time.time()) - count * DAY, []
    pipe = bench.client.pipeline(transaction=False)
    for number in range(count):
        at = start + number * DAY
        pipe.xadd(f"events:{EVENT}", envelope(number, at).encode(), id=f"{at * 1000}-0")
        found.append(f"{at * 1000}-0")
    await pipe.execute()
    return found


async def serving(bench, **modules: Module):
    broker = bench.broker()
    bus = broker.scoped("caisse", emits=[SaleClosed])
    for name, module in modules.items():
        broker.scoped(name).on(EVENT, module.handle)
    await broker.start()
    broker.consume()
    return broker, bus
