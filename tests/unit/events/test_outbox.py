"""The outbox: an event is a row of the same transaction, and reaches Redis whatever happens in between."""

from __future__ import annotations

import asyncio
import random

import pytest
from sqlalchemy import select, update

from recyclic.core.events import outbox
from recyclic.core.events.event import Event
from recyclic.core.events.outbox_rows import host_outbox, host_outbox_lease
from recyclic.errors import BusError, EventError

pytestmark = pytest.mark.slow  # outages and several relays

PAIR = ("sale_closed", "paheko")


class ThingKept(Event):
    """A thing was kept."""


@pytest.fixture(params=["fake", "redis", "cluster"])
def backend(request) -> str:
    return request.param


@pytest.fixture
async def shop(open_shop):
    """A shop: a consuming broker over a transport that can go away, and what its handler saw."""
    return await open_shop()


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


async def test_hour_without_redis_costs_nothing_but_the_wait(bench, database, open_shop) -> None:
    """Closes go on all the while; the tries grow rarer, and the first one that succeeds sends everything in order."""
    clock = bench.manual_clock()
    shop = await open_shop(clock=clock, lease=1e6)
    shop.streams.away = True
    began = clock.now()
    closed = 0
    while clock.now() < began + 3600.0:
        async with database.unit_of_work() as uow:
            await shop.bus.within(uow).emit("sale_closed", session_id=str(closed))
        closed += 1
        shop.streams.tried.clear()
        while not shop.streams.tried.is_set():
            clock.advance(5.0)
            await bench.breathe()
        clock.advance(60.0)
    assert await shop.broker.outbox.depth() == closed > 10
    assert await shop.broker.outbox.age() >= 3600.0
    shop.streams.away = False

    async def arrived() -> bool:
        clock.advance(1.0)
        return len(shop.seen) == closed

    await bench.becomes(arrived)
    assert shop.seen == [str(number) for number in range(closed)]


async def test_commits_do_not_hurry_a_relay_that_waits_for_redis(bench, database, open_shop) -> None:
    """It tries again when its time has come, however many tills are closed meanwhile."""
    clock = bench.manual_clock()
    shop = await open_shop(clock=clock)
    shop.streams.away = True
    async with database.unit_of_work() as uow:
        await shop.bus.within(uow).emit("sale_closed", session_id="first")
    await bench.until(shop.streams.tried.is_set)
    await bench.until(lambda: clock.waits_for_seconds(0.1))
    shop.streams.tried.clear()
    for number in range(20):
        async with database.unit_of_work() as uow:
            await shop.bus.within(uow).emit("sale_closed", session_id=str(number))
    assert not shop.streams.tried.is_set()
    shop.streams.away = False
    clock.advance(1.0)
    await bench.until(lambda: len(shop.seen) == 21)


async def first_of_each(bench, event: str) -> tuple[list[str], int]:
    """Return the events of a stream in the order in which each came first, and how many came again."""
    ids = [fields[b"id"].decode() for _, fields in await bench.client.xrange(f"events:{event}")]
    return list(dict.fromkeys(ids)), len(ids) - len(set(ids))


async def test_what_fails_is_not_overtaken_by_what_comes_after(bench, database, open_shop, monkeypatch) -> None:
    """A step in the middle of a batch fails: nothing behind it goes out before it, and other events do not wait."""
    monkeypatch.setattr(outbox, "CHUNK", 1000)  # three rows in one step
    shop = await open_shop()
    shop.streams.away = True
    stored: dict[str, list[str]] = {"sale_closed": [], "member_created": []}
    async with database.unit_of_work() as uow:
        emitter = shop.bus.within(uow)
        for number in range(20):
            stored["sale_closed"].append(await emitter.emit("sale_closed", session_id=str(number)))
            stored["member_created"].append(await emitter.emit("member_created", member_id=str(number)))
    steps: list[str] = []
    passed, allowed = shop.streams.hand_over, 2

    async def hand_over(event, entries, confirmed):
        steps.append(event)
        if event == "sale_closed" and steps.count(event) > allowed:
            raise BusError("refused")
        return await passed(event, entries, confirmed)

    shop.streams.hand_over = hand_over
    shop.streams.away = False
    await bench.until(lambda: len(bench.journal.of("emitted")) >= 26)
    await sent_but(bench, shop, 14)
    assert await first_of_each(bench, "sale_closed") == (stored["sale_closed"][:6], 0)
    assert await first_of_each(bench, "member_created") == (stored["member_created"], 0)
    allowed = 1000
    await sent_but(bench, shop, 0)
    assert await first_of_each(bench, "sale_closed") == (stored["sale_closed"], 0)


@pytest.mark.parametrize("seed", range(4))
async def test_order_of_each_stream_survives_whatever_fails(bench, database, open_shop, monkeypatch, seed) -> None:
    """Two relays, lost requests and lost replies at random, leases that run out at any moment: none overtakes."""
    monkeypatch.setattr(outbox, "CHUNK", 1000)
    monkeypatch.setattr(outbox, "BATCH", 10)
    chance, failing = random.Random(seed), True
    shops = [await open_shop(relay_lease=chance.choice([0.3, 10.0])) for _ in range(2)]
    for shop in shops:

        async def hand_over(event, entries, confirmed, passed=shop.streams.hand_over):
            fate = chance.random() if failing else 1.0
            if fate < 0.2:
                raise BusError("the request is lost")
            if chance.random() < 0.3:
                await bench.breathe()
            done = await passed(event, entries, confirmed)
            if fate < 0.4:
                raise BusError("the reply is lost")
            return done

        shop.streams.hand_over = hand_over
    stored: dict[str, list[str]] = {"sale_closed": [], "member_created": []}
    for number in range(60):
        async with database.unit_of_work() as uow:
            emitter = chance.choice(shops).bus.within(uow)
            for _ in range(chance.randrange(1, 4)):
                event, key = chance.choice([("sale_closed", "session_id"), ("member_created", "member_id")])
                stored[event].append(await emitter.emit(event, **{key: str(number)}))
    failing = False
    await sent_but(bench, shops[0], 0)
    for event, ids in stored.items():
        assert (await first_of_each(bench, event))[0] == ids


