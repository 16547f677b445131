"""One line of an archive: an event as CloudEvents JSON, with what its entry or its dead letter adds.

Source: CloudEvents 1.0, JSON event format. `entryid` is the entry's id; a dead letter adds attributes that begin with
`dead`. What is no readable event keeps its raw fields, under `unreadable`, so that nothing is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError

from recyclic.core.events.chronicle import FIELDS
from recyclic.core.events.entries import DeadLetter, Entry, is_entry_id
from recyclic.core.events.event import Envelope, is_event_name
from recyclic.errors import EventError, Problem

_ATTRIBUTE = re.compile(rb"[a-z0-9]{1,64}")
_OURS = ("entryid", "unreadable")
_DEAD = "dead"


def _entry_id(text: str) -> str:
    if not is_entry_id(text):
        raise ValueError("this is no entry id")
    return text


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says: an event's entry, or the dead letter that holds it."""

    event: str
    entry: Entry
    readable: bool
    letter: DeadLetter | None = None


def write_line(event: str, entry: Entry) -> tuple[bytes, bool]:
    """Return the line of an entry, with its line end, and whether it is a readable event."""
    written = _written(event, entry)
    return orjson.dumps(written, option=orjson.OPT_APPEND_NEWLINE), "unreadable" not in written


def write_dead_line(letter: DeadLetter) -> bytes:
    """Return the line of a dead letter, with its line end."""
    return orjson.dumps(
        {
            **_written(letter.event, Entry.of(letter.entry_id, letter.fields)),
            "deadid": letter.id,
            "deadgroup": letter.group,
            "deadreason": letter.reason,
            "deaderror": letter.error,
            "deadtraceback": letter.traceback,
            "deadprevious": letter.previous_error,
            "deadattempts": letter.attempts,
            "deadconsumer": letter.consumer,
            "deadfirst": _iso(letter.first_failed_at),
            "deadat": _iso(letter.dead_at),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def read_line(text: bytes) -> Line:
    """Read a line.

    Raises:
        EventError: it is damaged; the text says how.
    """
    try:
        held = json.loads(text)  # the standard library's keeps integers of any size
    except (ValueError, RecursionError) as error:
        raise _damaged(f"this is not JSON: {error}") from error
    if not isinstance(held, dict):
        raise _damaged("this is not a JSON object")
    event = held.get("event" if "unreadable" in held else "type")
    if not isinstance(event, str) or not is_event_name(event):
        raise _damaged(f"{event!r} is not an event's name")
    entry_id = held.get("entryid", "0-0")
    if not isinstance(entry_id, str) or not is_entry_id(entry_id):
        raise _damaged(f"{entry_id!r} is not an entry id")
    fields = _raw_fields(held) if "unreadable" in held else _event_fields(held)
    if len(fields) > FIELDS:
        raise _damaged(f"it has more than {FIELDS} fields")
    entry = Entry.of(entry_id, fields)
    letter = _letter(held, event, entry) if "deadid" in held else None
    if not fields and letter is None:
        raise _damaged("it has no fields")
    return Line(event, entry, "unreadable" not in held, letter)


def letter_fields(letter: DeadLetter) -> dict[bytes, bytes]:
    """Return a dead letter's stream entry as the bus writes it."""
    encoded = letter.encode()
    times = {"first_failed_at": repr(letter.first_failed_at), "dead_at": repr(letter.dead_at)}
    pairs = {
        "entry": letter.entry_id,
        **times,
        "previous_error": letter.previous_error,
        **{str(name): value for name, value in zip(encoded[::2], encoded[1::2], strict=True)},
    }
    return {name.encode(): value if isinstance(value, bytes) else str(value).encode() for name, value in pairs.items()}


def _written(event: str, entry: Entry) -> dict[str, Any]:
    fields = entry.fields
    try:
        if Envelope.decode(fields).event != event:
            return _unreadable(event, entry, "an entry of another type")
        if strange := [name for name in fields if not _ATTRIBUTE.fullmatch(name) or name.startswith(_DEAD.encode())]:
            return _unreadable(event, entry, f"{strange[0]!r} is no attribute's name")
        if any(name.encode() in fields for name in _OURS):
            return _unreadable(event, entry, "an attribute that only archives have")
        text: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items() if name != b"data"}
    except (EventError, UnicodeDecodeError) as error:
        return _unreadable(event, entry, str(error))
    data = orjson.Fragment(fields[b"data"].replace(b"\n", b" ").replace(b"\r", b" "))  # white space between tokens
    return {**text, "data": data, "entryid": entry.id}


def _unreadable(event: str, entry: Entry, why: str) -> dict[str, Any]:
    fields = entry.fields
    try:
        encoding, text = "utf-8", {name.decode(): value.decode() for name, value in fields.items()}
    except UnicodeDecodeError:
        encoding = "latin-1"
        text = {name.decode(encoding): value.decode(encoding) for name, value in fields.items()}
    why = why.encode("utf-8", "replace").decode()
    return {"event": event, "entryid": entry.id, "unreadable": why, "encoding": encoding, "fields": text}


def _raw_fields(held: Mapping[str, Any]) -> dict[bytes, bytes]:
    fields, encoding = held.get("fields"), held.get("encoding", "utf-8")
    if not isinstance(fields, dict) or encoding not in ("utf-8", "latin-1"):
        raise _damaged("it has neither an event nor raw fields")
    try:
        return {name.encode(encoding): value.encode(encoding) for name, value in fields.items()}
    except (AttributeError, UnicodeEncodeError) as error:
        raise _damaged(f"its raw fields cannot be read: {error}") from error


def _event_fields(held: Mapping[str, Any]) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in held.items():
        if name == "data":
            try:
                text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
                fields[b"data"] = text.encode()
            except ValueError as error:
                raise _damaged(f"its data is no JSON: {error}") from error
        elif name not in _OURS and not name.startswith(_DEAD):
            if not isinstance(value, str | int | bool):
                raise _damaged(f"the attribute {name!r} is not a text")
            fields[name.encode()] = str(value).encode() if isinstance(value, str) else json.dumps(value).encode()
    Envelope.decode(fields).time  # noqa: B018 - which is read only when it is asked for
    return fields


class _Dead(BaseModel):
    """What a line says of a dead letter beside its entry."""

    deadid: Annotated[str, AfterValidator(_entry_id)]
    deadgroup: str = Field(min_length=1)
    deadreason: str
    deadat: AwareDatetime
    deadfirst: AwareDatetime | None = None
    deaderror: str = ""
    deadtraceback: str = ""
    deadprevious: str = ""
    deadconsumer: str = ""
    deadattempts: int = 0

    def letter(self, event: str, entry: Entry) -> DeadLetter:
        """Return the dead letter of an entry."""
        return DeadLetter(
            event=event,
            group=self.deadgroup,
            entry_id=entry.id,
            reason=self.deadreason,
            attempts=self.deadattempts,
            dead_at=self.deadat.timestamp(),
            error=self.deaderror,
            traceback=self.deadtraceback,
            previous_error=self.deadprevious,
            consumer=self.deadconsumer,
            first_failed_at=(self.deadfirst or self.deadat).timestamp(),
            fields=entry.fields,
            id=self.deadid,
        )


def _letter(held: Mapping[str, Any], event: str, entry: Entry) -> DeadLetter:
    try:
        return _Dead.model_validate(held).letter(event, entry)
    except (ValidationError, OverflowError) as error:
        text = (
            "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
            if isinstance(error, ValidationError)
            else str(error)
        )
        raise _damaged(f"the dead letter cannot be read: {text}") from error


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _damaged(what: str) -> EventError:
    return EventError(Problem(what))
