"""Event, what a module publishes; Envelope, what travels; EventMeta, what a handler may ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel, ConfigDict

from recyclic.errors import EventError, Problem

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")
_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")


class Event(BaseModel):
    """Something that has happened. Subclass it with a past-tense name; fields are the payload, docstring its text.

    `SaleClosed` is published as `sale_closed`. Payloads are snake_case, money is integer cents. `version` grows
    whenever the fields change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str] = ""
    version: ClassVar[int] = 1

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Derive the event's name from the class name, unless the class sets `name`."""
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = _HUMP.sub("_", cls.__name__).lower()


def is_event_name(name: str) -> bool:
    """Return whether `name` is snake_case, as event names must be."""
    return bool(_NAME.match(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMeta:
    """The envelope without its payload. A handler that names a `meta: EventMeta` parameter gets it.

    `id` is stable over retries, relays and replays: be idempotent by it. `attempt` counts from 1.
    """

    id: str
    event: str
    source: str
    time: datetime
    version: int = 1
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    replayed: bool = False
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One event on the wire: CloudEvents 1.0 attributes as plain fields, always in the same order, and JSON `data`.

    Source: CloudEvents 1.0, binary mode; see `docs/events.md`.
    """

    id: str
    event: str
    source: str
    time: datetime
    version: int = 1
    data: Mapping[str, Any] = field(default_factory=dict)
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None
    replayed: bool = False

    def encode(self) -> dict[str, bytes]:
        """Return the fields of a stream entry, in wire order; optional ones only where they are set."""
        fields: dict[str, bytes] = {
            "specversion": b"1.0",
            "id": self.id.encode(),
            "source": self.source.encode(),
            "type": self.event.encode(),
            "time": self.time.astimezone(UTC).isoformat().encode(),
            "datacontenttype": b"application/json",
            "dataschema": f"{self.event}/{self.version}".encode(),
            "data": orjson.dumps(dict(self.data)),
        }
        optional = {
            "correlationid": self.correlation_id,
            "causationid": self.causation_id,
            "traceparent": self.traceparent,
            "replayed": "true" if self.replayed else None,
        }
        fields.update({key: value.encode() for key, value in optional.items() if value is not None})
        return fields

    @classmethod
    def decode(cls, fields: Mapping[bytes, bytes]) -> Envelope:
        """Read a stream entry's fields.

        Raises:
            EventError: the entry is not one of ours, or is damaged; the text says which field.
        """
        try:
            data = orjson.loads(fields[b"data"])
            if not isinstance(data, dict):
                raise EventError(Problem("data is not a JSON object", "envelope"))
            time = datetime.fromisoformat(fields[b"time"].decode())
            return cls(
                id=fields[b"id"].decode(),
                event=fields[b"type"].decode(),
                source=fields[b"source"].decode(),
                time=time if time.tzinfo else time.replace(tzinfo=UTC),
                version=int(fields.get(b"dataschema", b"/1").rpartition(b"/")[2]),
                data=data,
                correlation_id=_text(fields, b"correlationid"),
                causation_id=_text(fields, b"causationid"),
                traceparent=_text(fields, b"traceparent"),
                replayed=fields.get(b"replayed") == b"true",
            )
        except KeyError as missing:
            name = missing.args[0].decode()
            raise EventError(Problem(f"the entry has no field {name!r}", "envelope")) from missing
        except (ValueError, TypeError) as error:
            raise EventError(Problem(f"the entry cannot be read: {error}", "envelope")) from error

    def meta(self, attempt: int = 1) -> EventMeta:
        """Return what a handler sees of the envelope."""
        return EventMeta(
            id=self.id,
            event=self.event,
            source=self.source,
            time=self.time,
            version=self.version,
            correlation_id=self.correlation_id,
            causation_id=self.causation_id,
            traceparent=self.traceparent,
            replayed=self.replayed,
            attempt=attempt,
        )


def _text(fields: Mapping[bytes, bytes], key: bytes) -> str | None:
    value = fields.get(key)
    return None if value is None else value.decode()
