"""Observer: what the bus tells whoever watches it (the kit's journal, metrics, the live view)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from recyclic.core.events.event import Envelope
    from recyclic.errors import EventError

log = logging.getLogger(__name__)


class Observer:
    """Hears what crosses the bus in this process. Override what you need; never raise, never block.

    `group` is the consumer group (`paheko_sync`, or `paheko_sync.stats` for a named handler), `module` the module's id,
    `attempt` counts from 1 over processes and restarts.
    """

    def stored(self, envelope: Envelope) -> None:
        """An event became a row of a committed transaction (`within`)."""

    def refused(self, module: str, event: str, error: EventError) -> None:
        """A module was refused to emit: it does not declare the event, or the payload does not fit."""

    def emitted(self, envelope: Envelope, entry_id: str) -> None:
        """An event was appended to its stream as `entry_id`."""

    def delivered(self, envelope: Envelope, module: str, group: str, attempt: int) -> None:
        """A handler is about to run."""

    def handled(self, envelope: Envelope, module: str, group: str, attempt: int, seconds: float) -> None:
        """A handler returned; the ack follows."""

    def failed(
        self,
        envelope: Envelope,
        module: str,
        group: str,
        attempt: int,
        error: BaseException,
        retry_in: float | None,
    ) -> None:
        """A handler raised. `retry_in` is in seconds; None: no attempt is left, a dead letter follows."""

    def dead(self, entry_id: str, event: str, module: str, group: str, attempt: int, reason: str) -> None:
        """An entry went to the dead letters (also one that could not be decoded)."""

    def settled(self, event: str, group: str, entry_id: str) -> None:
        """An entry left the group's pending list: acked or dead-lettered."""

    def changed(self) -> None:
        """Something that settling depends on may have changed; called after each of the above."""


_CALLS = ("stored", "refused", "emitted", "delivered", "handled", "failed", "dead", "settled", "changed")


class Observers(Observer):
    """Hands every call to each observer that has something to do with it, in turn, then tells `changed`.

    One that raises is logged, never felt. What happens with every event is told only where `hears_…` is set: ask it
    before anything is done for the telling.
    """

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        self.all: list[Observer] = []
        self.hears_delivered = self.hears_handled = self.hears_settled = False
        self._calls: dict[str, list[Callable[..., None]]] = {name: [] for name in _CALLS}
        self._delivered, self._settled, self._changed = (self._calls[n] for n in ("delivered", "settled", "changed"))
        self._emitted, self._handled = self._calls["emitted"], self._calls["handled"]
        for observer in observers:
            self.add(observer)

    def add(self, observer: Observer) -> None:
        """Tell `observer` too, from now on."""
        self.all.append(observer)
        for name, calls in self._calls.items():
            if getattr(type(observer), name) is not getattr(Observer, name):
                calls.append(getattr(observer, name))
        changed = bool(self._changed)
        self.hears_delivered = changed or bool(self._delivered)
        self.hears_handled = changed or bool(self._handled)
        self.hears_settled = changed or bool(self._settled)

    def _tell(self, calls: Iterable[Callable[..., None]], *args: Any) -> None:
        for call in calls:
            try:
                call(*args)
            except Exception:
                log.exception("an observer failed: %r", call)
        for call in self._changed:
            try:
                call()
            except Exception:
                log.exception("an observer failed: %r", call)

    def stored(self, envelope: Envelope) -> None:
        """Tell all."""
        self._tell(self._calls["stored"], envelope)

    def refused(self, module: str, event: str, error: EventError) -> None:
        """Tell all."""
        self._tell(self._calls["refused"], module, event, error)

    def emitted(self, envelope: Envelope, entry_id: str) -> None:
        """Tell all."""
        for call in self._emitted:  # as `_tell` does, for what happens with every event
            try:
                call(envelope, entry_id)
            except Exception:
                log.exception("an observer failed: %r", call)
        self.changed()

    def delivered(self, envelope: Envelope, module: str, group: str, attempt: int) -> None:
        """Tell all."""
        if self.hears_delivered:
            self._tell(self._delivered, envelope, module, group, attempt)

    def handled(self, envelope: Envelope, module: str, group: str, attempt: int, seconds: float) -> None:
        """Tell all."""
        for call in self._handled:  # as `_tell` does, for what happens with every event
            try:
                call(envelope, module, group, attempt, seconds)
            except Exception:
                log.exception("an observer failed: %r", call)
        self.changed()

    def failed(
        self,
        envelope: Envelope,
        module: str,
        group: str,
        attempt: int,
        error: BaseException,
        retry_in: float | None,
    ) -> None:
        """Tell all."""
        self._tell(self._calls["failed"], envelope, module, group, attempt, error, retry_in)

    def dead(self, entry_id: str, event: str, module: str, group: str, attempt: int, reason: str) -> None:
        """Tell all."""
        self._tell(self._calls["dead"], entry_id, event, module, group, attempt, reason)

    def settled(self, event: str, group: str, entry_id: str) -> None:
        """Tell all."""
        if self.hears_settled:
            self._tell(self._settled, event, group, entry_id)

    def changed(self) -> None:
        """Tell all that something may have changed."""
        if self._changed:
            self._tell(())
