"""Bell: wakes the readers of an in-process Redis, which cannot be asked to block."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping


class Bell:
    """Counts what was appended to each stream; `news` waits for a count to move."""

    def __init__(self) -> None:
        self._rung: Counter[str] = Counter()
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self, event: str) -> None:
        """Tell that the event's stream has grown."""
        self._rung[event] += 1
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def positions(self, events: Iterable[str]) -> dict[str, str]:
        """Return where each stream ends now."""
        return {event: str(self._rung[event]) for event in events}

    async def news(self, positions: Mapping[str, str]) -> dict[str, str]:
        """Wait until a stream has grown beyond its position, and return those that have."""
        while True:
            now = self.positions(positions)
            if grown := {event: place for event, place in now.items() if place != positions[event]}:
                return grown
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                await waiting
            finally:
                self._waiting.discard(waiting)
