"""The envelope: CloudEvents 1.0 attributes as fields in a fixed order; see docs/wire-format.md."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from recyclic.core.events.event import Envelope, EventMeta, timestamp
from recyclic.errors import EventError

NOON = datetime(2025, 9, 17, 12, 0, 0, 250_000, tzinfo=UTC)
REQUIRED = ["specversion", "id", "source", "type", "time", "datacontenttype", "data"]
OPTIONAL = ["subject", "dataschema", "traceparent", "correlationid", "causationid"]


def envelope(**changes) -> Envelope:
    values = {"id": "1", "event": "sale_closed", "source": "caisse", "time": NOON, "data": {"total_cents": 5}} | changes
    return Envelope(**values)


def on_the_wire(**changes) -> dict[bytes, bytes]:
    fields = {key.encode(): value for key, value in envelope().encode().items()}
    changed = {key.encode(): value for key, value in changes.items()}
    return {key: value for key, value in (fields | changed).items() if value is not None}


def test_fields_stand_in_the_order_of_the_wire_format() -> None:
    """The same order always: Redis compresses entries whose fields are those of the one before."""
    assert list(envelope().encode()) == [*REQUIRED, "dataschema"]
    full = envelope(subject="s", traceparent="00-a-b-01", correlation_id="c", causation_id="d", replayed=True)
    assert list(full.encode()) == [*REQUIRED, *OPTIONAL, "replayed"]


def test_what_was_encoded_is_decoded() -> None:
    """Every attribute, from another order of fields too."""
    full = envelope(
        subject="s", version=3, traceparent="00-a-b-01", correlation_id="c", causation_id="d", replayed=True
    )
    fields = {key.encode(): value for key, value in reversed(full.encode().items())}
    assert Envelope.decode(fields) == full
    assert Envelope.decode(fields) != envelope()


def test_time_is_written_in_utc_and_read_with_its_zone() -> None:
    """RFC 3339, as Go, JavaScript and Python write it."""
    paris = NOON.astimezone(timezone(timedelta(hours=2)))
    assert envelope(time=paris).encode()["time"] == b"2025-09-17T12:00:00.250000+00:00"
    for text in ("2025-09-17T12:00:00.25Z", "2025-09-17T14:00:00.250000000+02:00", "2025-09-17T12:00:00.25"):
        assert Envelope.decode(on_the_wire(time=text.encode())).time == NOON


@pytest.mark.parametrize("now", [0.0, 1_700_000_000.0, 1_700_000_000.123456, 1_700_000_000.9999998, 4e9 + 0.5])
def test_timestamp_is_the_time_to_the_microsecond(now: float) -> None:
    """Also where the fraction rounds up to a whole second, and whatever second was asked for before."""
    for moment in (now, now + 1.0, now):
        assert datetime.fromisoformat(timestamp(moment)) == datetime.fromtimestamp(moment, UTC)
    assert envelope(time=timestamp(now)).time == datetime.fromtimestamp(now, UTC)


@pytest.mark.parametrize(
    ("schema", "version"),
    [(None, 1), (b"recyclic:sale_closed/7", 7), (b"sale_closed/2", 2), (b"https://x.example/a/4", 4)],
)
def test_version_is_what_follows_the_last_slash_of_the_schema(schema, version) -> None:
    """Without a schema it is the first one."""
    for _ in range(2):
        assert Envelope.decode(on_the_wire(dataschema=schema)).version == version


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"specversion": None}, "no field 'specversion'"),
        ({"specversion": b"2.0"}, "specversion is '2.0'"),
        ({"datacontenttype": b"text/plain"}, "data is 'text/plain', not JSON"),
        ({"id": b""}, "must not be empty"),
        ({"source": b""}, "must not be empty"),
        ({"source": None}, "no field 'source'"),
        ({"time": b"2025-13-17T12:00:00Z"}, "cannot be read"),
        ({"dataschema": b"recyclic:sale_closed/0"}, "no version 0"),
        ({"subject": b"\xff"}, "cannot be read"),
    ],
)
def test_entry_that_is_no_event_of_ours_is_refused_with_the_reason(change, reason) -> None:
    """Before any handler sees it."""
    with pytest.raises(EventError, match=reason):
        Envelope.decode(on_the_wire(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": b"1.1"},
        {"datacontenttype": None},
        {"datacontenttype": b"application/json; charset=utf-8"},
        {"datacontenttype": b"application/vnd.shop+json"},
        {"anotherattribute": b"x"},
    ],
)
def test_what_other_producers_may_write_is_read(change) -> None:
    """CloudEvents leaves these to them."""
    assert Envelope.decode(on_the_wire(**change)).data == {"total_cents": 5}


def test_meta_is_the_envelope_without_its_payload() -> None:
    """With the attempt of this delivery."""
    full = envelope(subject="s", version=3, correlation_id="c", causation_id="d", traceparent="t", replayed=True)
    same = {"event": "sale_closed", "source": "caisse", "time": NOON, "version": 3, "subject": "s", "replayed": True}
    causes = {"correlation_id": "c", "causation_id": "d", "traceparent": "t"}
    assert full.meta(2) == EventMeta(id="1", attempt=2, **same, **causes)
    assert full.meta(2) != full.meta(1)
    assert not hasattr(full.meta(), "data")