async def test_relay_that_lost_its_lease_marks_nothing_as_sent(bench, database, open_shop, log) -> None:
    """Another one has sent the rows meanwhile, perhaps to another server: what it noted counts."""
    clock = bench.manual_clock()
    first = await open_shop(clock=clock, relay_lease=10.0)
    passed, stuck, go_on = first.streams.hand_over, asyncio.Event(), asyncio.Event()

    async def hand_over(event, entries, confirmed):
        done = await passed(event, entries, confirmed)
        stuck.set()
        await go_on.wait()
        return done

    first.streams.hand_over = hand_over
    first.broker.outbox._rows.renew = go_on.wait  # stopped, as by SIGSTOP
    async with database.unit_of_work() as uow:
        await first.bus.within(uow).emit("sale_closed", session_id="a")
    await stuck.wait()
    second = await open_shop(clock=clock, relay_lease=10.0)
    clock.advance(11.0)
    await sent_but(bench, second, 0)
    async with database.unit_of_work(read_only=True) as uow:
        [noted] = (await uow.session.execute(select(host_outbox.c.entry_id))).scalars()
    go_on.set()
    await bench.until(lambda: "another relay took over" in log)
    async with database.unit_of_work(read_only=True) as uow:
        assert (await uow.session.execute(select(host_outbox.c.entry_id))).scalars().all() == [noted]
    entries = [entry_id.decode() for entry_id, _ in await bench.client.xrange("events:sale_closed")]
    assert len(entries) == 2
    assert noted == "-".join(f"{int(part):020d}" for part in entries[1].split("-"))


async def test_relay_that_waits_for_a_slow_server_keeps_its_lease(bench, database, open_shop) -> None:
    """However long one send takes: nobody else begins, or two could hinder each other for ever."""
    clock = bench.manual_clock()
    first = await open_shop(clock=clock, relay_lease=9.0, lease=1e6)
    passed, stuck, go_on = first.streams.hand_over, asyncio.Event(), asyncio.Event()

    async def hand_over(event, entries, confirmed):
        stuck.set()
        await go_on.wait()
        return await passed(event, entries, confirmed)

    first.streams.hand_over = hand_over
    async with database.unit_of_work() as uow:
        await first.bus.within(uow).emit("sale_closed", session_id="a")
    await stuck.wait()
    second = await open_shop(clock=clock, relay_lease=9.0, lease=1e6)
    for _ in range(8):

        async def renewed() -> bool:
            async with database.unit_of_work(read_only=True) as uow:
                until = (await uow.session.execute(select(host_outbox_lease.c.until))).scalar_one()
            return until > clock.now() + 6.0 and clock.waits_for_seconds(3.0)

        await bench.becomes(renewed)
        clock.advance(3.0)
    assert not second.streams.tried.is_set()
    go_on.set()
    await sent_but(bench, first, 0)
    assert len(await bench.client.xrange("events:sale_closed")) == 1


async def test_lease_of_a_clock_that_ran_ahead_keeps_nobody_waiting(bench, database, open_shop) -> None:
    """A process whose clock was an hour ahead took it, and died: no lease can lie so far in the future."""
    clock = bench.manual_clock()
    shop = await open_shop(clock=clock, relay_lease=10.0)
    ahead = host_outbox_lease.insert().values(name="relay", owner="another", until=clock.now() + 3600.0)
    async with database.unit_of_work() as uow:
        await uow.session.execute(ahead)
        await shop.bus.within(uow).emit("sale_closed", session_id="a")
    await bench.until(lambda: shop.seen == ["a"])


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


async def test_several_relays_send_each_event_once_and_in_order(bench, database, open_shop) -> None:
    """One sends at a time; whoever commits need not be the one that sends."""
    shops = [await open_shop() for _ in range(3)]
    for number in range(60):
        async with database.unit_of_work() as uow:
            await shops[number % 3].bus.within(uow).emit("sale_closed", session_id=str(number))
    await bench.until(lambda: sum(len(shop.seen) for shop in shops) == 60)
    await bench.settled()
    sent = [fields[b"data"] for _, fields in await bench.client.xrange("events:sale_closed")]
    assert sent == [f'{{"session_id":"{number}"}}'.encode() for number in range(60)]


async def test_relay_that_died_keeps_the_others_waiting_for_its_lease_only(bench, database, open_shop) -> None:
    """Then another one goes on."""
    clock = bench.manual_clock()
    stuck = asyncio.Event()
    first = await open_shop(clock=clock, relay_lease=10.0)

    async def hang(event, entries, confirmed):
        stuck.set()
        await asyncio.Event().wait()

    first.streams.hand_over = hang
    async with database.unit_of_work() as uow:
        await first.bus.within(uow).emit("sale_closed", session_id="a")
    await stuck.wait()
    await first.broker.crash()
    second = await open_shop(clock=clock, relay_lease=10.0)
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


async def test_sent_rows_are_pruned_after_their_time(bench, database, open_shop) -> None:
    """Kept for a week, in case a failover loses what Redis had acknowledged."""
    clock = bench.manual_clock()
    shop = await open_shop(clock=clock, outbox_keep=100.0, relay_poll=10.0)
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
    bus = broker.scoped("caisse", emits=[ThingKept])
    with pytest.raises(BusError, match="no outbox"):
        await bus.within(None).emit("thing_kept")
