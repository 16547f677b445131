"""Settling by exact accounting: idle means that everything was delivered and acked, and that nothing is under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recyclic.errors import RecyclicError
from recyclic.testing.clock import VirtualClock
from recyclic.testing.deadline import Deadline
from recyclic.testing.timeline import seconds
from recyclic.testing.workers.order import WORK_KEY
from recyclic.testing.workers.worker import Condition, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recyclic.core.events.entries import GroupState, Pair, Snapshot
    from recyclic.testing.host import ModuleHost
    from recyclic.testing.work import Work

NOTICE = 0.05
"""Real seconds after which the state is read again although nobody told of a change; no sign of idleness."""

LEAP = 15.0
"""The longest leap of the virtual clock: half a lease, so that no living consumer is taken for dead."""

BEAT = 5.0
"""The leap that lets a lease run out: one heartbeat."""


@dataclass(slots=True)
class Reading:
    """The state of a host at one moment; not `exact` where something changed while it was read."""

    work: Work
    """What the test's own process has under way."""
    handlers: list[str] = field(default_factory=list)
    team: tuple[Worker, ...] = ()
    """All worker processes, in whatever condition."""
    workers: dict[Worker, Work | None] = field(default_factory=dict)
    """What each worker process has under way that is there; None where it has not said so yet."""
    unsent: int = 0
    groups: dict[Pair, GroupState] = field(default_factory=dict)
    """The groups that are not settled, without those of paused modules."""
    restarting: bool = False
    exact: bool = True
    trouble: str = ""
    deaths: list[str] = field(default_factory=list)
    """Worker processes that died by themselves."""
    next_due: float | None = None

    @property
    def works(self) -> list[Work]:
        """What every process has under way that can go on: a paused one cannot."""
        others = [work for worker, work in self.workers.items() if worker.condition is not Condition.PAUSED]
        return [self.work, *(work for work in others if work is not None)]

    @property
    def behind(self) -> list[Worker]:
        """The processes that have not heeded yet what they were told: what time it is, for example."""
        running = [(worker, work) for worker, work in self.workers.items() if worker.condition is not Condition.PAUSED]
        return [worker for worker, work in running if work is None or work.seen < worker.sent]

    @property
    def active(self) -> bool:
        """Whether something runs that will end by itself."""
        works = [self.work, *(work for work in self.workers.values() if work is not None)]
        return bool(self.handlers or self.restarting or any(w.requests or w.tasks or w.awake for w in works))

    @property
    def stuck(self) -> bool:
        """Whether events wait, and no process is left that could take them."""
        return bool(self.groups and self.team) and all(
            worker.condition is not Condition.RUNNING for worker in self.team
        )

    @property
    def is_lost(self) -> bool:
        """Whether a worker process has died by itself, and the others have done what they could do now."""
        return bool(self.deaths) and self.exact and not self.busy

    @property
    def busy(self) -> bool:
        """Whether something can go on although the clock stands still."""
        return bool(self.behind) or any(work.busy for work in self.works)

    @property
    def idle(self) -> bool:
        """Whether nothing is outstanding."""
        return self.exact and not (self.active or self.behind or self.unsent or self.groups or self.trouble)

    @property
    def only_scheduled(self) -> bool:
        """Whether all that is left waits for a time that was set."""
        return bool(self.groups) and not self.unsent and all(_scheduled(state) for state in self.groups.values())

    @property
    def unread(self) -> list[str]:
        """The events of which some group has not read all."""
        return list(dict.fromkeys(event for (event, _), state in self.groups.items() if state.unread))

    @property
    def moving(self) -> list[str]:
        """The events that some group has not read, or holds without a time set: a reply with them may be on its way."""
        moving = [event for (event, _), state in self.groups.items() if not _scheduled(state)]
        return list(dict.fromkeys(moving))

    def see(self, snapshot: Snapshot, host: ModuleHost) -> None:
        """Take over what a snapshot says about the groups of modules that are not paused, and about the workers."""
        self.groups = {
            pair: state for pair, state in snapshot.groups.items() if not state.settled and not host.is_paused(pair[1])
        }
        dues = [entry.due for state in self.groups.values() for entry in state.pending if entry.due is not None]
        self.next_due = min(dues, default=None)
        self.team, self.workers = tuple(host.team.workers), host.team.works(snapshot.beside)

    @property
    def orphaned(self) -> bool:
        """Whether some entry is held by a consumer that is not a living one, and not scheduled."""
        living = {work.consumer for work in self.works}
        return any(
            entry.consumer not in living and entry.due is None
            for state in self.groups.values()
            for entry in state.pending
        )

    def lines(self, host: ModuleHost) -> Iterator[str]:
        """Yield what is outstanding and who owns it."""
        if self.restarting:
            yield "the worker is being restarted"
        yield from (f"handler {text}" for text in self.handlers)
        yield from _under_way(self.work, "")
        for worker, work in self.workers.items():
            paused = ", which is paused" if worker.condition is Condition.PAUSED else ""
            yield from _under_way(work, f" in {worker}{paused}")
        yield from (f"{worker} has not said that it has heeded the test" for worker in self.behind)
        if self.unsent:
            yield f"outbox: {self.unsent} stored and not sent"
        if self.trouble:
            yield f"the bus: {self.trouble}"
        if self.groups:
            yield from (f"{one} is {one.condition}" for one in host.workers if one.condition is not Condition.RUNNING)
        for (event, group), state in self.groups.items():
            owner = host.owner_of(event, group)
            if state.unread:
                yield f"{owner} has not read all of {event}: it stands at {state.last_delivered}"
            for entry in state.pending:
                when = f", due in {seconds(entry.due - host.clock.now())}" if entry.due is not None else ""
                yield f"{owner} has not acked {event} {entry.entry_id}: {entry.attempts} failed attempts{when}"


