"""Worker: takes one entry from envelope to outcome, whatever is in it and whatever its handler does."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from recyclic.core.events.context import set_cause
from recyclic.core.events.entries import DeadLetter, Entry, printable
from recyclic.core.events.event import Envelope, Event
from recyclic.core.events.lane import Lane
from recyclic.core.events.subscription import Delivery, HandlerMiddleware
from recyclic.core.events.upcasting import upcast
from recyclic.errors import EventError

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.observer import Observers
    from recyclic.core.events.settings import BrokerSettings
    from recyclic.core.events.settler import Settler

LONGEST_TRACEBACK = 20_000
GONE = "its body is gone: the entry was deleted before the group had acked it"


class Worker:
    """Handles entries for a consumer. Never raises but CancelledError, when the consumer itself is cancelled."""

    def __init__(
        self,
        settler: Settler,
        clock: Clock,
        observers: Observers,
        around: HandlerMiddleware | None,
        settings: BrokerSettings,
        consumer: str,
    ) -> None:
        self._settler = settler
        self._clock = clock
        self._observers = observers
        self._around = around
        self._settings = settings
        self._consumer = consumer
        self.catalogue: Mapping[str, type[Event]] = {}
        self.announce: Callable[[Envelope, str], None] = lambda _envelope, _entry_id: None
        self.scheduled: Callable[[Lane, float], None] = lambda _lane, _due: None
        self.spawn: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]] = lambda coroutine, name: (
            asyncio.create_task(coroutine, name=name)
        )

    async def handle(self, lane: Lane, entry: Entry) -> None:
        """Run the handler for one entry and hand its outcome to the settler."""
        opened = self._open(lane, entry)
        if opened is None:
            return
        envelope, arguments = opened
        subscription, attempt = lane.subscription, entry.attempts + 1
        self.announce(envelope, entry.id)
        if self._observers.hears_delivered:
            self._observers.delivered(envelope, subscription.module, subscription.group, attempt)
        started = time.perf_counter()
        set_cause(envelope.correlation_id or envelope.id, envelope.id)
        try:
            if self._around is None and subscription.timeout is None:
                await subscription.handler(**arguments)
            else:
                await self._call(lane, entry, envelope, attempt, arguments)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._failed(lane, entry, envelope, attempt, error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises fails its attempt, no more
            self._failed(lane, entry, envelope, attempt, error)
        else:
            if self._observers.hears_handled:
                seconds = time.perf_counter() - started
                self._observers.handled(envelope, subscription.module, subscription.group, attempt, seconds)
            self._settler.ack(lane, entry)

    def _open(self, lane: Lane, entry: Entry) -> tuple[Envelope, dict[str, Any]] | None:
        """Return the event and the handler's arguments; None where the handler has nothing to do with the entry."""
        subscription, attempts = lane.subscription, entry.attempts
        row = entry.row
        if row is None:
            self._bury(lane, entry, attempts, GONE)
            return None
        if b"targetgroup" in row[::2] and entry.fields[b"targetgroup"].decode(errors="replace") != subscription.group:
            self._settler.ack(lane, entry)  # whatever is in it: it is another's
            return None
        if attempts >= subscription.max_attempts:
            self._bury(lane, entry, attempts, f"its process died or it failed in each of {attempts} attempts")
            return None
        try:
            envelope = Envelope.read(row)
            if envelope.event != subscription.event:
                self._bury(lane, entry, attempts, f"an entry of type {envelope.event!r} in this stream")
                return None
            declared = self.catalogue.get(envelope.event)
            if declared is not None and declared.version != envelope.version:
                envelope = upcast(envelope, declared)
            return envelope, subscription.contract.bind(envelope, attempts + 1)
        except EventError as error:
            self._bury(lane, entry, attempts, str(error), error)
            return None

    async def _call(
        self, lane: Lane, entry: Entry, envelope: Envelope, attempt: int, arguments: dict[str, Any]
    ) -> None:
        """Call the handler through the middleware and within its time, where there are such."""
        subscription = lane.subscription

        def call() -> Awaitable[None]:
            return subscription.handler(**arguments)

        if self._around is None:
            running = call()
        else:
            delivery = Delivery(
                envelope=envelope,
                module=subscription.module,
                group=subscription.group,
                attempt=attempt,
                entry_id=entry.id,
                redelivered=attempt > 1,
            )
            running = self._around(delivery, call)
        if subscription.timeout is None:
            await running
        else:
            await self._in_time(running, subscription.timeout)

    async def _in_time(self, running: Awaitable[None], seconds: float) -> None:
        """Cancel the handler after `seconds` of the host's clock."""
        task = asyncio.current_task()
        assert task is not None
        expired = False

        async def watch() -> None:
            nonlocal expired
            await self._clock.wait(seconds)
            expired = True
            task.cancel()

        watching = self.spawn(watch(), "recyclic-bus-timeout")
        try:
            await running
        except asyncio.CancelledError:
            if expired and task.uncancel() == 0:
                raise TimeoutError(f"the handler took longer than {seconds:g} s") from None
            raise
        finally:
            watching.cancel()

    def _failed(self, lane: Lane, entry: Entry, envelope: Envelope, attempt: int, error: BaseException) -> None:
        subscription = lane.subscription
        delay = None
        if attempt < subscription.max_attempts:
            delay = self._settings.delay(attempt, subscription.backoff, random.uniform(-1.0, 1.0))  # noqa: S311 - jitter
        self._observers.failed(envelope, subscription.module, subscription.group, attempt, error, delay)
        if delay is None:
            self._bury(lane, entry, attempt, f"it failed in each of {attempt} attempts", error)
            return
        due = self._clock.now() + delay
        self._settler.retry(lane, entry, due, attempt, said(error), lambda: self.scheduled(lane, due))

    def _bury(self, lane: Lane, entry: Entry, attempts: int, reason: str, error: BaseException | None = None) -> None:
        text = "" if error is None else "".join(traceback.format_exception(error))
        letter = DeadLetter(
            event=lane.subscription.event,
            group=lane.subscription.group,
            entry_id=entry.id,
            reason=reason,
            attempts=attempts,
            dead_at=self._clock.now(),
            error="" if error is None else said(error),
            traceback=text if len(text) <= LONGEST_TRACEBACK else f"… {text[-LONGEST_TRACEBACK:]}",
            consumer=self._consumer,
            fields=entry.fields,
        )
        self._settler.bury(lane, entry, letter)


def said(error: BaseException) -> str:
    """Return an error's type and text in one line, even where its own `__str__` fails."""
    try:
        return printable("".join(traceback.format_exception_only(error)).strip())
    except Exception:  # noqa: BLE001 - the error path depends on nothing of the user's
        return type(error).__name__
