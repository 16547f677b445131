"""Archive: history and dead letters as JSON Lines, written and read back a line at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from recyclic.core.events.archive_line import Line, letter_fields, read_line, write_dead_line, write_line
from recyclic.core.events.dead_letters import DeadLetters, Which
from recyclic.core.events.entries import Entry, as_number
from recyclic.core.events.history import History, Window, is_copy
from recyclic.core.events.replay import Pace
from recyclic.core.events.standing import Restored
from recyclic.errors import BusError, EventError, Problem

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.port import Ledger

SHOWN = 100
"""Damaged lines that are told of one by one; the others are counted."""

AHEAD = 86_400.0
"""Seconds that an entry id may lie ahead of the clock: one from the far future would be the stream's last for ever."""


@dataclass(slots=True)
class Exported:
    """What was written, and what was left out."""

    events: int = 0
    unreadable: int = 0
    """Entries that are no readable events; they are written with their raw fields."""
    copies: int = 0
    """Copies for one group, which are no history and were left out."""
    dead: int = 0


class Export:
    """Writes lines; `told` counts them."""

    def __init__(self, streams: Ledger, clock: Clock) -> None:
        self._streams = streams
        self._clock = clock
        self.told = Exported()

    async def history(self, window: Window, event: str | None = None) -> AsyncIterator[bytes]:
        """Yield the lines of one event's history, or of every event's in turn."""
        for name in [event] if event else [state.event for state in await self._streams.events()]:
            async for entry in History(self._streams).entries(name, window):
                if is_copy(entry):
                    self.told.copies += 1
                    continue
                line, readable = write_line(name, entry)
                self.told.events += 1
                self.told.unreadable += not readable
                yield line

    async def dead_letters(self, which: Which, window: Window) -> AsyncIterator[bytes]:
        """Yield the lines of the dead letters whose entries lie in the window."""
        async for letter in DeadLetters(self._streams, self._clock).all(which=which):
            if window.holds(Entry.of(letter.entry_id, letter.fields)):
                self.told.dead += 1
                yield write_dead_line(letter)


@dataclass(slots=True)
class Imported:
    """What came of the lines of a file."""

    lines: int = 0
    """The last line that was dealt with."""
    restored: int = 0
    renumbered: int = 0
    """Of the restored, those that have a new entry id, because the stream had later entries."""
    there: int = 0
    sent: int = 0
    left_out: int = 0
    """Lines outside of what was asked for."""
    damages: int = 0
    damaged: list[Problem] = field(default_factory=list)
    """The first of the lines that cannot be read, with their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What to import: which lines, and to which group instead of into their streams."""

    event: str | None = None
    group: str | None = None
    window: Window = field(default_factory=Window)
    from_line: int = 1


class Import:
    """Reads the lines of a file back: into their streams, or as replayed events to one group."""

    def __init__(
        self,
        streams: Ledger,
        clock: Clock,
        file: Path,
        asked: Asked | None = None,
        *,
        rate: float | None = None,
        progress: Callable[[Imported], None] = lambda _told: None,
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._file = file
        self._asked = asked or Asked()
        self._rate = rate
        self._progress = progress
        self.told = Imported()

    def check(self) -> Imported:
        """Read the whole file and return what `run` would do; `restored` or `sent` count what there is to do."""
        told = Imported()
        for number, _line in self._lines(told):
            told.lines = number
            if self._asked.group is None:
                told.restored += 1
            else:
                told.sent += 1
        return told

    async def run(self) -> Imported:
        """Restore every line under the ids that it had, or send it to the group; what is damaged is told and left out.

        Raises:
            BusError: an event has no such group; or Redis is away, and `told.lines` says how far it came.
        """
        pace = Pace(self._clock, self._rate)
        batch: list[tuple[int, Line]] = []
        for number, line in self._lines(self.told):
            if batch and (len(batch) == pace.batch or _where(line) != _where(batch[0][1])):
                await self._write(batch)
                await pace.keep(self.told.sent + self.told.restored)
                batch = []
            batch.append((number, line))
        if batch:
            await self._write(batch)
        return self.told

    async def _write(self, batch: list[tuple[int, Line]]) -> None:
        lines, told = [line for _, line in batch], self.told
        if self._asked.group is not None:
            copies = [_replayed(line.entry) for line in lines]
            if await self._streams.send_copies((lines[0].event, self._asked.group), copies) != len(copies):
                what = f"the event has no group {self._asked.group!r}"
                raise BusError(Problem(what, f"{self._file}, line {batch[0][0]}", "see `recyclic events list`"))
            told.sent += len(lines)
        else:
            found = await self._streams.restore(
                lines[0].event,
                [_entry_of(line) for line in lines],
                group=lines[0].letter.group if lines[0].letter else None,
            )
            told.there += found.count(Restored.THERE)
            told.renumbered += found.count(Restored.APPENDED)
            told.restored += len(found) - found.count(Restored.THERE)
        told.lines = batch[-1][0]
        self._progress(told)

    def _lines(self, told: Imported) -> Iterator[tuple[int, Line]]:
        """Yield the lines that are asked for, noting the damaged ones and those left out."""
        with self._file.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if number < self._asked.from_line or not text.strip():
                    continue
                try:
                    line = self._read(text)
                except EventError as error:
                    told.damages += 1
                    if len(told.damaged) < SHOWN:
                        told.damaged.append(Problem(str(error), f"{self._file}, line {number}"))
                    continue
                if self._asked.event not in (None, line.event) or not self._asked.window.holds(line.entry):
                    told.left_out += 1
                    continue
                yield number, line

    def _read(self, text: bytes) -> Line:
        """Read a line; EventError where it is damaged, or cannot be put where it is asked for."""
        line = read_line(text)
        newest = max(as_number(entry_id)[0] for entry_id in (line.entry.id, line.letter.id if line.letter else "0-0"))
        if newest > (self._clock.now() + AHEAD) * 1000.0:
            raise EventError("its entry id lies in the future")
        if self._asked.group is not None and not line.readable:
            raise EventError("it is no readable event, and no handler could take it")
        return line


def _where(line: Line) -> tuple[str, str | None]:
    return line.event, line.letter.group if line.letter else None


def _entry_of(line: Line) -> Entry:
    if line.letter is None:
        return line.entry
    return Entry.of(line.letter.id, letter_fields(line.letter))


def _replayed(entry: Entry) -> dict[bytes, bytes]:
    """Return the fields that reach one group: the copy's target comes with the sending."""
    fields = entry.fields
    fields.pop(b"targetgroup", None)
    fields.pop(b"replayed", None)
    return {**fields, b"replayed": b"true"}
