"""Redis loses what it had confirmed: the outbox finds out, and sends it again. On servers that are really replaced."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from recyclic.core.events import outbox
from recyclic.core.events.outbox_rows import host_outbox
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.core.redis_process import ServerProcess, spawn_server

pytestmark = pytest.mark.slow

STREAM = "events:sale_closed"


class Place:
    """An address at which now this server answers, now another one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = self._start()

    def _start(self) -> ServerProcess:
        return spawn_server(self.folder, persistent=False)

    @property
    def url(self) -> str:
        return self.server.url

    def crash_and_come_back(self) -> None:
        """Die, and start with the last snapshot that was saved, as a replica that lagged would go on."""
        self.server.kill()
        self.server = self._start()

    def be_another(self) -> None:
        """Die, and have an empty server at the same address."""
        self.server.kill()
        shutil.rmtree(self.folder)
        self.server = self._start()


@pytest.fixture
def place() -> AsyncIterator[Place]:
    with tempfile.TemporaryDirectory(prefix="rl") as folder:
        place = Place(Path(folder) / "r")
        yield place
        place.server.stop()


@pytest.fixture
def backend() -> str:
    return "fake"  # the bench's own Redis, which is not asked here


@pytest.fixture
async def client(place) -> AsyncIterator[Redis]:
    client = connect(place.url)
    yield client
    await client.aclose()


@pytest.fixture
async def shop(place, client, bench, open_shop):
    """A shop on a server of its own that asks often whether everything is still there."""
    streams = RedisStreams(client)
    yield await open_shop(streams, relay_check=0.1)
    for broker in bench.brokers:
        await broker.close()
    await streams.close()


async def close_tills(database, shop, *sessions: int) -> list[str]:
    ids = []
    for number in sessions:
        async with database.unit_of_work() as uow:
            ids.append(await shop.bus.within(uow).emit("sale_closed", session_id=str(number)))
    return ids


async def ids_in(client: Redis) -> list[str]:
    return [fields[b"id"].decode() for _, fields in await client.xrange(STREAM)]


async def sent(bench, shop) -> None:
    async def nothing_waits() -> bool:
        return await shop.broker.outbox.depth() == 0

    await bench.becomes(nothing_waits)


async def held(bench, client: Redis, ids: list[str]) -> None:
    """Wait until the stream holds just these events, in this order."""

    async def as_wanted() -> bool:
        with contextlib.suppress(OSError):
            return await ids_in(client) == ids
        return False

    await bench.becomes(as_wanted)


@pytest.mark.parametrize("loss", ["flushall", "deleted", "another server"])
async def test_events_that_redis_lost_are_sent_again(bench, database, client, place, shop, log, loss) -> None:
    """All that the outbox still knows, without anybody closing another till; handled again, with the same ids."""
    ids = await close_tills(database, shop, 1, 2, 3)
    await bench.until(lambda: shop.seen == ["1", "2", "3"])
    await sent(bench, shop)
    if loss == "flushall":
        await client.flushall()
    elif loss == "deleted":
        await client.delete(STREAM)
    else:
        place.be_another()
    await held(bench, client, ids)
    await bench.until(lambda: shop.seen == ["1", "2", "3"] * 2)
    assert "Redis has lost events that it had confirmed" in log
    [told] = [record for record in log.records if "has lost events" in record["event"]]
    assert (told["log_level"], told["event_name"], told["events"]) == ("error", "sale_closed", 3)
    assert shop.broker.outbox.resent == 3


async def test_only_what_was_lost_is_sent_again_and_before_anything_new(bench, database, client, place, shop) -> None:
    """A server that goes on from an older state, as after a failover to a replica that lagged."""
    kept = await close_tills(database, shop, 1, 2)
    await sent(bench, shop)
    await client.save()
    lost = await close_tills(database, shop, 3, 4, 5)
    await sent(bench, shop)
    place.crash_and_come_back()
    await client.connection_pool.disconnect()
    shop.streams.away = True  # nobody finds out before the next till is closed
    new = await close_tills(database, shop, 6)
    assert await ids_in(client) == kept
    shop.streams.away = False
    await held(bench, client, [*kept, *lost, *new])
    assert shop.broker.outbox.resent == 3
    await sent(bench, shop)


