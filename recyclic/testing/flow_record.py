"""What the hosts of a test run exercised: for each event and consumer, how often each outcome came about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from recyclic.testing.doubles import Spy
from recyclic.testing.journal import Kind, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from recyclic.testing.host import ModuleHost

Flow = tuple[str, str]
"""An event, and who consumes it: a module, or `module (name)` for one of its named handlers."""


class Outcome(StrEnum):
    """What may become of an event at a consumer."""

    OK = "ok"
    RETRIED = "retried"
    DEAD_LETTERED = "dead-lettered"
    DUPLICATED = "duplicated"


@dataclass(slots=True)
class FlowRecord:
    """What was booted, which flows there were in it, and what was exercised."""

    hosts: int = 0
    booted: set[str] = field(default_factory=set)
    """The modules that were booted for real."""
    flows: dict[Flow, Counter[str]] = field(default_factory=dict)

    def add(self, other: FlowRecord) -> None:
        """Take over what another process recorded."""
        self.hosts += other.hosts
        self.booted |= other.booted
        for flow, outcomes in other.flows.items():
            self.flows.setdefault(flow, Counter()).update(outcomes)

    def dump(self) -> dict[str, Any]:
        """Return it as plain values, for another process."""
        flows = [[*flow, dict(outcomes)] for flow, outcomes in self.flows.items()]
        return {"hosts": self.hosts, "booted": sorted(self.booted), "flows": flows}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Self:
        """Read what `dump` returned."""
        flows = {(event, consumer): Counter(outcomes) for event, consumer, outcomes in values["flows"]}
        return cls(values["hosts"], set(values["booted"]), flows)


class FlowRecorder:
    """Follows the hosts that are booted in this process while it is active."""

    def __init__(self) -> None:
        self.record = FlowRecord()
        self._flows: dict[ModuleHost, dict[tuple[str, str], Flow]] = {}

    def start(self) -> None:
        """Follow every host that is booted from now on."""
        _active.append(self)

    def stop(self) -> None:
        """Follow no more."""
        _active.remove(self)

    def booted(self, host: ModuleHost) -> None:
        """Take over which flows there are: the subscriptions of the modules that the registry found."""
        modules = {
            module.id
            for module in host.app.state.registry
            if not isinstance(module.instance, Spy) and module.source.manifest_path.is_file()
        }
        flows = {
            subscription.pair: (subscription.event, consumer_name(subscription.module, subscription.name))
            for subscription in host.life.broker.subscriptions
            if subscription.module in modules
        }
        self._flows[host] = flows
        self.record.hosts += 1
        self.record.booted |= modules
        for flow in flows.values():
            self.record.flows.setdefault(flow, Counter())

    def ended(self, host: ModuleHost) -> None:
        """Take over what happened in a host."""
        flows = self._flows.pop(host, {})
        for pair, outcome in outcomes(host.journal.records):
            if pair in flows:
                self.record.flows[flows[pair]][outcome.value] += 1


_active: list[FlowRecorder] = []


def booted(host: ModuleHost) -> None:
    """Tell whoever follows that a host was booted."""
    for recorder in _active[-1:]:  # a pytest run inside another has a recorder of its own
        recorder.booted(host)


def ended(host: ModuleHost) -> None:
    """Tell whoever follows that a host has ended."""
    for recorder in _active[-1:]:
        recorder.ended(host)


def consumer_name(module: str, handler: str | None) -> str:
    """Return how a consumer is called."""
    return f"{module} ({handler})" if handler else module


def outcomes(records: Iterable[Record]) -> Iterator[tuple[tuple[str, str], Outcome]]:
    """Yield what became of events, each as (event, group) and outcome.

    Ok: a handler returned. Retried: it was called again after an attempt that failed, or whose worker died.
    Duplicated: it was called again for an event that it had handled already, or was handling.
    """
    calls: dict[tuple[str, str], _Calls] = {}
    for record in records:
        if record.kind is Kind.DIED and record.envelope is None:  # the only process, with all that ran in it
            for each in calls.values():
                each.died()
            continue
        of_event = calls.setdefault((record.envelope_id, record.group), _Calls())
        outcome = of_event.outcome(record.kind)
        if outcome is not None:
            yield (record.event, record.group), outcome


@dataclass(slots=True)
class _Calls:
    """Where one event stands at one consumer."""

    running: int = 0
    handled: bool = False
    broken: bool = False
    """Whether an attempt failed, or its worker died."""

    def outcome(self, kind: Kind) -> Outcome | None:
        """Return the outcome that a record of this kind tells of."""
        match kind:
            case Kind.DELIVERED:
                again = Outcome.DUPLICATED if self.handled or self.running else Outcome.RETRIED
                first = not (self.handled or self.running or self.broken)
                self.running += 1
                return None if first else again
            case Kind.HANDLED | Kind.FAILED | Kind.DIED:
                ok = kind is Kind.HANDLED
                self.running, self.handled, self.broken = max(0, self.running - 1), self.handled or ok, not ok
                return Outcome.OK if ok else None
            case Kind.REPEATED:
                return Outcome.DUPLICATED
            case Kind.DEAD:
                return Outcome.DEAD_LETTERED
            case _:
                return None

    def died(self) -> None:
        """The worker died: what was running has ended badly."""
        self.broken, self.running = self.broken or bool(self.running), 0