def _scheduled(state: GroupState) -> bool:
    return not state.unread and all(entry.due is not None for entry in state.pending)


def _under_way(work: Work | None, where: str) -> Iterator[str]:
    if work is not None:
        yield from (f"request {text}{where}" for text in work.requests)
        yield from (f"task {text}{where}" for text in work.tasks)


class Settling:
    """Waits until one host is idle."""

    def __init__(self, host: ModuleHost) -> None:
        self._host = host

    async def read(self) -> Reading:
        """Read the state: what runs here, and all groups and worker processes in one atomic snapshot.

        What is still to be sent is asked for after it: an event leaves the outbox after it was announced, so where
        nothing was announced in between, an empty outbox was empty at the time of the snapshot as well.
        """
        host = self._host
        host.team.drain()
        version = host.journal.version
        reading = Reading(work=host.work(), restarting=host.restarting, deaths=list(host.team.deaths))
        reading.handlers = [f"of {group} for {event}" for event, _, group in host.journal.running - host.team.frozen]
        if reading.active and not host.workers:
            return reading
        try:
            reading.see(await host.life.snapshot(WORK_KEY if host.workers else ""), host)
            reading.unsent = await host.life.outbox_depth()
        except RecyclicError as error:
            reading.trouble = str(error)
        host.team.drain()
        reading.exact = host.journal.version == version
        return reading

    async def settle(self, limit: float) -> Reading:
        """Return when the host is idle, a worker process has died, or `limit` real seconds have passed."""
        deadline = Deadline(limit)
        while True:
            version = self._host.journal.version
            reading = await self.read()
            if reading.idle or reading.is_lost or deadline.over:
                return reading
            if not reading.exact or self._leap(reading):
                await asyncio.sleep(0)
                continue
            await self._host.journal.next_change(version, NOTICE)
            if self._host.journal.version == version:
                await self._push(reading, version)

    def _leap(self, reading: Reading) -> bool:
        """Move the virtual clock to what is due next, where nothing else can happen before; return whether it moved."""
        clock = self._host.clock
        reading.work = self._host.work()
        if not isinstance(clock, VirtualClock) or reading.busy or reading.stuck:
            return False
        if reading.active:
            return _leap_for_sleepers(clock, reading)
        if reading.only_scheduled and reading.next_due is not None and reading.next_due > clock.now():
            clock.advance(min(LEAP, reading.next_due - clock.now()))
            return True
        if reading.orphaned and not reading.unread:
            clock.advance(BEAT)
            return True
        return False

    async def _push(self, reading: Reading, version: int) -> None:
        """Let whatever waits for the clock (a reconnect, a poll) have its turn, where nothing can move without it."""
        clock = self._host.clock
        if not isinstance(clock, VirtualClock) or reading.active or reading.stuck:
            return
        if reading.moving and await self._is_news_under_way(reading):
            return
        reading.work = self._host.work()
        dues = [work.due for work in reading.works if work.due is not None]
        if reading.busy or not dues or self._host.journal.version != version:
            return
        if reading.unsent and self._host.has_died:
            clock.advance(BEAT)  # the dead relay's lease has to run out
        else:
            clock.advance(min(max(0.0, min(dues) - clock.monotonic()), LEAP))

    async def _is_news_under_way(self, reading: Reading) -> bool:
        """Return whether a consumer that waits for news has not heard yet of what its groups have not read."""
        try:
            ends = await self._host.life.tails(reading.moving)
        except RecyclicError:
            return False
        heard = [work.listening for work in reading.works if work.listening is not None]
        return any(one.get(event, end) != end for one in heard for event, end in ends.items())


def _leap_for_sleepers(clock: VirtualClock, reading: Reading) -> bool:
    """Wake the handlers and requests that wait for the clock themselves."""
    sleeps = [work.sleeps for work in reading.works if work.sleeps is not None]
    if not sleeps:
        return False
    clock.advance(max(0.0, min(sleeps) - clock.monotonic()))
    return True
