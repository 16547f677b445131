"""`make bench-bus-scale`: 200 event types × 50 modules in 2 processes, against 2 × 2: does size cost anything?

Every module handles every event: 10 000 groups against 4. Told are the time until the bus consumes, memory,
connections, the CPU of a window in which nothing happens, and how long one event takes to reach all its modules.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis as BlockingRedis

from benchmarks.bus.child import run
from benchmarks.bus.contenders.ours import open_broker
from benchmarks.bus.meter import Result, own_cpu
from benchmarks.bus.report import add_write, markdown, number, spread, write
from benchmarks.bus.rounds import ROOT, fresh_server
from recyclic.core.events.broker import Broker
from recyclic.core.events.bus import EventBus
from recyclic.core.events.contract import Handler
from recyclic.core.events.event import Event

PROBES = 20
"""Events whose way to all their modules is timed."""
PATIENCE = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """How many events and modules each process has, and how many processes there are."""

    events: int
    modules: int
    processes: int = 2

    @property
    def title(self) -> str:
        """Return the head of a column."""
        return f"{self.events} events × {self.modules} modules"


def equip(broker: Broker, shop: Shop, arrived: asyncio.Queue[int]) -> tuple[EventBus, list[type[Event]]]:
    """Give a bus its events and modules; return the bus of the module that emits, and its events."""
    fields = {"__annotations__": {"sent_at": int}, "__doc__": "A thing was counted."}
    events = [type(f"Thing{index}Counted", (Event,), dict(fields)) for index in range(shop.events)]
    for index in range(shop.modules):
        bus = broker.scoped(f"module_{index}")
        for event in events:
            bus.on(event, new_handler(arrived))
    return broker.scoped("producer", emits=events), events


def new_handler(arrived: asyncio.Queue[int]) -> Handler:
    """Return a handler of its own, as each module has."""

    async def handler(sent_at: int) -> None:
        arrived.put_nowait(time.monotonic_ns() - sent_at)

    return handler


async def process(shop: Shop, url: str) -> Result:
    """Be one process of the shop: answer each line of the standard input with one line of JSON, until it ends."""
    arrived: asyncio.Queue[int] = asyncio.Queue()
    began, cpu = time.perf_counter(), own_cpu()
    async with open_broker(url) as broker:
        bus, events = equip(broker, shop, arrived)
        equipped = time.perf_counter()
        await broker.start()
        broker.consume()
        started = time.perf_counter()
        answer({"equip": equipped - began, "start": started - equipped, "start_cpu": own_cpu() - cpu})
        while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
            if line.strip() == "emit":
                await bus.emit(events[len(events) // 2](sent_at=time.monotonic_ns()))
            waits = [arrived.get_nowait() for _ in range(arrived.qsize())]
            answer({"cpu": own_cpu(), "memory": memory(), "arrived": len(waits), "slowest": max(waits, default=0)})
    return {}


def answer(result: Result) -> None:
    """Tell the parent."""
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


def memory() -> float:
    """Return the megabytes that this process has used at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


class Process:
    """The parent's end of one process of the shop."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self._popen = popen

    def ask(self, line: str) -> Result:
        """Send a line and return the answer to it."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{line}\n")
        self._popen.stdin.flush()
        return self.answer()

    def answer(self) -> Result:
        """Return the next answer."""
        assert self._popen.stdout is not None
        found: Result = json.loads(self._popen.stdout.readline())
        return found


@contextmanager
def processes(shop: Shop, url: str) -> Iterator[list[Process]]:
    """Run the processes of a shop."""
    command = [sys.executable, "-m", "benchmarks.bus.scale", "--process", json.dumps(asdict(shop)), url]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(shop.processes)
        ]
        try:
            yield [Process(one) for one in running]
            for one in running:
                one.communicate(timeout=PATIENCE)
        finally:
            for one in running:
                if one.poll() is None:
                    one.kill()


