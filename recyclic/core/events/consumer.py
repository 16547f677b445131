"""Consumer: one process's reading and handling for all of its groups, over two connections however many they are."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from recyclic.core.events.cancellation import cancelled
from recyclic.core.events.doorbell import Doorbell
from recyclic.core.events.entries import Entry
from recyclic.core.events.intake import Intake
from recyclic.core.events.lane import Lane
from recyclic.core.events.lifesigns import Lifesigns
from recyclic.core.events.settler import Settler
from recyclic.core.events.subscription import HandlerMiddleware, Subscription
from recyclic.core.events.worker import Worker

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.observer import Observers
    from recyclic.core.events.port import Streams
    from recyclic.core.events.settings import BrokerSettings

log = structlog.get_logger(__name__)

LONGEST_TURN = 0.002
"""Seconds that fast handlers may keep the loop before HTTP gets its turn."""


class Consumer:
    """Reads, handles and settles. Everything that takes entries is one task, so nothing is taken twice.

    Life: `start`, then either `drain` or, as a process that is killed would, `crash`. A consumer lives once.
    """

    def __init__(
        self,
        streams: Streams,
        clock: Clock,
        observers: Observers,
        around: HandlerMiddleware | None,
        subscriptions: Iterable[Subscription],
        settings: BrokerSettings,
    ) -> None:
        self.name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.lanes = [Lane(subscription, settings.prefetch) for subscription in subscriptions]
        self.tasks: set[asyncio.Task[None]] = set()
        self.settler = Settler(streams, clock, observers, self.name)
        self.worker = Worker(self.settler, clock, observers, around, settings, self.name)
        self.worker.spawn = self._spawn
        self._life = Lifesigns(streams, clock, self.name, self.lanes, settings.lease)
        self._life.found = self._look_again
        self._life.overslept = self._doubt
        self._streams = streams
        self._clock = clock
        self._closing = asyncio.Event()
        self.intake = Intake(streams, clock, settings, self.name, self.lanes, self._closing, self._feed)
        self.worker.scheduled = self.intake.scheduled
        self.doorbell = Doorbell(streams, clock, self.name, self.lanes, self.intake, self._closing)
        self.intake.recall = self._recall
        self._recalling: asyncio.Task[None] | None = None
        self._crashed = False
        self._idle = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._standing: list[asyncio.Task[None]] = []
        self._taking: asyncio.Task[None] | None = None

    @property
    def busy(self) -> int:
        """Return how many entries are in hand: queued, handled, or with an outcome that is not confirmed."""
        return sum(lane.in_hand for lane in self.lanes)

    @property
    def listening(self) -> Mapping[str, str] | None:
        """Return where each stream was known to end when the doorbell began to wait; see Doorbell."""
        return self.doorbell.listening

    def start(self) -> None:
        """Begin to read, in tasks of our own."""
        self._taking = self._spawn(self.intake.run(), "recyclic-bus-intake")
        self._standing = [
            self._spawn(self.settler.run(), "recyclic-bus-settler"),
            self._spawn(self._life.run(), "recyclic-bus-heartbeat"),
            self._spawn(self.doorbell.run(), "recyclic-bus-doorbell"),
        ]

    def wake(self) -> None:
        """Look at everything now, without being told that there is something."""
        self.intake.stir_all()
        self._recall()
        for lane in self.lanes:
            self._staff(lane)

    def claim_from(self, consumer: str) -> None:
        """Take a consumer for dead at once, without waiting for its lease to run out."""
        for lane in self.lanes:
            lane.dead.add(consumer)
        self.intake.stir(self.lanes)

    async def crash(self) -> None:
        """Die as a killed process does: nothing is finished, acked or handed back, and the heartbeat stops."""
        self._closing.set()
        self._crashed = True
        while self.tasks:
            await cancelled(self.tasks)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - of the host's clock, not the loop's
        """Stop reading, finish the running handlers, flush their outcomes, hand the rest back to the others."""
        self._closing.set()
        self.intake.stir(())
        if self._taking is not None:
            await asyncio.wait([self._taking])
        await self.doorbell.recall()
        for lane in self.lanes:
            lane.forget_queue()
        if self._working:
            await self._clock.wait(timeout, self._idle)
        if self._working:
            log.warning("handlers did not finish in time; their entries are handed back", handlers=len(self._working))
        await cancelled(self._working, again=2.0)
        await cancelled(self._standing)
        try:
            await self.settler.flush()
            left = await self._streams.leave([lane.pair for lane in self.lanes], self.name, self._clock.now())
            if not left:
                await self._streams.forget_beat(self.name)
        except Exception as error:  # noqa: BLE001 - the others claim what is left when our heartbeat has stopped
            log.warning("could not hand everything back; the others will claim it", error=str(error))
        while self.tasks:
            await cancelled(self.tasks)

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def _recall(self) -> None:
        """Have the doorbell's reads come back: nobody else may read meanwhile."""
        if self._recalling is None or self._recalling.done():
            self._recalling = self._spawn(self.doorbell.recall(), "recyclic-bus-recall")

    def _look_again(self) -> None:
        self.intake.stir(lane for lane in self.lanes if lane.dead)

    def _doubt(self) -> None:
        """We were taken for dead, perhaps: what waits here may be another's by now. Ask what is still ours."""
        log.warning("this process stood still beyond its lease; it asks what is still its own", consumer=self.name)
        for lane in self.lanes:
            lane.forget_queue()
            lane.doubtful = True
        self.intake.stir(self.lanes)

    def _feed(self, lane: Lane, entries: Iterable[Entry], claimed: bool) -> None:  # noqa: FBT001 - see Feed
        if self._crashed:
            return
        lane.accept(entries, claimed=claimed)
        if self.intake.looking:  # before handlers take the loop, its next request leaves, and the server works too
            asyncio.get_running_loop().call_soon(self._staff, lane)
        else:
            self._staff(lane)

    def _staff(self, lane: Lane) -> None:
        """Give the lane one worker more while entries wait; look again once that one has begun.

        Handlers that never wait for anything are run by one worker; for others there is one more in each tick.
        """
        if lane.understaffed and not self._closing.is_set():
            lane.workers += 1
            self._idle.clear()
            task = self._spawn(self._work(lane), "recyclic-bus-worker")
            self._working.add(task)
            task.add_done_callback(self._stopped)
            asyncio.get_running_loop().call_soon(self._staff, lane)

    def _stopped(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not self._working:
            self._idle.set()

    async def _work(self, lane: Lane) -> None:
        """Handle what is queued, until nothing is left."""
        try:
            handle, closing, now = self.worker.handle, self._closing.is_set, time.perf_counter
            intake = self.intake
            turn = now()
            while not closing() and not lane.paused:
                if not self._life.trusted:
                    self._doubt()
                    return
                entry = lane.next()
                if entry is None:
                    return
                await handle(lane, entry)
                if (lane.unread or lane.due or lane.dead) and lane.hungry and not intake.stirred:
                    intake.stir((lane,))
                    await asyncio.sleep(0)  # the intake asks for more
                if intake.asking:
                    intake.asking = False
                    await asyncio.sleep(0)  # its request is written,
                    await asyncio.sleep(0)  # and leaves: the server works while we handle the rest
                    turn = now()
                elif now() - turn > LONGEST_TURN:
                    await asyncio.sleep(0)
                    turn = now()
        finally:
            lane.workers -= 1
