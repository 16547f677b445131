"""Rows of the table of pitfalls, one test each: what is emitted arrives, whatever is lost on the way."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert, select
from sqlalchemy.exc import IntegrityError

from recyclic.core.events.event import Event, EventMeta
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.core.redis_process import ServerProcess, spawn_server
from recyclic.errors import BusError, BusFullError

FORKING = Path(__file__).parent / "forking_process.py"


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="rp") as folder:
        yield Path(folder)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def backend(request) -> str:
    """The bench's own Redis; most of these tests bring a server of their own."""
    return getattr(request, "param", "fake")


@contextlib.asynccontextmanager
async def transport(url: str) -> AsyncIterator[RedisStreams]:
    client = connect(url)
    streams = RedisStreams(client)
    yield streams
    await streams.close()
    await client.aclose()


class Cutter:
    """A way to a server that can be cut after a request has passed and before its reply has."""

    def __init__(self, server: ServerProcess, path: Path) -> None:
        self._target = str(server.socket)
        self._path = str(path)
        self.url = f"unix://{path}"
        self.cut_after: bytes | None = None
        self.cuts = 0

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Cutter]:
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.add(asyncio.create_task(self._serve(reader, writer)))

        async with await asyncio.start_unix_server(accept, self._path):
            yield self
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._target)
        cut = False

        async def requests() -> None:
            nonlocal cut
            while data := await reader.read(65536):
                cut = cut or (self.cut_after is not None and self.cut_after in data)
                server_writer.write(data)

        asking = asyncio.create_task(requests())
        try:
            while data := await server_reader.read(65536):
                if cut:
                    self.cuts += 1
                    return
                writer.write(data)
        finally:
            asking.cancel()
            writer.close()
            server_writer.close()


@pytest.mark.slow
@pytest.mark.parametrize("word", [b"XADD", b"outbox:{events:sale_closed}"])
async def test_pitfall_13_lost_reply_to_an_append_doubles_nothing_unnoticed(
    bench, database, open_shop, folder, word
) -> None:
    """A direct emit is told as an error and never sent again; the outbox sends again what has the id it had before."""
    server = spawn_server(folder / "r", persistent=False)
    try:
        async with Cutter(server, folder / "cut.sock").open() as way, transport(way.url) as streams:
            shop = await open_shop(streams)
            async with database.unit_of_work() as uow:
                await shop.bus.within(uow).emit("sale_closed", session_id="first")
            await bench.until(lambda: shop.seen == ["first"])
            way.cut_after = word
            if word == b"XADD":
                with pytest.raises(BusError):
                    await shop.bus.emit("sale_closed", session_id="a")
            else:
                async with database.unit_of_work() as uow:
                    event_id = await shop.bus.within(uow).emit("sale_closed", session_id="a")
                await bench.until(lambda: way.cuts)
            way.cut_after = None
            async with transport(server.url) as looking:
                if word == b"XADD":
                    await bench.until(lambda: shop.seen == ["first", "a"])
                    assert await looking.length("sale_closed") == 2
                else:
                    await bench.until(lambda: shop.seen == ["first", "a", "a"])
                    _, *entries = await looking.client.xrange("events:sale_closed")
                    assert [fields[b"id"].decode() for _, fields in entries] == [event_id] * 2
            await shop.broker.close()
            assert way.cuts == 1
    finally:
        server.stop()


effects = Table(
    "test_effect", MetaData(), Column("event_id", String(36), primary_key=True), Column("session_id", String(36))
)


