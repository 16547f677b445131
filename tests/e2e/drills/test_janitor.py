"""The janitor against 50 groups that read and ack at random, while events come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random

import pytest

from drills.account import table
from drills.drill import Drill
from drills.redis_server import RedisServer
from recyclic.core.clock import SystemClock
from recyclic.core.events.entries import Pair
from recyclic.core.events.retention import Janitor
from recyclic.core.events.settings import BrokerSettings
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect

pytestmark = pytest.mark.slow

EVENT = "thing_done"
GROUPS, PROCESSES = 50, 5
MAXLEN = 200
NODE = 100
"""Entries that a node of a stream holds: the janitor trims whole ones."""


async def test_fifty_groups_that_ack_at_random_lose_nothing_to_the_janitor(drill) -> None:
    """Three janitors trim as hard as they can; each entry keeps its body until the last group has acked it."""
    events = drill.size(full=10_000, quick=1_000)
    async with opened(drill) as ways:
        readers = [Reader(ways[n % PROCESSES], (EVENT, f"group_{n}"), drill.chance) for n in range(GROUPS)]
        await ways[0].ensure_groups([reader.pair for reader in readers])
        sweepers = [Sweeper(way) for way in ways[:3]]
        async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
            emitting = tasks.create_task(emit(ways[0], events))
            sweeping = [tasks.create_task(sweeper.run()) for sweeper in sweepers]
            reading = [tasks.create_task(reader.run(events, late=n < 3)) for n, reader in enumerate(readers)]
            await asyncio.wait([emitting, *reading])
            for task in sweeping:
                task.cancel()
        await Janitor(ways[0], SystemClock(), BrokerSettings(maxlen=MAXLEN), lambda: [EVENT]).sweep()
        left = await ways[0].length(EVENT)
    emitted = emitting.result()
    lost = {reader.pair[1]: len(emitted - reader.seen) for reader in readers if emitted - reader.seen}
    bodiless = {reader.pair[1]: len(reader.bodiless) for reader in readers if reader.bodiless}
    handled = sum(len(reader.seen) for reader in readers)
    heads = ("groups", "emitted", "handled by all", "lost", "without body", "sweeps while running", "left")
    row = (GROUPS, len(emitted), handled, sum(lost.values()), sum(bodiless.values()))
    text = table(heads, [(*row, sum(sweeper.sweeps for sweeper in sweepers), left)])
    drill.tell(f"{drill.name}: {events} events, seed {drill.seed}\n{text}")
    assert (lost, bodiless) == ({}, {}), text
    assert sum(sweeper.trimmed for sweeper in sweepers) > 0, "nothing was trimmed meanwhile: the drill proved nothing"
    assert MAXLEN <= left <= MAXLEN + NODE, text


class Reader:
    """A group that reads as much as it likes and acks what it likes, until it has all and acks the rest."""

    def __init__(self, streams: RedisStreams, pair: Pair, chance: Random) -> None:
        self.pair = pair
        self.seen: set[str] = set()
        self.bodiless: set[str] = set()
        self._streams = streams
        self._chance = chance
        self._held: list[str] = []

    async def run(self, events: int, *, late: bool) -> None:
        """Read `events` of them; `late` begins when half of them are there, as a module that was disabled."""
        while late and await self._streams.length(EVENT) < events // 2:  # noqa: ASYNC110 - nobody could tell us
            await asyncio.sleep(0.01)  # between two looks at the server
        while len(self.seen) < events:
            [entries] = await self._streams.read("reader", [(self.pair, self._chance.randint(1, 100))])
            for entry in entries or ():
                self.seen.add(entry.id)
                self._held.append(entry.id)
                if not entry.fields:
                    self.bodiless.add(entry.id)
            if self._chance.random() < 0.5:
                await self._ack(self._chance.randint(0, len(self._held)))
            if self._chance.random() < 0.05:
                await self._look()
            await asyncio.sleep(0)
        await self._look()
        await self._ack(len(self._held))

    async def _ack(self, count: int) -> None:
        if self._chance.random() < 0.3:
            self._chance.shuffle(self._held)
        acked, self._held = self._held[:count], self._held[count:]
        if acked:
            await self._streams.ack("reader", [(self.pair, tuple(acked))])

    async def _look(self) -> None:
        """Ask for all that is pending, as after a lost reply: each must still have its body."""
        for entry in await self._streams.mine(self.pair, "reader") or ():
            if not entry.fields:
                self.bodiless.add(entry.id)


class Sweeper:
    """A janitor that never rests."""

    def __init__(self, streams: RedisStreams) -> None:
        self.sweeps = self.trimmed = 0
        self._janitor = Janitor(streams, SystemClock(), BrokerSettings(maxlen=MAXLEN), lambda: [EVENT])

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            self.trimmed += await self._janitor.sweep()
            self.sweeps += 1
            await asyncio.sleep(0)


async def emit(streams: RedisStreams, events: int) -> set[str]:
    """Append the events, some at once, and return their ids."""
    emitted: set[str] = set()
    while len(emitted) < events:
        number = len(emitted)
        at_once = min(20, events - number)
        appends = (streams.append(EVENT, {"data": b'{"number": %d}' % (number + step)}) for step in range(at_once))
        emitted.update(await asyncio.gather(*appends))
    return emitted


@asynccontextmanager
async def opened(drill: Drill) -> AsyncIterator[list[RedisStreams]]:
    """Start a Redis and open it as so many processes would."""
    redis = RedisServer(drill.folder / "redis")
    redis.start()
    async with AsyncExitStack() as stack:
        stack.callback(redis.stop)
        ways = []
        for _ in range(PROCESSES):
            client = connect(redis.url)
            stack.push_async_callback(client.aclose)
            ways.append(RedisStreams(client))
            stack.push_async_callback(ways[-1].close)
        yield ways
