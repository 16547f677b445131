"""`make bench-bus-shapes`: two shapes of consuming by 50 groups in 4 processes, and what an XADD costs under each.

- groups: each process has a connection for each group, blocked in XREADGROUP.
- doorbell: each process has one connection blocked in XREAD, and reads the groups behind it on another, pipelined.
- alone: one process with one group, to compare with.

Everything is redis-py, so that only the shape differs. Nobody acks: that is the same work under each.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from benchmarks.bus.child import run
from benchmarks.bus.meter import Result, own_cpu, quantiles
from benchmarks.bus.report import markdown, number, spread
from benchmarks.bus.rounds import ROOT, fresh_server
from benchmarks.bus.workload import STREAM

COUNT = 100
"""Entries of one read at most."""
PATIENCE = 60.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many processes read for how many groups, and how."""

    name: str
    groups: int
    processes: int

    @property
    def blocked(self) -> int:
        """Return how many connections wait in Redis while nothing happens."""
        return self.processes * (1 if self.name == "doorbell" else self.groups)


class Reader:
    """One process of a shape. Notes how long each entry was on its way to each group, in nanoseconds."""

    def __init__(self, shape: Shape, url: str) -> None:
        self._shape = shape
        self._url = url
        self._clients: list[Redis] = []
        self.waits: list[int] = []

    def start(self) -> list[asyncio.Task[None]]:
        """Begin to read."""
        if self._shape.name == "doorbell":
            return [asyncio.create_task(self._doorbell())]
        return [asyncio.create_task(self._group(f"g{index}")) for index in range(self._shape.groups)]

    async def stop(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Note what is still on its way, and disconnect."""
        seen = -1
        while seen != len(self.waits):
            seen = len(self.waits)
            await asyncio.sleep(0.2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in self._clients:
            await client.aclose()

    async def _group(self, group: str) -> None:
        client = self._client()
        while True:
            reply = await client.xreadgroup(group, "c", {STREAM: ">"}, count=COUNT, block=0)
            self._note(reply)

    async def _doorbell(self) -> None:
        bell, client, end = self._client(), self._client(), b"$"
        while True:
            [(_, entries)] = await bell.xread({STREAM: end}, count=COUNT, block=0)
            end = entries[-1][0]
            reads = client.pipeline(transaction=False)
            for index in range(self._shape.groups):
                reads.xreadgroup(f"g{index}", "c", {STREAM: ">"}, count=COUNT)
            for reply in await reads.execute():
                self._note(reply)

    def _client(self) -> Redis:
        client = Redis.from_url(self._url, protocol=2, socket_timeout=None, single_connection_client=True)
        self._clients.append(client)
        return client

    def _note(self, reply: Any) -> None:
        now = time.monotonic_ns()
        for _, entries in reply:
            self.waits += [now - int(fields[b"sent_at"]) for _, fields in entries]


async def read(shape: Shape, url: str) -> Result:
    """Read until the standard input ends, and return what was seen."""
    reader = Reader(shape, url)
    tasks = reader.start()
    cpu = own_cpu()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    cpu = own_cpu() - cpu
    await reader.stop(tasks)
    return {"count": len(reader.waits), "cpu": cpu, **quantiles(reader.waits or [0])}


@contextmanager
def readers(shape: Shape, url: str, server: BlockingRedis) -> Iterator[list[subprocess.Popen[str]]]:
    """Run a shape's processes, all of them blocked in Redis when this returns."""
    with ExitStack() as stack:
        described = json.dumps(dataclasses.asdict(shape))
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
            connections = server.info("clients")["connected_clients"] - 1
            before = server.info("cpu")
            adds = []
            for _ in range(events):
                time.sleep(pause)  # the rate of the load: everybody is blocked again
                began = time.monotonic_ns()
                server.xadd(STREAM, {"sent_at": began})
                adds.append(time.monotonic_ns() - began)
            until(lambda: all(group["entries-read"] == events for group in server.xinfo_groups(STREAM)))
            after = server.info("cpu")
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
        Shape(name="alone", groups=1, processes=1),
    ]
    events, rounds = (20, 1) if options.tiny else (300, options.rounds)
    results: dict[str, list[Result]] = {shape.name: [] for shape in shapes}
    for _ in range(rounds):
        for shape in shapes:
            results[shape.name].append(measure(shape, events, 0.01))
    rows = [[f"{groups} groups × {processes} processes, {rounds} rounds of {events}", *results, "doorbell / groups"]]
    for key, title in TITLES.items():
        values = {name: [result[key] for result in found] for name, found in results.items()}
        ratio = statistics.median(a / b for a, b in zip(values["doorbell"], values["groups"], strict=True))
        rows.append([title, *(spread(found) for found in values.values()), f"{number(ratio)}×"])
    print(markdown(rows))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bus.shapes", description="Compare shapes of consuming.")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds")
    parser.add_argument("--tiny", action="store_true", help="one round that only shows that everything runs")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
