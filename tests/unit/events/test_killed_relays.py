"""kill -9 of relaying processes, and several of them at once: no event is lost, and each stream keeps its order."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recyclic.core.database import Database
from recyclic.core.events.broker import Broker
from recyclic.core.events.event import Event
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.core.redis_process import spawn_server
from tests.unit.events.conftest import empty_outbox

pytestmark = pytest.mark.slow

PROCESS = Path(__file__).parent / "relaying_process.py"
ROWS = 6000
BATCH = 50
KILLS = 5


class ThingCounted(Event):
    """A thing was counted."""

    number: int


class ThingWeighed(Event):
    """A thing was weighed."""

    number: int


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request, tmp_path) -> AsyncIterator[Database]:
    async with empty_outbox(request, tmp_path) as database:
        yield database


async def becomes(ask, what: str, patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not await ask():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.005)  # between two looks at other processes, which have no way to tell us


async def test_killed_relays_lose_nothing_and_keep_the_order(database) -> None:
    """Two processes relay one outbox; whichever of them is killed in the middle of a batch is replaced."""
    chance = random.Random(20250926)
    with tempfile.TemporaryDirectory(prefix="rr") as folder, contextlib.ExitStack() as stack:
        server = spawn_server(Path(folder) / "r", persistent=False)
        stack.callback(server.stop)
        client = connect(server.url)
        streams = RedisStreams(client)

        def relay() -> subprocess.Popen[bytes]:
            process = subprocess.Popen([sys.executable, str(PROCESS), database.url, server.url, str(BATCH)])
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        broker = Broker(streams, database=database)
        bus = broker.scoped("caisse", emits=[ThingCounted, ThingWeighed])
        stored: dict[str, list[str]] = {"thing_counted": [], "thing_weighed": []}

        async def store(numbers: range) -> None:
            async with database.unit_of_work() as uow:
                for number in numbers:
                    event = chance.choice(list(stored))
                    stored[event].append(await bus.within(uow).emit(event, number=number))

        async def sent(at_least: int) -> bool:
            return sum([await client.xlen(f"events:{event}") for event in stored]) >= at_least

        for start in range(0, ROWS, 500):
            await store(range(start, start + 500))
        relays = [relay(), relay()]
        for step in range(1, KILLS + 1):
            goal = ROWS * step // (KILLS + 2) + chance.randrange(100)
            await becomes(lambda goal=goal: sent(goal), f"{goal} events sent")
            victim = relays.pop(chance.randrange(2))
            victim.kill()
            relays.append(relay())

        async def nothing_waits() -> bool:
            return await broker.outbox.depth() == 0

        await becomes(nothing_waits, "every row sent")
        doubled = 0
        for event, ids in stored.items():
            found = [fields[b"id"].decode() for _, fields in await client.xrange(f"events:{event}")]
            assert list(dict.fromkeys(found)) == ids
            doubled += len(found) - len(ids)
        assert doubled <= KILLS * BATCH
        await streams.close()
        await client.aclose()
