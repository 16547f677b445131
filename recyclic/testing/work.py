"""Work: what one process has under way, and when the clock would wake it, at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import orjson

from recyclic.testing.clock import VirtualClock

if TYPE_CHECKING:
    import asyncio

    from recyclic.core.clock import Clock
    from recyclic.core.events.broker import Broker
    from recyclic.testing.watch import TaskWatch

_ONLY_LISTEN = ("recyclic-bus-settler", "recyclic-bus-doorbell")
"""Tasks of the bus that mostly wait for others rather than for the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one process has under way. Times are those of the kit's clock, as `monotonic` has them."""

    at: float
    """Where its clock stands."""
    tasks: tuple[str, ...] = ()
    """Tasks of handlers and requests, and whatever the clock has woken, each with where it comes from."""
    requests: tuple[str, ...] = ()
    awake: bool = False
    """Whether the bus itself is at work on what has become due."""
    busy: bool = False
    """Whether something can go on although the clock stands still: then the clock must not be moved."""
    sleeps: float | None = None
    """When the first of what is under way is due that waits for the clock itself."""
    due: float | None = None
    """When the first wait of all is due."""
    seen: int = 0
    """How many messages of the test the process has heeded."""
    consumer: str = ""
    listening: Mapping[str, str] | None = None
    """What the process knows of the streams' ends, while it waits for news of them."""

    @classmethod
    def of(
        cls, clock: Clock, watch: TaskWatch, broker: Broker, requests: Mapping[str, str], own: object = None
    ) -> Self:
        """Look at a process; `own` is the task that looks."""
        waiting = clock.waiting() if isinstance(clock, VirtualClock) else {}
        under_way = [task for task in watch.under_way() if task is not own and task not in watch.queued]
        standing = [task for task in broker.tasks if task not in {*waiting, *watch.queued} and _at_work(task, broker)]
        stirred = [task for task in watch.stirred if task not in broker.tasks]
        sleeping = [waiting[task] for task in under_way if task in waiting]
        return cls(
            at=clock.monotonic(),
            tasks=tuple(str(watch.origin(task)) for task in dict.fromkeys([*watch.passing, *stirred])),
            requests=tuple(requests.values()),
            awake=not watch.stirred.isdisjoint(standing),
            busy=bool(standing or stirred or len(sleeping) < len(under_way)),
            sleeps=min(sleeping, default=None),
            due=min(waiting.values(), default=None),
            consumer=broker.consumer or "",
            listening=None if broker.listening is None else dict(broker.listening),
        )

    def dump(self) -> bytes:
        """Return it as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def load(cls, text: bytes) -> Self:
        """Read it from JSON."""
        values: dict[str, Any] = orjson.loads(text)
        return cls(**{**values, "tasks": tuple(values["tasks"]), "requests": tuple(values["requests"])})


def _at_work(task: asyncio.Task[None], broker: Broker) -> bool:
    """Return whether a task of the bus that does not wait for the clock has something to do."""
    if task.get_name() not in _ONLY_LISTEN:
        return True
    return broker.unconfirmed > 0 if task.get_name() == _ONLY_LISTEN[0] else broker.listening is None
