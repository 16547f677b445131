"""One life of a host's process: an app, its lifespan, its bus; it ends in order, or dies without clean-up."""

from __future__ import annotations

import asyncio
import inspect
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from recyclic.core.app import DRAIN_SECONDS, create_app
from recyclic.core.events.settings import BrokerSettings
from recyclic.errors import BusError, Problem
from recyclic.testing.clock import VirtualClock
from recyclic.testing.connections import cut_during
from recyclic.testing.fault import Fault, Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from fastapi import FastAPI

    from recyclic.config import Config
    from recyclic.core.clock import Clock
    from recyclic.core.events.broker import Broker
    from recyclic.core.events.entries import Snapshot
    from recyclic.core.events.port import Streams
    from recyclic.core.events.streams import RedisStreams
    from recyclic.core.events.subscription import Delivery
    from recyclic.core.module_loader import ModuleRegistry
    from recyclic.testing.host import ModuleHost
    from recyclic.testing.journal import Journal
    from recyclic.testing.plan import Plan
    from recyclic.testing.watch import TaskWatch


PATIENCE = 1.0
"""Real seconds that a host gets to end before its clock is moved on."""


class State(StrEnum):
    """How alive a life is."""

    ALIVE = "alive"
    DYING = "dying"
    DEAD = "dead"


class Surroundings(Protocol):
    """What a life needs of whoever lives it: a test's host, or a worker process."""

    plan: Plan
    config: Config
    clock: Clock
    journal: Journal
    watch: TaskWatch
    active_faults: list[Fault]

    async def around(self, life: Life, delivery: Delivery, call: Callable[[], Awaitable[None]]) -> None:
        """Wrap the call of a handler."""
        ...


class Life:
    """One life. `die` cuts it off from Redis at once: nothing that it still tries has any effect."""

    def __init__(
        self, host: Surroundings, registry: ModuleRegistry, streams: RedisStreams, *, consume: bool = True
    ) -> None:
        self._host = host
        self._streams = streams
        self._clock = host.clock
        self.state = State.ALIVE
        self.app: FastAPI = create_app(
            host.config,
            registry=registry,
            streams=cast("Streams", _Wire(self, streams)),
            clock=host.clock,
            observers=[host.journal],
            around=self._around,
            broker_settings=BrokerSettings(jitter=False),
            consume=consume,
            serve_ui=host.plan.serve_ui,
        )
        self.before: Callable[[str], Awaitable[None]] | None = None
        """Called before each operation of the bus."""
        self._stop = asyncio.Event()
        self._up: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    @property
    def broker(self) -> Broker:
        """The bus of this life."""
        broker: Broker = self.app.state.broker
        return broker

    async def start(self) -> None:
        """Run the lifespan up to where the host serves; raises what a module's start raises."""
        self._task = asyncio.create_task(self._live(), name="recyclic host")
        await asyncio.wait((self._task, self._up), return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task

    async def end(self) -> None:
        """Drain and shut down in order; a dead life gives back what it held."""
        if self._task is None:
            return
        self._stop.set()
        try:
            await self._stopped(self._task)
        except (BusError, asyncio.CancelledError):
            if self.state is State.ALIVE:
                raise
        finally:
            await self._streams.close()

    async def _stopped(self, task: asyncio.Task[None]) -> None:
        """Wait for the lifespan's end; what it waits for on a clock that stands still is over after a while."""
        while isinstance(self._clock, VirtualClock):
            done, _ = await asyncio.wait((task,), timeout=PATIENCE)
            if done:
                break
            self._clock.advance(DRAIN_SECONDS)
        await task

    @property
    def consumer(self) -> str:
        """The name under which this life consumes."""
        return self.broker.consumer or ""

    async def snapshot(self, beside: str = "") -> Snapshot:
        """Return the state of every group, and the hash `beside`, at one moment; faults do not touch it."""
        return await self._streams.snapshot([subscription.pair for subscription in self.broker.subscriptions], beside)

    async def tails(self, events: Iterable[str]) -> dict[str, str]:
        """Return where each stream ends; faults do not touch it."""
        return await self._streams.tails(events)

    async def outbox_depth(self) -> int:
        """Return how many stored events wait to be sent."""
        return await self.broker.outbox.depth() if self.broker.outbox else 0

    async def cut_off_during(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Run an operation of the bus and cut this life's connections meanwhile."""
        return await cut_during(self._streams.client, call)

    def cut(self) -> None:
        """Begin to die: from now on no operation of the bus gets through."""
        self.state = State.DYING

    async def bury(self) -> None:
        """Cancel whatever the dead life was doing."""
        tasks = [task for task in self._host.watch.of(self) if task is not self._task]
        for task in tasks:
            task.cancel()
        self.state = State.DEAD
        await self.broker.crash()
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)

    async def operate(self, operation: Operation, call: Callable[[], Awaitable[Any]]) -> Any:
        """Let an operation of the bus through, unless this life is over; the faults wrap it."""
        if self.state is State.DYING:
            await asyncio.get_running_loop().create_future()
        if self.state is State.DEAD:
            raise BusError(Problem("this worker is dead", "recyclic.testing", "its restart has another bus"))
        if self.before is not None:
            await self.before(operation.name)
        for fault in self._host.active_faults:
            host = cast("ModuleHost", self._host)  # faults are for the test's own process
            call = partial(fault.around_operation, host, operation, call)
        return await call()

    async def _live(self) -> None:
        with self._host.watch.owned_by("the host", self, passing=False):
            async with self.app.router.lifespan_context(self.app):
                self._up.set_result(None)
                await self._stop.wait()

    async def _around(self, delivery: Delivery, call: Callable[[], Awaitable[None]]) -> None:
        await self._host.around(self, delivery, call)


class _Wire:
    """Streams, with each operation passing its life's gate; a read is one of its own, so that a fault can hit it."""

    reads_behind = False

    def __init__(self, life: Life, streams: RedisStreams) -> None:
        self._life = life
        self._streams = streams

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._streams, name)
        if not inspect.iscoroutinefunction(found):
            return found
        life = self._life

        async def operation(*args: Any, **kwargs: Any) -> Any:
            return await life.operate(Operation.of(name, args, kwargs), lambda: found(*args, **kwargs))

        setattr(self, name, operation)
        return operation
