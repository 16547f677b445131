"""Faults at the handlers: one that fails, deliveries that come twice, or in another order."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

from recyclic.testing.fault import Call, Fault, Operation, made

if TYPE_CHECKING:
    from recyclic.core.events.subscription import Delivery
    from recyclic.testing.host import ModuleHost

QUIET = 0.02
"""Real seconds without a change after which all that will come is taken to be there; no sign of anything else."""


class Failing(Fault):
    """A handler fails its first times, before or after it has run."""

    def __init__(
        self, module: str, event: str, fail: int, error: BaseException | type[BaseException] | None, at: str
    ) -> None:
        super().__init__(f"handler({module!r}, {event!r}, fail={fail})")
        self._module, self._event, self._fail, self._error, self._at = module, event, fail, error, at

    async def around_handler(self, host: ModuleHost, delivery: Delivery, call: Call) -> None:
        """Raise instead of the handler, or once it has run."""
        if self.bites >= self._fail or not goes_to(delivery, self._event, self._module):
            await call()
            return
        if self._at == "after":
            await call()
        self._bite(host, f"failure {self.bites + 1} of {self._fail}")
        raise host.inject(made(self._error, f"{self}, failure {self.bites} of {self._fail}"))


class Duplicate(Fault):
    """Deliveries come twice."""

    def __init__(self, event: str | None, module: str | None) -> None:
        named = ", ".join(repr(name) for name in (event, module) if name)
        super().__init__(f"duplicate({named})")
        self._event, self._module = event, module

    async def around_handler(self, host: ModuleHost, delivery: Delivery, call: Call) -> None:
        """Call the handler, and call it again."""
        await call()
        if goes_to(delivery, self._event, self._module):
            self._bite(host, f"{delivery.module} got {delivery.envelope.event} a second time")
            host.journal.repeated(delivery.envelope, delivery.module, delivery.group, delivery.attempt)
            await call()


class Reorder(Fault):
    """Deliveries wait until no more come, and go one at a time, in an order that the seed decides."""

    def __init__(self, seed: int) -> None:
        super().__init__(f"reorder(seed={seed})")
        self._random = Random(seed)  # noqa: S311 - chance that can be repeated
        self._waiting: list[tuple[tuple[str, str, str], asyncio.Future[asyncio.Future[None]]]] = []
        self._releasing: asyncio.Task[None] | None = None
        self._arrived = 0

    async def around_operation(self, host: ModuleHost, operation: Operation, call: Call) -> Any:
        """Shuffle what each read brings."""
        if operation.name != "read":
            return await call()
        await self._quiet(host)
        found = await call()
        more = found
        while any(more):  # a read brings few at first: take all that is there
            more = await call()
            for entries, others in zip(found, more, strict=True):
                if entries is not None:
                    entries.extend(others or ())
        for entries in found:
            if entries is not None and len(entries) > 1:
                self._random.shuffle(entries)
                self._bite(host, f"{len(entries)} entries that were read together change places")
        return found

    async def around_handler(self, host: ModuleHost, delivery: Delivery, call: Call) -> None:
        """Wait for the turn, and have it to the handler's end."""
        self._arrived += 1
        turn: asyncio.Future[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        place = (delivery.envelope.event, delivery.group, f"{self._arrived:06}")
        self._waiting.append((place, turn))
        if self._releasing is None or self._releasing.done():
            with host.watch.owned_by("the kit", host.life, passing=False):
                self._releasing = asyncio.create_task(self._release(host))
        task = asyncio.current_task()
        host.watch.queued.add(task)
        try:
            done = await turn
        finally:
            host.watch.queued.discard(task)
            self._waiting = [item for item in self._waiting if item[1] is not turn]
        try:
            await call()
        finally:
            done.set_result(None)

    async def _release(self, host: ModuleHost) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await self._quiet(host)
            if not self._waiting:
                return
            ready = sorted(self._waiting, key=lambda item: item[0])
            chosen = self._random.randrange(len(ready))
            if chosen:
                self._bite(host, f"{ready[chosen][0][0]} goes to {ready[chosen][0][1]} first")
            done: asyncio.Future[None] = loop.create_future()
            ready[chosen][1].set_result(done)
            self._waiting.remove(ready[chosen])
            await done

    async def _quiet(self, host: ModuleHost) -> None:
        while True:
            version = host.journal.version
            await host.journal.next_change(version, QUIET)
            if host.journal.version == version:
                return


def goes_to(delivery: Delivery, event: str | None, module: str | None) -> bool:
    """Return whether a delivery is of this event and to this module, or consumer group; None is any."""
    return event in {None, delivery.envelope.event} and module in {None, delivery.module, delivery.group}
