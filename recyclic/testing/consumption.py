"""Consumption: what became of one event at one consumer group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recyclic.core.events.event import Envelope
    from recyclic.testing.journal import Record
    from recyclic.testing.story import Call


@dataclass(slots=True)
class Consumption:
    """One event at one consumer group: every call of its handler."""

    group: str
    envelope: Envelope | None
    calls: list[Call]
    letter: Record | None = None

    @property
    def attempts(self) -> int:
        """How many times the handler was tried; a doubled delivery counts once."""
        return max((call.delivered.attempt for call in self.calls), default=self.letter.attempt if self.letter else 0)

    @property
    def ok(self) -> bool:
        """Whether the handler returned in the end."""
        return bool(self.calls) and self.calls[-1].ok and self.dead is None

    @property
    def dead(self) -> Record | None:
        """The dead letter that it became, if any."""
        return self.letter or next((call.dead for call in self.calls if call.dead), None)

    @property
    def failures(self) -> list[Record]:
        """The attempts that raised."""
        return [call.ended for call in self.calls if call.ended is not None and call.failed]

    @property
    def records(self) -> list[Record | None]:
        """Everything that was written about it."""
        return [self.letter, *(r for call in self.calls for r in (call.delivered, call.ended, call.dead))]

    def __str__(self) -> str:
        """Return the outcome as one phrase."""
        if self.dead:
            return f"dead letter after {attempts_text(self.attempts)}: {self.dead.text.splitlines()[0]}"
        if self.ok:
            return f"ok at attempt {self.attempts}"
        if self.calls and self.calls[-1].failed:
            error = self.failures[-1].error
            return f"failed at attempt {self.attempts}: {type(error).__name__}: {error}"
        return f"still running, attempt {self.attempts}"


def attempts_text(count: int) -> str:
    """Return `1 attempt`, `2 attempts`."""
    return "1 attempt" if count == 1 else f"{count} attempts"
