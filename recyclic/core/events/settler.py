"""Settler: writes down how handlings ended: acks coalesced per loop tick, retries and dead letters one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from recyclic.core.events.entries import DeadLetter, Entry, Verdict
from recyclic.core.events.lane import Lane
from recyclic.core.events.settings import pause_after

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.observer import Observers
    from recyclic.core.events.port import Streams

log = structlog.get_logger(__name__)

Write = Callable[[], Awaitable[Verdict]]


class Settler:
    """Keeps each outcome until Redis has confirmed it. While Redis is away it tries again, and nothing is forgotten."""

    def __init__(self, streams: Streams, clock: Clock, observers: Observers, consumer: str) -> None:
        self._streams = streams
        self._clock = clock
        self._observers = observers
        self._consumer = consumer
        self._acks: dict[Lane, list[Entry]] = {}
        self._writes: list[tuple[Lane, Entry, Write, Callable[[], None]]] = []
        self._unsure: set[Entry] = set()
        self._wake = asyncio.Event()
        self._flushing = 0
        self.lost_leases = 0

    @property
    def waiting(self) -> int:
        """Return how many outcomes are not confirmed yet."""
        return sum(map(len, self._acks.values())) + len(self._writes) + self._flushing

    def ack(self, lane: Lane, entry: Entry) -> None:
        """Ack an entry with the next flush."""
        waiting = self._acks.get(lane)
        if waiting is None:
            self._acks[lane] = [entry]
            self._wake.set()
        else:
            waiting.append(entry)

    def retry(self, lane: Lane, entry: Entry, due: float, attempt: int, error: str, then: Callable[[], None]) -> None:
        """Schedule a retry; call `then` once it is stored."""
        now = self._clock.now()

        async def write() -> Verdict:
            return await self._streams.schedule_retry(
                lane.pair, self._consumer, entry.id, due=due, attempt=attempt, error=error, now=now
            )

        self._write(lane, entry, write, then)

    def bury(self, lane: Lane, entry: Entry, letter: DeadLetter) -> None:
        """Move an entry to the dead letters. One without a body is nobody's to claim, so it is not fenced."""

        async def write() -> Verdict:
            return await self._streams.dead_letter(lane.pair, "" if entry.row is None else self._consumer, letter)

        def then() -> None:
            module = lane.subscription.module
            self._observers.dead(entry.id, letter.event, module, letter.group, letter.attempts, letter.reason)
            self._observers.settled(letter.event, letter.group, entry.id)

        self._write(lane, entry, write, then)

    def _write(self, lane: Lane, entry: Entry, write: Write, then: Callable[[], None]) -> None:
        self._writes.append((lane, entry, write, then))
        self._wake.set()

    async def run(self) -> None:
        """Flush whenever there is something, until cancelled."""
        failures = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.flush()
                failures = 0
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                failures += 1
                if failures == 1:
                    log.warning("outcomes cannot be written; they are kept", error=str(error), waiting=self.waiting)
                self._wake.set()
                await self._clock.wait(pause_after(failures))

    async def flush(self) -> None:
        """Write all outcomes down now.

        Raises:
            BusError: Redis is away; what was not confirmed is kept.
        """
        acks, self._acks = self._acks, {}
        writes, self._writes = self._writes, []
        self._flushing = sum(map(len, acks.values())) + len(writes)
        try:
            if acks:
                await self._flush_acks(acks)
            while writes:
                await self._flush_write(*writes[0])
                del writes[0]
                self._flushing -= 1
        finally:
            for lane, entries in acks.items():
                self._acks[lane] = entries + self._acks.get(lane, [])
            self._writes = writes + self._writes
            self._flushing = 0

    async def _flush_acks(self, acks: dict[Lane, list[Entry]]) -> None:
        batch = [(lane.pair, tuple(entry.id for entry in entries)) for lane, entries in acks.items()]
        try:
            answers = await self._streams.ack(self._consumer, batch)
        except BaseException:  # cancelled, too: it may have been written
            self._unsure.update(entry for entries in acks.values() for entry in entries)
            raise
        for (lane, entries), verdicts in zip(acks.items(), answers, strict=True):
            self._flushing -= len(entries)
            told, unsure = self._observers.hears_settled, bool(self._unsure)
            for entry, verdict in zip(entries, verdicts, strict=True):
                if verdict is Verdict.DONE and not unsure:
                    lane.release(entry)
                elif not self._confirmed(lane, entry, verdict):
                    continue
                if told:
                    self._observers.settled(*lane.pair, entry.id)
        acks.clear()

    async def _flush_write(self, lane: Lane, entry: Entry, write: Write, then: Callable[[], None]) -> None:
        try:
            verdict = await write()
        except BaseException:  # cancelled, too: it may have been written
            self._unsure.add(entry)
            raise
        if self._confirmed(lane, entry, verdict):
            then()

    def _confirmed(self, lane: Lane, entry: Entry, verdict: Verdict) -> bool:
        """Release the entry; an outcome whose reply was lost counts as written if it is gone at the second try."""
        unsure = bool(self._unsure) and entry in self._unsure
        if unsure:
            self._unsure.discard(entry)
        lane.release(entry)
        if verdict is Verdict.DONE or (verdict is Verdict.GONE and unsure):
            return True
        self.lost_leases += 1
        log.warning("an entry was taken over while its handler ran", entry=entry.id, pair=lane.pair)
        self._observers.changed()
        return False
