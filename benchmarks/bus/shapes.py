"""`make bench-bus-shapes`: shapes of consuming by 50 groups in 4 processes, and what an XADD costs under each.

- groups: each process has a connection for each group, blocked in XREADGROUP.
- doorbell: each process has one connection blocked in XREAD, and reads the groups behind it on another, pipelined.
- bus: ours, which is a doorbell too; it also calls handlers and acks.
- alone: one process with one group, to compare with.

The others are bare redis-py, so that only the shape differs. They decode the entry and do not ack.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from benchmarks.bus.child import run
from benchmarks.bus.contenders.ours import open_broker
from benchmarks.bus.meter import Result, own_cpu, quantiles
from benchmarks.bus.report import add_write, markdown, number, spread, write
from benchmarks.bus.rounds import ROOT, fresh_server
from recyclic.core.events.event import Envelope

EVENT = "thing_counted"
STREAM = f"events:{EVENT}"
COUNT = 100
"""Entries of one read at most."""
PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many processes read for how many groups, and how."""

    name: str
    groups: int
    processes: int

    @property
    def blocked(self) -> int:
        """Return how many connections wait in Redis while nothing happens."""
        return self.processes * (1 if self.name in ("doorbell", "bus") else self.groups)


async def read(shape: Shape, url: str) -> Result:
    """Be one process of a shape until the standard input ends, and return how long each entry was on its way."""
    waits: list[int] = []
    os.nice(10)  # an XADD shall wait for Redis, not for a core that the readers have
    async with AsyncExitStack() as stack:
        new_client = partial(_client, stack, url)
        if shape.name == "bus":
            await _bus(stack, url, shape.groups, waits)
        elif shape.name == "doorbell":
            _background(stack, _doorbell(shape.groups, new_client, waits))
        else:
            for index in range(shape.groups):
                _background(stack, _group(f"g{index}", new_client(), waits))
        cpu = own_cpu()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        cpu = own_cpu() - cpu
        seen = -1
        while seen != len(waits):  # what is still on its way counts too
            seen = len(waits)
            await asyncio.sleep(0.2)
    return {"count": len(waits), "cpu": cpu, **quantiles(waits or [0])}


async def _group(group: str, client: Redis, waits: list[int]) -> None:
    while True:
        _note(await client.xreadgroup(group, "c", {STREAM: ">"}, count=COUNT, block=0), waits)


async def _doorbell(groups: int, new_client: Callable[[], Redis], waits: list[int]) -> None:
    bell, client, end = new_client(), new_client(), b"$"
    while True:
        [(_, entries)] = await bell.xread({STREAM: end}, count=COUNT, block=0)
        end = entries[-1][0]
        reads = client.pipeline(transaction=False)
        for index in range(groups):
            reads.xreadgroup(f"g{index}", "c", {STREAM: ">"}, count=COUNT)
        for reply in await reads.execute():
            _note(reply, waits)


async def _bus(stack: AsyncExitStack, url: str, groups: int, waits: list[int]) -> None:
    async def handler(sent_at: int) -> None:
        waits.append(time.monotonic_ns() - sent_at)

    broker = await stack.enter_async_context(open_broker(url))
    for index in range(groups):
        broker.scoped(f"g{index}").on(EVENT, handler)
    await broker.start()
    broker.consume()


def _note(reply: Any, waits: list[int]) -> None:
    for _, entries in reply:
        for _, fields in entries:
            sent_at = orjson.loads(fields[b"data"])["sent_at"]
            waits.append(time.monotonic_ns() - sent_at)


def _client(stack: AsyncExitStack, url: str) -> Redis:
    client = Redis.from_url(url, protocol=2, socket_timeout=None, single_connection_client=True)
    stack.push_async_callback(client.aclose)
    return client


def _background(stack: AsyncExitStack, reading: Any) -> None:
    async def cancelled() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    task = asyncio.create_task(reading)
    stack.push_async_callback(cancelled)


@contextmanager
def readers(shape: Shape, url: str, server: BlockingRedis) -> Iterator[list[subprocess.Popen[str]]]:
    """Run a shape's processes, all of them blocked in Redis when this returns."""
    with ExitStack() as stack:
        described = json.dumps(asdict(shape))
        command = [sys.executable, "-m", "benchmarks.bus.shapes", "--read", described, url]
        running = [
            stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(shape.processes)
        ]
        try:
            until(lambda: server.info("clients")["blocked_clients"] == shape.blocked)
            yield running
        finally:
            for process in running:
                if process.poll() is None:
                    process.kill()


