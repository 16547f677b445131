"""Subscription: one handler of one module for one event; Delivery: one call of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from recyclic.core.events.contract import Handler, HandlerContract
from recyclic.core.events.entries import Pair
from recyclic.core.events.event import Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A handler with its own consumer group. `name` is None for the module's unnamed handler of the event."""

    event: str
    module: str
    group: str
    name: str | None
    handler: Handler
    contract: HandlerContract
    max_attempts: int
    backoff: float
    concurrency: int
    timeout: float | None = None

    @property
    def pair(self) -> Pair:
        """Return the event and the group."""
        return self.event, self.group


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One call of a handler. `attempt` counts from 1; `redelivered` says that an earlier one ended badly."""

    envelope: Envelope
    module: str
    group: str
    attempt: int
    entry_id: str
    redelivered: bool


HandlerMiddleware = Callable[[Delivery, Callable[[], Awaitable[None]]], Awaitable[None]]
"""Wraps each call of a handler: `await call()` runs it; raising instead, or afterwards, fails the attempt."""
