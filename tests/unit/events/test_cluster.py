"""A Redis Cluster: streams on different nodes, slots that move, nodes that die, and who is told of what."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from recyclic.core.events import shard_bell
from recyclic.core.events.cluster import slot_of
from recyclic.core.events.event import Event
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.errors import BusError
from recyclic.testing.topologies import Cluster

pytestmark = pytest.mark.slow  # real servers

VERBS = [
    "counted",
    "weighed",
    "sold",
    "given",
    "mended",
    "sorted",
    "found",
    "lost",
    "cleaned",
    "moved",
    "kept",
    "shown",
]
KINDS = [type(f"Thing{verb}", (Event,), {"__annotations__": {"x": int}, "name": f"thing_{verb}"}) for verb in VERBS]
"""Events enough for several streams on each of three nodes."""
KEYS = [f"events:{event.name}" for event in KINDS]
MOVING = KINDS[3].name
PLAIN = 1_000_000
"""The number of what is emitted without a transaction while a node is down."""


@pytest.fixture
def backend() -> str:
    return "fake"  # the bench's own Redis, which is not asked here


@pytest.fixture(scope="module")
def cluster(servers) -> Cluster:
    return servers("cluster")


@pytest.fixture
def open_streams() -> AsyncIterator:
    """Open transports of their own to a cluster, as several processes would."""
    opened: list[RedisStreams] = []

    def one(where: Cluster) -> RedisStreams:
        opened.append(RedisStreams(connect(where.url)))
        return opened[-1]

    yield one
    assert all(streams._wire._bell._ears == {} for streams in opened), "close what was opened"


async def shut(bench, *all_streams: RedisStreams) -> None:
    for broker in bench.brokers:
        await broker.close()
    bench.brokers.clear()
    for streams in all_streams:
        await streams.close()
        await streams.client.aclose()


def test_streams_lie_on_different_nodes_each_with_its_companions(cluster) -> None:
    """The keys of one event share a slot, whatever there is beside its stream."""
    assert len({cluster.owner(key) for key in KEYS}) == 3
    for key in KEYS:
        beside = ("retry:{%s}:g", "attempts:{%s}:g", "dead:{%s}:g", "outbox:{%s}", "replays:{%s}", "copies:{%s}")
        assert {slot_of(name % key) for name in beside} == {slot_of(key)}
        assert cluster.servers[0].ask("CLUSTER", "KEYSLOT", key) == slot_of(key)


def waiting_for(positions: dict[str, str], milliseconds: int) -> tuple:
    words = ("XREAD", "COUNT", 1, "BLOCK", milliseconds, "STREAMS", *positions, *positions.values())
    return next(iter(positions)), words


async def test_reader_is_told_by_whoever_appends(cluster, open_streams) -> None:
    """On whichever node the stream lies: the wait ends with the append, long before its time is over."""
    reader, writer = open_streams(cluster), open_streams(cluster)
    await reader.client.flushall()
    positions = dict.fromkeys(KEYS, "0-0")
    positions[KEYS[0]] = before = await writer.append(KINDS[0].name, {"data": b"{}"})
    waiting = reader._wire.wait([waiting_for(positions | {KEYS[0]: "0-0"}, milliseconds=600_000)])
    [[[grown, [[told, _]]]]] = await asyncio.wait_for(waiting, 20)
    assert (grown.decode(), told.decode()) == (KEYS[0], before), "what was there before anybody listened"
    for event, key in zip(KINDS, KEYS, strict=True):
        waiting = asyncio.create_task(reader._wire.wait([waiting_for(positions, milliseconds=600_000)]))
        await asyncio.sleep(0)
        entry_id = await writer.append(event.name, {"data": b"{}"})
        [[[grown, [[told, _]]]]] = await asyncio.wait_for(waiting, 20)
        assert (grown.decode(), told.decode()) == (key, entry_id)
        positions[key] = entry_id
    await shut_down(reader, writer)


async def shut_down(*all_streams: RedisStreams) -> None:
    for streams in all_streams:
        await streams.close()
        await streams.client.aclose()


async def test_what_nobody_rang_for_is_seen_at_the_end_of_the_wait(cluster, open_streams) -> None:
    """Another program appends without ringing, and a ring can get lost: neither costs more than one wait."""
    reader = open_streams(cluster)
    await reader.client.flushall()
    assert await reader._wire.wait([waiting_for(dict.fromkeys(KEYS, "0-0"), milliseconds=20)]) == [None]
    waiting = asyncio.create_task(reader._wire.wait([waiting_for(dict.fromkeys(KEYS, "0-0"), milliseconds=300)]))
    await asyncio.sleep(0)
    entry_id = await reader.client.execute_command("XADD", KEYS[5], "*", "f", "v")
    assert await waiting == [[[KEYS[5].encode(), [[entry_id, [b"f", b"v"]]]]]]
    await shut_down(reader)


async def test_connection_that_hears_of_streams_is_given_up_when_its_node_is_silent(
    cluster, open_streams, monkeypatch
) -> None:
    """And not while it answers, be anything subscribed on it or, as after a slot has moved, nothing."""
    monkeypatch.setattr(shard_bell, "TIMEOUT", 0.1)
    streams = open_streams(cluster)
    await streams.client.flushall()
    positions = dict.fromkeys((event.name for event in KINDS), "9999999999999-0")
    bell, loop = streams._wire._bell, asyncio.get_running_loop()
    await streams.ping()
    places = [("127.0.0.1", server.port) for server in cluster.servers]
    await bell._open(places)
    await bell.rings(loop.time() + 0.5)
    assert [bell._ears[place].error for place in places] == [None] * 3
    assert (await streams.news(positions)).grown == {}
    cluster.servers[0].freeze()
    try:
        with pytest.raises(BusError, match="no sign of life"):
            await asyncio.wait_for(news_for_ever(streams, positions), 20)
    finally:
        cluster.servers[0].thaw()
    await shut_down(streams)


async def news_for_ever(streams: RedisStreams, positions: dict[str, str]) -> None:
    while True:
        await streams.news(positions)


async def test_connections_to_each_node_do_not_grow_with_the_modules(bench, cluster, open_streams) -> None:
    """Two of the bus's own and those of redis-py's client, for three modules with twelve events each as for one."""
    streams = open_streams(cluster)
    await streams.client.flushall()
    before = [len(server.ask("CLIENT", "LIST").splitlines()) for server in cluster.servers]
    seen = Counter()

    async def handler(**data: object) -> None:
        seen["all"] += 1

    broker = bench.broker(streams=streams)
    bus = broker.scoped("caisse", emits=KINDS)
    for module in ("one", "two", "three"):
        for event in KINDS:
            broker.scoped(module).on(event, handler)
    await broker.start()
    broker.consume()
    await asyncio.gather(*(bus.emit(event(x=1)) for event in KINDS for _ in range(20)))
    await bench.until(lambda: seen["all"] == 720)
    after = [len(server.ask("CLIENT", "LIST").splitlines()) for server in cluster.servers]
    assert max(now - then for now, then in zip(after, before, strict=True)) <= 3
    await shut(bench, streams)


async def test_operators_see_all_nodes(bench, cluster, open_streams) -> None:
    """Streams and dead letters of each of them, and a dead letter goes back to where it belongs."""
    streams = open_streams(cluster)
    await streams.client.flushall()
    good: list[int] = []
    repaired = asyncio.Event()

    async def handler(x: int) -> None:
        if not repaired.is_set():
            raise ValueError("not yet")
        good.append(x)

    handlers = ((event.name, handler) for event in KINDS)
    broker = await bench.serving(*handlers, streams=streams, max_attempts=1)
    bus = broker.scoped("caisse", emits=KINDS)
    for number, event in enumerate(KINDS):
        await bus.emit(event(x=number))
    await bench.until(lambda: len(bench.journal.of("dead")) == len(KINDS))
    assert {state.event: state.length for state in await streams.events()} == dict.fromkeys((k.name for k in KINDS), 1)
    letters = [letter async for letter in broker.dead_letters.all()]
    assert {letter.event for letter in letters} == {event.name for event in KINDS}
    repaired.set()
    for letter in letters:
        assert await broker.dead_letters.requeue(letter)
    await bench.until(lambda: sorted(good) == list(range(len(KINDS))))
    await shut(bench, streams)


async def test_command_follows_a_slot_that_has_moved(cluster, open_streams) -> None:
    """The node that had it says where it is now: nobody is told of an error."""
    streams = open_streams(cluster)
    await streams.client.flushall()
    ids = [await streams.append(KINDS[0].name, {"data": b"{}"})]
    target = next(server for server in cluster.servers if server is not cluster.owner(KEYS[0]))
    cluster.move_keys(cluster.begin_move(KEYS[0], target), KEYS[0], target)
    cluster.end_move(KEYS[0], target)
    ids.append(await streams.append(KINDS[0].name, {"data": b"{}"}))
    assert [entry_id for entry_id, _ in target.ask("XRANGE", KEYS[0], "-", "+")] == ids
    await shut_down(streams)


async def test_slot_that_moves_under_load_loses_nothing_and_refuses_nothing(bench, cluster, open_streams) -> None:
    """While its keys are in two places, when they have all moved, and when the slot has its new owner."""
    worker, host = open_streams(cluster), open_streams(cluster)
    await host.client.flushall()
    seen, emitted = Counter(), []
    moving = KINDS[3]

    async def handler(x: int) -> None:
        seen[x] += 1
        if x % 10 == 0 and seen[x] == 1:
            raise ValueError("once")  # so that there is a retry beside the stream

    await bench.serving((MOVING, handler), streams=worker)
    broker = await bench.serving((MOVING, handler), streams=host)
    bus = broker.scoped("caisse", emits=[moving])

    async def emit() -> None:
        while True:
            emitted.append(len(emitted))
            await bus.emit(moving(x=emitted[-1]))
            await asyncio.sleep(0.001)  # a pace that leaves time for the others; nothing waits for it

    emitting = asyncio.create_task(emit())

    async def go_on(count: int) -> None:
        reached = len(emitted) + count
        await bench.until(lambda: len(emitted) >= reached or emitting.done())
        assert not emitting.done() or emitting.result()

    key = f"events:{MOVING}"
    source = cluster.owner(key)
    target = next(server for server in cluster.servers if server is not source)
    await go_on(50)
    cluster.begin_move(key, target)
    await go_on(20)
    moved = []
    while key not in moved:
        moved = cluster.move_keys(source, key, target, most=1)
        await go_on(20)
    while cluster.move_keys(source, key, target):
        await go_on(20)
    cluster.end_move(key, target)
    await go_on(50)
    emitting.cancel()
    await asyncio.wait([emitting])
    await bench.until(lambda: set(seen) >= set(emitted[:-1]))

    async def settled() -> bool:
        return (await host.snapshot([(MOVING, "paheko")])).settled

    await bench.becomes(settled)
    assert cluster.owner(key) is target
    retried = {x for x in emitted if x % 10 == 0}
    assert all(seen[x] == (2 if x in retried else 1) for x in emitted[:-1]), "each once, and the failed ones once more"
    await shut(bench, worker, host)


@pytest.fixture
def replicated() -> Iterator[Cluster]:
    cluster = Cluster(replicas=1)
    yield cluster
    cluster.stop()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_death_of_a_node_under_load_loses_nothing_stored(bench, database, replicated, open_streams) -> None:
    """Its replica takes over; until then the streams of the other nodes can be written to."""
    worker, host = open_streams(replicated), open_streams(replicated)
    seen: dict[str, Counter[int]] = {event.name: Counter() for event in KINDS}

    def handler_of(name: str):
        async def handler(x: int) -> None:
            seen[name][x] += 1

        return handler

    handlers = [(name, handler_of(name)) for name in seen]
    await bench.serving(*handlers, streams=worker, lease=3.0)
    broker = await bench.serving(*handlers, streams=host, lease=3.0, database=database, relay_check=0.5)
    bus = broker.scoped("caisse", emits=KINDS)
    stored = 0

    async def store(count: int) -> None:
        nonlocal stored
        for _ in range(count):
            async with database.unit_of_work() as uow:
                for event in KINDS:
                    await bus.within(uow).emit(event(x=stored))
            stored += 1

    await store(20)
    await bench.until(lambda: all(len(handled) >= 10 for handled in seen.values()))
    victim = replicated.owner(KEYS[0])
    heir = next(server for server in replicated.servers if server.ask("ROLE")[2] == victim.port)
    victim.kill()
    elsewhere = next(event for event, key in zip(KINDS, KEYS, strict=True) if replicated.owner(key) is not victim)
    await bus.emit(elsewhere(x=PLAIN))
    with pytest.raises(BusError, match="cannot append"):
        await bus.emit(KINDS[0](x=PLAIN))
    await store(20)
    await asyncio.to_thread(heir.until, lambda: replicated.owner(KEYS[0]) is heir, "promotion of the replica")
    await store(20)

    async def everything() -> bool:
        try:
            return await broker.outbox.depth() == 0 and (await host.snapshot([(n, "paheko") for n in seen])).settled
        except BusError:
            return False

    await bench.becomes(everything)
    assert all(set(handled) - {PLAIN} == set(range(stored)) for handled in seen.values())
    assert seen[elsewhere.name][PLAIN]
    await shut(bench, worker, host)
