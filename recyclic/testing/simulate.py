"""simulate(): an isolated host, events made from a schema, faults on purpose, and a verdict on who was reached."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from recyclic.config import Config
from recyclic.core.events.event import Envelope, Event
from recyclic.core.events.observer import Observer
from recyclic.core.events.subscription import Subscription
from recyclic.core.module_source import discover
from recyclic.core.outside_world import outside_worlds
from recyclic.errors import Problem, RecyclicError
from recyclic.nearest import nearest
from recyclic.testing import faults
from recyclic.testing.boot import boot_modules
from recyclic.testing.errors import KitError, SettleError
from recyclic.testing.host import ModuleHost
from recyclic.testing.payloads import payloads

Kind = Literal["emitted", "handled", "failed", "dead"]

SETTLE_WITHIN = 60.0
"""Real seconds in which everything must have come to rest after the last event."""

_ALLOWED = "the simulation reports it"
_ALLOW = dict.fromkeys(("handler_errors", "dead_letters", "refused_events", "tasks", "threads"), _ALLOWED)


class SimulationError(RecyclicError):
    """Raised when a simulation cannot be run as it was asked for; nothing was emitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """What to do: `times` events, `fail` module → how many of its handlings fail first."""

    event: str
    times: int = 1
    fail: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    modules: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)
    backend: Literal["fake", "server"] = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that travelled. `at` is in real seconds since the first emission."""

    at: float
    kind: Kind
    event: str
    id: str
    module: str
    attempt: int = 0
    detail: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The payload, of what was emitted."""


Watcher = Callable[[Happening], None]


@dataclass(slots=True)
class Reach:
    """One consumer group of one event: how often each event was handled by it."""

    event: str
    group: str
    module: str
    handled: dict[str, int] = field(default_factory=dict)
    retried: int = 0
    dead: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """From emission to the end of the handler that returned."""

    @property
    def name(self) -> str:
        """Return the module, with the group's own name where it is one of several."""
        own = self.group.partition(".")[2]
        return f"{self.module} ({own})" if own else self.module


@dataclass(slots=True)
class Outcome:
    """What came of a simulation."""

    simulation: Simulation
    backend: str = ""
    emitted: dict[str, list[str]] = field(default_factory=dict)
    """Event → ids, in the order of emission; what modules emitted in turn is among them."""
    reaches: dict[tuple[str, str], Reach] = field(default_factory=dict)
    unsettled: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> tuple[str, ...]:
        """Return what is true of every event that was emitted, one line for each module that handles it."""
        lines = [self.unsettled] if self.unsettled else []
        main = self.simulation.event
        if not any(reach.event == main for reach in self.reaches.values()):
            lines.append(f"no booted module handles {main}: it reached nobody")
        ordered = sorted(self.reaches.values(), key=lambda reach: (reach.event != main, reach.event, reach.name))
        return (*lines, *(self._judged(reach) for reach in ordered if self.emitted.get(reach.event)))

    @property
    def reached(self) -> bool:
        """Return whether every emitted event was handled exactly once by everyone who handles it."""
        main = [reach for reach in self.reaches.values() if reach.event == self.simulation.event]
        return bool(main) and not self.unsettled and all(self._once(reach) for reach in self.reaches.values())

    @property
    def exit_code(self) -> int:
        """Return 0 when all were reached exactly once, else 1."""
        return 0 if self.reached else 1

    def _once(self, reach: Reach) -> bool:
        return not reach.dead and all(reach.handled.get(key) == 1 for key in self.emitted.get(reach.event, ()))

    def _judged(self, reach: Reach) -> str:
        ids = self.emitted[reach.event]
        if self._once(reach):
            return f"every {reach.event} reached {reach.name} exactly once"
        missing = [key for key in ids if not reach.handled.get(key)]
        often = [key for key in ids if reach.handled.get(key, 0) > 1]
        parts = []
        if missing:
            dead = f", {len(reach.dead)} of them in the dead letters" if reach.dead else ""
            parts.append(f"{len(missing)} of {len(ids)} {reach.event} did not reach {reach.name}{dead}")
        if often:
            parts.append(f"{len(often)} of {len(ids)} {reach.event} reached {reach.name} more than once")
        return "; ".join(parts) or f"{len(reach.dead)} {reach.event} of {reach.name} are in the dead letters"


