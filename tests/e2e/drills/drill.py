"""Drill and Run: a drill's size, chance and report; and what it runs: a Redis, an emitter, workers, and the account."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from drills.account import Account
from drills.load import PADDING, EmittingHost, Load
from drills.processes import WORKER, Worker
from drills.proxy import Proxy
from drills.redis_server import RedisServer
from drills.tally import Tally

MODULES = Path(__file__).parent / "modules"
GROUPS = ("drill_north", "drill_south", "drill_south.count")
POISONED = 77
"""The exit status of a process that handled the order `exit`."""
LEASE = 2.0
"""Seconds; the one setting that is not the benchmark's, so that drills are bounded in time."""
PATIENCE = 60.0
"""Seconds after which a wait gives up. The mechanism is the condition; this is the safety net."""
LONGEST = 900.0
"""Seconds after which a drill is given up, whatever it waits for."""


@dataclass
class Drill:
    """One drill: how large it is, its chance, its folder, and where its account goes."""

    name: str
    seed: int
    full: bool
    folder: Path
    tell: Callable[[str], None]
    """Takes the account, for the end of the run."""

    def __post_init__(self) -> None:
        self.chance = Random(self.seed)

    @property
    def rerun(self) -> str:
        """Return the command that drills it again with the same chance."""
        return f"rerun: DRILL_SEED={self.seed} make drill-{self.name}"

    def size(self, *, full: int, quick: int) -> int:
        """Return a count: of `make drills`, or of `make test`."""
        return full if self.full else quick

    @asynccontextmanager
    async def running(
        self,
        *,
        workers: int = 2,
        groups: Sequence[str] = GROUPS,
        seconds: float = 0.005,
        window: int = 400,
        bus: Mapping[str, object] | None = None,
        redis: Sequence[str] = (),
        proxied: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Run]:
        """Start a Redis with the options `redis`, an emitting host, and workers whose handlers take `seconds`.

        `bus` is the `[bus]` table beside the lease. With `proxied`, the emitter's way to Redis and that of each worker
        is a proxy of its own. Whatever is still running at the end is ended.
        """
        async with asyncio.timeout(LONGEST), AsyncExitStack() as stack:
            run = Run(self, groups=groups, seconds=seconds, window=window, bus=bus or {}, redis=redis)
            stack.callback(run.kill_all)
            run.environment.update(environment or {})
            run.redis.start()
            if proxied:
                run.proxies = [await stack.enter_async_context(Proxy(run.redis.socket)) for _ in range(workers + 1)]
            await run.open(stack)
            for number in range(workers):
                run.start_worker(url=run.proxies[number + 1].url if proxied else None)
            await run.up()
            yield run


