"""Doorbell: the task that waits for streams to grow, with the reads of those that grew last waiting right behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from recyclic.core.events.entries import as_number
from recyclic.core.events.intake import Intake
from recyclic.core.events.lane import Lane
from recyclic.core.events.port import News
from recyclic.core.events.settings import pause_after

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.port import Streams

log = structlog.get_logger(__name__)

BEHIND = 16
"""Groups that are read in the round trip that tells of their stream; further ones are read when we have been told."""

AGAIN = 0.02
"""Seconds after which a wait is called back once more: it may not have reached the server at the first time."""


class Doorbell:
    """Waits on one connection for all streams of a consumer, and marks the lanes of those that have grown as unread.

    Where the server allows it, reads of the streams that grew last are sent along with the wait and run as soon as it
    ends: what they bring has cost one round trip instead of two. While such a read is under way its lane is
    `listening`, and the intake leaves new entries and our own pending list alone, so that nothing is taken twice.
    """

    def __init__(
        self,
        streams: Streams,
        clock: Clock,
        consumer: str,
        lanes: Sequence[Lane],
        intake: Intake,
        closing: asyncio.Event,
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._consumer = consumer
        self._lanes = lanes
        self._intake = intake
        self._closing = closing
        self._by_event: dict[str, list[Lane]] = {}
        for lane in lanes:
            self._by_event.setdefault(lane.subscription.event, []).append(lane)
        self._recent = dict.fromkeys(self._by_event)
        self._waiting = False
        self._returned = asyncio.Event()
        self._heard: Mapping[str, str] | None = None

    @property
    def listening(self) -> Mapping[str, str] | None:
        """Return, while news are waited for, where each stream was known to end; who finds it longer knows of news.

        Empty while this waits for the intake; None while it has something to do itself.
        """
        return self._heard or ({} if self._heard == {} and self._intake.underway else None)

    async def run(self) -> None:
        """Listen, until the consumer closes or this is cancelled."""
        positions: dict[str, str] | None = None
        failures = 0
        while self._by_event and not self._closing.is_set():
            try:
                if positions is None:
                    positions = await self._streams.tails(self._by_event)
                    self._intake.stir_all()
                positions.update(await self._next(positions))
                failures = 0
            except Exception as error:  # noqa: BLE001 - this loop outlives whatever fails in it
                positions = self._heard = None
                for lane in self._lanes:
                    lane.doubtful = True  # another server may answer now, which has not heard of our last acks
                failures += 1
                if failures == 1:
                    log.warning("not told of new events; trying again", error=str(error))
                await self._clock.wait(pause_after(failures), self._closing)

    async def recall(self) -> None:
        """Return once nothing is under way; what waits comes back at once where the server lets us ask for it."""
        while self._streams.reads_behind and self._waiting:
            self._returned.clear()
            await self._streams.recall()
            try:
                async with asyncio.timeout(AGAIN):
                    await self._returned.wait()
            except TimeoutError:
                continue

    async def _next(self, positions: Mapping[str, str]) -> dict[str, str]:
        """Wait for news and act on them; return the new positions of the streams that have grown."""
        if restless := [lane for lanes in self._chosen() for lane in lanes if lane.readable and not lane.calm]:
            await self._look(restless)  # afterwards, a read for them can wait behind the bell
        news = await self._listen(positions)
        unread = [event for event in news.grown if any(lane.unread for lane in self._by_event[event])]
        if not unread:
            await asyncio.sleep(0)  # handlers first
            return news.grown
        await self._look(self._lanes_of(unread))  # the entries come first, then we listen on
        ends = await self._streams.tails(unread)
        if any(ends[event] != news.grown[event] for event in unread):
            for lane in self._lanes_of(unread):
                lane.unread = True  # more came after what was announced: read up to there, and listen from there
            self._intake.stir(self._lanes_of(unread))
        return {**news.grown, **ends}

    async def _listen(self, positions: Mapping[str, str]) -> News:
        """Wait for news; hand over what was read behind them. `grown` says how far that went."""
        listening = [(lane, (lane.pair, lane.room)) for lanes in self._chosen() for lane in lanes if lane.calm]
        for lane, _ in listening:
            lane.listening = True
        self._waiting, self._heard = True, positions
        try:
            news = await self._streams.news(positions, self._consumer, [want for _, want in listening])
        finally:
            self._waiting, self._heard = False, None
            for lane, _ in listening:
                lane.listening = False
            self._returned.set()
        armed = {lane for lane, _ in listening}
        for event in news.grown:
            self._recent.pop(event)
            self._recent[event] = None
            for lane in self._by_event[event]:
                lane.unread = lane.unread or lane not in armed
        for (lane, (_, count)), entries in zip(listening, news.read, strict=True):
            if entries is None:
                lane.look()
            else:
                self._intake.arrived(lane, count, entries)
                event = lane.subscription.event
                if entries and event in news.grown:
                    news.grown[event] = max(news.grown[event], entries[-1].id, key=as_number)
            if lane.wanting:
                self._intake.stir((lane,))
        return news

    async def _look(self, lanes: Iterable[Lane]) -> None:
        self._heard = {}
        await self._intake.look(lanes)
        self._heard = None

    def _chosen(self) -> list[list[Lane]]:
        """Return the lanes that are read behind the wait, by stream: those that grew last, each stream whole."""
        chosen: list[list[Lane]] = []
        room = BEHIND if self._streams.reads_behind else 0
        for event in reversed(self._recent):
            lanes = self._by_event[event]
            room -= len(lanes)
            if room < 0:
                break
            chosen.append(lanes)
        return chosen

    def _lanes_of(self, events: Iterable[str]) -> list[Lane]:
        return [lane for event in events for lane in self._by_event[event]]
