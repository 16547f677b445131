"""The journal: a record of everything that crossed the bus and the door of one booted host, in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from recyclic.core.events.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from recyclic.core.events.event import Envelope
    from recyclic.errors import EventError
    from recyclic.testing.journal_file import JournalFile


CAUSE_HEADER = "x-recyclic-cause"
"""The header by which a page's request names the click that led to it."""


class Kind(StrEnum):
    """What a record tells."""

    CLICK = "click"
    REQUEST = "request"
    RESPONSE = "response"
    STORED = "stored"
    EMITTED = "emitted"
    DELIVERED = "delivered"
    REPEATED = "repeated"
    HANDLED = "handled"
    FAILED = "failed"
    DEAD = "dead"
    SETTLED = "settled"
    REFUSED = "refused"
    DIED = "died"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that happened. `at` is in seconds of the host's clock since the boot."""

    seq: int
    at: float
    kind: Kind
    envelope: Envelope | None = None
    event: str = ""
    entry_id: str = ""
    module: str = ""
    group: str = ""
    attempt: int = 0
    error: BaseException | None = None
    retry_in: float | None = None
    text: str = ""
    key: str = ""
    cause: str = ""
    """Of a request: the key of the click that led to it."""
    expected: bool = field(default=False, compare=False)

    @property
    def envelope_id(self) -> str:
        """The event's id, empty where there is no envelope."""
        return self.envelope.id if self.envelope else ""


