"""The condition of the bus: what metrics and health ask of every Redis, and what they say when something is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from recyclic.core.events.condition import BusWatch
from recyclic.core.events.event import Event
from recyclic.core.events.gauges import Persistence
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.core.redis_process import spawn_server
from recyclic.errors import BusFullError


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


@pytest.fixture(
    params=["fake", *(pytest.param(name, marks=pytest.mark.slow) for name in ("redis", "valkey", "tls", "cluster"))]
)
def backend(request) -> str:
    """Every kind of server, a user of few rights included."""
    return request.param


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def broker(bench, gate):
    """One that handles an event at a time, when the gate is open, and fails those that are called bad."""

    async def handle(session_id: str) -> None:
        await gate.wait()
        if session_id == "bad":
            raise ValueError("bad")

    broker = bench.broker(concurrency=1, max_attempts=1, prefetch=1, hard_limit=4)
    broker.scoped("caisse", emits=[SaleClosed])
    broker.scoped("paheko").on("sale_closed", handle)
    await broker.start()
    return broker


async def emit(broker, *sessions: str) -> None:
    bus = broker.scoped("caisse", emits=[SaleClosed])
    for session in sessions:
        await bus.emit("sale_closed", session_id=session)


async def test_gauges_tell_how_far_each_group_is(bench, broker, gate) -> None:
    """Unread, pending, the oldest that is not acked, dead letters; the groups of disabled modules too."""
    await bench.client.xgroup_create("events:sale_closed", "disabled", "0")
    nothing = (await broker.streams.gauges(["sale_closed", "never_emitted"]))["sale_closed"]
    assert (nothing.length, nothing.groups["paheko"].unread, nothing.groups["paheko"].oldest) == (0, 0, None)
    await emit(broker, "bad", "a", "b")
    first = (await bench.client.xrange("events:sale_closed", count=1))[0][0].decode()
    unread = (await broker.streams.gauges(["sale_closed"]))["sale_closed"]
    assert unread.length == 3
    oldest = int(first.split("-")[0]) / 1000
    for group in ("paheko", "disabled"):
        assert (unread.groups[group].unread, unread.groups[group].pending, unread.groups[group].oldest) == (
            3,
            0,
            oldest,
        )
    broker.consume()
    await bench.until(lambda: bench.journal.of("delivered"))
    held = (await broker.streams.gauges(["sale_closed"]))["sale_closed"].groups["paheko"]
    assert held.pending >= 1
    assert held.unread + held.pending == 3
    assert held.oldest == oldest
    gate.set()
    await bench.settled(("sale_closed", "paheko"))
    done = (await broker.streams.gauges(["sale_closed"]))["sale_closed"]
    assert done.groups["paheko"].oldest is None
    assert (done.groups["paheko"].dead_letters, done.groups["disabled"].dead_letters, done.dead_letters) == (1, 0, 1)


async def test_unread_events_are_counted_where_the_server_lost_count(bench, broker) -> None:
    """It does when entries before them were deleted."""
    await emit(broker, "a", "b", "c", "d")
    entries = [entry_id for entry_id, _ in await bench.client.xrange("events:sale_closed")]
    await bench.client.xdel("events:sale_closed", entries[1])
    state = (await broker.streams.gauges(["sale_closed"]))["sale_closed"].groups["paheko"]
    assert state.unread == 3


async def test_all_well_has_no_reasons(bench, broker) -> None:
    """Except that most servers of these tests keep nothing, on purpose."""
    found = await BusWatch(broker).read()
    assert found.reasons == ([] if bench.backend in {"fake", "tls"} else ["persistence"])
    if bench.backend == "tls":
        assert found.persistence == Persistence(append_only=True)


async def test_dead_letters_and_a_backlog_are_reasons(bench, broker, gate) -> None:
    """Named, and described for the log."""
    gate.set()
    await emit(broker, "bad")
    broker.consume()
    await bench.until(lambda: bench.journal.of("dead"))
    await broker.drain()
    watch = BusWatch(broker)
    found = await watch.read()
    assert {"dead_letters"} == {*found.reasons} - {"persistence"}
    assert found.checks()["dead_letters"] == "dead letters wait for a decision: {'sale_closed': 1}"
    await emit(broker, *"abcde")
    found = await watch.read()
    assert {"backlog", "dead_letters"} == {*found.reasons} - {"persistence"}
    assert found.checks()["backlog"] == "streams are longer than 4: {'sale_closed': 6}"


async def test_event_that_waits_too_long_in_the_outbox_is_a_reason(bench, database, open_shop) -> None:
    """Longer than its limit, not before."""
    clock = bench.manual_clock()
    shop = await open_shop(clock=clock, outbox_limit=30.0, lease=1e6)
    shop.streams.away = True
    async with database.unit_of_work() as uow:
        await shop.bus.within(uow).emit("sale_closed", session_id="a")
    watch = BusWatch(shop.broker)
    clock.advance(29.0)
    assert "outbox" not in (await watch.read()).reasons
    clock.advance(2.0)
    found = await watch.read()
    assert "outbox" in found.reasons
    assert found.checks()["outbox"] == "1 events wait in the outbox, the oldest for 31 s"


async def test_many_who_ask_at_once_cost_as_much_as_one(bench, broker) -> None:
    """Health is public: whoever asks a thousand times must not make Redis busy."""
    asked = 0
    gauges = broker.streams.gauges

    class Counted:
        def __getattr__(self, name):
            return getattr(bench.streams, name)

        async def gauges(self, events):
            nonlocal asked
            asked += 1
            return await gauges(events)

    broker.streams = Counted()
    watch = BusWatch(broker)
    answers = await asyncio.gather(*(watch.read() for _ in range(50)))
    assert asked == 1
    assert len({id(answer) for answer in answers}) == 1
    await watch.read()
    assert asked == 2


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["redis", "valkey"])
class TestFullServer:
    """Redis answers, and refuses to write."""

    @pytest.fixture
    async def full(self, bench):
        """Make memory short; take the limit away at the end."""
        await bench.client.config_set("maxmemory-policy", "noeviction")

        async def fill() -> None:
            await bench.client.config_set("maxmemory", 1)

        yield fill
        await bench.client.config_set("maxmemory", 0)

    async def test_emit_raises_an_error_of_its_own(self, bench, broker, full) -> None:
        """Every write does, scripts too; what only reads goes on."""
        await full()
        with pytest.raises(BusFullError, match="maxmemory"):
            await emit(broker, "a")
        with pytest.raises(BusFullError, match="maxmemory"):
            await broker.streams.hand_over("sale_closed", [{"id": b"1"}], "0-0")
        assert await broker.streams.length("sale_closed") == 0

    async def test_health_says_so(self, bench, broker, full) -> None:
        """And is well again when there is room."""
        watch = BusWatch(broker)
        await full()
        assert "redis_full" in (await watch.read()).reasons
        await bench.client.config_set("maxmemory", 0)
        assert "redis_full" not in (await watch.read()).reasons

    async def test_handlers_outcomes_wait_until_there_is_room(self, bench, broker, gate, full) -> None:
        """The retry is not written, and not lost."""
        await emit(broker, "bad", "a")
        broker.consume()
        await bench.until(lambda: bench.journal.of("delivered"))
        await full()
        gate.set()
        await bench.until(lambda: bench.journal.of("failed"))
        assert bench.journal.of("dead") == []
        await bench.client.config_set("maxmemory", 0)
        await bench.settled(("sale_closed", "paheko"))
        assert len(bench.journal.of("dead")) == 1
        assert len(bench.journal.of("handled")) == 1


@pytest.mark.slow
async def test_server_that_cannot_write_its_file_is_told_apart() -> None:
    """MISCONF: the folder that it saves to is gone, say, or its disk is full."""
    with tempfile.TemporaryDirectory(prefix="rc") as folder:
        place = Path(folder) / "r"
        server = spawn_server(place, persistent=False)
        client: Redis = connect(server.url)
        streams = RedisStreams(client)
        try:
            await client.config_set("save", "3600 1")
            await streams.ping()
            shutil.rmtree(place)  # the server goes on, in a folder that is no more
            with contextlib.suppress(ResponseError):
                await client.bgsave()
            while (await client.info("persistence"))["rdb_last_bgsave_status"] != "err":
                pass  # it has no way to tell us, and refuses even a PING by then
            with pytest.raises(BusFullError, match="MISCONF"):
                await streams.append("sale_closed", {"id": b"1"})
            with pytest.raises(BusFullError, match="MISCONF"):
                await streams.hand_over("sale_closed", [{"id": b"1"}], "0-0")
        finally:
            await streams.close()
            await client.aclose()
            server.kill()  # it would not end before it has saved


@pytest.mark.slow
@pytest.mark.parametrize("persistent", [True, False])
async def test_persistence_is_what_the_server_says(persistent: bool) -> None:
    """An append-only file is kept, or it is not; a user who may not ask does not know."""
    with tempfile.TemporaryDirectory(prefix="rc") as folder:
        server = spawn_server(Path(folder) / "r", persistent=persistent)
        client: Redis = connect(server.url)
        streams = RedisStreams(client)
        try:
            found = await streams.persistence()
            assert (found.append_only, found.failing) == (persistent, False)
            await client.execute_command("ACL", "SETUSER", "default", "-info")
            assert (await streams.persistence()).append_only is None
        finally:
            await streams.close()
            await client.aclose()
            server.stop()
