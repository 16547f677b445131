"""Settling by exact accounting: idle means that everything was delivered and acked, and that nothing is under way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recyclic.errors import RecyclicError
from recyclic.testing.clock import VirtualClock
from recyclic.testing.deadline import Deadline
from recyclic.testing.timeline import seconds

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
    handlers: list[str] = field(default_factory=list)
    unsent: int = 0
    groups: dict[Pair, GroupState] = field(default_factory=dict)
    """The groups that are not settled, without those of paused modules."""
    restarting: bool = False
    exact: bool = True
    trouble: str = ""
    next_due: float | None = None

    @property
    def active(self) -> bool:
        """Whether something runs that will end by itself."""
        return bool(self.work.requests or self.handlers or self.work.tasks or self.restarting)

    @property
    def idle(self) -> bool:
        """Whether nothing is outstanding."""
        return self.exact and not (self.active or self.unsent or self.groups or self.trouble)

    @property
    def only_scheduled(self) -> bool:
        """Whether all that is left waits for a time that was set."""
        return bool(self.groups) and not self.unsent and all(_scheduled(state) for state in self.groups.values())

    @property
    def unread(self) -> list[str]:
        """The events of which some group has not read all."""
        return list(dict.fromkeys(event for (event, _), state in self.groups.items() if state.unread))

    def see(self, snapshot: Snapshot, host: ModuleHost) -> None:
        """Take over what a snapshot says about the groups of modules that are not paused."""
        self.groups = {
            pair: state for pair, state in snapshot.groups.items() if not state.settled and not host.is_paused(pair[1])
        }
        dues = [entry.due for state in self.groups.values() for entry in state.pending if entry.due is not None]
        self.next_due = min(dues, default=None)

    def orphaned(self, living: str) -> bool:
        """Whether some entry is held by a consumer that is not the living one, and not scheduled."""
        return any(
            entry.consumer != living and entry.due is None for state in self.groups.values() for entry in state.pending
        )

    def lines(self, host: ModuleHost) -> Iterator[str]:
        """Yield what is outstanding and who owns it."""
        if self.restarting:
            yield "the worker is being restarted"
        yield from (f"request {text}" for text in self.work.requests)
        yield from (f"handler {text}" for text in self.handlers)
        yield from (f"task {text}" for text in self.work.tasks)
        if self.unsent:
            yield f"outbox: {self.unsent} stored and not sent"
        if self.trouble:
            yield f"the bus: {self.trouble}"
        for (event, group), state in self.groups.items():
            owner = host.owner_of(event, group)
            if state.unread:
                yield f"{owner} has not read all of {event}: it stands at {state.last_delivered}"
            for entry in state.pending:
                when = f", due in {seconds(entry.due - host.clock.now())}" if entry.due is not None else ""
                yield f"{owner} has not acked {event} {entry.entry_id}: {entry.attempts} failed attempts{when}"


def _scheduled(state: GroupState) -> bool:
    return not state.unread and all(entry.due is not None for entry in state.pending)


class Settling:
    """Waits until one host is idle."""

    def __init__(self, host: ModuleHost) -> None:
        self._host = host

    async def read(self) -> Reading:
        """Read the state: what runs here, and all groups in one atomic snapshot; then what is still to be sent.

        An event leaves the outbox after it was announced, so where nothing was announced in between, an empty outbox
        was empty at the time of the snapshot as well.
        """
        host = self._host
        version = host.journal.version
        reading = Reading(work=host.work(), restarting=host.restarting)
        reading.handlers = [f"of {group} for {event}" for event, _, group in host.journal.running]
        if reading.active:
            return reading
        try:
            reading.see(await host.life.snapshot(), host)
            reading.unsent = await host.life.outbox_depth()
        except RecyclicError as error:
            reading.trouble = str(error)
        reading.exact = host.journal.version == version
        return reading

    async def settle(self, limit: float) -> Reading:
        """Return when the host is idle, or the last reading after `limit` real seconds."""
        deadline = Deadline(limit)
        while True:
            version = self._host.journal.version
            reading = await self.read()
            if reading.idle or deadline.over:
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
        if not isinstance(clock, VirtualClock) or self._host.work().busy:
            return False
        if reading.active:
            return self._leap_for_sleepers(clock)
        if reading.only_scheduled and reading.next_due is not None and reading.next_due > clock.now():
            clock.advance(min(LEAP, reading.next_due - clock.now()))
            return True
        if reading.orphaned(self._host.life.consumer):
            clock.advance(BEAT)
            return True
        return False

    def _leap_for_sleepers(self, clock: VirtualClock) -> bool:
        """Wake the handlers and requests that wait for the clock themselves."""
        sleeps = self._host.work().sleeps
        if sleeps is None:
            return False
        clock.advance(max(0.0, sleeps - clock.monotonic()))
        return True

    async def _push(self, reading: Reading, version: int) -> None:
        """Let whatever waits for the clock (a reconnect, a poll) have its turn, where nothing can move without it."""
        clock = self._host.clock
        if not isinstance(clock, VirtualClock) or reading.active:
            return
        if reading.unread and await self._is_news_under_way(reading):
            return
        work = self._host.work()
        if work.busy or work.due is None or self._host.journal.version != version:
            return
        clock.advance(min(max(0.0, work.due - clock.monotonic()), LEAP))

    async def _is_news_under_way(self, reading: Reading) -> bool:
        """Return whether a consumer that waits for news has not heard yet of what its groups have not read."""
        listening = self._host.work().listening
        if listening is None:
            return False
        try:
            ends = await self._host.life.tails(reading.unread)
        except RecyclicError:
            return False
        return any(listening.get(event, end) != end for event, end in ends.items())
