"""The worker process: boots what the test boots, consumes, tells the test what happens, and heeds its clock."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from recyclic.core.clock import Clock, SystemClock
from recyclic.core.events.cancellation import cancelled
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.testing.assembly import assemble
from recyclic.testing.clock import VirtualClock
from recyclic.testing.commits import heed_commits
from recyclic.testing.fault import Fault, delivery_now
from recyclic.testing.journal import Journal, Kind, Record
from recyclic.testing.logs import plain_logs
from recyclic.testing.resources import ResourceWatch
from recyclic.testing.strict import Strictness
from recyclic.testing.watch import TaskWatch
from recyclic.testing.work import Work
from recyclic.testing.worker import Life
from recyclic.testing.workers.carried import CarriedError
from recyclic.testing.workers.channel import Channel
from recyclic.testing.workers.publisher import Publisher

if TYPE_CHECKING:
    from recyclic.core.events.subscription import Delivery
    from recyclic.testing.death import Boundary
    from recyclic.testing.host import ModuleHost
    from recyclic.testing.workers.order import Order

RELAY_SECONDS = 2.0
"""Real seconds that a death waits for the outbox to be empty, so that it is the handler's death alone."""
_LISTENING = ("news", "tails", "ping")
"""Operations that change nothing, and nothing waits for them."""


def main(order: Order, end: socket.socket) -> None:
    """Be a worker process until told to stop."""
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    channel = Channel(end)
    try:
        asyncio.run(_run(order, channel))
    except BaseException as error:  # noqa: BLE001 - the test is told, whatever it is
        traceback.print_exc()
        sys.stderr.flush()
        channel.send("failed", f"{type(error).__name__}: {error}")
        os._exit(70)  # what did not end in order is not waited for


async def _run(order: Order, channel: Channel) -> None:
    plain_logs()
    process = WorkerProcess(order, channel)
    loop = asyncio.get_running_loop()
    with process.watch.installed(loop), process.resources.installed(loop), heed_commits(cast("ModuleHost", process)):
        await process.live()


class TellingJournal(Journal):
    """Tells the test of each record at once, before whatever follows from it."""

    def __init__(self, now: Callable[[], float], channel: Channel, on_change: Callable[[], None]) -> None:
        super().__init__(now)
        self._channel = channel
        self._on_change = on_change
        self._held: dict[str, object] = {}

    def write(self, kind: Kind, **values: object) -> Record:
        """Append a record, and send it."""
        error = values.get("error")
        carried = CarriedError.of(error) if isinstance(error, BaseException) else None
        told = {**values, "error": carried}
        if kind is Kind.DELIVERED:
            self._held = told
        else:
            self._channel.send("record", str(kind), told)
        return super().write(kind, **values)

    def name_entry(self, entry_id: str) -> None:
        """Send the record of a delivery, which has just been written, with the entry that was delivered."""
        self._channel.send("record", str(Kind.DELIVERED), {**self._held, "entry_id": entry_id})

    def changed(self) -> None:
        """Something may have changed."""
        super().changed()
        self._on_change()


