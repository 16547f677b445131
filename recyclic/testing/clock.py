"""The kit's clock: time stands still until someone advances it, so a retry costs nothing and its delay is known."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Timer:
    """One wait that is going on: who waits, until when."""

    due: float
    order: int
    task: asyncio.Task[object] | None
    future: asyncio.Future[None] = field(repr=False)
    wake: asyncio.Event | None = field(default=None, repr=False)

    @property
    def over(self) -> bool:
        """Whether the wait has ended, although who waits has not gone on yet."""
        return self.future.done() or (self.wake is not None and self.wake.is_set())

    def __lt__(self, other: Timer) -> bool:
        """Order by due time, then by age."""
        return (self.due, self.order) < (other.due, other.order)


class VirtualClock:
    """A `Clock` that stands still. Starts at the real time, so that signed cookies and dates look natural.

    `advance` moves it; settling moves it to what is due next. Timers fire in the order in which they are due.
    """

    def __init__(self, start: float | None = None, elapsed: float = 0.0) -> None:
        self.began = float(int(time.time())) if start is None else start
        """When it began, in seconds since the epoch."""
        self._elapsed = elapsed
        self._order = itertools.count()
        self._timers: list[Timer] = []
        self.on_change: Callable[[], None] = lambda: None
        self.on_wake: Callable[[asyncio.Task[object]], None] = lambda _task: None
        """Told of each task that `advance` wakes."""
        self.on_wait: Callable[[asyncio.Task[object]], None] = lambda _task: None
        """Told of each task that begins to wait."""
        self.on_advance: Callable[[], None] = lambda: None
        """Told when the clock was moved, before whoever waits for it is woken."""

    def now(self) -> float:
        """Return seconds since the epoch; the same value until someone advances the clock."""
        return self.began + self._elapsed

    def monotonic(self) -> float:
        """Return the seconds that this clock was advanced since it was built."""
        return self._elapsed

    async def wait(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        """Wait until the clock was advanced by `seconds`, or until `wake` is set."""
        if seconds <= 0 or (wake is not None and wake.is_set()):
            await asyncio.sleep(0)
            return
        task = asyncio.current_task()
        future = asyncio.get_running_loop().create_future()
        timer = Timer(self._elapsed + seconds, next(self._order), task, future, wake)
        heapq.heappush(self._timers, timer)
        if task is not None:
            self.on_wait(task)
        self.on_change()
        try:
            if wake is None:
                await timer.future
            else:
                await _either(timer.future, wake)
        finally:
            timer.future.cancel()
            if timer in self._timers:
                self._timers.remove(timer)
                heapq.heapify(self._timers)

    @property
    def timers(self) -> tuple[Timer, ...]:
        """The waits that are going on, the next one first."""
        return tuple(sorted(self._timers))

    def waiting(self) -> dict[asyncio.Task[object], float]:
        """Return the tasks that wait, and cannot go on before the clock moves; each with the time when it is due."""
        return {timer.task: timer.due for timer in self._timers if timer.task is not None and not timer.over}

    def next_due(self) -> float | None:
        """Return seconds from now to the next timer; None when nobody waits."""
        return max(0.0, self._timers[0].due - self._elapsed) if self._timers else None

    def advance(self, seconds: float) -> None:
        """Move the clock by `seconds` and wake whoever waits for it, in due order. Wait for the effects with `settle`.

        Raises:
            ValueError: time does not run backwards.
        """
        if seconds < 0:
            raise ValueError(f"the clock cannot be advanced by {seconds} s: time does not run backwards")
        self._elapsed += seconds
        self.on_advance()
        while self._timers and self._timers[0].due <= self._elapsed + 1e-9:
            timer = heapq.heappop(self._timers)
            if timer.task is not None:
                self.on_wake(timer.task)
            if not timer.future.done():
                timer.future.set_result(None)
        self.on_change()


async def _either(future: asyncio.Future[None], wake: asyncio.Event) -> None:
    """Return when the future is done or the event is set; leave no task behind."""
    waiter = asyncio.ensure_future(wake.wait())
    try:
        await asyncio.wait((future, waiter), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
        await asyncio.wait((waiter,))
