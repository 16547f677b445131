"""Team: all the worker processes of one host: what they tell, and the one clock that they read."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import Context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recyclic.testing.clock import VirtualClock
from recyclic.testing.death import AtBoundaries
from recyclic.testing.doubles import Received, Spy
from recyclic.testing.journal import Kind
from recyclic.testing.work import Work
from recyclic.testing.workers.order import Order
from recyclic.testing.workers.worker import Condition, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recyclic.testing.fault import Fault
    from recyclic.testing.host import ModuleHost


class Team:
    """The workers of a host; without any, it has nothing to say."""

    def __init__(self, host: ModuleHost, size: int) -> None:
        self._host = host
        self.workers: list[Worker] = [Worker(self, number, self._order) for number in range(1, size + 1)]
        self.deaths: list[str] = []
        """What is to be said of those that died by themselves."""
        self.reviving: set[asyncio.Task[None]] = set()
        """The restarts of processes that a fault has killed."""
        self.have_died = False
        """Whether a fault has killed one: what it held is free when its lease is over."""
        self._handed: list[AtBoundaries] = []

    async def start(self, url: str) -> None:
        """Start all at once."""
        self._url = url
        if isinstance(self._host.clock, VirtualClock):
            self._host.clock.on_advance = self._advance
        started = await asyncio.gather(*(worker.start() for worker in self.workers), return_exceptions=True)
        for failure in started:
            if isinstance(failure, BaseException):
                raise failure

    async def stop(self) -> None:
        """End all, in order."""
        if self.reviving:
            await asyncio.wait(self.reviving)
        await asyncio.gather(*(worker.stop() for worker in self.workers if worker.is_alive))

    async def restart(self) -> None:
        """Start all anew."""
        await asyncio.gather(*(worker.restart() for worker in self.workers))

    @property
    def frozen(self) -> Counter[tuple[str, str, str]]:
        """The handlers that stand still in paused processes: (event, event id, group) → how many.

        Nobody waits for them: another process takes their entries over.
        """
        paused = [worker for worker in self.workers if worker.condition is Condition.PAUSED]
        calls = [record for worker in paused for record in worker.running.values()]
        return Counter((record.event, record.envelope_id, record.group) for record in calls)

    def hand_out(self, active: Sequence[Fault]) -> None:
        """Have the processes die, or note what they cross, as these faults say; the others are the test's own."""
        self._handed = [fault for fault in active if isinstance(fault, AtBoundaries)]
        self.broadcast("faults", self._handed)

    def tell_of_bite(self, fault: Fault) -> None:
        """Tell every process that a fault has bitten."""
        if fault in self._handed:
            self.broadcast("bitten", self._handed.index(fault))

    def drain(self) -> None:
        """Take over all that was told."""
        for worker in self.workers:
            worker.drain()

    def broadcast(self, *message: Any) -> None:
        """Tell every process that is there."""
        for worker in self.workers:
            if worker.is_alive:
                worker.send(*message)

    def tell_time(self, worker: Worker) -> None:
        """Tell a process what time it is."""
        worker.send("clock", self._host.clock.monotonic())

    def works(self, fields: Mapping[str, bytes]) -> dict[Worker, Work | None]:
        """Return what each process has under way that is there; None where it has not said so yet."""
        return {
            worker: Work.load(fields[worker.field]) if worker.field in fields else None
            for worker in self.workers
            if worker.is_alive
        }

    # What the workers tell.

    def hear(self, worker: Worker, word: str, values: Sequence[Any]) -> None:
        """Take over what a process tells."""
        match word:
            case "record":
                self._record(worker, Kind(values[0]), values[1])
            case "changed":
                self._host.journal.changed()
            case "left":
                self._host.strict.told += [
                    ("tasks", f"a task was left behind in {worker}: {origin}") for origin in values[0]
                ]
            case "end":
                for kind, text in values[0]:
                    self.told(worker, kind, text)
            case "crossed":
                index, boundary = values
                self._handed[index].crossed[boundary] = None
            case "dies":
                self._handed[values[0]].bites += 1
                self.tell_of_bite(self._handed[values[0]])
                self._dies(worker)
            case "failed":
                self.note(f"{worker} fails: {values[0]}")
            case _:
                raise AssertionError(f"{worker} tells {word!r}, which nobody knows")

    def told(self, worker: Worker, kind: str, text: str) -> None:
        """Keep what a process has to answer for."""
        self._host.strict.told.append((kind, f"in {worker}: {text}"))

    def note(self, text: str) -> None:
        """Write a line into the timeline."""
        self._host.journal.note(text)

    def died(self, worker: Worker, how: str) -> None:
        """A process has ended by itself."""
        self.note(f"{worker} died by itself ({how})")
        self.deaths.append(f"{worker} died by itself ({how}); the end of its output:\n{worker.tail}")

    def gone(self, worker: Worker) -> None:
        """A process is no longer there: its handlers will never end."""
        for record in worker.running.values():
            self._host.journal.handler_died(record)
        worker.running.clear()
        self._host.journal.changed()

    def _dies(self, worker: Worker) -> None:
        """A fault kills a process, with SIGKILL: start another in its place."""
        worker.condition = Condition.KILLED
        self.have_died = True
        reviving = asyncio.create_task(worker.revive(), name=f"recyclic kit revives {worker}", context=Context())
        self.reviving.add(reviving)
        reviving.add_done_callback(self._revived)

    def _revived(self, reviving: asyncio.Task[None]) -> None:
        self.reviving.discard(reviving)
        if not reviving.cancelled() and reviving.exception() is not None:
            self.deaths.append(f"no process could be started in place of one that died: {reviving.exception()}")
        self._host.journal.changed()

    def _record(self, worker: Worker, kind: Kind, values: dict[str, Any]) -> None:
        if values["error"] is not None:
            values["error"] = values["error"].error()
        if kind is Kind.EMITTED:
            self._host.journal.emitted(values["envelope"], values["entry_id"])
            return
        record = self._host.journal.take_over(kind, **values)
        call = (record.envelope_id, record.group, record.attempt)
        if kind is Kind.DELIVERED:
            worker.running[call] = record
        elif kind in {Kind.HANDLED, Kind.FAILED}:
            worker.running.pop(call, None)
        if kind is Kind.HANDLED and record.envelope is not None:
            spy = self._host.module(record.module)
            if isinstance(spy, Spy):
                meta = record.envelope.meta(record.attempt)
                spy.received.append(Received(record.event, record.envelope.data, meta))

    # What the workers are told.

    def _advance(self) -> None:
        for worker in self.workers:
            if worker.is_alive and worker.condition is not Condition.PAUSED:
                self.tell_time(worker)

    def _order(self, number: int) -> Order:
        host, clock = self._host, self._host.clock
        return Order.of(
            host.plan,
            number=number,
            config=host.config,
            url=self._url,
            began=clock.began if isinstance(clock, VirtualClock) else 0.0,
            elapsed=clock.monotonic() if isinstance(clock, VirtualClock) else 0.0,
            paused=tuple(host.paused),
            log=str(Path(host.config.data_dir) / f"worker-{number}.log"),
        )
