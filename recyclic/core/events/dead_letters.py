"""DeadLetters: look at what no handler will see again, give it back to its group, or drop it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from recyclic.core.events.entries import DeadLetter, Pair

if TYPE_CHECKING:
    from recyclic.core.clock import Clock
    from recyclic.core.events.port import Streams

PAGE = 100


class DeadLetters:
    """The dead letters of every event and group."""

    def __init__(self, streams: Streams, clock: Clock) -> None:
        self._streams = streams
        self._clock = clock

    async def all(self, event: str | None = None, group: str | None = None) -> AsyncIterator[DeadLetter]:
        """Yield dead letters, oldest first within each group, of one event or group or of all."""
        for state in await self._streams.events():
            for name, count in state.dead.items():
                if count and event in (None, state.event) and group in (None, name):
                    async for letter in self._of((state.event, name)):
                        yield letter

    async def find(self, letter_id: str) -> list[DeadLetter]:
        """Return the dead letters with this id; ids are unique within a group, so there may be several."""
        return [letter async for letter in self.all() if letter.id == letter_id]

    async def requeue(self, letter: DeadLetter) -> bool:
        """Give the entry back to its group, due now, with no attempt counted; False if it was gone already."""
        return await self._streams.requeue((letter.event, letter.group), letter.id, self._clock.now())

    async def drop(self, letter: DeadLetter) -> bool:
        """Delete the dead letter for good; False if it was gone already."""
        return await self._streams.drop((letter.event, letter.group), letter.id)

    async def _of(self, pair: Pair) -> AsyncIterator[DeadLetter]:
        start = "-"
        while page := await self._streams.dead_letters(pair, start=start, limit=PAGE):
            for letter in page:
                yield letter
            start = f"({page[-1].id}"
