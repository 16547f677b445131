"""Retention: history is trimmed, and nothing that some group has not acked ever is."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recyclic.core.events.event import Event
from recyclic.core.events.retention import Janitor
from recyclic.core.events.settings import BrokerSettings

pytestmark = pytest.mark.slow  # hundreds of generated histories

EVENT = "thing_done"
GROUPS = ("one", "two", "three")


class ThingDone(Event):
    """Something was done."""

    x: int


async def ids(bench) -> list[str]:
    return [entry_id.decode() for entry_id, _ in await bench.client.xrange(f"events:{EVENT}")]


async def test_acked_history_is_trimmed_to_its_length_and_not_below(bench) -> None:
    """`maxlen` entries stay, give or take one node of the stream."""
    await bench.streams.ensure_groups([(EVENT, "one")])
    for _ in range(2500):
        await bench.streams.append(EVENT, {"data": b"{}"})
    while True:
        [entries] = await bench.streams.read("c", [((EVENT, "one"), 500)])
        if not entries:
            break
        await bench.streams.ack("c", [((EVENT, "one"), tuple(entry.id for entry in entries))])
    before = await ids(bench)
    trimmed = await bench.streams.trim(EVENT, 1000)
    after = await ids(bench)
    assert after == before[trimmed:]
    assert 1000 <= len(after) <= 1000 + 200


async def test_history_of_a_stream_without_groups_is_trimmed(bench) -> None:
    """Nobody waits for it."""
    for _ in range(1500):
        await bench.streams.append(EVENT, {"data": b"{}"})
    assert await bench.streams.trim(EVENT, 100) > 0
    assert len(await ids(bench)) >= 100
    assert await bench.streams.trim("never_happened", 100) == 0


async def test_stopped_group_pins_the_stream_and_that_is_reported(bench, log) -> None:
    """A group that nobody runs any more is known to Redis still; the janitor warns instead of cutting."""
    seen = []

    async def handler(x: int) -> None:
        seen.append(x)

    broker = await bench.serving((EVENT, handler), maxlen=10, hard_limit=100)
    await bench.streams.ensure_groups([(EVENT, "disabled")])
    bus = broker.scoped("caisse", emits=[ThingDone])
    await asyncio.gather(*(bus.emit(ThingDone(x=number)) for number in range(300)))
    await bench.settled((EVENT, "paheko"))
    janitor = Janitor(bench.streams, broker.clock, broker.settings, lambda: [EVENT])
    assert await janitor.sweep() == 0
    assert len(await ids(bench)) == 300
    assert "longer than its hard limit" in log


async def test_janitor_sweeps_by_itself(bench) -> None:
    """Once a minute of the host's clock, and it outlives an error."""
    clock = bench.manual_clock()
    swept = []

    class Streams:
        async def trim(self, event, maxlen):
            swept.append((event, maxlen))
            if len(swept) == 1:
                raise OSError("away")
            return 0

        async def length(self, event):
            return 0

    janitor = Janitor(Streams(), clock, BrokerSettings(janitor=60.0, maxlen=7), lambda: [EVENT])
    task = asyncio.create_task(janitor.run())
    while len(swept) < 3:
        await asyncio.sleep(0)
        clock.advance(60.0)
    task.cancel()
    assert swept[:3] == [(EVENT, 7)] * 3


some = st.sets(st.sampled_from(GROUPS), min_size=1).map(sorted)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("emit"), st.integers(1, 20)),
        st.tuples(st.just("read"), st.one_of(some, st.just(list(GROUPS))), st.integers(1, 60)),
        st.tuples(st.just("ack"), some, st.integers(1, 60), st.randoms(use_true_random=False)),
        st.tuples(st.just("retry"), some),
        st.tuples(st.just("trim"), st.integers(0, 20)),
    ),
    max_size=30,
)
everything = [("emit", 10), ("read", list(GROUPS), 10)]
partly = [*everything, ("ack", ["one", "two"], 60, random.Random(1)), ("retry", ["three"])]


class Model:
    """What each group has not read, and has not acked, beside the stream that it is compared with."""

    def __init__(self, bench, exact: bool) -> None:
        self.bench, self.streams, self.exact = bench, bench.streams, exact
        self.unread: dict[str, list[str]] = {group: [] for group in GROUPS}
        self.pending: dict[str, list[str]] = {group: [] for group in GROUPS}

    async def emit(self, count: int) -> None:
        for _ in range(count):
            entry_id = await self.streams.append(EVENT, {"data": b"{}"})
            for unread in self.unread.values():
                unread.append(entry_id)

    async def read(self, groups: list[str], count: int) -> None:
        for group in groups:
            [entries] = await self.streams.read("c", [((EVENT, group), count)])
            assert [entry.id for entry in entries] == self.unread[group][:count]
            self.pending[group] += self.unread[group][:count]
            del self.unread[group][:count]

    async def ack(self, groups: list[str], count: int, chance: random.Random) -> None:
        for group in groups:
            chosen = chance.sample(self.pending[group], min(count, len(self.pending[group])))
            await self.streams.ack("c", [((EVENT, group), tuple(chosen))])
            self.pending[group] = [entry_id for entry_id in self.pending[group] if entry_id not in chosen]

    async def retry(self, groups: list[str]) -> None:
        later = {"due": 9e9, "attempt": 1, "error": "", "now": 0.0}
        for group in groups:
            for entry_id in self.pending[group][:1]:
                await self.streams.schedule_retry((EVENT, group), "c", entry_id, **later)

    async def trim(self, maxlen: int) -> None:
        await self.streams.trim(EVENT, maxlen, exact=self.exact)

    async def check(self) -> None:
        present = set(await ids(self.bench))
        for group in GROUPS:
            assert set(self.unread[group]) | set(self.pending[group]) <= present


@pytest.mark.parametrize("backend", ["fake", "redis"], indirect=True)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, exact=st.booleans())
@example(steps=[*everything, ("trim", 0)], exact=True)
@example(steps=[*partly, ("trim", 0)], exact=True)
async def test_nothing_unacked_is_ever_trimmed(bench, steps, exact) -> None:
    """For random emits, reads, acks, retries and trims: what a group has not acked, it can still get."""
    await bench.client.flushall()
    await bench.streams.ensure_groups([(EVENT, group) for group in GROUPS])
    model = Model(bench, exact)
    for step, *arguments in steps:
        await getattr(model, step)(*arguments)
        if step == "trim":
            await model.check()
    await model.check()