async def test_loss_is_found_by_the_next_send_itself(bench, database, client, shop, open_shop) -> None:
    """Server and outbox compare in the step that appends, so nothing new can hide what is missing."""
    await shop.broker.close()
    shop = await open_shop(shop.streams, relay_check=3600.0)
    ids = await close_tills(database, shop, 1, 2)
    await sent(bench, shop)
    await client.flushall()
    ids += await close_tills(database, shop, 3)
    await held(bench, client, ids)


async def test_loss_between_two_steps_of_a_batch_is_found(bench, database, client, shop, log, monkeypatch) -> None:
    """The first step was confirmed and then lost: it is sent again before the second one."""
    monkeypatch.setattr(outbox, "CHUNK", 1000)  # three rows in one step
    passed, steps = shop.streams.hand_over, 0

    async def hand_over(event, entries, confirmed):
        nonlocal steps
        done = await passed(event, entries, confirmed)
        steps += 1
        if steps == 1:
            await client.flushall()
        return done

    shop.streams.hand_over = hand_over
    async with database.unit_of_work() as uow:
        ids = [await shop.bus.within(uow).emit("sale_closed", session_id=str(number)) for number in range(6)]
    await held(bench, client, ids)
    assert [record["events"] for record in log.records if "has lost events" in record["event"]] == [3]


async def test_events_that_others_emit_do_not_hide_a_loss(bench, database, client, shop) -> None:
    """They go to the same stream, which looks well then: the note tells what came from the outbox."""
    ids = await close_tills(database, shop, 1, 2)
    await sent(bench, shop)
    async with client.pipeline(transaction=True) as pipe:
        pipe.flushall()
        for number in range(3):
            pipe.xadd(STREAM, {"id": str(number), "foreign": "yes"})
        await pipe.execute()
    await held(bench, client, ["0", "1", "2", *ids])


async def test_what_was_sent_before_the_process_started_counts_too(bench, database, client, place, shop, open_shop):
    """What Redis confirmed stands in the database, for whichever process asks."""
    ids = await close_tills(database, shop, 1, 2)
    await sent(bench, shop)
    await shop.broker.close()
    place.be_another()
    streams = RedisStreams(client)
    await open_shop(streams)
    await held(bench, client, ids)
    await bench.brokers[-1].close()
    await streams.close()


async def test_nothing_is_sent_again_where_nothing_was_lost(bench, database, client, place, shop, log) -> None:
    """A restart with everything there, trimmed history, a note that is newer than the database: no alarm."""
    ids = await close_tills(database, shop, 1, 2, 3)
    await bench.until(lambda: len(shop.seen) == 3)
    await sent(bench, shop)
    await client.save()
    place.crash_and_come_back()
    await client.connection_pool.disconnect()
    await client.xtrim(STREAM, maxlen=1, approximate=False)
    async with database.unit_of_work() as uow:  # as if the relay had died before it marked the last one
        last = host_outbox.update().where(host_outbox.c.id == ids[-1]).values(sent_at=None, entry_id=None)
        await uow.session.execute(last)
    ids += await close_tills(database, shop, 4)
    await held(bench, client, [ids[2], ids[2], ids[3]])
    asked = Counter[str]()
    noted = shop.streams.handed_over

    async def handed_over(event):
        asked[event] += 1
        return await noted(event)

    shop.broker.outbox._noted = handed_over
    await bench.until(lambda: asked["sale_closed"] >= 2)
    assert await ids_in(client) == [ids[2], ids[2], ids[3]]
    assert "Redis has lost events" not in log


async def test_rows_remember_the_entry_that_redis_confirmed(bench, database, client, shop) -> None:
    """Padded, so that the database compares them as Redis does."""
    await close_tills(database, shop, 1, 2)
    await sent(bench, shop)
    async with database.unit_of_work(read_only=True) as uow:
        noted = (await uow.session.execute(select(host_outbox.c.entry_id).order_by(host_outbox.c.seq))).scalars().all()
    entries = [entry_id.decode().split("-") for entry_id, _ in await client.xrange(STREAM)]
    assert noted == [f"{int(time):020d}-{int(count):020d}" for time, count in entries]
    assert await client.get("outbox:{events:sale_closed}") == "-".join(entries[-1]).encode()
