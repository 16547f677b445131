"""Retention: history is trimmed, and nothing that some group has not acked ever is."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recyclic.core.events.event import Event
from recyclic.core.events.retention import Janitor
from recyclic.core.events.settings import BrokerSettings

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


async def test_stopped_group_pins_the_stream_and_that_is_reported(bench, capsys) -> None:
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
    assert "longer than its hard limit" in capsys.readouterr().out


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


steps = st.lists(
    st.one_of(
        st.tuples(st.just("emit"), st.integers(1, 40)),
        st.tuples(st.just("read"), st.sampled_from(GROUPS), st.integers(1, 40)),
        st.tuples(st.just("ack"), st.sampled_from(GROUPS), st.integers(1, 40), st.randoms(use_true_random=False)),
        st.tuples(st.just("retry"), st.sampled_from(GROUPS)),
        st.tuples(st.just("trim"), st.integers(0, 50)),
    ),
    max_size=30,
)


@pytest.mark.parametrize("backend", ["fake", "redis"], indirect=True)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, exact=st.booleans())
async def test_nothing_unacked_is_ever_trimmed(bench, steps, exact) -> None:
    """For random emits, reads, acks, retries and trims: what a group has not acked, it can still get."""
    await bench.client.flushall()
    streams, unread = bench.streams, {group: [] for group in GROUPS}
    pending: dict[str, list[str]] = {group: [] for group in GROUPS}
    await streams.ensure_groups([(EVENT, group) for group in GROUPS])
    for step, *arguments in steps:
        if step == "emit":
            for _ in range(arguments[0]):
                entry_id = await streams.append(EVENT, {"data": b"{}"})
                for group in GROUPS:
                    unread[group].append(entry_id)
        elif step == "read":
            group, count = arguments
            [entries] = await streams.read("c", [((EVENT, group), count)])
            assert [entry.id for entry in entries] == unread[group][:count]
            pending[group] += unread[group][:count]
            del unread[group][:count]
        elif step == "ack":
            group, count, random = arguments
            chosen = random.sample(pending[group], min(count, len(pending[group])))
            await streams.ack("c", [((EVENT, group), tuple(chosen))])
            pending[group] = [entry_id for entry_id in pending[group] if entry_id not in chosen]
        elif step == "retry" and pending[arguments[0]]:
            entry_id = pending[arguments[0]][0]
            await streams.schedule_retry((EVENT, arguments[0]), "c", entry_id, due=9e9, attempt=1, error="", now=0.0)
        elif step == "trim":
            await streams.trim(EVENT, arguments[0], exact=exact)
    present = set(await ids(bench))
    for group in GROUPS:
        assert set(unread[group]) | set(pending[group]) <= present
