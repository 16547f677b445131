"""The timeline: a story as lines of text, indented by what caused what."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from recyclic.testing.journal import Kind, Record
from recyclic.testing.story import Call, Emission, Request, Story, place_of, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")

MAX_LINES = 400
"""A longer story is cut in the middle, so that printing it never hides what it is for."""


def timeline(records: Iterable[Record]) -> list[str]:
    """Return the lines of a story."""
    story = tell(records)
    depths = _Depths(story)
    lines = [(click.seq, _line(click.at, 0, click.text)) for click in story.clicks]
    for request in story.requests:
        depth = depths.of_request(request.asked.key)
        lines.append((request.asked.seq, _line(request.asked.at, depth, _request(request))))
    sent = {emission.envelope.id for emission in story.emissions}
    for record in story.stored:
        if record.envelope_id not in sent and record.envelope is not None:
            text = f"{record.module} stored {_event(record.event, record.envelope.data)}, not sent yet"
            lines.append((record.seq, _line(record.at, depths.of_event(record.envelope_id), text)))
    for emission in story.emissions:
        depth = depths.of_event(emission.envelope.id)
        lines.append((emission.record.seq, _line(emission.record.at, depth, _emission(emission))))
    for call in story.calls:
        depth = depths.of_event(call.delivered.envelope_id) + 1
        lines.append((call.delivered.seq, _line(call.delivered.at, depth, _call(call))))
    for record in story.lost:
        text = f"{record.group} could not take {record.event} {record.entry_id} → dead letter: {record.text}"
        lines.append((record.seq, _line(record.at, 1, text)))
    lines.extend((record.seq, _line(record.at, 0, _note(record))) for record in story.notes)
    ordered = [text for _, text in sorted(lines, key=lambda line: line[0])]
    return cut(ordered, lambda left, _: f"  … {left} more …")


def _line(at: float, depth: int, text: str) -> str:
    return f"  +{seconds(at):<8} {'  ' * depth}{text}"


def seconds(value: float) -> str:
    """Return seconds as people write them: `0 s`, `1.5 s`."""
    return f"{value:.3f}".rstrip("0").rstrip(".") + " s"


def _request(request: Request) -> str:
    answer = request.answered
    if answer is None:
        return f"{request.asked.text} → no answer yet"
    failure = f" ({error_text(answer.error)})" if answer.error else ""
    return f"{request.asked.text} → {answer.text}{failure}"


def _emission(emission: Emission) -> str:
    again = len(emission.entries) - 1
    repeated = f", appended {again + 1} times" if again else ""
    replayed = ", replayed" if emission.envelope.replayed else ""
    return f"{emission.by} emitted {_event(emission.envelope.event, emission.envelope.data)}{repeated}{replayed}"


def _call(call: Call) -> str:
    start = call.delivered
    who = start.module if start.group in {start.module, ""} else f"{start.module} ({start.group})"
    text = f"{who} got {start.event}, attempt {start.attempt}"
    if call.ended is None:
        return f"{text} → still running"
    if call.ok:
        return f"{text} → ok"
    if not call.failed:
        return f"{text} → its worker died"
    text = f"{text} → {error_text(call.ended.error)}"
    if call.ended.retry_in is not None:
        return f"{text}, again in {seconds(call.ended.retry_in)}"
    return f"{text} → dead letter" if call.dead else text


def _note(record: Record) -> str:
    return f"! refused: {record.text}" if record.kind is Kind.REFUSED else f"! {record.text}"


def error_text(error: BaseException | None) -> str:
    """Return an error on one line: its type, the first line of its text, and where it was raised."""
    if error is None:
        return "an unknown error"
    first_line = (str(error).splitlines() or [""])[0]
    place = place_of(error)
    text = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    return f"{text} at {place}" if place else text


def _event(name: str, data: Mapping[str, object]) -> str:
    return f"{name} {payload(data)}"


def payload(data: Mapping[str, object], room: int = 120) -> str:
    """Return a payload on one line, cut where it is longer than `room`."""
    text = "{" + ", ".join(f"{name}: {value!r}" for name, value in data.items()) + "}"
    return text if len(text) <= room else f"{text[: room - 2]}…}}"


def cut(items: Sequence[T], between: Callable[[int, T], T]) -> list[T]:
    """Return the items, of many only the first and the last, with `between` of how many are left out, and the next."""
    if len(items) <= MAX_LINES:
        return list(items)
    half = MAX_LINES // 2
    return [*items[:half], between(len(items) - 2 * half, items[-half]), *items[-half:]]


class _Depths:
    """How deep in the chain of causes each event stands."""

    def __init__(self, story: Story) -> None:
        clicks = {click.key for click in story.clicks}
        self._requests = {request.asked.key: int(request.asked.cause in clicks) for request in story.requests}
        self._causes: dict[str, str] = {
            emission.envelope.id: emission.envelope.causation_id or "" for emission in story.emissions
        }
        self._causes.update(
            {r.envelope_id: r.envelope.causation_id or "" for r in story.stored if r.envelope is not None}
        )

    def of_request(self, key: str) -> int:
        """Return 0 for a request out of nowhere, 1 for one that a click led to."""
        return self._requests[key]

    def of_event(self, event_id: str) -> int:
        """Return 0 for an event out of nowhere, one more than the request, two more than the event that caused it."""
        depth, seen = 0, {event_id}
        cause = self._causes.get(event_id, "")
        while cause and cause not in seen:
            seen.add(cause)
            if cause in self._requests:
                return depth + 1 + self._requests[cause]
            if cause not in self._causes:
                return depth
            depth += 2
            cause = self._causes[cause]
        return depth
