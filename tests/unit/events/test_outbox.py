"""The outbox: an event is a row of the same transaction, and reaches Redis whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
from sqlalchemy import select, update

from recyclic.core.database import Database
from recyclic.core.events.event import Event
from recyclic.core.events.outbox import host_outbox, metadata
from recyclic.errors import BusError, EventError

pytestmark = pytest.mark.slow  # outages and several relays

PAIR = ("sale_closed", "paheko")


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


class MemberCreated(Event):
    """Somebody joined."""

    member_id: str


class Away:
    """A transport whose appends fail while Redis is away, or whose replies to them are lost."""

    def __init__(self, streams) -> None:
        self.streams = streams
        self.away = False
        self.refused: set[str] = set()
        self.lose_replies = 0
        self.tried = asyncio.Event()

    def __getattr__(self, name):
        return getattr(self.streams, name)

    async def append(self, event, fields):
        self.tried.set()
        if self.away or event in self.refused:
            raise BusError("Redis is away")
        entry_id = await self.streams.append(event, fields)
        if self.lose_replies:
            self.lose_replies -= 1
            raise BusError("the reply is lost")
        return entry_id


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
async def database(request, tmp_path, bench) -> AsyncIterator[Database]:
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.sqlite3"
    if request.param == "postgresql":
        folder = quote(request.getfixturevalue("postgres_server"), safe="")
        url = f"postgresql+asyncpg://postgres@/postgres?host={folder}"
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    yield database
    for broker in bench.brokers:
        await broker.close()
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
    await database.close()


@pytest.fixture(params=["fake", "redis"])
def backend(request) -> str:
    return request.param


@pytest.fixture
async def shop(bench, database):
    """A shop: a consuming broker over a transport that can go away, and what its handler saw."""
    return await open_shop(bench, database)


class Shop:
    def __init__(self, broker, streams, seen) -> None:
        self.broker = broker
        self.streams = streams
        self.seen = seen
        self.bus = broker.scoped("caisse", emits=[SaleClosed, MemberCreated])


async def open_shop(bench, database, **options) -> Shop:
    seen: list[str] = []

    async def handler(session_id: str) -> None:
        seen.append(session_id)

    streams = Away(bench.streams)
    options = {"concurrency": 1, "relay_poll": 0.1} | options
    broker = await bench.serving(("sale_closed", handler), streams=streams, database=database, **options)
    return Shop(broker, streams, seen)


async def sent_but(bench, shop, left: int) -> None:
    """Wait until all but `left` events are marked as sent."""

    async def ask() -> bool:
        return await shop.broker.outbox.depth() == left

    await bench.becomes(ask)


async def test_event_of_a_committed_transaction_is_sent(bench, database, shop) -> None:
    """Stored first, told as stored at the commit, then emitted with the same id."""
    async with database.unit_of_work() as uow:
        event_id = await shop.bus.within(uow).emit("sale_closed", session_id="a")
        assert bench.journal.calls == []
    await bench.until(lambda: shop.seen == ["a"])
    await bench.settled()
    assert [call[0] for call in bench.journal.calls][:2] == ["stored", "emitted"]
    async with database.unit_of_work(read_only=True) as uow:
        [row] = (await uow.session.execute(select(host_outbox))).all()
    assert row.id == event_id


async def test_event_of_a_rolled_back_transaction_never_was(bench, database, shop) -> None:
    """Neither row nor event."""

    async def close() -> None:
        async with database.unit_of_work() as uow:
            await shop.bus.within(uow).emit("sale_closed", session_id="never")
            raise RuntimeError("the count does not fit")

    with pytest.raises(RuntimeError):
        await close()
    async with database.unit_of_work() as uow:
        await shop.bus.within(uow).emit("sale_closed", session_id="a")
    await bench.until(lambda: shop.seen)
    assert shop.seen == ["a"]
    assert len(bench.journal.of("stored")) == 1


async def test_event_that_does_not_fit_is_not_stored(bench, database, shop) -> None:
    """It is validated before the transaction sees it."""
    async with database.unit_of_work() as uow:
        with pytest.raises(EventError, match="session_id: Field required"):
            await shop.bus.within(uow).emit("sale_closed")
    assert await shop.broker.outbox.depth() == 0


async def test_closes_go_on_while_redis_is_away_and_everything_arrives_in_order(bench, database, shop) -> None:
    """By itself, as soon as Redis is back; depth and age tell what waits."""
    shop.streams.away = True
    for number in range(250):
        async with database.unit_of_work() as uow:
            await shop.bus.within(uow).emit("sale_closed", session_id=str(number))
    await shop.streams.tried.wait()
    assert await shop.broker.outbox.depth() == 250
    assert await shop.broker.outbox.age() > 0
    assert shop.seen == []
    shop.streams.away = False
    await bench.until(lambda: len(shop.seen) == 250)
    assert shop.seen == [str(number) for number in range(250)]
    await bench.settled()
    await sent_but(bench, shop, 0)
    assert await shop.broker.outbox.age() == 0.0


async def test_one_stream_in_trouble_holds_back_no_other(bench, database, shop) -> None:
    """Its own events wait, in order."""
    shop.streams.refused = {"member_created"}
    async with database.unit_of_work() as uow:
        emitter = shop.bus.within(uow)
        await emitter.emit("member_created", member_id="m")
        await emitter.emit("sale_closed", session_id="a")
    await bench.until(lambda: shop.seen == ["a"])
    await sent_but(bench, shop, 1)
    shop.streams.refused = set()
    await bench.until(lambda: ("member_created",) in [call[:1] for call in bench.journal.of("emitted")])


async def test_event_whose_reply_was_lost_is_sent_again_with_the_same_id(bench, database, shop) -> None:
    """A duplicate is recognisable by `meta.id`."""
    shop.streams.lose_replies = 1
    async with database.unit_of_work() as uow:
        event_id = await shop.bus.within(uow).emit("sale_closed", session_id="a")
    await bench.until(lambda: len(shop.seen) == 2)
    entries = await bench.client.xrange("events:sale_closed")
    assert [fields[b"id"].decode() for _, fields in entries] == [event_id, event_id]


async def test_several_relays_send_each_event_once_and_in_order(bench, database) -> None:
    """One sends at a time; whoever commits need not be the one that sends."""
    shops = [await open_shop(bench, database) for _ in range(3)]
    for number in range(60):
        async with database.unit_of_work() as uow:
            await shops[number % 3].bus.within(uow).emit("sale_closed", session_id=str(number))
    await bench.until(lambda: sum(len(shop.seen) for shop in shops) == 60)
    await bench.settled()
    sent = [fields[b"data"] for _, fields in await bench.client.xrange("events:sale_closed")]
    assert sent == [f'{{"session_id":"{number}"}}'.encode() for number in range(60)]


async def test_relay_that_died_keeps_the_others_waiting_for_its_lease_only(bench, database) -> None:
    """Then another one goes on."""
    clock = bench.manual_clock()
    stuck = asyncio.Event()
    first = await open_shop(bench, database, clock=clock, relay_lease=10.0)

    async def hang(event, fields):
        stuck.set()
        await asyncio.Event().wait()

    first.streams.append = hang
    async with database.unit_of_work() as uow:
        await first.bus.within(uow).emit("sale_closed", session_id="a")
    await stuck.wait()
    await first.broker.crash()
    second = await open_shop(bench, database, clock=clock, relay_lease=10.0)
    assert await second.broker.outbox.relay() < 1.0
    assert bench.journal.of("emitted") == []
    died = clock.now()

    async def sent() -> bool:
        clock.advance(1.0)
        return second.seen == ["a"]

    await bench.becomes(sent)
    assert clock.now() > died + 10.0


async def test_row_that_cannot_be_read_stays_and_holds_back_nothing(bench, database, shop) -> None:
    """Damaged by hand, say: the log tells, and the others are sent."""
    shop.streams.away = True
    async with database.unit_of_work() as uow:
        emitter = shop.bus.within(uow)
        damaged = await emitter.emit("sale_closed", session_id="damaged")
        await emitter.emit("sale_closed", session_id="a")
        await uow.session.execute(update(host_outbox).where(host_outbox.c.id == damaged).values(fields="{oops"))
    shop.streams.away = False
    await bench.until(lambda: shop.seen == ["a"])
    await sent_but(bench, shop, 1)


async def test_sent_rows_are_pruned_after_their_time(bench, database) -> None:
    """Kept for a week, in case a failover loses what Redis had acknowledged."""
    clock = bench.manual_clock()
    shop = await open_shop(bench, database, clock=clock, outbox_keep=100.0, relay_poll=10.0)
    async with database.unit_of_work() as uow:
        await shop.bus.within(uow).emit("sale_closed", session_id="old")
    await bench.until(lambda: shop.seen)
    await bench.settled()
    await sent_but(bench, shop, 0)

    async def pruned() -> bool:
        clock.advance(4000.0)
        async with database.unit_of_work(read_only=True) as uow:
            return not (await uow.session.execute(select(host_outbox))).all()

    await bench.becomes(pruned)


async def test_without_a_database_there_is_no_outbox(bench) -> None:
    """And the error says so."""
    broker = await bench.serving()
    bus = broker.scoped("caisse", emits=[SaleClosed])
    with pytest.raises(BusError, match="no outbox"):
        await bus.within(None).emit("sale_closed", session_id="a")
