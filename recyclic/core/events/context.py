"""What an event was caused by: the request or the event that is being handled, carried along by contextvars."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Cause = tuple[str | None, str | None]

_cause: ContextVar[Cause] = ContextVar("recyclic_cause", default=(None, None))


def current_cause() -> Cause:
    """Return `(correlation_id, causation_id)` for an event that is emitted now; `(None, None)` outside of any."""
    return _cause.get()


def set_cause(correlation_id: str | None, causation_id: str | None) -> None:
    """Give every event that this task emits from now on, and the tasks it starts, this cause."""
    _cause.set((correlation_id, causation_id))


@contextmanager
def caused_by(correlation_id: str | None, causation_id: str | None) -> Iterator[None]:
    """Give every event emitted inside the block, and in the tasks it starts, this cause."""
    token = _cause.set((correlation_id, causation_id))
    try:
        yield
    finally:
        _cause.reset(token)
