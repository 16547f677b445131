"""Feeding: hands a booted module events that its producers may send, over the real bus."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI

from recyclic.core.events.broker import Broker
from recyclic.core.events.event import Envelope
from recyclic.core.events.observer import Observer
from recyclic.testing.contract.job import Job, Sample, Wire
from recyclic.testing.contract.observed import Delivery, Failure
from recyclic.testing.contract.probe import Entering
from recyclic.testing.contract.survey import failure_of
from recyclic.testing.contract.watch import Watch


class Ear(Observer):
    """Hears how each delivery of the module ended."""

    def __init__(self) -> None:
        self.ended: dict[tuple[str, str], BaseException | str | None] = {}
        self.entries: dict[str, str] = {}
        self.news = asyncio.Event()

    def handled(self, envelope: Envelope, module: str, group: str, attempt: int, seconds: float) -> None:
        """The handler returned."""
        del module, attempt, seconds
        self._end(envelope.id, group, None)

    def failed(  # noqa: D102 - as Observer says
        self, envelope: Envelope, module: str, group: str, attempt: int, error: BaseException, retry_in: float | None
    ) -> None:
        del module, attempt, retry_in
        self._end(envelope.id, group, error)

    def dead(self, entry_id: str, event: str, module: str, group: str, attempt: int, reason: str) -> None:
        """The entry was given up."""
        del event, module, attempt
        if entry_id in self.entries:
            self._end(self.entries[entry_id], group, reason)

    def _end(self, envelope_id: str, group: str, how: BaseException | str | None) -> None:
        self.ended.setdefault((envelope_id, group), how)
        self.news.set()


class Feeder:
    """Delivers each sample to each handler and tells how it went."""

    def __init__(self, job: Job, wire: Wire, watch: Watch, steps: Entering) -> None:
        self._job = job
        self._wire = wire
        self._watch = watch
        self._steps = steps
        self.ear = Ear()

    async def run(self, app: FastAPI) -> None:
        """Deliver one sample after the other."""
        broker: Broker = app.state.broker
        handlers: dict[str, dict[str, str]] = {}
        for subscription in broker.subscriptions:
            name = getattr(subscription.handler, "__name__", type(subscription.handler).__name__)
            handlers.setdefault(subscription.event, {})[subscription.group] = name
        for sample in self._job.samples:
            if groups := handlers.get(sample.event):
                self._steps.enter(f"{sample.event} to {', '.join(groups.values())}")
                await self._deliver(broker, sample, groups)

    async def _deliver(self, broker: Broker, sample: Sample, groups: Mapping[str, str]) -> None:
        envelope = Envelope(
            id=str(uuid.uuid4()),
            event=sample.event,
            source=sample.producer,
            time=datetime.now(UTC),
            version=sample.version,
            data=sample.payload,
        )
        denied = len(self._watch.denied)
        entry = await broker.streams.append(sample.event, envelope.encode())
        self.ear.entries[entry] = envelope.id
        broker.wake()
        wanted = {(envelope.id, group) for group in groups}
        try:
            async with asyncio.timeout(self._steps.limit):
                while not wanted <= self.ear.ended.keys():
                    self.ear.news.clear()
                    await self.ear.news.wait()
        except TimeoutError:
            pass
        for group, handler in groups.items():
            how = self.ear.ended.get((envelope.id, group), "no answer within the limit")
            failure: Failure | None = failure_of(how, self._watch) if isinstance(how, BaseException) else None
            self._wire.tell(
                Delivery(
                    event=sample.event,
                    producer=sample.producer,
                    payload=dict[str, Any](sample.payload),
                    handler=handler,
                    failure=failure,
                    reason=how if isinstance(how, str) else "",
                    denied=len(self._watch.denied) > denied,
                )
            )
