"""EventBus: the bus as a module sees it: `on`, `emit`, `within`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from recyclic.core.events.event import Event

if TYPE_CHECKING:
    from recyclic.core.database import UnitOfWork

Handler = Callable[..., Awaitable[None]]


class EventBus:
    """One module's view of the bus. Never built by a module: the host hands it to `register_signals`."""

    def on(
        self,
        event: str | type[Event],
        handler: Handler,
        *,
        name: str | None = None,
        max_attempts: int | None = None,
        backoff: float | None = None,
        timeout: float | None = None,
        concurrency: int | None = None,
    ) -> None:
        """Call `handler` for every `event`, at least once, whatever process dies."""
        raise NotImplementedError

    async def emit(self, event: str | Event, **payload: Any) -> str:
        """Append `event` to its stream and return the event's id."""
        raise NotImplementedError

    def within(self, tx: UnitOfWork) -> Emitter:
        """Return an emitter whose events are rows of `tx`: stored with it, sent after its commit."""
        raise NotImplementedError


class Emitter:
    """Emits inside a transaction."""

    async def emit(self, event: str | Event, **payload: Any) -> str:
        """Store `event` with the transaction and return the event's id."""
        raise NotImplementedError
