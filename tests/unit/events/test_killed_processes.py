"""kill -9 of consuming processes: nothing is lost, and only what was in flight is seen twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from recyclic.core.events.broker import Broker
from recyclic.core.events.event import Event
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect
from recyclic.core.redis_process import spawn_server

PROCESS = Path(__file__).parent / "consuming_process.py"
EVENTS = 2000
KILLS = 6


class ThingCounted(Event):
    """A thing was counted."""

    number: int


def handled(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


async def becomes(condition, what: str, patience: float = 90.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)  # between two looks at other processes, which have no way to tell us


@pytest.mark.slow
async def test_killed_consumers_lose_nothing(tmp_path: Path) -> None:
    """Two workers, one killed at a random moment again and again while events arrive: each is handled."""
    chance, log = random.Random(20250917), tmp_path / "handled"
    with tempfile.TemporaryDirectory(prefix="rk") as folder, contextlib.ExitStack() as stack:
        server = spawn_server(Path(folder) / "r", persistent=False)
        stack.callback(server.stop)
        client = connect(server.url)
        streams = RedisStreams(client)

        def worker() -> subprocess.Popen[bytes]:
            process = subprocess.Popen([sys.executable, str(PROCESS), server.url, str(log)])
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        broker = Broker(streams)
        bus = broker.scoped("caisse", emits=[ThingCounted])
        workers = [worker(), worker()]
        for number in range(EVENTS):
            await bus.emit("thing_counted", number=number)
        for step in range(1, KILLS + 1):
            goal = EVENTS * step // (KILLS + 2) + chance.randrange(60)
            await becomes(lambda goal=goal: len(handled(log)) >= goal, f"{goal} handlings")
            victim = workers.pop(chance.randrange(2))
            victim.kill()
            workers.append(worker())
        await becomes(lambda: len({line[0] for line in handled(log)}) == EVENTS, "every event")
        pair = ("thing_counted", "counter")
        for worker_process in workers:
            worker_process.terminate()
        assert not (await streams.snapshot([pair])).groups[pair].unread
        assert [state.dead for state in await streams.events()] == [{"counter": 0}]
        await streams.close()
        await client.aclose()
    times = Counter(line[0] for line in handled(log))
    assert set(times) == {str(number) for number in range(EVENTS)}
    assert sum(times.values()) - EVENTS <= KILLS * 16
