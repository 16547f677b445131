"""Event, what a module publishes; Envelope, what travels; EventMeta, what a handler may ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, ConfigDict

from recyclic.errors import EventError, Problem

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")
_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
_JSON = b"application/json"
_SPEC = b"1.0"


class Event(BaseModel):
    """Something that has happened. Subclass it with a past-tense name; fields are the payload, docstring its text.

    `SaleClosed` is published as `sale_closed`. Payloads are snake_case, money is integer cents. `version` grows
    whenever the fields change, and `upcast` then says how an older payload becomes one of today.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Derive the event's name from the class name, unless the class sets `name`."""
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = _HUMP.sub("_", cls.__name__).lower()

    @classmethod
    def upcast(cls, version: int, data: dict[str, Any]) -> dict[str, Any]:
        """Return a payload of `version` as one of `version + 1`; by default as it is.

        Events live longer than code: they wait in streams, dead letters and archives. Called once for each version from
        the event's own to the class's, before any handler sees it.
        """
        del version
        return data


def is_event_name(name: str) -> bool:
    """Return whether `name` is snake_case, as event names must be."""
    return bool(_NAME.match(name))


class _Attributes:
    """What EventMeta and Envelope have in common: plain slots, because one of each is made for every delivery."""

    __slots__ = (
        "_time",
        "causation_id",
        "correlation_id",
        "event",
        "id",
        "replayed",
        "source",
        "subject",
        "traceparent",
        "version",
    )

    _time: datetime | str
    id: str
    event: str
    source: str
    version: int
    subject: str | None
    correlation_id: str | None
    causation_id: str | None
    traceparent: str | None
    replayed: bool

    @property
    def time(self) -> datetime:
        """Return when it happened, with its time zone."""
        time = self._time
        if isinstance(time, str):
            time = self._time = _parsed(time)
        return time

    def _values(self) -> tuple[object, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self), self.id))


class EventMeta(_Attributes):
    """The envelope without its payload. A handler that names a `meta: EventMeta` parameter gets it.

    `id` is stable over retries, relays and replays: be idempotent by it. `attempt` counts from 1.
    """

    __slots__ = ("attempt",)

    def __init__(  # noqa: PLR0913 - one for each attribute, all by name
        self,
        *,
        id: str,  # noqa: A002 - the attribute's name in CloudEvents
        event: str,
        source: str,
        time: datetime,
        version: int = 1,
        subject: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        traceparent: str | None = None,
        replayed: bool = False,
        attempt: int = 1,
    ) -> None:
        self.id = id
        self.event = event
        self.source = source
        self._time = time
        self.version = version
        self.subject = subject
        self.correlation_id = correlation_id
        self.causation_id = causation_id
        self.traceparent = traceparent
        self.replayed = replayed
        self.attempt = attempt

    def _values(self) -> tuple[object, ...]:
        return (
            *(self.id, self.event, self.source, self.time, self.version, self.subject, self.correlation_id),
            *(self.causation_id, self.traceparent, self.replayed, self.attempt),
        )

    def __repr__(self) -> str:
        return f"EventMeta({self.event} {self.id} of {self.source}, attempt {self.attempt})"


