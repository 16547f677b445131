"""Consumer: one process's reading and handling for all of its groups, over two connections however many they are."""

from __future__ import annotations

import asyncio
import heapq
import os
import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from recyclic.core.events.cancellation import cancelled
from recyclic.core.events.entries import Entry, Want
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

SKEW = 60.0
"""Seconds by which the clocks of two processes may differ. What is due later than any retry can be beyond that was
scheduled by a clock that was wrong."""

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
        self.claimed = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.settler = Settler(streams, clock, observers, self.name)
        self.worker = Worker(self.settler, clock, observers, around, settings, self.name)
        self.worker.scheduled = self._scheduled
        self.worker.spawn = self._spawn
        self._life = Lifesigns(streams, clock, self.name, self.lanes, settings.lease)
        self._life.found = self._look_again
        self._life.overslept = self._doubt
        self._streams = streams
        self._clock = clock
        self._settings = settings
        self._by_event: dict[str, list[Lane]] = {}
        for lane in self.lanes:
            self._by_event.setdefault(lane.subscription.event, []).append(lane)
        self._retries: list[tuple[float, int, Lane]] = []
        self._counter = 0
        self._next_poll = 0.0
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._crashed = False
        self._idle = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._standing: list[asyncio.Task[None]] = []
        self._intake: asyncio.Task[None] | None = None

    @property
    def busy(self) -> int:
        """Return how many entries are in hand: queued, handled, or with an outcome that is not confirmed."""
        return sum(len(lane.held) for lane in self.lanes)

    def start(self) -> None:
        """Begin to read, in tasks of our own."""
        self._intake = self._spawn(self._take(), "recyclic-bus-intake")
        self._standing = [
            self._spawn(self.settler.run(), "recyclic-bus-settler"),
            self._spawn(self._life.run(), "recyclic-bus-heartbeat"),
            self._spawn(self._listen(), "recyclic-bus-doorbell"),
        ]

    def wake(self) -> None:
        """Look at everything now, without being told that there is something."""
        for lane in self.lanes:
            lane.look()
        self._news.set()

    def claim_from(self, consumer: str) -> None:
        """Take a consumer for dead at once, without waiting for its lease to run out."""
        for lane in self.lanes:
            lane.dead.add(consumer)
        self._news.set()

    async def crash(self) -> None:
        """Die as a killed process does: nothing is finished, acked or handed back, and the heartbeat stops."""
        self._closing.set()
        self._crashed = True
        while self.tasks:
            await cancelled(self.tasks)

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - of the host's clock, not the loop's
        """Stop reading, finish the running handlers, flush their outcomes, hand the rest back to the others."""
        self._closing.set()
        self._news.set()
        if self._intake is not None:
            await asyncio.wait([self._intake])
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

    def _scheduled(self, lane: Lane, due: float) -> None:
        self._counter += 1
        heapq.heappush(self._retries, (due, self._counter, lane))
        self._news.set()

    def _look_again(self) -> None:
        self._news.set()

    def _doubt(self) -> None:
        """We were taken for dead, perhaps: what waits here may be another's by now. Ask what is still ours."""
        log.warning("this process stood still beyond its lease; it asks what is still its own", consumer=self.name)
        for lane in self.lanes:
            lane.forget_queue()
            lane.doubtful = True
        self._news.set()

    async def _listen(self) -> None:
        """Be told which streams have grown. Reads only, takes nothing."""
        positions: dict[str, str] | None = None
        failures = 0
        while self._by_event and not self._closing.is_set():
            try:
                if positions is None:
                    positions = await self._streams.tails(self._by_event)
                    self.wake()
                grown = await self._streams.news(positions)
                self._mark(grown)
                ends = await self._streams.tails(grown)
                if ends != grown:
                    self._mark(ends)  # more came after what was announced: read up to there, and listen from there
                positions.update(ends)
                failures = 0
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                positions = None
                for lane in self.lanes:
                    lane.doubtful = True  # another server may answer now, which has not heard of our last acks
                failures += 1
                if failures == 1:
                    log.warning("not told of new events; trying again", error=str(error))
                await self._clock.wait(_pause(failures), self._closing)

    def _mark(self, events: Iterable[str]) -> None:
        for event in events:
            for lane in self._by_event[event]:
                lane.unread = True
            self._news.set()

    async def _take(self) -> None:
        failures = 0
        while not self._closing.is_set():
            self._news.clear()
            try:
                await self._take_once()
                if failures:
                    log.warning("reading again", failures=failures)
                failures = 0
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                failures += 1
                if failures == 1:
                    log.warning("cannot read; trying again", error=str(error))
                for lane in self.lanes:
                    lane.doubtful = True
                    lane.look()
                await self._clock.wait(_pause(failures), self._closing)
                continue
            await self._clock.wait(self._until_next(), self._news)

    def _until_next(self) -> float:
        due = self._retries[0][0] - self._clock.now() if self._retries else self._settings.poll
        return max(0.0, min(due, self._next_poll - self._clock.monotonic()))

    async def _take_once(self) -> None:
        if self._clock.monotonic() >= self._next_poll:
            self._next_poll = self._clock.monotonic() + self._settings.poll
            for lane in self.lanes:
                lane.look()
        now = self._clock.now()
        while self._retries and self._retries[0][0] <= now:
            heapq.heappop(self._retries)[2].due = True
        missing: list[Lane] = []
        for lane in self.lanes:
            if lane.paused:
                continue
            if lane.doubtful:
                await self._take_own(lane, missing)
            while lane.dead and not lane.claimed and self._room(lane) > 0 and not self._closing.is_set():
                await self._take_from_dead(lane, now)
        await self._take_due(now, missing)
        while wants := self._wants("unread"):
            await self._take_new(wants, missing)
        if missing:
            await self._recreate(missing)

    async def _take_own(self, lane: Lane, missing: list[Lane]) -> None:
        """Read our own pending list: a reply that was lost had made entries ours that we never saw."""
        in_hand = set(lane.held)
        lane.doubtful = False
        entries = await self._streams.mine(lane.pair, self.name)
        if entries is None:
            missing.append(lane)
        else:
            self._feed(lane, [entry for entry in entries if entry.id not in in_hand])

    async def _take_from_dead(self, lane: Lane, now: float) -> None:
        dead = next(iter(lane.dead))
        limit, attempts = self._room(lane), lane.subscription.max_attempts
        held, entries = await self._streams.claim(
            lane.pair, self.name, dead, limit=limit, now=now, max_attempts=attempts
        )
        self.claimed += len(entries)
        self._feed(lane, entries, claimed=True)
        if not held:
            await self._streams.remove_consumer(lane.pair, dead)
            lane.dead.discard(dead)

    async def _take_due(self, now: float, missing: list[Lane]) -> None:
        wants = self._wants("due")
        if not wants:
            return
        for lane, _ in wants:
            lane.due = False
        horizon = now + 1.2 * self._settings.max_backoff + SKEW
        answers = await self._streams.take_due(self.name, [want for _, want in wants], now, horizon)
        for (lane, (_, count)), entries in zip(wants, answers, strict=True):
            lane.due = lane.due or (entries is not None and len(entries) == count)
            if entries is None:
                missing.append(lane)
            else:
                self._feed(lane, entries)

    async def _take_new(self, wants: Sequence[tuple[Lane, Want]], missing: list[Lane]) -> None:
        for lane, _ in wants:
            lane.unread = False
        answers = await self._streams.read(self.name, [want for _, want in wants])
        at = time.perf_counter()
        for (lane, (_, count)), entries in zip(wants, answers, strict=True):
            if entries is None:
                missing.append(lane)
            else:
                whole = len(entries) == count
                lane.unread = lane.unread or whole
                lane.paced(at, whole=whole)
                self._feed(lane, entries)

    async def _recreate(self, lanes: Iterable[Lane]) -> None:
        created = await self._streams.ensure_groups(dict.fromkeys(lane.pair for lane in lanes))
        if created:
            log.warning("consumer groups were missing and start at the first retained entry again", groups=created)
        for lane in lanes:
            lane.look()
        self._news.set()

    def _wants(self, what: str) -> list[tuple[Lane, Want]]:
        if self._closing.is_set():
            return []
        return [
            (lane, (lane.pair, self._room(lane)))
            for lane in self.lanes
            if getattr(lane, what) and not lane.paused and self._hungry(lane)
        ]

    def _hungry(self, lane: Lane) -> bool:
        """Return whether it is worth a round trip to fill the queue."""
        return len(lane.queue) * 2 <= lane.window

    def _room(self, lane: Lane) -> int:
        return lane.window - len(lane.queue)

    def _feed(self, lane: Lane, entries: Iterable[Entry], *, claimed: bool = False) -> None:
        if self._crashed:
            return
        lane.accept(entries, claimed=claimed)
        self._staff(lane)

    def _staff(self, lane: Lane) -> None:
        """Give the lane one worker more while entries wait; look again once that one has begun.

        Handlers that never wait for anything are run by one worker; for others there is one more in each tick.
        """
        if lane.queue and lane.workers < lane.subscription.concurrency and not self._closing.is_set():
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
            turn = now()
            while not closing():
                if not self._life.trusted:
                    self._doubt()
                    return
                entry = lane.next()
                if entry is None:
                    return
                await handle(lane, entry)
                if (lane.unread or lane.due or lane.dead) and self._hungry(lane) and not self._news.is_set():
                    self._news.set()
                    await asyncio.sleep(0)  # the intake asks for more,
                    await asyncio.sleep(0)  # and the request leaves while we handle the rest
                    turn = now()
                elif now() - turn > LONGEST_TURN:
                    await asyncio.sleep(0)
                    turn = now()
        finally:
            lane.workers -= 1


def _pause(failures: int) -> float:
    return min(5.0, 0.05 * 2.0 ** min(failures, 10))