@pytest.mark.slow
async def test_pitfall_25_duplicate_has_one_effect(bench, database) -> None:
    """The id under a unique key, in the transaction that holds the effect: a second delivery finds it there."""
    async with database.engine.begin() as connection:
        await connection.run_sync(effects.metadata.drop_all)
        await connection.run_sync(effects.metadata.create_all)
    outcomes: list[str] = []

    async def book(session_id: str, meta: EventMeta) -> None:
        try:
            async with database.unit_of_work() as uow:
                await uow.session.execute(insert(effects).values(event_id=meta.id, session_id=session_id))
            outcomes.append("booked")
        except IntegrityError:
            outcomes.append("known")

    broker = await bench.serving(("sale_closed", book))
    await broker.scoped("caisse", emits=[SaleClosed]).emit("sale_closed", session_id="a")
    [(_, fields)] = await bench.client.xrange("events:sale_closed")
    await bench.raw("sale_closed", fields)  # a relay that lost a reply, a replay, an export read back
    await bench.until(lambda: sorted(outcomes) == ["booked", "known"])
    await bench.settled()
    async with database.unit_of_work(read_only=True) as uow:
        assert (await uow.session.execute(select(effects.c.session_id))).scalars().all() == ["a"]
    async with database.engine.begin() as connection:
        await connection.run_sync(effects.metadata.drop_all)
    assert bench.journal.of("failed") == []


@pytest.mark.slow
async def test_pitfall_26_killed_redis_keeps_what_it_acknowledged(bench, folder) -> None:
    """kill -9 with an append-only file that is written every second: every emit that returned is there afterwards."""
    server = spawn_server(folder / "r", persistent=True)
    emitted: list[str] = []
    chance = random.Random(26)
    try:
        async with transport(server.url) as streams:
            broker = bench.broker(streams=streams)
            bus = broker.scoped("caisse", emits=[SaleClosed])

            async def till() -> None:
                with contextlib.suppress(BusError):
                    while True:
                        emitted.append(await bus.emit("sale_closed", session_id="x"))

            tills = [asyncio.create_task(till()) for _ in range(20)]
            goal = 1500 + chance.randrange(500)
            await bench.until(lambda: len(emitted) >= goal)
            server.kill()
            await asyncio.wait(tills)
            server = spawn_server(folder / "r", persistent=True)
            async with transport(server.url) as again:
                kept = {fields[b"id"].decode() for _, fields in await again.client.xrange("events:sale_closed")}
            assert set(emitted) <= kept
            assert len(kept) - len(emitted) <= len(tills)
    finally:
        server.stop()


@pytest.mark.slow
async def test_pitfall_27_what_a_failover_loses_is_sent_again(bench, database, open_shop, folder, free_port) -> None:
    """A real replica that had stopped to follow becomes the master: it knows neither the last events nor their acks."""
    address = folder / "redis.sock"
    master = spawn_server(folder / "a", persistent=False)
    replica = spawn_server(folder / "b", persistent=False)
    address.symlink_to(master.socket)
    try:
        async with transport(master.url) as old, transport(replica.url) as new:
            await old.client.config_set("port", free_port)
            await new.client.replicaof("127.0.0.1", free_port)
            async with transport(f"unix://{address}") as streams:
                shop = await open_shop(streams, relay_check=0.1)

                async def close_till(session: str) -> str:
                    async with database.unit_of_work() as uow:
                        return await shop.bus.within(uow).emit("sale_closed", session_id=session)

                async def replicated() -> bool:
                    return await new.length("sale_closed") == 2

                ids = [await close_till("1"), await close_till("2")]
                await bench.becomes(replicated)
                await new.client.replicaof("NO", "ONE")
                ids += [await close_till("3"), await close_till("4")]
                await bench.until(lambda: shop.seen == ["1", "2", "3", "4"])

                async def all_sent() -> bool:
                    return await shop.broker.outbox.depth() == 0

                await bench.becomes(all_sent)
                address.unlink()
                address.symlink_to(replica.socket)
                master.kill()
                ids.append(await close_till("5"))

                async def all_there() -> bool:
                    entries = await new.client.xrange("events:sale_closed")
                    return [fields[b"id"].decode() for _, fields in entries] == ids

                await bench.becomes(all_there)
                await bench.until(lambda: set(shop.seen[4:]) >= {"3", "4", "5"})
                assert shop.broker.outbox.resent == 2
                await shop.broker.close()
    finally:
        master.stop()
        replica.stop()