class Envelope(_Attributes):
    """One event on the wire: CloudEvents 1.0 attributes as plain fields, always in the same order, and JSON `data`.

    Source: CloudEvents 1.0, binary mode; see `docs/wire-format.md`. `body` is `data` as JSON, where the caller has it.
    """

    __slots__ = ("_body", "data")

    def __init__(  # noqa: PLR0913 - one for each attribute, all by name
        self,
        *,
        id: str,  # noqa: A002 - the attribute's name in CloudEvents
        event: str,
        source: str,
        time: datetime | str,
        version: int = 1,
        data: Mapping[str, Any] | None = None,
        subject: str | None = None,
        correlation_id: str | None = None,
        causation_id: str | None = None,
        traceparent: str | None = None,
        replayed: bool = False,
        body: bytes | None = None,
    ) -> None:
        self.id = id
        self.event = event
        self.source = source
        self._time = time
        self.version = version
        self.data: Mapping[str, Any] = {} if data is None else data
        self.subject = subject
        self.correlation_id = correlation_id
        self.causation_id = causation_id
        self.traceparent = traceparent
        self.replayed = replayed
        self._body = body

    def encode(self) -> dict[str, bytes]:
        """Return the fields of a stream entry, in wire order; optional ones only where they are set."""
        time, body = self._time, self._body
        if not isinstance(time, str):
            time = time.astimezone(UTC).isoformat()
        fields: dict[str, bytes] = {
            "specversion": _SPEC,
            "id": self.id.encode(),
            "source": self.source.encode(),
            "type": self.event.encode(),
            "time": time.encode(),
            "datacontenttype": _JSON,
            "data": orjson.dumps(dict(self.data)) if body is None else body,
        }
        if self.subject is not None:
            fields["subject"] = self.subject.encode()
        fields["dataschema"] = _schema(self.event, self.version)
        if self.traceparent is not None:
            fields["traceparent"] = self.traceparent.encode()
        if self.correlation_id is not None:
            fields["correlationid"] = self.correlation_id.encode()
        if self.causation_id is not None:
            fields["causationid"] = self.causation_id.encode()
        if self.replayed:
            fields["replayed"] = b"true"
        return fields

    @classmethod
    def read(cls, row: Sequence[bytes]) -> Envelope:
        """Read a stream entry's names and values: by position where they stand as we write them, else by name.

        Raises:
            EventError: the entry is not one of ours, or is damaged; the text says which field.
        """
        if row[:14:2] == _FIRST and row[1] == _SPEC and row[11] == _JSON:
            return cls._in_order(row)
        return cls.decode(dict(zip(row[::2], row[1::2], strict=True)))

    @classmethod
    def decode(cls, fields: Mapping[bytes, bytes]) -> Envelope:
        """Read a stream entry's fields, in whatever order they stand.

        Raises:
            EventError: the entry is not one of ours, or is damaged; the text says which field.
        """
        for name in (b"data", b"id", b"type", b"source", b"time", b"specversion"):
            if name not in fields:
                raise EventError(Problem(f"the entry has no field {name.decode()!r}", "envelope"))
        _check_kind(fields)
        others = (item for item in fields.items() if item[0] not in _FIRST)
        ordered = [*((name, fields.get(name, _JSON)) for name in _FIRST), *others]
        return cls._in_order([part for item in ordered for part in item])

    @classmethod
    def _in_order(cls, row: Sequence[bytes]) -> Envelope:
        """Read a row whose first seven names are `_FIRST`; the others follow in any order."""
        try:
            data = orjson.loads(row[13])
            if data.__class__ is not dict:
                raise EventError(Problem("data is not a JSON object", "envelope"))
            envelope = _new(cls)
            envelope.data = data
            envelope._body = envelope.subject = envelope.traceparent = None  # noqa: SLF001 - this is its constructor
            envelope.correlation_id = envelope.causation_id = None
            envelope.replayed, envelope.version = False, 1
            envelope.id, envelope.source, envelope.event = row[3].decode(), row[5].decode(), row[7].decode()
            # Read now and not when asked for: 0.1 µs, and a damaged time is found before a handler runs.
            time = _parsed(row[9].decode())
            envelope._time = time if time.tzinfo else time.replace(tzinfo=UTC)  # noqa: SLF001 - this is its constructor
            for at in range(14, len(row), 2):
                name, value = row[at], row[at + 1]
                if name == b"dataschema":
                    envelope.version = _VERSIONS.get(value) or _version(value)
                elif name == b"correlationid":
                    envelope.correlation_id = value.decode()
                else:
                    envelope._take(name, value)  # noqa: SLF001 - this is its constructor
        except (ValueError, TypeError) as error:
            raise EventError(Problem(f"the entry cannot be read: {error}", "envelope")) from error
        if not (envelope.id and envelope.source):
            raise EventError(Problem("id and source must not be empty", "envelope"))
        return envelope

    def _take(self, name: bytes, value: bytes) -> None:
        """Take one of the attributes that are often missing."""
        if name == b"causationid":
            self.causation_id = value.decode()
        elif name == b"traceparent":
            self.traceparent = value.decode()
        elif name == b"subject":
            self.subject = value.decode()
        elif name == b"replayed":
            self.replayed = value == b"true"

    def with_payload(self, data: Mapping[str, Any], version: int) -> Envelope:
        """Return the same event with its payload in another version."""
        return Envelope(
            id=self.id,
            event=self.event,
            source=self.source,
            time=self._time,
            version=version,
            data=data,
            subject=self.subject,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            traceparent=self.traceparent,
            replayed=self.replayed,
        )

    def meta(self, attempt: int = 1) -> EventMeta:
        """Return what a handler sees of the envelope."""
        meta = _new(EventMeta)
        meta.id = self.id
        meta.event = self.event
        meta.source = self.source
        meta._time = self._time  # noqa: SLF001 - they share their attributes
        meta.version = self.version
        meta.subject = self.subject
        meta.correlation_id = self.correlation_id
        meta.causation_id = self.causation_id
        meta.traceparent = self.traceparent
        meta.replayed = self.replayed
        meta.attempt = attempt
        return meta

    def _values(self) -> tuple[object, ...]:
        return (
            *(self.id, self.event, self.source, self.time, self.version, self.data, self.subject),
            *(self.correlation_id, self.causation_id, self.traceparent, self.replayed),
        )

    def __repr__(self) -> str:
        return f"Envelope({self.event} {self.id} of {self.source}: {dict(self.data)!r})"