class Journal(Observer):
    """Writes records, counts what is under way, and wakes whoever waits for a change."""

    def __init__(self, now: Callable[[], float], file: JournalFile | None = None) -> None:
        self._now = now
        self.file = file
        self._start = now()
        self.records: list[Record] = []
        self.running: Counter[tuple[str, str, str]] = Counter()
        """Handlers under way: (event, event id, group) → how many."""
        self.unsent: dict[str, Envelope] = {}
        """Events that were committed as outbox rows and not appended yet."""
        self._appended: dict[str, set[str]] = {}
        self.expect_errors = False
        self.asserted: set[int] = set()
        """The records that an assertion of some trace has matched."""
        self.version = 0
        """Grows with every change: two equal readings mean that nothing happened in between."""
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self.records)

    def since(self, position: int) -> Iterator[Record]:
        """Yield the records from `position` on."""
        return iter(self.records[position:])

    def write(self, kind: Kind, **values: object) -> Record:
        """Append a record and tell that something changed."""
        record = Record(
            seq=len(self.records) + 1,
            at=self._now() - self._start,
            kind=kind,
            expected=self.expect_errors,
            **values,  # type: ignore[arg-type]
        )
        self.records.append(record)
        if self.file is not None:
            self.file.append(record)
        self.changed()
        return record

    async def next_change(self, version: int, within: float) -> None:
        """Return as soon as the version is no longer `version`, or after `within` real seconds."""
        if self.version != version:
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(within):
                await self._wake.wait()
        except TimeoutError:
            return

    # What the bus tells.

    def stored(self, envelope: Envelope) -> None:
        """An event became a row of a committed transaction."""
        self.unsent[envelope.id] = envelope
        self.write(Kind.STORED, envelope=envelope, event=envelope.event, module=envelope.source)

    def emitted(self, envelope: Envelope, entry_id: str) -> None:
        """An event was appended to its stream."""
        self.unsent.pop(envelope.id, None)
        known = self._appended.setdefault(envelope.id, set())
        if entry_id in known:  # a delivery in another process has told of it first
            self.changed()
            return
        known.add(entry_id)
        self.write(Kind.EMITTED, envelope=envelope, event=envelope.event, module=envelope.source, entry_id=entry_id)

    def delivered(self, envelope: Envelope, module: str, group: str, attempt: int) -> None:
        """A handler is about to run."""
        self.running[envelope.event, envelope.id, group] += 1
        self.write(Kind.DELIVERED, envelope=envelope, event=envelope.event, module=module, group=group, attempt=attempt)

    def repeated(self, envelope: Envelope, module: str, group: str, attempt: int) -> None:
        """A handler is about to run once more for the same delivery: a fault doubles it."""
        self.write(Kind.REPEATED, envelope=envelope, event=envelope.event, module=module, group=group, attempt=attempt)

    def handled(self, envelope: Envelope, module: str, group: str, attempt: int, seconds: float) -> None:
        """A handler returned."""
        del seconds
        self._ended(envelope, group)
        self.write(Kind.HANDLED, envelope=envelope, event=envelope.event, module=module, group=group, attempt=attempt)

    def failed(
        self,
        envelope: Envelope,
        module: str,
        group: str,
        attempt: int,
        error: BaseException,
        retry_in: float | None,
    ) -> None:
        """A handler raised."""
        self._ended(envelope, group)
        self.write(
            Kind.FAILED,
            envelope=envelope,
            event=envelope.event,
            module=module,
            group=group,
            attempt=attempt,
            error=error,
            retry_in=retry_in,
        )

    def dead(self, entry_id: str, event: str, module: str, group: str, attempt: int, reason: str) -> None:
        """An entry went to the dead letters."""
        self.write(Kind.DEAD, event=event, entry_id=entry_id, module=module, group=group, attempt=attempt, text=reason)

    def settled(self, event: str, group: str, entry_id: str) -> None:
        """An entry left the pending list."""
        self.write(Kind.SETTLED, event=event, group=group, entry_id=entry_id)

    def refused(self, module: str, event: str, error: EventError) -> None:
        """A module was refused to emit."""
        text = f"{module} emits {event}: {'; '.join(str(error).splitlines())}"
        self.write(Kind.REFUSED, event=event, module=module, error=error, text=text)

    def changed(self) -> None:
        """Something that settling depends on may have changed."""
        self.version += 1
        self._wake.set()

    # What the kit tells.

    def note(self, text: str) -> None:
        """Write a line of the kit's own, for example that a fault bit."""
        self.write(Kind.NOTE, text=text)

    def take_over(self, kind: Kind, **values: Any) -> Record:
        """Append a record of another process. What it was handed was emitted before, whoever tells of that first."""
        envelope = values.get("envelope")
        if envelope is not None and kind is Kind.DELIVERED and envelope.id not in self._appended:
            self.emitted(envelope, values["entry_id"])
        record = self.write(kind, **values)
        if record.envelope is not None and kind is Kind.DELIVERED:
            self.running[record.event, record.envelope_id, record.group] += 1
        elif record.envelope is not None and kind in {Kind.HANDLED, Kind.FAILED}:
            self._ended(record.envelope, record.group)
        return record

    def handler_died(self, delivered: Record) -> None:
        """The process died in which a handler ran: it will never end."""
        assert delivered.envelope is not None
        self._ended(delivered.envelope, delivered.group)
        self.write(
            Kind.DIED,
            envelope=delivered.envelope,
            event=delivered.event,
            module=delivered.module,
            group=delivered.group,
            attempt=delivered.attempt,
        )

    def click(self, text: str) -> str:
        """Write that something is done in a browser; return the id by which its requests name it as their cause."""
        key = f"click-{len(self.records) + 1:04}"
        self.write(Kind.CLICK, key=key, text=text)
        return key

    def worker_died(self) -> None:
        """The worker died: the handlers under way will never end."""
        self.running.clear()
        self.write(Kind.DIED, text="the worker died")

    def entry_of(self, envelope_id: str) -> str:
        """Return the entry id under which an event was appended first."""
        return next(
            (r.entry_id for r in self.records if r.kind is Kind.EMITTED and r.envelope_id == envelope_id),
            "",
        )

    def _ended(self, envelope: Envelope, group: str) -> None:
        key = (envelope.event, envelope.id, group)
        self.running[key] -= 1
        if self.running[key] <= 0:
            del self.running[key]