def measure(shape: Shape, events: int, pause: float) -> Result:
    """Emit `events`, one each `pause` seconds, and return what each costs under this shape."""
    with fresh_server() as process:
        server = BlockingRedis.from_url(process.url, protocol=2)
        for index in range(shape.groups):
            server.xgroup_create(STREAM, f"g{index}", id="0", mkstream=True)
        with readers(shape, process.url, server) as running:
            before, adds, sealed = server.info("cpu"), [], envelope()
            for _ in range(events):
                time.sleep(pause)  # the rate of the load: everybody is blocked again
                began = time.monotonic_ns()
                server.xadd(STREAM, {**sealed, "data": orjson.dumps({"sent_at": began})})
                adds.append(time.monotonic_ns() - began)
            until(lambda: all(group["entries-read"] == events for group in server.xinfo_groups(STREAM)))
            after, connections = server.info("cpu"), server.info("clients")["connected_clients"] - 1
            seen = [json.loads(reader.communicate("", timeout=PATIENCE)[0]) for reader in running]
        server.close()
    missing = shape.groups * events - sum(part["count"] for part in seen)
    if missing:
        raise RuntimeError(f"{shape.name}: {missing:g} deliveries are missing")
    redis = sum(after[kind] - before[kind] for kind in ("used_cpu_user", "used_cpu_sys"))
    return {
        "connections": connections,
        "xadd_p50": quantiles(adds)["p50"],
        "xadd_p99": quantiles(adds)["p99"],
        "delivery_p50": statistics.median(part["p50"] for part in seen),
        "redis_us": redis * 1e6 / events,
        "readers_us": sum(part["cpu"] for part in seen) * 1e6 / events,
    }


def envelope() -> dict[str, bytes]:
    """Return an entry's fields, as our bus reads them."""
    return Envelope(id="bench", event=EVENT, source="bench", time=datetime.now(UTC), data={}).encode()


def until(condition: Any) -> None:
    """Ask again until it is so.

    Raises:
        TimeoutError: it was not so in time.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the readers did not get there")
        time.sleep(0.01)


TITLES = {
    "connections": "connections",
    "xadd_p50": "XADD p50, µs",
    "xadd_p99": "XADD p99, µs",
    "delivery_p50": "until a group has it, p50, µs",
    "redis_us": "CPU of Redis an event, µs",
    "readers_us": "CPU of the readers an event, µs",
}


def main() -> None:
    """Measure the shapes in turn, and print a table with ratios."""
    options = arguments()
    if options.read:
        shape, url = options.read
        sys.stdout.write(json.dumps(run(read(Shape(**json.loads(shape)), url))))
        return
    groups, processes = (3, 2) if options.tiny else (50, 4)
    shapes = [
        Shape(name="groups", groups=groups, processes=processes),
        Shape(name="doorbell", groups=groups, processes=processes),
        Shape(name="bus", groups=groups, processes=processes),
        Shape(name="alone", groups=1, processes=1),
    ]
    events, rounds = (20, 1) if options.tiny else (300, options.rounds)
    results: dict[str, list[Result]] = {shape.name: [] for shape in shapes}
    for _ in range(rounds):
        for shape in shapes:
            results[shape.name].append(measure(shape, events, 0.01))
    rows = [
        [
            f"{groups} groups × {processes} processes, {rounds} rounds of {events}",
            *results,
            "doorbell / groups",
            "bus / groups",
        ]
    ]
    for key, title in TITLES.items():
        values = {name: [result[key] for result in found] for name, found in results.items()}
        ratios = [
            statistics.median(one / other for one, other in zip(values[name], values["groups"], strict=True))
            for name in ("doorbell", "bus")
        ]
        rows.append([title, *(spread(found) for found in values.values()), *(f"{number(ratio)}×" for ratio in ratios)])
    print(markdown(rows))
    if options.write:
        write(options.write, "bench-bus-shapes", markdown(rows))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bus.shapes", description="Compare shapes of consuming.")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds")
    add_write(parser)
    parser.add_argument("--tiny", action="store_true", help="one round that only shows that everything runs")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
