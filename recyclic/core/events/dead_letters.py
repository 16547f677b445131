"""DeadLetters: look at what no handler will see again, give it back to its group, or drop it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recyclic.core.events.entries import DeadLetter, Pair, is_entry_id
from recyclic.errors import BusError, EventError, Problem

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.port import Ledger

PAGE = 100
LOOKED_AT = 1000
"""Dead letters that are looked at for one page, however few of them the filter takes."""


_ENVELOPE = ("id", "event", "source", "version", "correlation_id", "causation_id", "traceparent", "replayed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """A filter: None takes all. `error` is a text within reason or error, in any case; ages are seconds since death."""

    event: str | None = None
    group: str | None = None
    error: str | None = None
    older_than: float | None = None
    younger_than: float | None = None

    def takes(self, letter: DeadLetter, now: float) -> bool:
        """Return whether the filter takes a dead letter of the groups that it names."""
        age = now - letter.dead_at
        return (
            (self.error is None or self.error.casefold() in f"{letter.reason}\n{letter.error}".casefold())
            and (self.older_than is None or age >= self.older_than)
            and (self.younger_than is None or age < self.younger_than)
        )


@dataclass(frozen=True, slots=True)
class Decided:
    """How many dead letters something was done to, and what was in the way of the others."""

    done: int
    problems: tuple[Problem, ...] = ()


class DeadLetters:
    """The dead letters of every event and group."""

    def __init__(self, streams: Ledger, clock: Clock) -> None:
        self._streams = streams
        self._clock = clock

    async def all(
        self, event: str | None = None, group: str | None = None, *, which: Which | None = None
    ) -> AsyncIterator[DeadLetter]:
        """Yield the dead letters of this moment, by event and group and the oldest first; none that come meanwhile."""
        which, now = which or Which(event=event, group=group), self._clock.now()
        async for letter in self._walk(which):
            if which.takes(letter, now):
                yield letter

    async def page(self, which: Which, *, after: str = "", limit: int = PAGE) -> tuple[list[DeadLetter], str]:
        """Return some dead letters in the order of `all`, and what to give as `after` for the next; "" at the end.

        A page can be short, or empty, with more to come: a filter that takes few looks at no more than a thousand.

        Raises:
            BusError: `after` is not what an earlier page gave.
        """
        found: list[DeadLetter] = []
        looked_at, last, now = 0, after, self._clock.now()
        async for letter in self._walk(which, _named(after) if after else None):
            if len(found) == limit or looked_at == LOOKED_AT:
                return found, last
            looked_at, last = looked_at + 1, letter.name
            if which.takes(letter, now):
                found.append(letter)
        return found, ""

    async def get(self, event: str, group: str, letter_id: str) -> DeadLetter | None:
        """Return one dead letter; None where there is none of this id."""
        if not is_entry_id(letter_id):
            return None
        found = await self._streams.dead_letters((event, group), start=letter_id, end=letter_id, limit=1)
        return found[0] if found else None

    async def named(self, name: str) -> DeadLetter:
        """Return the dead letter that `event/group/id` names.

        Raises:
            BusError: there is none.
        """
        (event, group), letter_id = _named(name)
        letter = await self.get(event, group, letter_id)
        if letter is None:
            raise BusError(Problem("there is no such dead letter", name, "`recyclic events dead` lists them"))
        return letter

    async def find(self, letter_id: str) -> list[DeadLetter]:
        """Return the dead letters with this id; ids are unique within a group, so there may be several."""
        found = [await self.get(*pair, letter_id) for pair, _ in await self._ends(Which())]
        return [letter for letter in found if letter is not None]

    async def requeue(self, letter: DeadLetter) -> bool:
        """Give the entry back to its group, due now, with no attempt counted; False if it was gone already.

        Raises:
            BusError: nothing is left of it that could be given back.
        """
        return await self._streams.requeue((letter.event, letter.group), letter.id, self._clock.now())

    async def drop(self, letter: DeadLetter) -> bool:
        """Delete the dead letter for good; False if it was gone already."""
        return await self._streams.drop((letter.event, letter.group), letter.id)

    async def requeue_all(self, which: Which) -> Decided:
        """Give back all that the filter takes; what cannot be given back stays, and is told."""
        return await self._each(self.all(which=which), self.requeue)

    async def drop_all(self, which: Which) -> Decided:
        """Delete all that the filter takes for good."""
        return await self._each(self.all(which=which), self.drop)

    async def requeue_each(self, letters: Iterable[DeadLetter]) -> Decided:
        """Give back several."""
        return await self._each(_one_by_one(letters), self.requeue)

    async def drop_each(self, letters: Iterable[DeadLetter]) -> Decided:
        """Delete several for good."""
        return await self._each(_one_by_one(letters), self.drop)

    async def _each(
        self, letters: AsyncIterator[DeadLetter], action: Callable[[DeadLetter], Awaitable[bool]]
    ) -> Decided:
        done, problems = 0, list[Problem]()
        async for letter in letters:
            try:
                done += await action(letter)
            except BusError as error:
                if error.__cause__ is not None:  # Redis, not the letter
                    raise
                problems += error.problems
        return Decided(done, tuple(problems))

    async def _walk(self, which: Which, passed: tuple[Pair, str] | None = None) -> AsyncIterator[DeadLetter]:
        for pair, newest in await self._ends(which):
            if passed and pair < passed[0]:
                continue
            start = f"({passed[1]}" if passed and pair == passed[0] else "-"
            while page := await self._streams.dead_letters(pair, start=start, end=newest, limit=PAGE):
                for letter in page:
                    yield letter
                start = f"({page[-1].id}"

    async def _ends(self, which: Which) -> list[tuple[Pair, str]]:
        """Return the groups that have dead letters, each with its newest, in order."""
        return [
            ((state.event, group), backlog.newest_dead)
            for state in await self._streams.events(which.event)
            for group, backlog in state.groups.items()
            if backlog.newest_dead and which.event in (None, state.event) and which.group in (None, group)
        ]


def is_letter_name(name: str) -> bool:
    """Return whether `name` is `event/group/id`, as a dead letter is named."""
    return name.count("/") == 2 and is_entry_id(name.rpartition("/")[2])


def _named(name: str) -> tuple[Pair, str]:
    if not is_letter_name(name):
        raise BusError(Problem("this names no dead letter", name, "write event/group/id"))
    event, group, letter_id = name.split("/")
    return (event, group), letter_id


async def _one_by_one(letters: Iterable[DeadLetter]) -> AsyncIterator[DeadLetter]:
    for letter in letters:
        yield letter


def described(letter: DeadLetter) -> dict[str, Any]:
    """Return a whole dead letter as JSON can hold it; bytes that are no text are shown as escapes.

    `envelope` and `data` are None where its entry is no readable event.
    """
    data: Any = None
    envelope: dict[str, Any] | None = None
    with suppress(EventError):
        read = letter.envelope
        data = dict(read.data)
        envelope = {**{name: getattr(read, name) for name in _ENVELOPE}, "time": read.time.isoformat()}
    return {
        "name": letter.name,
        "event": letter.event,
        "group": letter.group,
        "id": letter.id,
        "entry": letter.entry_id,
        "reason": letter.reason,
        "error": letter.error,
        "previous_error": letter.previous_error,
        "traceback": letter.traceback,
        "attempts": letter.attempts,
        "consumer": letter.consumer,
        "first_failed_at": letter.first_failed_at,
        "dead_at": letter.dead_at,
        "envelope": envelope,
        "data": data,
        "fields": {
            key.decode(errors="backslashreplace"): value.decode(errors="backslashreplace")
            for key, value in letter.fields.items()
        },
    }