_new = object.__new__
_FIRST = [b"specversion", b"id", b"source", b"type", b"time", b"datacontenttype", b"data"]
"""What stands first in every entry that we write, in this order."""
_parsed = datetime.fromisoformat
_SCHEMAS: dict[tuple[str, int], bytes] = {}
_VERSIONS: dict[bytes, int] = {}
_KNOWN = 10_000
"""How many spellings of `dataschema` are remembered; an installation has a few for each event."""


def timestamp(now: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, with microseconds."""
    global _second, _prefix  # most events of one second share all but the fraction
    seconds = int(now)
    micros = round((now - seconds) * 1e6)
    if micros == 1_000_000:
        seconds, micros = seconds + 1, 0
    if seconds != _second:
        _second, _prefix = seconds, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
    return f"{_prefix}{micros:06d}Z"


_second, _prefix = -1, ""


def _schema(event: str, version: int) -> bytes:
    found = _SCHEMAS.get((event, version))
    if found is None:
        if len(_SCHEMAS) >= _KNOWN:
            _SCHEMAS.clear()
        found = _SCHEMAS[event, version] = f"recyclic:{event}/{version}".encode()
    return found


def _version(schema: bytes) -> int:
    """Read the version from `dataschema`: what follows its last slash."""
    version = int(schema.rpartition(b"/")[2])
    if version < 1:
        raise ValueError(f"there is no version {version}")
    if len(_VERSIONS) >= _KNOWN:
        _VERSIONS.clear()
    _VERSIONS[schema] = version
    return version


def _check_kind(fields: Mapping[bytes, bytes]) -> None:
    """Accept what is worth the same as what we write; refuse a later CloudEvents and another format of `data`."""
    spec = fields[b"specversion"]
    if not spec.startswith(b"1."):
        raise EventError(Problem(f"specversion is {spec.decode(errors='replace')!r}, not 1.0", "envelope"))
    kind = fields.get(b"datacontenttype", _JSON).partition(b";")[0].strip().lower()
    if kind != _JSON and not kind.endswith(b"+json"):
        raise EventError(Problem(f"data is {kind.decode(errors='replace')!r}, not JSON", "envelope"))
