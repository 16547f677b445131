"""The story that records tell: requests, emissions, and the calls of handlers with how each ended."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from recyclic.core.events.event import Envelope
from recyclic.testing.journal import Kind, Record


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

    requests: list[Request] = field(default_factory=list)
    stored: list[Record] = field(default_factory=list)
    emissions: list[Emission] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    lost: list[Record] = field(default_factory=list)
    """Dead letters of entries that no handler was called for."""
    notes: list[Record] = field(default_factory=list)


def tell(records: Iterable[Record]) -> Story:
    """Read records into a story."""
    story = Story()
    requests: dict[str, Request] = {}
    emissions: dict[str, Emission] = {}
    entries: dict[tuple[str, str], str] = {}
    under_way: list[Call] = []
    last_call: dict[tuple[str, str], Call] = {}
    for record in records:
        where = (record.envelope_id, record.group)
        match record.kind:
            case Kind.REQUEST:
                requests[record.key] = Request(record)
                story.requests.append(requests[record.key])
            case Kind.RESPONSE:
                if record.key in requests:
                    requests[record.key].answered = record
            case Kind.STORED:
                story.stored.append(record)
            case Kind.EMITTED if record.envelope is not None:
                emission = emissions.get(record.envelope_id)
                if emission is None:
                    emission = emissions[record.envelope_id] = Emission(record.envelope, record)
                    story.emissions.append(emission)
                emission.entries.append(record.entry_id)
                entries[record.event, record.entry_id] = record.envelope_id
            case Kind.DELIVERED:
                call = last_call[where] = Call(record)
                under_way.append(call)
                story.calls.append(call)
            case Kind.HANDLED | Kind.FAILED:
                for call in under_way:
                    start = call.delivered
                    if (start.envelope_id, start.group, start.attempt) == (*where, record.attempt):
                        call.ended = record
                        under_way.remove(call)
                        break
            case Kind.DIED:
                story.notes.append(record)
                for call in under_way:
                    call.ended = record
                under_way.clear()
            case Kind.DEAD:
                known = last_call.get((entries.get((record.event, record.entry_id), ""), record.group))
                if known is not None and known.dead is None and not known.ok:
                    known.dead = record
                else:
                    story.lost.append(record)
            case Kind.NOTE | Kind.REFUSED:
                story.notes.append(record)
            case _:
                pass
    return story


def place_of(error: BaseException) -> str:
    """Return `file:line` of where an error was raised: the deepest frame that is the project's own code.

    Empty where the machinery itself raised it, as a fault does.
    """
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
