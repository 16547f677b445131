"""Pitfalls of reference/redis-streams.md that only several servers have, by number: 27 and 30."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from redis.exceptions import ResponseError

from recyclic.core.events.event import Event, EventMeta
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect

pytestmark = pytest.mark.slow  # real servers

PAIR = ("sale_closed", "paheko")


class SaleClosed(Event):
    """A till was closed."""

    number: int


@pytest.fixture
def backend() -> str:
    return "fake"  # the bench's own Redis, which is not asked here


async def test_pitfall_27_group_that_a_failover_rewound_gets_its_entries_again(bench, sentinels) -> None:
    """The acks died with the master: to its replica the entries are pending with this living process, which knows
    nothing of them any more. It asks, and handles them a second time, with the same ids."""
    streams = RedisStreams(client := connect(sentinels.url))
    handled: list[str] = []
    gate = asyncio.Event()

    async def handler(meta: EventMeta) -> None:
        await gate.wait()
        handled.append(meta.id)

    broker = await bench.serving(("sale_closed", handler), streams=streams, lease=30.0, poll=600.0)
    bus = broker.scoped("caisse", emits=[SaleClosed])
    ids = [await bus.emit("sale_closed", number=number) for number in range(5)]
    await bench.until(lambda: broker.busy == 5)
    master = sentinels.master
    [replica] = [server for server in sentinels.data if server is not master]
    await asyncio.to_thread(
        replica.until, lambda: replica.ask("XPENDING", "events:sale_closed", "paheko")[0] == 5, "reads"
    )
    replica.ask("REPLICAOF", "127.0.0.1", 1)  # from here on the master is alone with what it acknowledges
    gate.set()
    await bench.until(lambda: len(bench.journal.of("settled")) == 5)
    assert (sorted(handled), broker.busy) == (sorted(ids), 0)
    assert replica.ask("XPENDING", "events:sale_closed", "paheko")[0] == 5
    master.kill()
    await bench.until(lambda: len(bench.journal.of("settled")) == 10)
    assert Counter(handled) == dict.fromkeys(ids, 2)
    assert (await streams.snapshot([PAIR])).settled
    await broker.close()
    bench.brokers.clear()
    await streams.close()
    await client.aclose()


async def test_pitfall_30_one_read_over_several_slots_fails_and_the_bus_makes_one_for_each(bench, servers) -> None:
    """CROSSSLOT, even where one node has all of them."""
    cluster = servers("cluster")
    streams = RedisStreams(client := connect(cluster.url))
    await client.flushall()
    verbs = ["counted", "weighed", "sold", "given", "mended", "sorted"]
    kinds = [type(f"Thing{verb}", (Event,), {"__annotations__": {"x": int}, "name": f"thing_{verb}"}) for verb in verbs]
    seen: list[int] = []

    async def handler(x: int) -> None:
        seen.append(x)

    broker = await bench.serving(*((event.name, handler) for event in kinds), streams=streams)
    bus = broker.scoped("caisse", emits=kinds)
    for number, event in enumerate(kinds):
        await bus.emit(event(x=number))
    await bench.until(lambda: sorted(seen) == list(range(len(kinds))))
    keys = [f"events:{event.name}" for event in kinds]
    home = cluster.owner(keys[0])
    there = [key for key in keys if cluster.owner(key) is home]
    assert len(there) > 1
    with pytest.raises(ResponseError, match="same slot"):
        home.ask("XREADGROUP", "GROUP", "paheko", "c", "STREAMS", *there, *[">"] * len(there))
    await broker.close()
    bench.brokers.clear()
    await streams.close()
    await client.aclose()
