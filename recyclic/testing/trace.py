"""Trace: what happened between two settled states. Every question is pure, every assertion fails at once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from recyclic.testing.clicked import Clicked
from recyclic.testing.consumption import Consumption
from recyclic.testing.journal import Journal, Kind, Record
from recyclic.testing.matching import Difference, closest_name, differences
from recyclic.testing.mermaid import to_mermaid
from recyclic.testing.picture import to_svg
from recyclic.testing.report import Setting, TraceError, failure_text, story_text
from recyclic.testing.selections import Consumed, Emitted
from recyclic.testing.sequence import sequence
from recyclic.testing.story import Emission, Story, tell
from recyclic.testing.timeline import payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from recyclic.core.events.event import Event


class Trace:
    """The record of one act. Complete once the act's block was left; an assertion marks what it matched.

    Also the court of its selections: it fails them with the timeline.
    """

    def __init__(
        self, journal: Journal, name: str, start: int, setting: Callable[[], Setting], known: Callable[[], list[str]]
    ) -> None:
        self._journal = journal
        self._name = name
        self.start = start
        self._end: int | None = None
        self._setting = setting
        self._known = known
        self._accounted: set[int] = set()

    # Questions.

    def emitted(self, event: str | type[Event], **match: Any) -> Emitted:
        """Return the emissions of `event` whose payload matches; fail, with the nearest miss, where there is none.

        A value may be plain, `ANY`, or a predicate; fields that are not named do not matter.
        """
        __tracebackhide__ = True
        name = self._checked(event)
        of_event = [e for e in self.story.emissions if e.envelope.event == name]
        found = [e for e in of_event if not differences(match, e.envelope.data)]
        if not found:
            raise self.fail(_emission_miss(name, match, of_event, self.story))
        return Emitted(self, _wanted(name, match), found)

    def consumed(self, event: str | type[Event], by: str | None = None, **match: Any) -> Consumed:
        """Return what became of `event` at its consumers, or at the one named `by` (a module, or a consumer group).

        Fails where no handler was called for it and it did not become a dead letter there.
        """
        __tracebackhide__ = True
        name = self._checked(event)
        everyone = [c for c in self._consumptions() if _event_of(c) == name]
        at = [c for c in everyone if by is None or by in {c.group, _module_of(c)}]
        found = [c for c in at if not match or (c.envelope and not differences(match, c.envelope.data))]
        wanted = _wanted(name, match) + (f" by {by}" if by else "")
        if not found:
            raise self.fail(_consumption_miss(name, by, match, everyone, at, self.story))
        return Consumed(self, wanted, found)

    def clicked(self, text: str = "") -> Clicked:
        """Return what was done in a browser and has `text` in its line; `ui_host` notes clicks, fields and keys.

        It caused what the page asked for from then on until it came to rest.
        """
        __tracebackhide__ = True
        done = self.story.clicks
        found = [click for click in done if text in click.text]
        wanted = f"a click with {text!r}" if text else "a click"
        if not found:
            others = "\n".join(f"  {click.text}" for click in done)
            raise self.fail(f"{wanted} was not made; " + (f"done were:\n{others}" if done else "nothing was done"))
        return Clicked(self, wanted, found)

    def never(self, event: str | type[Event], **match: Any) -> None:
        """Fail if `event` was emitted with a matching payload. Certain: the act had settled."""
        __tracebackhide__ = True
        name = self._checked(event)
        found = [e for e in self.story.emissions if e.envelope.event == name]
        found = [e for e in found if not differences(match, e.envelope.data)]
        if found:
            shown = "\n".join(f"  by {e.by}: {payload(e.envelope.data)}" for e in found)
            raise self.fail(f"{_wanted(name, match)} was emitted, and never should be:\n{shown}")

    def order(self, *steps: str | type[Event] | Emitted | Consumed) -> None:
        """Fail unless the steps happened in this order. A step is an event's name or something this trace returned."""
        __tracebackhide__ = True
        position = 0
        before = ""
        for step in steps:
            if isinstance(step, Emitted | Consumed):
                name, positions = "what was asserted", [step.position]
            else:
                name = self._checked(step)
                emissions = [e for e in self.story.emissions if e.envelope.event == name]
                if not emissions:
                    raise self.fail(_emission_miss(name, {}, [], self.story))
                self.account([e.record for e in emissions])
                positions = [e.record.seq for e in emissions]
            later = [found for found in positions if found > position]
            if not later:
                raise self.fail(f"{name} did not come after {before}, but before it")
            position, before = min(later), name

    def nothing_else(self) -> None:
        """Fail if anything was emitted or consumed that no assertion on this trace has matched."""
        __tracebackhide__ = True
        rest = [
            f"  {e.by} emitted {e.envelope.event} {payload(e.envelope.data)}"
            for e in self.story.emissions
            if e.record.seq not in self._accounted
        ]
        rest += [
            f"  {c.group} consumed {_event_of(c)}: {c}"
            for c in self._consumptions()
            if not any(r and r.seq in self._accounted for r in c.records)
        ]
        if rest:
            raise self.fail("something else happened:\n" + "\n".join(rest))

    @property
    def story(self) -> Story:
        """What happened, as requests, emissions and calls."""
        return tell(self.records)

    @property
    def records(self) -> Sequence[Record]:
        """The journal's records of this act."""
        return self._journal.records[self.start : self._end]

    def show(self) -> None:
        """Print the timeline."""
        sys.stdout.write(f"{self}\n")

    def to_mermaid(self) -> str:
        """Return what happened as a Mermaid `sequenceDiagram`."""
        return to_mermaid(sequence(self.records))

    def to_svg(self) -> str:
        """Return what happened as an SVG picture that needs no other file."""
        return to_svg(sequence(self.records), f"{self._name}, on {self._setting().backend}")

    def __str__(self) -> str:
        """Return the timeline, the backend, what is outstanding and the command to run it again."""
        return story_text(f"timeline of {self._name}", self.records, self._setting())

    # What its selections and the host need.

    def close(self) -> None:
        """End the act: what comes later is not part of it."""
        if self._end is None:
            self._end = len(self._journal.records)

    def fail(self, problem: str) -> TraceError:
        """Return the failure with the timeline."""
        return TraceError(failure_text(f"{problem}\n  in {self._name}", str(self)))

    def account(self, records: Iterable[Record | None]) -> None:
        """Mark records as accounted for; failures among them are no longer unexpected."""
        seqs = {record.seq for record in records if record is not None}
        self._accounted |= seqs
        self._journal.asserted |= seqs

    def chain(self, event_id: str) -> list[str]:
        """Return the ids of what caused an event, the nearest first, across acts."""
        causes = {
            record.envelope_id: record.envelope.causation_id
            for record in self._journal.records
            if record.envelope is not None
        }
        causes.update({record.key: record.cause for record in self._journal.records if record.cause})
        chain: list[str] = []
        cause = causes.get(event_id)
        while cause and cause not in chain:
            chain.append(cause)
            cause = causes.get(cause)
        return chain

    def name_of(self, event_id: str) -> str:
        """Return the event's name, the request's line, or the bare id."""
        for record in self._journal.records:
            if record.envelope_id == event_id:
                return record.event
            if record.kind in {Kind.REQUEST, Kind.CLICK} and record.key == event_id:
                return record.text
        return event_id

    def _checked(self, event: str | type[Event]) -> str:
        name = event if isinstance(event, str) else event.name
        known = self._known()
        if name not in known and all(record.event != name for record in self.records):
            raise self.fail(
                f"no booted module declares {name!r}{closest_name(name, known)}; declared: "
                + (", ".join(sorted(known)) or "nothing")
            )
        return name

    def _consumptions(self) -> list[Consumption]:
        story = self.story
        found: dict[tuple[str, str], Consumption] = {}
        for call in story.calls:
            key = (call.delivered.envelope_id, call.delivered.group)
            consumption = found.setdefault(key, Consumption(call.delivered.group, call.delivered.envelope, []))
            consumption.calls.append(call)
        envelopes = {(e.envelope.event, entry): e.envelope for e in story.emissions for entry in e.entries}
        lost = [Consumption(r.group, envelopes.get((r.event, r.entry_id)), [], r) for r in story.lost]
        return [*found.values(), *lost]


