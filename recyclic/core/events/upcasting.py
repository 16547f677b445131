"""Upcasting: an event of an older version becomes one of the version that its class declares now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from recyclic.errors import EventError, Problem

if TYPE_CHECKING:
    from recyclic.core.events.event import Envelope, Event


def upcast(envelope: Envelope, declared: type[Event]) -> Envelope:
    """Return the event in the version of `declared`, taken there step by step by the class's own `upcast`.

    Raises:
        EventError: a step failed, or the event is of a version that this host does not know yet.
    """
    where = f"{envelope.event} of version {envelope.version}"
    if envelope.version > declared.version:
        what = f"this host knows {envelope.event} up to version {declared.version}"
        raise EventError(Problem(what, where, "requeue it once every process runs the newer module"))
    data: Any = envelope.data
    for version in range(envelope.version, declared.version):
        try:
            data = declared.upcast(version, dict(data))
        except (Exception, SystemExit) as error:
            what = f"it cannot be upcast from version {version}: {type(error).__name__}: {error}"
            raise EventError(Problem(what, where, f"correct {declared.__name__}.upcast, then requeue it")) from error
        if not isinstance(data, dict):
            what = f"upcast from version {version} it is {type(data).__name__}, not a dict"
            raise EventError(Problem(what, where, f"correct {declared.__name__}.upcast, then requeue it"))
    return envelope.with_payload(data, declared.version)