@pytest.mark.slow
async def test_pitfall_28_event_survives_whoever_dies_between_commit_and_send(bench, database, open_shop) -> None:
    """It is a row of the transaction that closed the till; another process sends it, with the id it had."""
    first = await open_shop()
    first.streams.away = True
    async with database.unit_of_work() as uow:
        event_id = await first.bus.within(uow).emit("sale_closed", session_id="a")
    await first.broker.crash()
    second = await open_shop()
    await bench.until(lambda: second.seen == ["a"])
    [(_, fields)] = await bench.client.xrange("events:sale_closed")
    assert fields[b"id"].decode() == event_id


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["redis"], indirect=True)
async def test_pitfall_29_full_redis_is_named_and_left_in_peace(bench, database, open_shop, log) -> None:
    """A typed error, tries that grow rarer, health that says so; all arrives, in order, once there is room."""
    clock = bench.manual_clock()
    shop = await open_shop(clock=clock, lease=1e6)
    await bench.client.config_set("maxmemory", 1)
    tries, passed = 0, shop.streams.hand_over

    async def hand_over(*args: Any) -> Any:
        nonlocal tries
        tries += 1
        return await passed(*args)

    shop.streams.hand_over = hand_over
    try:
        with pytest.raises(BusFullError):
            await shop.bus.emit("sale_closed", session_id="direct")
        for number in range(50):
            async with database.unit_of_work() as uow:
                await shop.bus.within(uow).emit("sale_closed", session_id=str(number))
        for _ in range(100):
            clock.advance(0.5)
            await bench.breathe()
        assert 5 <= tries <= 25  # in fifty seconds, with fifty commits
        assert isinstance(shop.broker.outbox._failure, BusFullError)
        assert "the outbox cannot be relayed" in log
    finally:
        await bench.client.config_set("maxmemory", 0)

    async def arrived() -> bool:
        clock.advance(1.0)
        return len(shop.seen) == 50

    await bench.becomes(arrived)
    assert shop.seen == [str(number) for number in range(50)]


class AllKinds(Event):
    """Holds every kind of value that JSON has."""

    yes: bool
    nothing: str | None
    empty: dict[str, int]
    nested: dict[str, list[int | None]]
    cents: int
    share: float
    text: str
    day: date


@pytest.mark.parametrize(
    "backend", ["fake", *(pytest.param(name, marks=pytest.mark.slow) for name in ("redis", "valkey"))], indirect=True
)
async def test_pitfall_33_values_arrive_as_they_were_sent(bench) -> None:
    """Redis knows text alone, and refuses True, None and {}: all of a payload is one field of JSON."""
    sent = AllKinds(
        yes=True,
        nothing=None,
        empty={},
        nested={"a": [1, None]},
        cents=2**53 + 1,
        share=0.1,
        text="été €\n\0",
        day=date(2025, 9, 26),
    )
    got: list[Any] = []

    async def take(
        yes: bool,
        nothing: str | None,
        empty: dict[str, int],
        nested: dict[str, list[int | None]],
        cents: int,
        share: float,
        text: str,
        day: date,
    ) -> None:
        got.append([yes, nothing, empty, nested, cents, share, text, day])

    broker = await bench.serving(("all_kinds", take))
    await broker.scoped("caisse", emits=[AllKinds]).emit(sent)
    await bench.until(lambda: got)
    assert got == [[getattr(sent, name) for name in AllKinds.model_fields]]
    assert [type(value) for value in got[0]] == [type(getattr(sent, name)) for name in AllKinds.model_fields]
    [(_, fields)] = await bench.client.xrange("events:all_kinds")
    assert sum(name == b"data" for name in fields) == 1


@pytest.mark.slow
async def test_pitfall_34_forked_process_uses_a_connection_of_its_own(bench, folder) -> None:
    """And ids of its own: parent and child emit at the same time through a bus that was used before the fork."""
    server = spawn_server(folder / "r", persistent=False)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(FORKING), server.url, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, err.decode()
        told = out.decode().split()
        async with transport(server.url) as streams:
            entries = await streams.client.xrange("events:thing_counted")
        assert sorted(fields[b"id"].decode() for _, fields in entries) == sorted(told)
        assert len({each[15:] for each in told}) == 600  # what is random in them, without the time
    finally:
        server.stop()