class WorkerProcess:
    """What a life of the bus needs around it, in a process of its own."""

    def __init__(self, order: Order, channel: Channel) -> None:
        self.plan = order.whole_plan()
        self.config = order.config
        virtual = self.plan.clock == "virtual"
        self.clock: Clock = VirtualClock(order.began, order.elapsed) if virtual else SystemClock()
        self._telling = TellingJournal(self.clock.now, channel, self._changed)
        self.journal: Journal = self._telling
        self.watch = TaskWatch(self.journal)
        self.resources = ResourceWatch(self.watch)
        self.strict = Strictness(self.journal, self.watch, self.resources, {})
        self.active_faults: list[Fault] = []
        self._handed: list[Fault] = []
        self._order = order
        self._channel = channel
        self._seen = 0
        self._stop = asyncio.Event()
        self._client = connect(order.url)
        self._publisher = Publisher(self._client, f"{order.number}-{os.getpid()}", self._look, channel)
        if isinstance(self.clock, VirtualClock):
            self.clock.on_change = self.journal.changed
            self.clock.on_wake, self.clock.on_wait = self.watch.stir, self.watch.rest
        self.life = Life(self, assemble(self.plan.choice, self.plan.config), RedisStreams(connect(order.url)))
        self.life.before = self._before

    async def live(self) -> None:
        """Boot, consume until told to stop, end in order, and tell what is left."""
        self.strict.begin()
        await self.life.start()
        for module in self._order.paused:
            self.life.broker.pause(module)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel, self._heed)
        publishing = asyncio.create_task(self._publisher.run(), name="recyclic kit publisher")
        await self._publisher.publish()
        self._channel.send("ready")
        await self._until_told(publishing)
        await self.life.end()
        await cancelled([publishing])
        loop.remove_reader(self._channel)
        await self._client.aclose()
        self.strict.end()
        self._channel.send("end", await self.strict.leaks())

    async def around(self, life: Life, delivery: Delivery, call: Callable[[], Awaitable[None]]) -> None:
        """Wrap the call of a handler: name the owner of its tasks, and tell of those that it leaves behind."""
        self._telling.name_entry(delivery.entry_id)
        text = f"{delivery.module} handling {delivery.envelope.event}"
        token = delivery_now.set(delivery)
        try:
            with self.watch.owned_by(text, life, passing=True) as owner:
                for fault in self.active_faults:
                    call = partial(fault.around_handler, cast("ModuleHost", self), delivery, call)
                await call()
        finally:
            delivery_now.reset(token)
        self._channel.send("left", [str(origin) for origin in self.watch.left_by(owner)])

    async def relayed(self) -> None:
        """Wait, for a while, until the outbox is empty."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RELAY_SECONDS
        while loop.time() < deadline and await self.life.outbox_depth():
            await self.journal.next_change(self.journal.version, deadline - loop.time())

    def owner_of(self, event: str, group: str) -> str:
        """Return the module that a group belongs to."""
        pairs = {subscription.pair: subscription.module for subscription in self.life.broker.subscriptions}
        return pairs.get((event, group), group)

    def has_crossed(self, fault: Fault, boundary: Boundary) -> None:
        """Tell the test of a boundary."""
        self._channel.send("crossed", self._handed.index(fault), boundary)

    def has_bitten(self, fault: Fault) -> None:
        """Tell the test that a fault kills this process now."""
        self._channel.send("dies", self._handed.index(fault))

    def die_and_restart(self) -> None:
        """Die as a killed process does; the test starts another."""
        os.kill(os.getpid(), signal.SIGKILL)

    async def _until_told(self, publishing: asyncio.Task[None]) -> None:
        """Wait for the word to stop; a publisher that fails ends the process, for the test sees nothing any more."""
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((stopping, publishing), return_when=asyncio.FIRST_COMPLETED)
        await cancelled([stopping])
        if publishing.done():
            await publishing

    def _changed(self) -> None:
        self._publisher.changed()

    async def _before(self, operation: str) -> None:
        if operation in _LISTENING:
            self._publisher.changed()
        else:
            await self._publisher.publish()

    def _look(self) -> bytes:
        work = Work.of(self.clock, self.watch, self.life.broker, {})
        return replace(work, seen=self._seen).dump()

    def _heed(self) -> None:
        for message in self._channel.receive():
            self._seen += 1
            self._obey(*message)
        if self._channel.closed:
            os._exit(71)  # the test is gone
        self.journal.changed()

    def _obey(self, word: str, *values: Any) -> None:
        match word, values:
            case "clock", (float(elapsed),) if isinstance(self.clock, VirtualClock):
                self.clock.advance(max(0.0, elapsed - self.clock.monotonic()))
            case "pause", (str(module),):
                self.life.broker.pause(module)
            case "resume", (str(module),):
                self.life.broker.resume(module)
            case "faults", (list(handed),):
                self.active_faults, self._handed = handed, handed
            case "bitten", (int(index),):
                self._handed[index].bites += 1
            case "stop", ():
                self._stop.set()
            case _:
                raise AssertionError(f"a worker process was told {word!r}, which it does not know")


def preload() -> Iterable[str]:
    """Return the modules that the server of worker processes imports once for all of them."""
    return (__name__, "recyclic.core.app", "pytest")
