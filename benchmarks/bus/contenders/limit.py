"""The limit: what Redis gives a client in C. redis-benchmark emits, where there is one; hiredis on a socket reads."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import hiredis
import orjson

from benchmarks.bus.measures import AT_ONCE, WARM, Arrivals
from benchmarks.bus.meter import Result, own_cpu, quantiles
from benchmarks.bus.workload import CONSUMER, GROUP, STREAM, Run, payload

READ = ("XREADGROUP", "GROUP", GROUP, CONSUMER, "COUNT", 500, "STREAMS", STREAM, ">")
WAIT = (*READ[:6], "BLOCK", 1000, *READ[6:])


class Limit:
    """No event loop, no handler, one connection for each direction."""

    async def open(self, url: str) -> None:
        """Connect."""
        self._socket = bare(url)

    def emit(self, payload: Mapping[str, Any]) -> Awaitable[Any]:
        """XADD, blocking this process until its answer is there."""
        self._socket.call("XADD", STREAM, "*", "data", orjson.dumps(payload))
        return asyncio.sleep(0)

    async def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    async def backlog(self, run: Run) -> Result:
        """Let redis-benchmark emit a hundred at a time, then read and ack in one write a batch."""
        rate = xadds(run.url, run.size.backlog, at_once=AT_ONCE)
        reader, left = bare(run.url), run.size.backlog
        cpu, began = own_cpu(), time.perf_counter()
        reader.send(READ)
        while left:
            [(_, entries)] = reader.receive()
            left -= len(entries)
            reader.send(acks(entries), READ)
            reader.receive()
        reader.receive()
        seconds, cpu = time.perf_counter() - began, own_cpu() - cpu
        reader.close()
        consumed = run.size.backlog / seconds
        return {"concurrent_emits": rate, "consumed": consumed, "cpu_consume": cpu * 100_000 / run.size.backlog}

    async def sequential(self, run: Run) -> Result:
        """Let redis-benchmark emit, one after the other."""
        return {"sequential_emits": xadds(run.url, run.size.sequential, at_once=1)}

    async def latency(self, run: Run) -> Result:
        """Block on the socket for what another process emits."""
        reader, arrivals = bare(run.url), Arrivals(run)
        with subprocess.Popen(run.command("emitter"), stdout=subprocess.PIPE) as emitting:  # noqa: ASYNC220 - no loop here
            while not arrivals.complete.is_set():
                for _, entries in reader.call(*WAIT) or ():
                    for _, fields in entries:
                        arrivals.handled(orjson.loads(fields[1])["sent_at"])
                    reader.call(*acks(entries))
            answer, _ = emitting.communicate()
        reader.close()
        emitted = orjson.loads(answer.splitlines()[-1])
        cpu = (arrivals.cpu + emitted["cpu"]) * 100_000 / run.size.steady
        return {**quantiles(arrivals.waits[WARM:]), "cpu_at_rate": cpu, "late_ms": emitted["late_ms"]}

    async def latency_one(self, run: Run) -> Result:
        """Nothing: what blocks on one socket cannot emit on another."""
        return {}


class Bare:
    """A blocking socket and hiredis, nothing between."""

    def __init__(self, url: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(url.removeprefix("unix://"))
        self._reader = hiredis.Reader()

    def call(self, *command: Any) -> Any:
        """Send a command and return its answer."""
        self.send(command)
        return self.receive()

    def send(self, *commands: tuple[Any, ...]) -> None:
        """Send commands in one write."""
        self._socket.sendall(b"".join(hiredis.pack_command(command) for command in commands))

    def receive(self) -> Any:
        """Return the next answer."""
        while (answer := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1 << 20))
        return answer

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()


def bare(url: str) -> Bare:
    """Return a connection, with the group there."""
    connection = Bare(url)
    connection.call("XGROUP", "CREATE", STREAM, GROUP, "0", "MKSTREAM")  # answers an error where it is there already
    return connection


def acks(entries: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    """Return the XACK of a batch."""
    return ("XACK", STREAM, GROUP, *(entry_id for entry_id, _ in entries))


def xadds(url: str, count: int, *, at_once: int) -> float:
    """Return how many XADDs a second one connection makes with so many of them in each write.

    With redis-benchmark where it is installed, else with hiredis.
    """
    add = ("XADD", STREAM, "*", "data", orjson.dumps(payload()).decode())
    if program := shutil.which("redis-benchmark"):
        command = [program, "-s", url.removeprefix("unix://"), "-c", "1", "-P", str(at_once), "-n", str(count), "--csv"]
        done = subprocess.run([*command, *add], capture_output=True, text=True, check=True, timeout=120)
        head, row = done.stdout.splitlines()[-2:]
        after_rate = head.count(",") - 1
        return float(row.rsplit(",", after_rate + 1)[1].strip('"'))  # from the end: the payload holds commas too
    connection, began = Bare(url), time.perf_counter()
    for _ in range(count // at_once):
        connection.send(*[add] * at_once)
        for _ in range(at_once):
            connection.receive()
    seconds = time.perf_counter() - began
    connection.close()
    return count / seconds


CONTENDER = Limit
