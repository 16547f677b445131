"""ManualClock: time that a test moves."""

from __future__ import annotations

import asyncio


class ManualClock:
    """Time that moves only when told to, from one deadline to the next."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._waiting: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def wait(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        over = asyncio.Event()
        deadline = (self._now + max(0.0, seconds), over)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._waiting.append(deadline)
        waits = [asyncio.ensure_future(over.wait())]
        if wake is not None:
            waits.append(asyncio.ensure_future(wake.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            if deadline in self._waiting:
                self._waiting.remove(deadline)

    def waits_for_seconds(self, seconds: float) -> bool:
        """Return whether somebody waits for just so long."""
        return any(abs(deadline - self._now - seconds) < 1e-6 for deadline, _ in self._waiting)

    def advance(self, seconds: float) -> None:
        self._now += seconds
        for deadline in [item for item in self._waiting if item[0] <= self._now]:
            self._waiting.remove(deadline)
            deadline[1].set()
