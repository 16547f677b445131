"""RCY6: modules say which events they publish and handle, and what one sends is what the other takes."""

from __future__ import annotations

import json
from collections.abc import Iterator

from recyclic.testing.contract.agreement import disagreement
from recyclic.testing.contract.case import Case
from recyclic.testing.contract.finding import Breach, Place, Severity
from recyclic.testing.contract.observed import EventFact, Need, Subscription, Survey
from recyclic.testing.contract.rule import Evidence, rule
from recyclic.testing.contract.rules.code import told


def producers(case: Case, event: str) -> list[tuple[str, EventFact]]:
    """Return every enabled module that publishes `event`, with the event as it sends it."""
    return [
        (other.id, fact)
        for other in case.world.values()
        if isinstance(survey := other.facts.get("survey"), Survey)
        for fact in survey.emits
        if fact.name == event
    ]


@rule(
    "RCY601",
    "emitted events are not what the manifest declares",
    why="The manifest tells who publishes what without running anything; other modules build on it.",
    remedy="Make [events] emits of module.toml and `emits` of the module class name the same events.",
    needs=Evidence.SURVEY,
)
def emits_are_declared(case: Case) -> Iterator[Breach]:
    """Yield events that stand in only one of manifest and class, and those emitted by a name that stands in neither."""
    declared = set(case.manifest.events.emits)
    survey = case.survey
    if not survey.runnable:
        return
    actual = {event.name for event in survey.emits}
    place = Place(file=str(case.manifest.path), key="[events] emits")
    for name in sorted(actual - declared):
        yield Breach(f"the class emits {name}, which the manifest does not declare", place)
    for name in sorted(declared - actual):
        yield Breach(f"the manifest declares {name}, which the class does not emit", place)
    for call in survey.emit_calls:
        if call.event not in actual | declared:
            yield Breach(f"{call.event} is emitted and declared nowhere", call.place)


@rule(
    "RCY602",
    "handled events are not what the manifest declares",
    why="The manifest tells who handles what; a handler that it hides is found only when it breaks.",
    remedy="Make [events] consumes of module.toml name the events that register_signals subscribes to.",
    needs=Evidence.EXERCISE,
)
def consumes_are_declared(case: Case) -> Iterator[Breach]:
    """Yield events that are handled and not declared, or the other way round."""
    declared = set(case.manifest.events.consumes)
    handled = {each.event: each for each in case.wiring.subscriptions}
    signals = case.life.step("register_signals")
    if signals is None or signals.failure:
        return
    for name in sorted(handled.keys() - declared):
        yield Breach(
            f"{handled[name].handler} handles {name}, which the manifest does not declare", handled[name].place
        )
    for name in sorted(declared - handled.keys()):
        what = f"the manifest declares {name}, which register_signals does not subscribe to"
        yield Breach(what, Place(file=str(case.manifest.path), key="[events] consumes"))


@rule(
    "RCY603",
    "a handler cannot be called by the bus",
    why="The bus awaits handlers and calls them with the payload's fields as keywords.",
    remedy="Write `async def handler(self, field: type, …, **rest)`, one unnamed handler for each event.",
    needs=Evidence.EXERCISE,
)
def handlers_can_be_called(case: Case) -> Iterator[Breach]:
    """Yield handlers that are not async, take positional arguments only, or were refused by the bus."""
    for each in case.wiring.subscriptions:
        for flaw in each.flaws:
            yield Breach(f"{each.handler} for {each.event}: {flaw}", each.place)


def mismatch(need: Need, event: EventFact) -> str:
    """Return why `event` does not give what a handler names, or ""."""
    fields = event.json_schema.get("properties", {})
    if need.name not in fields:
        return f"{event.name} has no {need.name}" if need.required else ""
    if difference := disagreement(need.json_schema, fields[need.name], event.json_schema):
        return f"{need.name} of {event.name} {difference}"
    return ""


def mismatches(case: Case, each: Subscription) -> Iterator[tuple[str, str]]:
    """Yield producer and reason for every field that a handler names and an enabled producer does not send so."""
    for producer, event in producers(case, each.event):
        for need in each.needs:
            if reason := mismatch(need, event):
                yield producer, reason


@rule(
    "RCY604",
    "a handler needs what no producer sends",
    why="Every such event would end in the dead letters, on the day it is first published.",
    remedy="Let the producer send the field, or give the handler's parameter a default or the type that is sent.",
    needs=Evidence.EXERCISE,
)
def producers_send_what_is_needed(case: Case) -> Iterator[Breach]:
    """Yield parameters of handlers that an enabled producer does not send, or sends as another type."""
    for each in case.wiring.subscriptions:
        for producer, reason in mismatches(case, each):
            yield Breach(f"{each.handler} cannot handle {each.event} of {producer}: {reason}", each.place)


@rule(
    "RCY605",
    "nobody publishes an event that is handled",
    why="The handler never runs; perhaps a module is not enabled, or the event was renamed.",
    remedy="Enable the module that publishes it, or remove the handler.",
    needs=Evidence.EXERCISE,
    severity=Severity.WARNING,
)
def somebody_publishes(case: Case) -> Iterator[Breach]:
    """Yield handled events without an enabled producer."""
    declared = {name for other in case.world.values() if other.parsed for name in other.parsed.events.emits}
    for each in case.wiring.subscriptions:
        if not each.flaws and each.event not in declared and not producers(case, each.event):
            yield Breach(f"no enabled module publishes {each.event}, which {each.handler} handles", each.place)


@rule(
    "RCY606",
    "a handler rejects what its producer may send",
    why="The producer keeps its schema and the event is lost to this module all the same.",
    remedy="Take every value that the producer's schema allows, or let the producer narrow it or give examples.",
    needs=Evidence.EXERCISE,
)
def handlers_take_what_is_sent(case: Case) -> Iterator[Breach]:
    """Yield handlers that fail on an event made from the producer's schema, once for each producer."""
    case.must_be_used()
    places = {(each.event, each.handler): each for each in case.wiring.subscriptions}
    told_already: set[tuple[str, str, str]] = set()
    for delivery in case.deliveries:
        key = (delivery.event, delivery.producer, delivery.handler)
        subscription = places.get((delivery.event, delivery.handler))
        if delivery.denied or key in told_already or not (delivery.failure or delivery.reason):
            continue
        if subscription and any(producer == delivery.producer for producer, _ in mismatches(case, subscription)):
            continue  # RCY604 says it better
        told_already.add(key)
        reason = told(delivery.failure) if delivery.failure else delivery.reason
        sample = json.dumps(delivery.payload, ensure_ascii=False)
        place = delivery.failure.place if delivery.failure and delivery.failure.place.file else Place()
        if not place.file and subscription:
            place = subscription.place
        what = f"{delivery.handler} fails on a {delivery.event} that {delivery.producer} may send: {reason}"
        yield Breach(f"{what}\n  payload: {sample if len(sample) <= 300 else sample[:299] + '…'}", place)
