"""What the port hands over: entries, verdicts, dead letters and the snapshot of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Self

import orjson

from recyclic.core.events.event import Envelope

Pair = tuple[str, str]
"""An event's name and a consumer group."""

Want = tuple[Pair, int]
"""A group, and how many entries to hand over at most."""

Ack = tuple[Pair, tuple[str, ...]]
"""A group, and the entries to ack."""


class Verdict(IntEnum):
    """What a fenced operation found."""

    LOST = -1
    """The entry belongs to another consumer by now; nothing was done."""
    GONE = 0
    """The entry is not pending; nothing was done."""
    DONE = 1


class Entry:
    """One stream entry in hand. `row` has its names and values in turn, or is None where its body is gone.

    `attempts` counts those that ended badly.
    """

    __slots__ = ("attempts", "id", "row")

    def __init__(self, id: str, row: Sequence[bytes] | None, attempts: int = 0) -> None:  # noqa: A002 - Redis's word
        self.id = id
        self.row = row
        self.attempts = attempts

    @classmethod
    def of(cls, id: str, fields: Mapping[bytes, bytes]) -> Self:  # noqa: A002 - Redis's word
        """Return an entry with these fields."""
        return cls(id, [part for item in fields.items() for part in item])

    @property
    def fields(self) -> dict[bytes, bytes]:
        """Return the values by name; of a name that stands twice, the last."""
        row = self.row or ()
        return dict(zip(row[::2], row[1::2], strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An entry that no handler will see again until someone requeues it. Times are seconds since the epoch."""

    event: str
    group: str
    entry_id: str
    reason: str
    attempts: int
    dead_at: float
    error: str = ""
    traceback: str = ""
    previous_error: str = ""
    consumer: str = ""
    first_failed_at: float = 0.0
    fields: Mapping[bytes, bytes] = field(default_factory=dict)
    id: str = ""

    @property
    def name(self) -> str:
        """Return what names it among all: event, group and id."""
        return f"{self.event}/{self.group}/{self.id}"

    @property
    def envelope(self) -> Envelope:
        """Return the event; raises EventError where the entry is not one of ours."""
        return Envelope.decode(self.fields)

    def encode(self) -> tuple[str | bytes | int, ...]:
        """Return names and values of the stream entry, except for the times, which the script adds."""
        try:
            encoding, text = "utf-8", {key.decode(): value.decode() for key, value in self.fields.items()}
        except UnicodeDecodeError:
            encoding = "latin-1"
            text = {key.decode(encoding): value.decode(encoding) for key, value in self.fields.items()}
        return (
            *("reason", printable(self.reason), "error", printable(self.error)),
            *("traceback", printable(self.traceback), "attempts", self.attempts, "consumer", self.consumer),
            *("encoding", encoding, "fields", orjson.dumps(text)),
        )

    @classmethod
    def decode(cls, pair: Pair, letter_id: str, fields: Mapping[bytes, bytes]) -> Self:
        """Read a dead letter's stream entry; what a stranger wrote there reads as one without fields."""

        def text(name: bytes) -> str:
            return fields.get(name, b"").decode(errors="replace")

        def number(name: bytes) -> float:
            try:
                return float(fields.get(name, b"0"))
            except ValueError:
                return 0.0

        encoding = text(b"encoding") or "utf-8"
        try:
            held = orjson.loads(fields.get(b"fields", b"{}"))
            original = {key.encode(encoding): value.encode(encoding) for key, value in held.items()}
        except (ValueError, AttributeError, LookupError):
            original = {}
        return cls(
            event=pair[0],
            group=pair[1],
            entry_id=text(b"entry"),
            reason=text(b"reason"),
            attempts=int(number(b"attempts")),
            dead_at=number(b"dead_at"),
            error=text(b"error"),
            traceback=text(b"traceback"),
            previous_error=text(b"previous_error"),
            consumer=text(b"consumer"),
            first_failed_at=number(b"first_failed_at"),
            fields=original,
            id=letter_id,
        )


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry that was delivered and not acked. `due` is set while it waits for a retry; `attempts` ended badly."""

    entry_id: str
    consumer: str
    attempts: int
    due: float | None


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group of one event. `exists` is False where the group, or its stream, is missing."""

    exists: bool
    last_generated: str
    last_delivered: str
    unread: bool
    pending: tuple[Pending, ...]

    @property
    def settled(self) -> bool:
        """Return whether everything was delivered and nothing is pending."""
        return not self.unread and not self.pending


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All the groups asked for, at one moment."""

    groups: Mapping[Pair, GroupState]
    beside: Mapping[str, bytes] = field(default_factory=dict)
    """The fields of the hash that was asked for beside them."""

    @property
    def settled(self) -> bool:
        """Return whether every group is settled."""
        return all(state.settled for state in self.groups.values())

    @property
    def next_due(self) -> float | None:
        """Return when the earliest scheduled retry is due, in seconds since the epoch; None without any."""
        return min((p.due for s in self.groups.values() for p in s.pending if p.due is not None), default=None)


def printable(text: str) -> str:
    """Return `text` with whatever UTF-8 cannot carry written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def as_number(entry_id: str) -> tuple[int, int]:
    """Return an entry id as numbers that compare in stream order."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


def is_entry_id(text: str) -> bool:
    """Return whether `text` is an entry's id as Redis writes it: two numbers of 64 bits."""
    parts = text.split("-")
    return len(parts) == 2 and all(
        part.isascii() and part.isdigit() and len(part) <= 20 and int(part) < 2**64 for part in parts
    )
