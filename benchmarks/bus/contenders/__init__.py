"""The contenders: each file sets one up the way its own documentation says is best, behind the same four verbs."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from benchmarks.bus.workload import GROUP, STREAM

Handled = Callable[[int], None]
"""Called by each handler, first thing, with the event's `sent_at`."""


class Contender(Protocol):
    """One way to emit and to consume. Lives in a process, and a loop, of its own."""

    async def open(self, url: str) -> None:
        """Connect, and create the group at the stream's beginning."""
        ...

    def emit(self, payload: Mapping[str, Any]) -> Awaitable[Any]:
        """Return what the library gives: awaited, the event is in Redis."""
        ...

    async def consume(self, handled: Handled) -> None:
        """Start to consume and ack, in the background."""
        ...

    async def close(self) -> None:
        """Stop consuming and disconnect."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A contender as the command names it. `needs` are the packages without which it cannot take part."""

    name: str
    title: str
    needs: tuple[str, ...] = ()

    def missing(self) -> list[str]:
        """Return the packages that are not installed here."""
        return [package for package in self.needs if importlib.util.find_spec(package) is None]

    def make(self) -> Contender:
        """Import the contender's file and build it."""
        module = importlib.import_module(f"{__name__}.{self.name.replace('-', '_')}")
        return cast("Contender", module.CONTENDER())


async def create_group(redis: Redis) -> None:
    """Create the group at the stream's beginning, unless the other process was faster."""
    try:
        await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


ENTRANTS = {
    entrant.name: entrant
    for entrant in (
        Entrant(name="ours", title="**Recyclic's bus**"),
        Entrant(name="faststream", title="FastStream", needs=("faststream",)),
        Entrant(name="faststream-batch", title="FastStream, batches of 100", needs=("faststream",)),
        Entrant(name="taskiq", title="taskiq-redis", needs=("taskiq_redis",)),
        Entrant(name="naive", title="naive redis-py loop"),
        Entrant(name="raw", title="best raw redis-py loop"),
        Entrant(name="limit", title="limit: redis-benchmark, hiredis on a socket"),
    )
}
