"""Metrics: what a Prometheus server reads at `/metrics`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from recyclic.core.events.condition import BusCondition, BusWatch
from recyclic.core.events.tally import Tally
from recyclic.core.http import ApiError
from recyclic.core.permissions import current_user

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.broker import Broker

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which the processes of one machine gather their counters."""
GATHER_SECONDS = 1.0
"""How often a process adds its numbers to the folder."""

router = APIRouter(tags=["metrics"])


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Return all metrics in Prometheus' text format, to whoever has the token of `[metrics]` or administers."""
    await _admit(request)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(await request.app.state.metrics.read()), media_type=content_type)


async def _admit(request: Request) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        token = request.app.state.config.metrics.token
        if token and secrets.compare_digest(given.strip().encode(), token.encode()):
            return
        raise ApiError(401, "bad_token", "This is not the token of [metrics] in config.toml.")
    if not (await current_user(request)).is_administrator:
        raise ApiError(403, "not_allowed", "Metrics are for administrators, and for who has the token of [metrics].")


class Metrics:
    """The metrics of one host. Counters are this process's, or gathered from all of them where `SHARED` names a folder.

    Handlers only raise plain numbers in `tally`; they become counters when somebody reads, or once a second where they
    are gathered. Gauges are asked for when somebody reads: they are of the shop, not of a process.
    """

    def __init__(self, tally: Tally, broker: Broker, watch: BusWatch) -> None:
        self._tally = tally
        self._broker = broker
        self._watch = watch
        self._registry = CollectorRegistry()
        self._counters = {name: self._counter(name, text, labels) for name, (text, labels) in _COUNTERS.items()}
        self._told: dict[tuple[str, tuple[str, ...]], float] = {}

    @property
    def gathered(self) -> bool:
        """Return whether the processes of this machine gather their counters."""
        return SHARED in os.environ

    async def read(self) -> CollectorRegistry:
        """Return everything at this moment."""
        self.gather()
        condition = await self._watch.read()
        registry = CollectorRegistry()
        if self.gathered:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._registry)
        registry.register(_Gauges(condition, self._broker.clock.now()))
        return registry

    async def run(self, clock: Clock) -> None:
        """Add this process's numbers to the folder again and again, until cancelled."""
        while True:
            self.gather()
            await clock.wait(GATHER_SECONDS)

    def gather(self) -> None:
        """Bring the counters to where the tally is."""
        for name, labels, value in _counted(self._tally, self._broker):
            before = self._told.get((name, labels), 0.0)
            counter = self._counters[name]
            (counter.labels(*labels) if labels else counter).inc(value - before)
            self._told[name, labels] = value

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"recyclic_{name}", text, labels, registry=self._registry)


_GROUP = ("event", "group")
_COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "events_emitted": ("Events appended to their stream", ("event",)),
    "events_stored": ("Events stored with a transaction", ("event",)),
    "events_handled": ("Events whose handler returned", _GROUP),
    "events_failed": ("Attempts that ended with an error", _GROUP),
    "events_retried": ("Retries that were scheduled", _GROUP),
    "events_dead": ("Events that became dead letters", _GROUP),
    "handlers_seconds": ("Seconds spent in handlers that returned", _GROUP),
    "events_claimed": ("Events taken over from dead processes", ()),
    "leases_lost": ("Events taken over by others while their handler ran here", ()),
    "outbox_resent": ("Events sent again because Redis had lost them", ()),
}


def _counted(tally: Tally, broker: Broker) -> Iterator[tuple[str, tuple[str, ...], float]]:
    for event, count in list(tally.emitted_of.items()):
        yield "events_emitted", (event,), count
    for event, count in list(tally.stored_of.items()):
        yield "events_stored", (event,), count
    for pair, group in list(tally.groups.items()):
        yield "events_handled", pair, group.handled
        yield "events_failed", pair, group.failed
        yield "events_retried", pair, group.retried
        yield "events_dead", pair, group.dead
        yield "handlers_seconds", pair, group.seconds
    yield "events_claimed", (), broker.claimed
    yield "leases_lost", (), broker.lost_leases
    yield "outbox_resent", (), broker.outbox.resent if broker.outbox else 0


class _Gauges(Collector):
    """The condition of the bus, as metrics."""

    def __init__(self, condition: BusCondition, now: float) -> None:
        self._condition = condition
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge that could be asked for."""
        found = self._condition
        yield _gauge("redis_up", "Whether Redis takes writes", int(found.redis is None))
        if found.outbox_depth is not None and found.outbox_age is not None:
            yield _gauge("outbox_depth", "Events that wait in the outbox", found.outbox_depth)
            yield _gauge("outbox_age_seconds", "How long the oldest of them has waited", found.outbox_age)
        checks = GaugeMetricFamily("recyclic_check_failed", "Whether a health check of the bus fails", labels=["check"])
        for name, text in found.checks().items():
            if text != "unknown":
                checks.add_metric([name], int(bool(text)))
        yield checks
        if found.events is not None:
            yield from self._events()

    def _events(self) -> Iterator[Metric]:
        events, limit = self._condition.events or {}, self._condition.settings.hard_limit
        length = GaugeMetricFamily("recyclic_stream_length", "Entries of a stream", labels=["event"])
        over = GaugeMetricFamily("recyclic_stream_over_limit", "Whether it is beyond its hard limit", labels=["event"])
        texts = {
            "unread": "Events that the group has not read",
            "pending": "Events that are being handled or wait for a retry",
            "oldest_unacked_seconds": "Age of the oldest event that the group has not acked",
            "dead_letters": "Dead letters that wait for a decision",
        }
        groups: dict[str, Any] = {
            name: GaugeMetricFamily(f"recyclic_group_{name}", text, labels=_GROUP) for name, text in texts.items()
        }
        for event, gauge in events.items():
            length.add_metric([event], gauge.length)
            over.add_metric([event], int(gauge.length > limit))
            for group, state in gauge.groups.items():
                age = 0.0 if state.oldest is None else max(0.0, self._now - state.oldest)
                values = (state.unread, state.pending, age, state.dead_letters)
                for family, value in zip(groups.values(), values, strict=True):
                    family.add_metric([event, group], value)
        yield from (length, over, *groups.values())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"recyclic_{name}", text, value=value)