def measure(shop: Shop, window: float) -> Result:
    """Run a shop, leave it alone for `window` seconds, then let some events pass."""
    with fresh_server() as server:
        redis = BlockingRedis.from_url(server.url, protocol=2)
        empty = redis.info("memory")["used_memory"]
        with processes(shop, server.url) as running:
            starts = [one.answer() for one in running]
            settle(redis)
            connections = redis.info("clients")["connected_clients"] - 1
            before, busy = [one.ask("sample") for one in running], redis_cpu(redis)
            time.sleep(window)  # the measure: what does nothing cost?
            after, busy = [one.ask("sample") for one in running], redis_cpu(redis) - busy
            slowest = statistics.median(probe(running, shop) for _ in range(PROBES))
        used = redis.info("memory")["used_memory"] - empty
        redis.close()
    idle = sum(end["cpu"] - start["cpu"] for start, end in zip(before, after, strict=True))
    return {
        "equip": max(start["equip"] for start in starts),
        "start": max(start["start"] for start in starts),
        "memory": statistics.mean(one["memory"] for one in after),
        "redis_memory": used / (1 << 20),
        "connections": connections / shop.processes,
        "idle": idle * 100 / window / shop.processes,
        "redis_idle": busy * 100 / window,
        "reach": slowest / 1e6,
    }


def probe(running: list[Process], shop: Shop) -> float:
    """Emit one event and return the nanoseconds until the last of its modules has it."""
    slowest, missing, answers = 0.0, shop.modules, [running[0].ask("emit")]
    deadline = time.monotonic() + PATIENCE
    while True:
        for found in answers:
            slowest, missing = max(slowest, found["slowest"]), missing - int(found["arrived"])
        if not missing:
            return slowest
        if time.monotonic() > deadline:
            raise TimeoutError(f"{missing} modules never got the event")
        answers = [one.ask("sample") for one in running]


def settle(redis: Any) -> None:
    """Wait until what a start causes is over: Redis gets about as many commands in a second as in the one before."""
    rates = [float("inf")]
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        before = redis.info("stats")["total_commands_processed"]
        time.sleep(1.0)
        rates.append(redis.info("stats")["total_commands_processed"] - before)
        if abs(rates[-1] - rates[-2]) <= 5 + 0.1 * rates[-1]:
            return


def redis_cpu(redis: Any) -> float:
    """Return the CPU seconds that the server has used."""
    info = redis.info("cpu")
    return float(info["used_cpu_user"] + info["used_cpu_sys"])


TITLES = {
    "equip": "until the handlers are registered, s",
    "start": "from there until it consumes, s",
    "memory": "memory of a process, MB",
    "redis_memory": "memory of Redis, MB",
    "connections": "connections of a process",
    "idle": "idle CPU of a process, % of a core",
    "redis_idle": "idle CPU of Redis, % of a core",
    "reach": "one event until all its modules have it, ms",
}


def main() -> None:
    """Measure both shops in turn, and print a table with ratios."""
    options = arguments()
    if options.process:
        shop, url = options.process
        run(process(Shop(**json.loads(shop)), url))
        return
    small = Shop(events=2, modules=2)
    large = Shop(events=3, modules=4) if options.tiny else Shop(events=200, modules=50)
    window, rounds = (0.5, 1) if options.tiny else (options.window, options.rounds)
    results: dict[Shop, list[Result]] = {small: [], large: []}
    for _ in range(rounds):
        for shop, found in results.items():
            found.append(measure(shop, window))
    rows = [[f"2 processes, {rounds} rounds, idle for {window:g} s", *(shop.title for shop in results), "ratio"]]
    for key, title in TITLES.items():
        values = [[result[key] for result in found] for found in results.values()]
        ratios = [b / a for a, b in zip(*values, strict=True) if a]
        ratio = f"{number(statistics.median(ratios))}×" if ratios else "–"
        rows.append([title, *(spread(found) for found in values), ratio])
    print(markdown(rows))
    if options.write:
        write(options.write, "bench-bus-scale", markdown(rows))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bus.scale", description="Does size cost anything?")
    parser.add_argument("--rounds", type=int, default=3, help="how many rounds")
    parser.add_argument("--window", type=float, default=10.0, help="seconds in which nothing happens")
    add_write(parser)
    parser.add_argument("--tiny", action="store_true", help="one round that only shows that everything runs")
    parser.add_argument("--process", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
