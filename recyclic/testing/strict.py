"""Strictness: what fails a test at its end although no assertion did, and how to allow it, each with a reason."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from recyclic.testing.journal import Journal, Kind, Record
from recyclic.testing.matching import closest_name
from recyclic.testing.report import KitError
from recyclic.testing.resources import ResourceWatch
from recyclic.testing.story import place_of
from recyclic.testing.watch import Origin, TaskWatch, describe_thread, threads

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping

KINDS: Final[Mapping[str, str]] = {
    "handler_errors": "a handler raised, outside of act(expect_errors=True), of a fault and of an assertion",
    "dead_letters": "an event became a dead letter that no assertion asked for",
    "refused_events": "a module emitted an event that it does not declare, or whose payload does not fit",
    "tasks": "a handler left a task behind, or a task outlived the host",
    "threads": "a thread outlived the host",
    "timers": "a timer (loop.call_later) outlived the host",
    "sockets": "a socket was left open",
    "connections": "a connection to a Redis was left open",
}
"""What is strict; each can be allowed by `@pytest.mark.allow(<kind>="the reason")`."""

TEST: Final = "test"
"""The source of what a test emits itself."""

_living: Final[set[Strictness]] = set()
_JOIN_SECONDS = 1.0


def check_allowed(allow: Mapping[str, object]) -> None:
    """Refuse an unknown kind, and one without a reason.

    Raises:
        KitError: saying which.
    """
    for kind, reason in allow.items():
        if kind not in KINDS:
            raise KitError(
                f"allow({kind}=…): no such kind{closest_name(kind, list(KINDS))}; there are {', '.join(KINDS)}"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise KitError(f"allow({kind}={reason!r}): give the reason as text")


class Strictness:
    """Collects what nobody asked for in the life of one host."""

    def __init__(self, journal: Journal, watch: TaskWatch, resources: ResourceWatch, allow: Mapping[str, str]) -> None:
        check_allowed(allow)
        self._resources = resources
        self._journal = journal
        self._watch = watch
        self._allow = allow
        self.injected: list[BaseException] = []
        self.stillborn: Exception | None = None
        """What kept a fresh worker from starting."""
        self.left_behind: list[Origin] = []
        self.told: list[tuple[str, str]] = []
        """What worker processes had to tell: the kind, and the text."""
        self._threads: set[threading.Thread] = set()

    def begin(self) -> None:
        """Remember the threads that were there before."""
        self._threads = threads()
        _living.add(self)

    def end(self) -> None:
        """Say that the host has ended."""
        _living.discard(self)

    async def problems(self) -> list[str]:
        """Return one line for each thing that nobody asked for. Call it when the host has ended."""
        found = [*self._records(), *self.told, *await self.leaks()]
        if self.stillborn is not None:
            found.append(("", f"the fresh worker did not start: {_named(self.stillborn)}"))
        told = [text for kind, text in found if kind not in self._allow]
        return list(dict.fromkeys(told))

    async def leaks(self) -> list[tuple[str, str]]:
        """Return what outlived the host, each with its kind."""
        tasks = await self._tasks()
        return [*tasks, *self._resources.left(asyncio.get_running_loop()), *await self._leaked_threads()]

    def _records(self) -> Iterator[tuple[str, str]]:
        for record in self._journal.records:
            if record.expected or record.seq in self._journal.asserted:
                continue
            if record.kind is Kind.FAILED and not self._is_injected(record.error):
                yield "handler_errors", f"{record.module} failed at {record.event}: {_told(record)}"
            elif record.kind is Kind.DEAD:
                yield "dead_letters", f"{record.event} became a dead letter of {record.group}: {_first(record.text)}"
            elif record.kind is Kind.REFUSED and record.module != TEST and not self._is_told(record.error):
                yield "refused_events", f"an emit was refused: {record.text}"

    def _is_told(self, error: BaseException | None) -> bool:
        """Return whether the failure of a handler tells of the error already."""
        return any(record.kind is Kind.FAILED and record.error is error for record in self._journal.records)

    async def _tasks(self) -> list[tuple[str, str]]:
        origins = {str(origin): "a task was left behind: " for origin in self.left_behind}
        leaked = self._watch.leaked
        origins.update({str(self._watch.origin(task)): "a task outlived the host: " for task in leaked})
        for task in leaked:
            task.cancel()
        if leaked:
            await asyncio.wait(leaked, timeout=_JOIN_SECONDS)
        return [("tasks", text + origin) for origin, text in origins.items()]

    async def _leaked_threads(self) -> list[tuple[str, str]]:
        if _living:
            return []  # a thread may be another host's that still lives: nobody can tell
        left = threads() - self._threads
        for thread in left:
            if thread.is_alive():
                await asyncio.to_thread(thread.join, _JOIN_SECONDS)
        return [("threads", f"a thread outlived the host: {describe_thread(t)}") for t in left if t.is_alive()]

    def _is_injected(self, error: BaseException | None) -> bool:
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            if any(error is injected for injected in self.injected):
                return True
            seen.add(id(error))
            error = error.__cause__ or error.__context__
        return False


def _told(record: Record) -> str:
    return "unknown error" if record.error is None else _named(record.error)


def _named(error: BaseException) -> str:
    place = place_of(error)
    return f"{type(error).__name__}: {_first(str(error))}" + (f" at {place}" if place else "")


def _first(text: str) -> str:
    return (text.splitlines() or [""])[0]
