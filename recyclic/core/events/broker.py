"""Broker: the host's side of the bus. It hands modules their view, appends what they emit and runs their handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from recyclic.core.clock import Clock, SystemClock
from recyclic.core.events.bus import EventBus
from recyclic.core.events.cancellation import cancelled
from recyclic.core.events.consumer import Consumer
from recyclic.core.events.context import Cause
from recyclic.core.events.dead_letters import DeadLetters
from recyclic.core.events.entries import Snapshot
from recyclic.core.events.event import Envelope, Event, timestamp
from recyclic.core.events.handover import HandOver
from recyclic.core.events.ids import new_id
from recyclic.core.events.observer import Observer, Observers
from recyclic.core.events.outbox import Letter, Outbox
from recyclic.core.events.port import Streams
from recyclic.core.events.retention import Janitor
from recyclic.core.events.settings import BrokerSettings
from recyclic.core.events.subscription import Delivery, HandlerMiddleware, Subscription
from recyclic.errors import BusError, EventError, Problem

if TYPE_CHECKING:
    from recyclic.core.database import Database, UnitOfWork

__all__ = ["Broker", "BrokerSettings", "Delivery", "HandlerMiddleware"]

DOUBTFUL = 1000
"""Appends of unknown outcome that are remembered until a delivery settles the question."""


class Broker:
    """One process's bus.

    Life: `scoped` for each module, `start`, `consume` where this process runs handlers, `drain`, `close`. After a
    `drain` or a `crash` it can `consume` again, as another consumer.
    """

    def __init__(
        self,
        streams: Streams,
        clock: Clock | None = None,
        *,
        observers: Sequence[Observer] = (),
        around: HandlerMiddleware | None = None,
        database: Database | None = None,
        settings: BrokerSettings | None = None,
    ) -> None:
        self.streams = streams
        self.clock = clock or SystemClock()
        self.settings = settings or BrokerSettings()
        self.observers = Observers(observers)
        self.dead_letters = DeadLetters(streams, self.clock)
        self.outbox = None
        if database is not None:
            self.outbox = Outbox(
                database, self.clock, self.settings, self.hand_over, streams.handed_over, self.observers.stored
            )
        self.janitor = Janitor(streams, self.clock, self.settings, lambda: self.events)
        self._around = around
        self._subscriptions: dict[tuple[str, str], Subscription] = {}
        self._buses: dict[str, EventBus] = {}
        self._paused: set[str] = set()
        self._consumer: Consumer | None = None
        self._standing: set[asyncio.Task[None]] = set()
        self._appending: dict[str, bool] = {}
        self._doubtful: dict[str, bool] = {}
        self._lost_leases = 0
        self._claimed = 0

    def scoped(self, module_id: str, *, group: str | None = None, emits: Iterable[type[Event]] = ()) -> EventBus:
        """Return the module's view of the bus; its group defaults to its id.

        Raises:
            EventError: another module declares an event of the same name.
        """
        bus = EventBus(self, module_id, group or module_id, emits)
        for other in self._buses.values():
            for name in bus.emits.keys() & other.emits.keys():
                if other.module != module_id and other.emits[name] is not bus.emits[name]:
                    what = f"the event {name!r} is declared by {other.module} too"
                    raise EventError(Problem(what, f"module {module_id}", "rename one of them"))
        self._buses[module_id] = bus
        return bus

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return every handler, in the order of their registration."""
        return tuple(self._subscriptions.values())

    @property
    def catalogue(self) -> Mapping[str, type[Event]]:
        """Return every event that a module declares, by name."""
        return {name: event for bus in self._buses.values() for name, event in bus.emits.items()}

    def subscribe(self, subscription: Subscription) -> None:
        """Register a handler; `EventBus.on` calls this.

        Raises:
            EventError: this process consumes already, or the event has such a handler in the module.
        """
        where = f"module {subscription.module}, on({subscription.event!r})"
        if self._consumer is not None:
            raise EventError(Problem("the bus runs already", where, "subscribe in register_signals"))
        other = self._subscriptions.get(subscription.pair)
        if other is not None:
            if other.module != subscription.module:
                what = f"module {other.module} has the same group {other.group!r}"
                raise EventError(Problem(what, where, "give each module a group of its own ([events] group)"))
            what = "the event has an unnamed handler" if other.name is None else f"there is a handler {other.name!r}"
            raise EventError(Problem(what, where, "give each further handler a name of its own: on(…, name='…')"))
        self._subscriptions[subscription.pair] = subscription

    def withdraw(self, module_id: str) -> None:
        """Forget a module's handlers and events, so that it can register again. Only while nothing is consumed."""
        if self._consumer is not None:
            raise BusError(Problem("the bus runs", f"module {module_id}", "drain it before a module is withdrawn"))
        self._buses.pop(module_id, None)
        self._subscriptions = {pair: sub for pair, sub in self._subscriptions.items() if sub.module != module_id}

    async def start(self) -> None:
        """Create the groups that are missing, at the first retained entry, and start the relay and the janitor."""
        await self.streams.ensure_groups(self._subscriptions)
        if not self._standing:
            self._stand(self.janitor.run(), "recyclic-bus-janitor")
            if self.outbox is not None:
                self._stand(self.outbox.run(), "recyclic-bus-relay")

    def consume(self) -> None:
        """Run the handlers, in the background, until `drain`."""
        if self._consumer is not None:
            return
        self._consumer = Consumer(
            self.streams, self.clock, self.observers, self._around, self._subscriptions.values(), self.settings
        )
        self._consumer.worker.announce = self._announce
        self._consumer.worker.catalogue = self.catalogue
        self._apply_pauses()
        self._consumer.start()

    @property
    def consumer(self) -> str | None:
        """Return the name under which this process consumes; another one after each `consume`."""
        return None if self._consumer is None else self._consumer.name

    @property
    def tasks(self) -> frozenset[asyncio.Task[None]]:
        """Return the tasks that the bus itself runs, handlers included."""
        return frozenset(self._standing) | frozenset(self._consumer.tasks if self._consumer else ())

    @property
    def busy(self) -> int:
        """Return how many appends and entries this process has in hand at this moment."""
        return len(self._appending) + (self._consumer.busy if self._consumer else 0)

    @property
    def unconfirmed(self) -> int:
        """Return how many outcomes of handlers Redis has not confirmed yet."""
        return self._consumer.settler.waiting if self._consumer else 0

    @property
    def listening(self) -> Mapping[str, str] | None:
        """Return where each stream was known to end when this process began to wait for news; None while it does not.

        Positions compare for equality only, with those of `Streams.tails`.
        """
        return self._consumer.listening if self._consumer else None

    @property
    def lost_leases(self) -> int:
        """Return how many entries were taken over by others while their handler ran here."""
        return self._lost_leases + (self._consumer.settler.lost_leases if self._consumer else 0)

    @property
    def claimed(self) -> int:
        """Return how many entries this process took over from dead ones."""
        return self._claimed + (self._consumer.intake.claimed if self._consumer else 0)

    @property
    def events(self) -> frozenset[str]:
        """Return every event that a module of this host declares or handles."""
        return frozenset({*self.catalogue, *(event for event, _ in self._subscriptions)})

    def wake(self) -> None:
        """Look at everything now: new entries, due retries, the outbox."""
        if self._consumer is not None:
            self._consumer.wake()
        if self.outbox is not None:
            self.outbox.wake()

    def claim_from(self, consumer: str) -> None:
        """Take another consumer for dead at once, without waiting for its lease to run out."""
        if self._consumer is not None:
            self._consumer.claim_from(consumer)

    def pause(self, module_id: str) -> None:
        """Stop reading for a module; what it has in hand is finished."""
        self._paused.add(module_id)
        self._apply_pauses()

    def resume(self, module_id: str) -> None:
        """Read for a module again."""
        self._paused.discard(module_id)
        self._apply_pauses()
        self.wake()

    async def drain(self, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - of the host's clock, not the loop's
        """Stop consuming: finish the running handlers, flush their acks, hand the rest back to other processes."""
        consumer = self._consumer
        if consumer is not None:
            await consumer.drain(timeout)
            self._retire(consumer)

    async def crash(self) -> str | None:
        """Die as a killed process does, for tests: no ack, nothing handed back. Return the dead consumer's name."""
        consumer = self._consumer
        if self.outbox is not None:
            self.outbox.die()
        if consumer is not None:
            await consumer.crash()
            self._retire(consumer)
        await self._stop_standing()
        return None if consumer is None else consumer.name

    async def close(self) -> None:
        """Drain, and stop everything else. The streams belong to the caller."""
        await self.drain()
        await self._stop_standing()

    async def snapshot(self) -> Snapshot:
        """Return the state of every group of this host at one moment."""
        return await self.streams.snapshot(list(self._subscriptions))

    def seal(self, event: type[Event], source: str, data: Mapping[str, Any], cause: Cause, where: str) -> Envelope:
        """Put a validated payload into an envelope.

        Raises:
            EventError: JSON cannot hold it, for example an integer beyond 64 bits.
        """
        try:
            body = orjson.dumps(data)
        except TypeError as error:
            raise EventError(Problem(f"the payload cannot be written as JSON: {error}", where)) from error
        now = self.clock.now()
        event_id = new_id(now)
        return Envelope(
            id=event_id,
            event=event.name,
            source=source,
            time=timestamp(now),
            version=event.version,
            data=data,
            body=body,
            correlation_id=cause[0] or event_id,
            causation_id=cause[1],
        )

    async def emit(self, envelope: Envelope) -> str:
        """Append an envelope to its event's stream and return its id.

        Raises:
            BusError: Redis could not be reached; the event may or may not have been written.
        """
        self._appending[envelope.id] = False
        try:
            entry_id = await self.streams.append(envelope.event, envelope.encode())
            self._announce(envelope, entry_id)
        except (OSError, TimeoutError) as error:
            raise BusError(
                Problem(f"{envelope.event} could not be emitted: {error}", "redis", "emit it with bus.within(uow)")
            ) from error
        except BaseException:
            self._doubt(envelope.id)
            raise
        finally:
            self._appending.pop(envelope.id, None)
        return envelope.id

    async def hand_over(self, event: str, letters: Sequence[Letter], confirmed: str) -> HandOver:
        """Append what the outbox holds of an event, as a whole; see `Streams.hand_over`.

        Raises:
            BusError: Redis could not be reached; the events may or may not have been written.
        """
        for envelope, _ in letters:
            self._appending[envelope.id] = False
        try:
            done = await self.streams.hand_over(event, [fields for _, fields in letters], confirmed)
            for (envelope, _), entry_id in zip(letters, done.ids, strict=False):
                self._announce(envelope, entry_id)
        except (OSError, TimeoutError) as error:
            raise BusError(Problem(f"{event} could not be handed over: {error}", "redis")) from error
        except BaseException:
            for envelope, _ in letters:
                self._doubt(envelope.id)
            raise
        finally:
            for envelope, _ in letters:
                self._appending.pop(envelope.id, None)
        return done

    async def store(self, uow: UnitOfWork, envelope: Envelope) -> None:
        """Store an envelope with a transaction; the relay sends it after the commit."""
        if self.outbox is None:
            raise BusError(Problem("there is no outbox: the host has no database", "bus.within"))
        await self.outbox.store(uow, envelope)

    def _announce(self, envelope: Envelope, entry_id: str) -> None:
        """Tell of an append exactly once and before its first delivery, whichever of the two we hear of first."""
        if self._appending.get(envelope.id) is False:
            self._appending[envelope.id] = True
            self.observers.emitted(envelope, entry_id)
        elif self._doubtful and self._doubtful.pop(envelope.id, False):
            self.observers.emitted(envelope, entry_id)

    def _doubt(self, event_id: str) -> None:
        """Remember an append that failed and may have happened: its first delivery tells, if it comes."""
        if not self._appending[event_id]:
            self._doubtful[event_id] = True
        while len(self._doubtful) > DOUBTFUL:
            del self._doubtful[next(iter(self._doubtful))]

    def _apply_pauses(self) -> None:
        for lane in self._consumer.lanes if self._consumer else ():
            lane.paused = lane.subscription.module in self._paused

    def _stand(self, coroutine: Any, name: str) -> None:
        self._standing.add(asyncio.create_task(coroutine, name=name))

    def _retire(self, consumer: Consumer) -> None:
        self._lost_leases += consumer.settler.lost_leases
        self._claimed += consumer.intake.claimed
        if self._consumer is consumer:
            self._consumer = None

    async def _stop_standing(self) -> None:
        tasks, self._standing = self._standing, set()
        await cancelled(tasks)
