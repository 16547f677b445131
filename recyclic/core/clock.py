"""The clock that due times are read from: the system's, or one that a test moves."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits for it. Everything of the host that becomes due asks a clock, never `time`."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards; for durations and leases."""
        ...

    async def wait(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        """Return after `seconds` of this clock, or as soon as `wake` is set. Never clears `wake`."""
        ...


class SystemClock:
    """The real time."""

    now = staticmethod(time.time)

    monotonic = staticmethod(time.monotonic)

    async def wait(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        """Sleep for real, or until `wake` is set."""
        if wake is None:
            await asyncio.sleep(max(0.0, seconds))
            return
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await wake.wait()
        except TimeoutError:
            return
