"""The story that records tell: requests, emissions, and the calls of handlers with how each ended."""

from __future__ import annotations

import os
import site
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from recyclic.testing.journal import Kind, Record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from recyclic.core.events.event import Envelope


@dataclass(slots=True)
class Request:
    """One request and, once it came, its response."""

    asked: Record
    answered: Record | None = None


@dataclass(slots=True)
class Emission:
    """One event as it was emitted: the same id is the same emission, however often it was appended."""

    envelope: Envelope
    record: Record
    entries: list[str] = field(default_factory=list)

    @property
    def by(self) -> str:
        """The module that emitted it."""
        return self.record.module


@dataclass(slots=True)
class Call:
    """One call of one handler: attempt, outcome, and the dead letter that followed."""

    delivered: Record
    ended: Record | None = None
    dead: Record | None = None

    @property
    def failed(self) -> bool:
        """Whether the handler raised."""
        return self.ended is not None and self.ended.kind is Kind.FAILED

    @property
    def ok(self) -> bool:
        """Whether the handler returned."""
        return self.ended is not None and self.ended.kind is Kind.HANDLED


@dataclass(slots=True)
class Story:
    """What happened, in order of its beginning."""

    clicks: list[Record] = field(default_factory=list)
    """What was done in a browser."""
    requests: list[Request] = field(default_factory=list)
    stored: list[Record] = field(default_factory=list)
    emissions: list[Emission] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    lost: list[Record] = field(default_factory=list)
    """Dead letters of entries that no handler was called for."""
    notes: list[Record] = field(default_factory=list)


def tell(records: Iterable[Record]) -> Story:
    """Read records into a story."""
    teller = _Teller()
    for record in records:
        teller.take(record)
    return teller.story


class _Teller:
    def __init__(self) -> None:
        self.story = Story()
        self._as_they_are = {
            Kind.CLICK: self.story.clicks,
            Kind.STORED: self.story.stored,
            Kind.NOTE: self.story.notes,
            Kind.REFUSED: self.story.notes,
        }
        self._requests: dict[str, Request] = {}
        self._emissions: dict[str, Emission] = {}
        self._entries: dict[tuple[str, str], str] = {}
        self._under_way: list[Call] = []
        self._last_call: dict[tuple[str, str], Call] = {}

    def take(self, record: Record) -> None:
        match record.kind:
            case Kind.REQUEST:
                self._requests[record.key] = Request(record)
                self.story.requests.append(self._requests[record.key])
            case Kind.RESPONSE if record.key in self._requests:
                self._requests[record.key].answered = record
            case Kind.EMITTED if record.envelope is not None:
                self._emitted(record, record.envelope)
            case Kind.DELIVERED:
                self._delivered(record)
            case Kind.HANDLED | Kind.FAILED:
                self._ended(record)
            case Kind.DEAD:
                self._dead(record)
            case Kind.DIED:
                self._died(record)
            case _ if record.kind in self._as_they_are:
                self._as_they_are[record.kind].append(record)
            case _:
                pass

    def _emitted(self, record: Record, envelope: Envelope) -> None:
        emission = self._emissions.get(envelope.id)
        if emission is None:
            emission = self._emissions[envelope.id] = Emission(envelope, record)
            self.story.emissions.append(emission)
        emission.entries.append(record.entry_id)
        self._entries[record.event, record.entry_id] = envelope.id

    def _delivered(self, record: Record) -> None:
        call = self._last_call[record.envelope_id, record.group] = Call(record)
        self._under_way.append(call)
        self.story.calls.append(call)

    def _ended(self, record: Record) -> None:
        wanted = (record.envelope_id, record.group, record.attempt)
        for call in self._under_way:
            start = call.delivered
            if (start.envelope_id, start.group, start.attempt) == wanted:
                call.ended = record
                self._under_way.remove(call)
                return

    def _died(self, record: Record) -> None:
        if record.envelope is not None:  # one handler of one process, of several
            self._ended(record)
            return
        self.story.notes.append(record)
        for call in self._under_way:
            call.ended = record
        self._under_way.clear()

    def _dead(self, record: Record) -> None:
        envelope_id = self._entries.get((record.event, record.entry_id), "")
        call = self._last_call.get((envelope_id, record.group))
        if call is not None and call.dead is None and not call.ok:
            call.dead = record
        else:
            self.story.lost.append(record)


def place_of(error: BaseException) -> str:
    """Return `file:line` of where an error was raised: the deepest frame that is the project's own code.

    Empty where the machinery itself raised it, as a fault does.
    """
    if place := getattr(error, "__recyclic_place__", ""):  # it was raised in another process
        return str(place)
    own = last = ""
    step: TracebackType | None = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        last = f"{short_path(file)}:{step.tb_lineno}" if not file.startswith(_MACHINERY) else ""
        own = last if is_own_code(file) else own
        step = step.tb_next
    return own or last


def is_own_code(filename: str) -> bool:
    """Return whether a file is neither a library nor the machinery of the bus or of the kit."""
    if filename.startswith(("<", *_LIBRARIES)):
        return False
    return not filename.startswith(_MACHINERY)


def short_path(filename: str) -> str:
    """Return a path as a reader at the prompt would write it."""
    relative = os.path.relpath(filename)
    return filename if relative.startswith("..") else relative


_PACKAGE = Path(__file__).resolve().parent.parent
_MACHINERY = (str(_PACKAGE / "core"), str(_PACKAGE / "testing"))
_LIBRARIES = tuple({*site.getsitepackages(), str(Path(os.__file__).parent), str(Path(sys.prefix) / "lib")})
