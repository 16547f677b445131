"""The sequence of a story: who sent what to whom, in order. Pictures and Mermaid are drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from recyclic.testing.journal import Record
from recyclic.testing.story import Call, Emission, Request, Story, tell
from recyclic.testing.timeline import cut, error_text, payload, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable

BROWSER = "browser"
CLIENT = "client"
HOST = "host"
_MODULES = "/api/modules/"


@dataclass(frozen=True, slots=True)
class Message:
    """One arrow, from `source` to `target`; without a target a remark over all of them."""

    seq: int
    at: float
    text: str
    source: str = ""
    target: str = ""
    failed: bool = False
    """Whether it tells that something went wrong: drawn broken."""
    detail: str = ""
    """What does not fit on an arrow."""


@dataclass(slots=True)
class Sequence:
    """Participants in the order in which they appear, and their messages."""

    participants: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)


def sequence(records: Iterable[Record]) -> Sequence:
    """Return the sequence that records tell; a long one is cut in the middle."""
    story = tell(records)
    messages = [_click(record) for record in story.clicks]
    messages += [_request(request) for request in story.requests]
    emitters = {emission.envelope.id: emission.by for emission in story.emissions}
    heard = {call.delivered.envelope_id for call in story.calls}
    messages += [_emission(one) for one in story.emissions if one.envelope.id not in heard]
    for call in story.calls:
        envelope = call.delivered.envelope
        messages += _call(call, emitters.get(call.delivered.envelope_id, envelope.source if envelope else HOST))
    messages += _lost(story)
    messages += [Message(record.seq, record.at, record.text) for record in story.notes]
    messages.sort(key=lambda message: message.seq)
    shown = cut(messages, lambda left, after: Message(after.seq, after.at, f"… {left} more …"))
    ends = [end for message in shown for end in (message.source, message.target) if end]
    return Sequence(list(dict.fromkeys(ends)), shown)


def _click(record: Record) -> Message:
    return Message(record.seq, record.at, record.text, BROWSER, BROWSER)


def _request(request: Request) -> Message:
    asked, answered = request.asked, request.answered
    path = asked.text.partition(" ")[2]
    target = path.removeprefix(_MODULES).partition("/")[0] if path.startswith(_MODULES) else HOST
    answer = answered.text if answered else "no answer yet"
    failed = answered is None or answered.error is not None or not answered.text.startswith(("1", "2", "3"))
    detail = error_text(answered.error) if answered and answered.error else ""
    source = BROWSER if asked.cause else CLIENT
    return Message(asked.seq, asked.at, f"{asked.text} → {answer}", source, target or HOST, failed, detail)


def _emission(emission: Emission) -> Message:
    """Return the event that nobody got: an arrow of its module to itself."""
    record, envelope = emission.record, emission.envelope
    return Message(record.seq, record.at, envelope.event, emission.by, emission.by, detail=payload(envelope.data))


def _call(call: Call, emitter: str) -> Iterable[Message]:
    start, ended = call.delivered, call.ended
    again = f", attempt {start.attempt}" if start.attempt > 1 else ""
    detail = payload(start.envelope.data) if start.envelope else ""
    running = ", still running" if ended is None else ""
    yield Message(start.seq, start.at, f"{start.event}{again}{running}", emitter, start.module, detail=detail)
    if ended is None or call.ok:
        return
    text = error_text(ended.error) if call.failed else "its worker died"
    if ended.retry_in is not None:
        text = f"{text}, again in {seconds(ended.retry_in)}"
    elif call.dead:
        text = f"{text} → dead letter"
    yield Message(ended.seq, ended.at, text, start.module, emitter, failed=True)


def _lost(story: Story) -> Iterable[Message]:
    for record in story.lost:
        text = f"{record.event} {record.entry_id} → dead letter: {record.text}"
        yield Message(record.seq, record.at, text, record.module, record.module, failed=True)