class Run:
    """What a drill has running. `finish` ends it with the account."""

    def __init__(
        self,
        drill: Drill,
        *,
        groups: Sequence[str],
        seconds: float,
        window: int,
        bus: Mapping[str, object],
        redis: Sequence[str],
    ) -> None:
        self.drill = drill
        self.chance = drill.chance
        self.groups = groups
        self.redis = RedisServer(drill.folder / "redis", *redis)
        self.tally = Tally(drill.folder / "handlings")
        self.account = Account(self.tally, groups)
        self.workers: list[Worker] = []
        self.gone: list[Worker] = []
        self.proxies: list[Proxy] = []
        """The emitter's, then those of the workers in the order of their start."""
        self.environment: dict[str, str] = {}
        """What every worker's environment has beside the configuration."""
        self.facts: list[str] = []
        self._window = window
        self._names = itertools.count(1)
        self._numbers = itertools.count()
        self._began = time.monotonic()
        self.config = drill.folder / "config.toml"
        self.config.write_text(_config(drill.folder, groups, seconds, bus, self.tally.file))

    async def open(self, stack: AsyncExitStack) -> None:
        """Start the emitting host."""
        url = self.proxies[0].url if self.proxies else self.redis.url
        self.host = await stack.enter_async_context(EmittingHost(self.config, {"REDIS_URL": url}))
        self.load = Load(self.host, self.account, window=self._window)

    # -- workers

    def start_worker(self, *, url: str | None = None, command: Sequence[str] = WORKER) -> Worker:
        """Start one more worker process, whose way to Redis is `url`."""
        settings = {
            "RECYCLIC_CONFIG": str(self.config),
            "RECYCLIC_LOG__LEVEL": "warning",
            "REDIS_URL": url or self.redis.url,
            **self.environment,
        }
        worker = Worker(command, self.drill.folder, settings, f"worker-{next(self._names)}")
        self.workers.append(worker)
        return worker

    def kill(self, worker: Worker) -> None:
        """Kill a worker with SIGKILL. What it had begun and not acked may be handled again."""
        worker.kill()
        self.workers.remove(worker)
        self.gone.append(worker)
        self.tally.read()
        held = self.redis.pending(self.groups, worker.pid)
        self.account.in_flight.update(held & self.tally.begun_by[worker.pid])
        self.tally.buried(worker.pid)

    def stop(self, worker: Worker) -> None:
        """Stop a worker where it stands. What it had begun and not acked may be handled again, and no more."""
        worker.stop()
        self.tally.read()
        held = self.redis.pending(self.groups, worker.pid)
        self.account.in_flight.update(held & self.tally.begun_by[worker.pid])

    def kill_redis(self) -> None:
        """Kill the Redis. What its files hold as delivered and not acked may be handled again."""
        self.redis.kill()
        with self.redis.autopsy() as left:
            self.account.in_flight.update(left.pending(self.groups))

    def lose_tail(self, size: int) -> None:
        """Cut the dead Redis's file. Events in the tail may be missing, those whose acks were may come again."""
        file = self.redis.append_only_file()
        os.truncate(file, max(0, file.stat().st_size - size))
        with self.redis.autopsy() as left:
            there = set(left.entries().values())
            self.account.in_flight.update(left.unsettled(self.groups))
        gone = self.account.numbers("ok") - there
        self.account.erased |= {(group, number) for group in self.groups for number in gone}

    def erase(self, *command: str) -> None:
        """Run a command that erases. What was unhandled in the moment before may be missing."""
        erased = self.redis.erase(self.groups, *command)
        self.tally.read()
        self.account.erased |= erased

    async def end(self, worker: Worker) -> None:
        """Ask a worker to go. Nothing may be handled twice for that."""
        self.workers.remove(worker)
        self.gone.append(worker)
        if wrong := await worker.end():
            self.account.notes.append(wrong)

    def kill_all(self) -> None:
        """End everything that runs."""
        for worker in self.workers:
            worker.kill()
        self.redis.stop()

    async def a_busy_worker(self) -> Worker:
        """Wait until some worker handles something, and choose one that does."""
        busy: list[Worker] = []

        def look() -> list[Worker]:
            busy[:] = [worker for worker in self.workers if self.tally.running(worker.pid)]
            return busy

        await self.until(look, "a worker handles something")
        return self.chance.choice(busy)

    # -- events

    def number(self) -> int:
        """Return the number of the next event."""
        return next(self._numbers)

    def emitting(self, count: int, order: str = "", padding: str = PADDING) -> asyncio.Task[None]:
        """Emit `count` more events in the background."""
        numbers = list(itertools.islice(self._numbers, count))
        return asyncio.create_task(self.load.run(numbers, order, padding), name="drill load")

    async def handled(self, count: int) -> None:
        """Wait until every group has handled so many events."""
        await self.until(lambda: min(map(self.tally.handled, self.groups)) >= count, f"{count} events handled")

    async def passed(self, count: int) -> None:
        """Wait until so many events were emitted, with whatever outcome."""
        await self.until(lambda: len(self.account.emitted) >= count, f"{count} events emitted")

    async def up(self) -> None:
        """Wait until every worker handles events."""
        await self.until(lambda: all(worker.says("handles events of") for worker in self.workers), "the workers are up")

    async def until(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Wait for something that other processes bring about, and fail with their logs where they do not."""
        deadline = time.monotonic() + seconds
        while True:
            self.tally.read()
            self.load.moved()
            if condition():
                return
            if dead := [worker for worker in self.workers if worker.status not in (None, POISONED)]:
                raise AssertionError(f"ended by itself: {dead[0].name}, waiting for: {what}\n{self.story()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not seen in {seconds:g} s: {what}\n{self.story()}")
            await asyncio.sleep(0.01)  # between two looks at other processes, which have no way to tell us

    async def through(self, load: asyncio.Task[None]) -> None:
        """Wait until everything is emitted."""
        await self.until(load.done, "everything emitted", seconds=LONGEST)
        await load

    # -- the end

    def fact(self, text: str) -> None:
        """Say something in the account: what was done, what was measured."""
        self.facts.append(text)

    async def finish(self, patience: float = PATIENCE) -> None:
        """Wait until every group has acked everything, end the workers in order, and require a right account."""
        try:
            await self.until(lambda: self.redis.settled(self.groups), "every group has acked everything", patience)
        except AssertionError:
            left = self.redis.unsettled(self.groups)
            self.account.notes.append(f"{len(left)} entries were not acked in {patience:g} s: {sorted(left)[:5]}")
        await asyncio.gather(*(self.end(worker) for worker in list(self.workers)))
        self.tally.read()
        self.account.dead = self.redis.dead(self.groups)
        self.drill.tell(self.story_head())
        if problems := self.account.problems():
            raise AssertionError("\n".join((*problems, self.story())))

    def story_head(self) -> str:
        """Return the account, under its name, its seed and what was done."""
        seconds = time.monotonic() - self._began
        head = f"{self.drill.name}: {len(self.account.emitted)} events, seed {self.drill.seed}, {seconds:.1f} s"
        return "\n".join((head, *(f"  {fact}" for fact in self.facts), *_indented(self.account.table())))

    def story(self) -> str:
        """Return the account and the ends of all logs."""
        logs = [f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in self._logs()]
        return "\n".join((self.story_head(), self.drill.rerun, *logs))

    def _logs(self) -> Iterable[Path]:
        return sorted(self.drill.folder.glob("*.log"))


def _config(folder: Path, groups: Sequence[str], seconds: float, bus: Mapping[str, object], file: Path) -> str:
    consumers = list(dict.fromkeys(group.partition(".")[0] for group in groups))
    settings = {"lease": LEASE, **bus}
    tables = "".join(f'\n[modules.{name}]\nfile = "{file}"\nseconds = {seconds}\n' for name in consumers)
    enabled = ", ".join(f'"{name}"' for name in ("drill_source", *consumers))
    return f"""
data_dir = "{folder / "data"}"

[modules]
enabled = [{enabled}]
path = ["{MODULES}"]
{tables}
[bus]
{"".join(f"{key} = {value}{chr(10)}" for key, value in settings.items())}
"""


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]
