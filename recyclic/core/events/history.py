"""History: what the streams still hold of an event, by entry id and by the time at which it happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from recyclic.core.events.entries import Entry, as_number
from recyclic.errors import BusError, Problem

if TYPE_CHECKING:
    from recyclic.core.events.port import Ledger

PAGE = 500

HIGHEST = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of history. Ids are entry ids, both included.

    Times are seconds since the epoch, of the events themselves: `since` is included, `until` is not. An event of the
    outbox can have happened long before its entry was written.
    """

    start: str = "-"
    end: str = "+"
    since: float | None = None
    until: float | None = None

    def holds(self, entry: Entry) -> bool:
        """Return whether the entry's event happened in the window; where that is unreadable, when it was written."""
        if self.since is None and self.until is None:
            return True
        time = happened_at(entry)
        return (self.since is None or time >= self.since) and (self.until is None or time < self.until)


def happened_at(entry: Entry) -> float:
    """Return when an entry's event happened, in seconds since the epoch."""
    try:
        time = datetime.fromisoformat(entry.fields[b"time"].decode())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (KeyError, ValueError, OverflowError):
        return as_number(entry.id)[0] / 1000.0


def is_copy(entry: Entry) -> bool:
    """Return whether the entry was written for one group alone; what it is a copy of is the history."""
    return b"targetgroup" in entry.fields


class History:
    """Reads history from its oldest entry on, a page at a time, beside whatever is emitted and trimmed meanwhile."""

    def __init__(self, streams: Ledger) -> None:
        self._streams = streams

    async def entries(self, event: str, window: Window | None = None) -> AsyncIterator[Entry]:
        """Yield the entries of the window, copies included.

        Raises:
            BusError: entries were trimmed before they could be read.
        """
        window = window or Window()
        start, last = window.start, ""
        while True:
            first, page = await self._streams.history(event, start, window.end, PAGE)
            if last and first and as_number(first) > as_number(last):
                what = f"the history was trimmed between {last} and {first} while it was read"
                raise BusError(Problem(what, event, "begin again, or raise [bus] maxlen or retain_days"))
            for entry in page:
                if window.holds(entry):
                    yield entry
            if len(page) < PAGE:
                return
            last = page[-1].id
            start = f"({last}"


def first_id(text: str) -> str:
    """Return the id where a range begins that a user wrote: `1700000000000` or `1700000000000-3`."""
    return _full(text, 0)


def last_id(text: str) -> str:
    """Return the id where a range ends that a user wrote."""
    return _full(text, HIGHEST)


def _full(text: str, sequence: int) -> str:
    parts = text.split("-")
    numbers = len(parts) <= 2 and all(part.isascii() and part.isdigit() and len(part) <= 20 for part in parts)
    if not numbers or any(int(part) > HIGHEST for part in parts):
        raise BusError(Problem("this is no entry id", text, "write 1700000000000-0, or its milliseconds alone"))
    return text if len(parts) == 2 else f"{text}-{sequence}"


def moment(text: str) -> float:
    """Return a time that a user wrote in ISO 8601, in seconds since the epoch; without an offset it is UTC."""
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise BusError(Problem("this is no time", text, "write 2026-03-01 or 2026-03-01T09:30:00+01:00")) from error
