"""Replay: sends history to one group again, marked as replayed; no other group notices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recyclic.core.events.chronicle import FIELDS, preceding
from recyclic.core.events.entries import Entry, Pair, as_number
from recyclic.core.events.event import Envelope
from recyclic.core.events.history import PAGE, History, Window, is_copy
from recyclic.core.events.standing import Begun, ReplayState
from recyclic.errors import BusError, EventError, Problem

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.port import Ledger

BATCH = 100


@dataclass(slots=True)
class Report:
    """What a replay sent, and what it left out: copies of earlier replays, and entries that are not readable events."""

    sent: int = 0
    copies: int = 0
    unreadable: int = 0
    position: str = ""
    """The last entry that was looked at."""


class Pace:
    """Keeps to `rate` events a second of the host's clock; None is as fast as possible."""

    def __init__(self, clock: Clock, rate: float | None) -> None:
        self._clock = clock
        self._rate = rate
        self._started = clock.monotonic()
        self.batch = BATCH if rate is None else max(1, min(BATCH, int(rate / 10)))

    async def keep(self, sent: int) -> None:
        """Wait until `sent` events may have been sent."""
        if self._rate is not None:
            await self._clock.wait(self._started + sent / self._rate - self._clock.monotonic())


class Replay:
    """One replay, of one event to one group.

    The copies are entries with a `targetgroup`; the other groups ack them unseen. How far it came is kept in Redis with
    each step, in one script: a replay that was interrupted, by whatever, goes on without a gap and without sending
    anything twice. Until it ends, or is given up, nothing that it has not seen is trimmed.
    """

    def __init__(
        self,
        streams: Ledger,
        clock: Clock,
        pair: Pair,
        *,
        rate: float | None = None,
        progress: Callable[[Report], None] = lambda _report: None,
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._pair = pair
        self._rate = rate
        self._progress = progress
        self.report = Report()

    async def count(self, window: Window) -> Report:
        """Return what `run` would send, and send nothing."""
        await self._group()
        async for entry in History(self._streams).entries(self._pair[0], window):
            self.report.sent += self._wanted(entry)
            self.report.position = entry.id
        return self.report

    async def run(self, window: Window) -> Report:
        """Send the window's history, as it is now, to the group.

        Raises:
            BusError: the event has no such group, or there is a replay to it that has not ended; or Redis is away, and
                `resume` goes on.
        """
        before = "0-0" if window.start == "-" else preceding(window.start)
        times = {"since": window.since, "until": window.until}
        asked = {name: repr(time) for name, time in times.items() if time is not None}
        begun = await self._streams.begin_replay(self._pair, before, window.end, asked)
        if begun is Begun.NO_GROUP:
            await self._group()
        if begun is not Begun.BEGUN:
            what = f"a replay to {self._pair[1]} runs, or was interrupted"
            raise BusError(Problem(what, self._pair[0], "go on with --resume, or give it up with --abandon"))
        return await self.resume()

    async def resume(self) -> Report:
        """Go on where an interrupted replay stood.

        Raises:
            BusError: there is none; or another process goes on with it; or Redis is away.
        """
        state = await self._state()
        window = Window(since=state.since, until=state.until)
        position, pace = state.position, Pace(self._clock, self._rate)
        while as_number(position) < as_number(state.end):
            _, page = await self._streams.history(self._pair[0], f"({position}", state.end, PAGE)
            wanted = [entry.id for entry in page if window.holds(entry) and self._wanted(entry)]
            reached = page[-1].id if len(page) == PAGE else state.end
            for batch in [*_batches(wanted, pace.batch), []]:
                position = await self._send(position, batch[-1] if batch else reached, batch)
                await pace.keep(self.report.sent)
        await self._streams.end_replay(self._pair)
        return self.report

    async def abandon(self) -> ReplayState:
        """Give an interrupted replay up; what it sent stays sent. Return how it stood."""
        state = await self._state()
        await self._streams.end_replay(self._pair)
        return state

    async def _send(self, position: str, reached: str, entry_ids: Sequence[str]) -> str:
        sent = await self._streams.replay(self._pair, position, reached, entry_ids)
        if sent is None:
            what = "another process goes on with this replay, or has given it up"
            raise BusError(Problem(what, "/".join(self._pair), "see `recyclic events list`"))
        self.report.sent += sent
        self.report.position = reached
        self._progress(self.report)
        return reached

    def _wanted(self, entry: Entry) -> bool:
        if is_copy(entry):
            self.report.copies += 1
            return False
        try:
            readable = Envelope.decode(entry.fields).event == self._pair[0] and len(entry.fields) <= FIELDS
        except EventError:
            readable = False
        self.report.unreadable += not readable
        return readable

    async def _state(self) -> ReplayState:
        for stream in await self._streams.events(self._pair[0]):
            if stream.event == self._pair[0] and self._pair[1] in stream.replays:
                return stream.replays[self._pair[1]]
        raise BusError(Problem("no replay to this group was interrupted", "/".join(self._pair)))

    async def _group(self) -> None:
        """Raise BusError unless the event has the group."""
        event, group = self._pair
        streams = {stream.event: stream for stream in await self._streams.events(event)}
        known = [name for name, backlog in streams[event].groups.items() if backlog.exists] if event in streams else []
        if group not in known:
            remedy = f"it has: {', '.join(known)}" if known else "see `recyclic events list`"
            raise BusError(Problem(f"the event has no group {group!r}", event, remedy))


def _batches(ids: Sequence[str], size: int) -> list[Sequence[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