class _Recorder(Observer):
    """Turns what the bus tells into the outcome, and tells the watcher."""

    def __init__(self, outcome: Outcome, watcher: Watcher) -> None:
        self._outcome = outcome
        self._watcher = watcher
        self._began = time.perf_counter()
        self._emitted_at: dict[str, float] = {}
        self._ids: dict[tuple[str, str], str] = {}

    def emitted(self, envelope: Envelope, entry_id: str) -> None:
        self._emitted_at[envelope.id] = time.perf_counter()
        self._ids[envelope.event, entry_id] = envelope.id
        self._outcome.emitted.setdefault(envelope.event, []).append(envelope.id)
        self._tell("emitted", envelope.event, envelope.id, envelope.source, data=envelope.data)

    def handled(self, envelope: Envelope, module: str, group: str, attempt: int, seconds: float) -> None:
        del seconds
        reach = self._outcome.reaches[envelope.event, group]
        reach.handled[envelope.id] = reach.handled.get(envelope.id, 0) + 1
        reach.seconds.append(time.perf_counter() - self._emitted_at.get(envelope.id, self._began))
        self._tell("handled", envelope.event, envelope.id, module, attempt=attempt)

    def failed(
        self,
        envelope: Envelope,
        module: str,
        group: str,
        attempt: int,
        error: BaseException,
        retry_in: float | None,
    ) -> None:
        self._outcome.reaches[envelope.event, group].retried += retry_in is not None
        after = "no attempt is left" if retry_in is None else f"again in {retry_in:g} s of the host's clock"
        detail = f"{type(error).__name__}: {error} ({after})"
        self._tell("failed", envelope.event, envelope.id, module, attempt=attempt, detail=detail)

    def dead(self, entry_id: str, event: str, module: str, group: str, attempt: int, reason: str) -> None:
        key = self._ids.get((event, entry_id), entry_id)
        self._outcome.reaches[event, group].dead.append(key)
        self._tell("dead", event, key, module, attempt=attempt, detail=reason)

    def _tell(self, kind: Kind, event: str, key: str, module: str, **more: Any) -> None:
        at = time.perf_counter() - self._began
        self._watcher(Happening(at=at, kind=kind, event=event, id=key, module=module, **more))


async def simulate(config: Config, simulation: Simulation, watcher: Watcher = lambda _happening: None) -> Outcome:
    """Boot the modules with stand-ins for the outside world, emit, wait until all is at rest, and judge.

    Nothing of the installation is touched: the host has a temporary folder, a database and a Redis of its own, and
    `config` says only which modules there are. Retries cost no time: the host's clock moves to what is due.

    Raises:
        SimulationError: it cannot be run as asked; nothing was emitted.
    """
    outcome = Outcome(simulation)
    try:
        async with _booted(config, simulation) as host:
            event, active = _prepared(host, simulation)
            made = list(payloads(event, Random(simulation.seed), simulation.times, simulation.payload))  # noqa: S311
            broker = host.life.broker
            outcome.backend = host.setting().backend
            for each in broker.subscriptions:
                outcome.reaches[each.pair] = Reach(each.event, each.group, each.module)
            broker.observers.add(_Recorder(outcome, watcher))
            began = time.perf_counter()
            try:
                async with host.act(f"simulate {event.name}", *active, expect_errors=True):
                    for data in made:
                        await host.bus.emit(event.name, **data)
            except SettleError as error:
                outcome.unsettled = str(error).partition("\n")[0]
            outcome.seconds = time.perf_counter() - began
    except KitError as error:
        raise SimulationError(str(error)) from error
    return outcome


@asynccontextmanager
async def _booted(config: Config, simulation: Simulation) -> AsyncIterator[ModuleHost]:
    sources = discover(config)
    names = simulation.modules or config.modules.enabled
    if not names:
        raise SimulationError(Problem("no module is enabled", remedy="name some with --modules"))
    if unknown := [name for name in names if name not in sources]:
        raise SimulationError(
            [Problem(f"there is no module {name!r}", remedy=nearest(name, sources)) for name in unknown]
        )
    async with (
        outside_worlds([sources[name] for name in names]) as worlds,
        boot_modules(
            *names,
            deps="all",
            settings=worlds,
            backend=simulation.backend,
            config=config,
            settle_within=SETTLE_WITHIN,
            allow=_ALLOW,
            serve_ui=False,
        ) as host,
    ):
        yield host


def _prepared(host: ModuleHost, simulation: Simulation) -> tuple[type[Event], list[faults.Fault]]:
    """Return the event's class and the faults, or raise for what makes no sense."""
    broker = host.life.broker
    event = broker.catalogue.get(simulation.event)
    if event is None:
        known = ", ".join(sorted(broker.catalogue)) or "none"
        remedy = nearest(simulation.event, broker.catalogue) or f"there are: {known}"
        raise SimulationError(Problem(f"no booted module publishes {simulation.event!r}", remedy=remedy))
    handling = {each.module for each in _handlers(host, event.name)}
    if problems := [
        Problem(
            f"--fail {module}={count}: {module} does not handle {event.name}",
            remedy=f"it is handled by: {', '.join(sorted(handling)) or 'nobody'}",
        )
        for module, count in simulation.fail.items()
        if module not in handling
    ]:
        raise SimulationError(problems)
    return event, [
        faults.handler(module, event.name, fail=count) for module, count in simulation.fail.items() if count > 0
    ]


def _handlers(host: ModuleHost, event: str) -> list[Subscription]:
    return [each for each in host.life.broker.subscriptions if each.event == event]


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of `values` lie (nearest rank); 0 without values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0
