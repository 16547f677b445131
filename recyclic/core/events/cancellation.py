"""Ends tasks for certain: a library below may swallow a cancellation, as redis-py does while it connects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

CLOSE = 0.5
"""Seconds that closing waits for a connection that is coming up."""


async def ended(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Let tasks that open connections come to their end, if they do soon; else cancel them.

    asyncio and redis-py leave a connection open whose coming up was cancelled at the wrong moment.
    """
    waiting = {task for task in tasks if task is not None and not task.done()}
    if waiting:
        _, waiting = await asyncio.wait(waiting, timeout=CLOSE)
        await cancelled(waiting)


async def cancelled(tasks: Iterable[asyncio.Task[Any]], *, again: float = 0.02) -> None:
    """Cancel the tasks and wait until they are over; whatever still runs after `again` seconds is cancelled again."""
    waiting = {task for task in tasks if task is not asyncio.current_task()}
    while waiting:
        for task in waiting:
            task.cancel()
        over, waiting = await asyncio.wait(waiting, timeout=again)
        for task in over:
            if not task.cancelled():
                task.exception()  # it has been told where it arose; asyncio need not say that nobody asked
