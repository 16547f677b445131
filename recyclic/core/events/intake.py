"""Intake: the one task of a consumer that makes entries its own: new ones, due retries, those of the dead."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import structlog

from recyclic.core.events.entries import Entry, Want
from recyclic.core.events.lane import Lane
from recyclic.core.events.settings import pause_after

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.port import Streams
    from recyclic.core.events.settings import BrokerSettings

log = structlog.get_logger(__name__)

SKEW = 60.0
"""Seconds by which the clocks of two processes may differ. What is due later than any retry can be beyond that was
scheduled by a clock that was wrong."""

LANES_A_SECOND = 1000
"""Groups that are looked at without a reason in one second, at most: a process with more takes longer for a round."""

Feed = Callable[[Lane, Iterable[Entry], bool], None]
"""Takes entries over; the last argument says that they were claimed from a dead consumer."""


class Intake:
    """Takes entries for `lanes`, those that have a reason, and hands them to `feed`. Never cancelled in the middle."""

    def __init__(
        self,
        streams: Streams,
        clock: Clock,
        settings: BrokerSettings,
        consumer: str,
        lanes: Sequence[Lane],
        closing: asyncio.Event,
        feed: Feed,
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._settings = settings
        self._consumer = consumer
        self._lanes = lanes
        self._closing = closing
        self._feed = feed
        self._stirred: set[Lane] = set(lanes)
        for lane in lanes:
            lane.freed = self._freed
        self._suspects: set[Lane] = set()
        self._retries: list[tuple[float, int, Lane]] = []
        self._counter = 0
        self._poll = max(settings.poll, len(lanes) / LANES_A_SECOND)
        self._next_poll = 0.0
        self._news = asyncio.Event()
        self.asking = False
        """Set when a request for new entries is about to leave; whoever keeps the loop busy gives way and resets it."""
        self.recall: Callable[[], None] = lambda: None
        """Has the reads that wait behind the doorbell come back, soon."""
        self.looking = False
        """Set during a look around: more requests may be about to leave."""
        self._looks = 0
        self._looked = asyncio.Event()
        self.claimed = 0
        """Entries that were claimed from dead consumers."""

    @property
    def stirred(self) -> bool:
        """Return whether a look around is to come."""
        return self._news.is_set()

    @property
    def underway(self) -> bool:
        """Return whether a look around is to come or under way."""
        return self.looking or self.stirred

    def stir(self, lanes: Iterable[Lane]) -> None:
        """Look at these lanes as soon as possible."""
        self._stirred.update(lanes)
        self._news.set()

    def stir_all(self) -> None:
        """Look at everything as soon as possible, as if nobody had told what there is."""
        for lane in self._lanes:
            lane.look()
        self.stir(self._lanes)

    async def look(self, lanes: Iterable[Lane]) -> None:
        """Look at these lanes, and return when that is done."""
        self.stir(lanes)
        over = self._looks + 1 + self.looking  # one that has begun may have passed them by
        while self._looks < over:
            self._looked.clear()
            await self._looked.wait()

    def scheduled(self, lane: Lane, due: float) -> None:
        """Look for the lane's retries at the time `due`."""
        self._counter += 1
        heapq.heappush(self._retries, (due, self._counter, lane))
        self._news.set()

    async def run(self) -> None:
        """Take whatever there is, until the consumer closes."""
        failures = 0
        while not self._closing.is_set():
            self._news.clear()
            self.looking = True
            try:
                await self._look_around()
                if failures:
                    log.warning("reading again", failures=failures)
                failures = 0
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                failures += 1
                if failures == 1:
                    log.warning("cannot read; trying again", error=str(error))
                for lane in self._lanes:
                    lane.doubtful = True
                    lane.look()
                self._stirred.update(self._lanes)
                await self._clock.wait(pause_after(failures), self._closing)
                continue
            finally:
                self.looking = False
                self._looks += 1
                self._looked.set()
            await self._clock.wait(self._until_next(), self._news)

    def _until_next(self) -> float:
        due = self._retries[0][0] - self._clock.now() if self._retries else self._poll
        return max(0.0, min(due, self._next_poll - self._clock.monotonic()))

    async def _look_around(self) -> None:
        if self._clock.monotonic() >= self._next_poll:
            self._next_poll = self._clock.monotonic() + self._poll
            for lane in self._lanes:
                lane.look()
            self._stirred.update(self._lanes)
        now = self._clock.now()
        while self._retries and self._retries[0][0] <= now:
            lane = heapq.heappop(self._retries)[2]
            lane.due = True
            self._stirred.add(lane)
        lanes, self._stirred = [lane for lane in self._stirred if not lane.paused], set()
        try:
            await self._take(lanes, now)
        finally:
            self._stirred.update(lane for lane in lanes if lane.wanting)

    async def _take(self, lanes: Sequence[Lane], now: float) -> None:
        missing: list[Lane] = []
        for lane in lanes:
            if lane.doubtful and lane.listening:
                self.recall()  # what it brings would be in our pending list as well
            elif lane.doubtful:
                await self._take_own(lane, missing)
            while lane.dead and lane.room > 0 and self._may_claim(lane):
                await self._take_from_dead(lane, now)
        await self._take_due(lanes, now, missing)
        while wants := self._wants([lane for lane in lanes if not lane.listening], "unread"):
            await self._take_new(wants, missing)
        if missing:
            await self._recreate(missing)

    async def _take_own(self, lane: Lane, missing: list[Lane]) -> None:
        """Read our own pending list: a reply that was lost had made entries ours that we never saw."""
        in_hand = set(lane.held)
        lane.doubtful = False
        lane.reading = True
        try:
            entries = await self._streams.mine(lane.pair, self._consumer)
        finally:
            lane.reading = False
        if entries is None:
            missing.append(lane)
        else:
            self._feed(lane, [entry for entry in entries if entry.id not in in_hand], False)

    def _may_claim(self, lane: Lane) -> bool:
        """Return whether what the dead held can be taken: not beside what may be poison, in whatever group it runs.

        After a lease it has killed nobody, and no longer keeps the others waiting.
        """
        if lane.claimed or self._closing.is_set():
            return False
        since = self._clock.monotonic() - self._settings.lease
        self._suspects = {
            other for other in self._suspects if other.suspect_since is not None and other.suspect_since >= since
        }
        return not self._suspects

    def _freed(self) -> None:
        """Look again: the lanes that wait for this are stirred as long as they want something."""
        self._news.set()

    async def _take_from_dead(self, lane: Lane, now: float) -> None:
        dead = next(iter(lane.dead))
        held, entries = await self._streams.claim(
            lane.pair, self._consumer, dead, limit=lane.room, now=now, max_attempts=lane.subscription.max_attempts
        )
        self.claimed += len(entries)
        if len(entries) == 1:  # handed over alone
            lane.suspect_since = self._clock.monotonic()
            self._suspects.add(lane)
        self._feed(lane, entries, True)
        if not held:
            await self._streams.remove_consumer(lane.pair, dead)
            lane.dead.discard(dead)

    async def _take_due(self, lanes: Sequence[Lane], now: float, missing: list[Lane]) -> None:
        wants = self._wants(lanes, "due")
        if not wants:
            return
        for lane, _ in wants:
            lane.due = False
        horizon = now + 1.2 * self._settings.max_backoff + SKEW
        answers = await self._streams.take_due(self._consumer, [want for _, want in wants], now, horizon)
        for (lane, (_, count)), entries in zip(wants, answers, strict=True):
            lane.due = lane.due or (entries is not None and len(entries) == count)
            if entries is None:
                missing.append(lane)
            else:
                self._feed(lane, entries, False)

    async def _take_new(self, wants: Sequence[tuple[Lane, Want]], missing: list[Lane]) -> None:
        for lane, _ in wants:
            lane.unread, lane.reading = False, True
        self.asking = True
        try:
            answers = await self._streams.read(self._consumer, [want for _, want in wants])
        finally:
            for lane, _ in wants:
                lane.reading = False
        for (lane, (_, count)), entries in zip(wants, answers, strict=True):
            if entries is None:
                missing.append(lane)
            else:
                self.arrived(lane, count, entries)

    def arrived(self, lane: Lane, count: int, entries: Sequence[Entry]) -> None:
        """Hand over what a read of `count` new entries at most has brought."""
        whole = len(entries) == count
        lane.unread = lane.unread or whole
        lane.paced(time.perf_counter(), whole=whole)
        self._feed(lane, entries, False)

    async def _recreate(self, lanes: Sequence[Lane]) -> None:
        created = await self._streams.ensure_groups(dict.fromkeys(lane.pair for lane in lanes))
        if created:
            log.warning("consumer groups were missing and start at the first retained entry again", groups=created)
        for lane in lanes:
            lane.look()
        self.stir(lanes)

    def _wants(self, lanes: Iterable[Lane], what: str) -> list[tuple[Lane, Want]]:
        if self._closing.is_set():
            return []
        return [(lane, (lane.pair, lane.room)) for lane in lanes if getattr(lane, what) and lane.readable]