def _wanted(name: str, match: dict[str, Any]) -> str:
    return f"{name} {payload(match)}" if match else name


def _event_of(consumption: Consumption) -> str:
    return consumption.calls[0].delivered.event if consumption.calls else getattr(consumption.letter, "event", "")


def _module_of(consumption: Consumption) -> str:
    return consumption.calls[0].delivered.module if consumption.calls else getattr(consumption.letter, "module", "")


def _emission_miss(name: str, match: dict[str, Any], of_event: list[Emission], story: Story) -> str:
    head = f"no {_wanted(name, match)} was emitted"
    if not of_event:
        others = sorted({e.envelope.event for e in story.emissions})
        return f"{head}; emitted were: {', '.join(others) or 'no events at all'}"
    nearest = min(of_event, key=lambda e: len(differences(match, e.envelope.data)))
    return f"{head}; the nearest of {len(of_event)}, by {nearest.by}, differs in:\n" + _rows(
        differences(match, nearest.envelope.data)
    )


def _consumption_miss(
    name: str, by: str | None, match: dict[str, Any], everyone: list[Consumption], at: list[Consumption], story: Story
) -> str:
    head = f"no {_wanted(name, match)} was consumed" + (f" by {by}" if by else "")
    if at:
        nearest = min(at, key=lambda c: len(differences(match, c.envelope.data if c.envelope else {})))
        return f"{head}; the nearest of {len(at)} differs in:\n" + _rows(
            differences(match, nearest.envelope.data if nearest.envelope else {})
        )
    if everyone:
        return f"{head}; it was consumed by: {', '.join(sorted({c.group for c in everyone}))}"
    if any(e.envelope.event == name for e in story.emissions):
        return f"{head}; it was emitted, but no booted module has a handler for it"
    return f"{head}, nor was it emitted"


def _rows(found: list[Difference]) -> str:
    return "\n".join(f"  {d.field}: wanted {d.wanted}\n  {' ' * len(d.field)}  got    {d.got}" for d in found)
