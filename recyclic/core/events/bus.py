"""EventBus: the bus as a module sees it: `on`, `emit`, `within`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from recyclic.core.events.context import current_cause
from recyclic.core.events.contract import Handler, HandlerContract, mismatches
from recyclic.core.events.event import Envelope, Event, is_event_name
from recyclic.core.events.plain import is_plain
from recyclic.core.events.subscription import Subscription
from recyclic.errors import EventError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recyclic.core.database import UnitOfWork
    from recyclic.core.events.broker import Broker

_HANDLER_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


class EventBus:
    """One module's view of the bus. Never built by a module: the host hands it to `register_signals`."""

    def __init__(self, broker: Broker, module: str, group: str, emits: Iterable[type[Event]]) -> None:
        self.module = module
        self.group = group
        self.emits = {event.name: event for event in emits}
        self._broker = broker

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
        """Call `handler` for every `event`, at least once, whatever process dies.

        The handler's keyword parameters are what it needs of the payload. A `name` gives it a group, and so retries,
        of its own. `backoff` and `timeout` are seconds.

        Raises:
            EventError: the name, the handler or its signature cannot be used, or the subscription exists already.
        """
        event_name = event if isinstance(event, str) else event.name
        where = f"module {self.module}, on({event_name!r})"
        _check_names(event_name, name, where)
        settings = self._broker.settings
        numbers = {"max_attempts": max_attempts, "backoff": backoff, "timeout": timeout, "concurrency": concurrency}
        for key, value in numbers.items():
            if value is not None and (value < 0 or (value == 0 and key != "backoff")):
                raise EventError(Problem(f"{key}={value!r} makes no sense", where, "give a number above 0"))
        self._broker.subscribe(
            Subscription(
                event=event_name,
                module=self.module,
                group=self.group if name is None else f"{self.group}.{name}",
                name=name,
                handler=handler,
                contract=HandlerContract.of(handler, where),
                max_attempts=settings.max_attempts if max_attempts is None else max_attempts,
                backoff=settings.backoff if backoff is None else backoff,
                concurrency=settings.concurrency if concurrency is None else concurrency,
                timeout=timeout,
            ),
        )

    async def emit(self, event: str | Event, /, **payload: Any) -> str:
        """Append `event` to its stream and return the event's id.

        Raises:
            EventError: the event is not declared by the module or its payload does not fit; nothing was written.
            BusError: Redis could not be reached; the event may or may not have been written.
        """
        return await self._broker.emit(self._seal(event, payload))

    def within(self, tx: UnitOfWork) -> Emitter:
        """Return an emitter whose events are rows of `tx`: stored with it, sent after its commit."""
        return Emitter(self, tx)

    def _seal(self, event: str | Event, payload: dict[str, Any]) -> Envelope:
        """Validate an event and put it into its envelope; tell the observers where that is refused."""
        name = event if isinstance(event, str) else event.name
        try:
            return self._sealed(name, event, payload)
        except EventError as error:
            self._broker.observers.refused(self.module, name, error)
            raise

    def _sealed(self, name: str, event: str | Event, payload: dict[str, Any]) -> Envelope:
        where = f"module {self.module}, emit({name!r})"
        declared = self.emits.get(name)
        if declared is None:
            known = ", ".join(sorted(self.emits)) or "none"
            remedy = f"add its class to `emits` of the module's class (it has: {known})"
            raise EventError(Problem("the module does not declare this event", where, remedy))
        if isinstance(event, str):
            try:
                event = declared.model_validate(payload)
            except ValidationError as error:
                raise EventError(mismatches(error, where)) from error
        elif payload:
            raise EventError(Problem("an event and a payload", where, "give either the event or its name and fields"))
        elif not isinstance(event, declared):
            raise EventError(Problem(f"the module declares another class named {name!r}", where, "emit that one"))
        if is_plain(declared):
            data = event.__dict__
        else:
            try:
                data = event.model_dump(mode="json", warnings="error")
            except (PydanticSerializationError, ValueError, TypeError) as error:
                raise EventError(Problem(f"the payload cannot be written as JSON: {error}", where)) from error
        return self._broker.seal(declared, self.module, data, current_cause(), where)


class Emitter:
    """Emits inside a transaction."""

    def __init__(self, bus: EventBus, tx: UnitOfWork) -> None:
        self._bus = bus
        self._tx = tx

    async def emit(self, event: str | Event, /, **payload: Any) -> str:
        """Store `event` with the transaction and return the event's id.

        Raises:
            EventError: the event is not declared by the module or its payload does not fit; nothing was stored.
            BusError: the host has no database.
        """
        envelope = self._bus._seal(event, payload)  # noqa: SLF001 - the bus's other half
        await self._bus._broker.store(self._tx, envelope)  # noqa: SLF001 - the bus's other half
        return envelope.id


def _check_names(event: str, name: str | None, where: str) -> None:
    if not is_event_name(event):
        raise EventError(Problem(f"{event!r} is not an event name", where, "write it in snake_case"))
    if name is not None and not _HANDLER_NAME.match(name):
        raise EventError(Problem(f"{name!r} is not a handler's name", where, "write it in snake_case"))
