"""Ends tasks for certain: a library below may swallow a cancellation, as redis-py does while it connects."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


async def cancelled(tasks: Iterable[asyncio.Task[None]], *, again: float = 0.02) -> None:
    """Cancel the tasks and wait until they are over; whatever still runs after `again` seconds is cancelled again."""
    waiting = {task for task in tasks if task is not asyncio.current_task()}
    while waiting:
        for task in waiting:
            task.cancel()
        over, waiting = await asyncio.wait(waiting, timeout=again)
        for task in over:
            if not task.cancelled():
                task.exception()  # it has been told where it arose; asyncio need not say that nobody asked
