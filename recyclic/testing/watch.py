"""Watching what is under way outside the bus: requests, tasks that handlers and requests start, threads."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from recyclic.core.http import SAFE_ID
from recyclic.testing.journal import CAUSE_HEADER, Journal, Kind
from recyclic.testing.story import is_own_code, short_path

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from types import FrameType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


_owner: ContextVar[Owner | None] = ContextVar("recyclic_kit_owner", default=None)


@dataclass(frozen=True, slots=True, eq=False)
class Owner:
    """Whoever starts tasks: a handler, a request, or the host's own life (`passing` is False)."""

    text: str
    watch: TaskWatch
    passing: bool
    life: object = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a task comes from."""

    owner: Owner
    place: str
    coroutine: str

    def __str__(self) -> str:
        return f"{self.coroutine} created at {self.place} by {self.owner.text}"


def current_owner() -> Owner | None:
    """Return whoever acts here: a handler, a request, or the host's own life; None for the test itself."""
    return _owner.get()


class TaskWatch:
    """Knows every task that is started while a host lives, by whom and in which line. One per host."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._origins: WeakKeyDictionary[asyncio.Task[Any], Origin] = WeakKeyDictionary()
        self._alive: set[asyncio.Task[Any]] = set()
        self._owners: dict[Owner, asyncio.Task[Any] | None] = {}
        self._stirred: set[asyncio.Task[Any]] = set()
        self._factory: Any = None
        self.queued: set[asyncio.Task[Any] | None] = set()
        """The tasks of handlers that a fault lets wait for other handlers."""

    @contextmanager
    def installed(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Watch the loop's new tasks inside the block."""
        self._factory = loop.get_task_factory()
        loop.set_task_factory(self._create)  # type: ignore[arg-type]
        try:
            yield
        finally:
            if loop.get_task_factory() == self._create:
                loop.set_task_factory(self._factory)

    @contextmanager
    def owned_by(self, text: str, life: object, *, passing: bool) -> Iterator[Owner]:
        """Name the owner of the tasks that are started inside the block; `passing` if it is a handler or a request."""
        owner = Owner(text, self, passing, life)
        token = _owner.set(owner)
        if passing:
            self._owners[owner] = asyncio.current_task()
        try:
            yield owner
        finally:
            self._owners.pop(owner, None)
            _owner.reset(token)

    @property
    def passing(self) -> list[asyncio.Task[Any]]:
        """Tasks of handlers and requests that still run."""
        return [task for task in self._alive if not task.done() and self._origins[task].owner.passing]

    def under_way(self) -> list[asyncio.Task[Any]]:
        """Return the tasks in which handlers and requests run, and those that they have started."""
        return [*self.passing, *(task for task in self._owners.values() if task is not None)]

    @property
    def stirred(self) -> set[asyncio.Task[Any]]:
        """Tasks that the clock has woken, and those that they have started, as long as they do not wait for it again.

        They work on what has become due, whoever owns them.
        """
        return {task for task in self._stirred if not task.done()}

    def stir(self, task: asyncio.Task[Any]) -> None:
        """Hear that the clock wakes a task."""
        if task in self._alive:
            self._stirred.add(task)

    def rest(self, task: asyncio.Task[Any]) -> None:
        """Hear that a task waits for the clock."""
        self._stirred.discard(task)

    @property
    def leaked(self) -> list[asyncio.Task[Any]]:
        """Tasks that still run; read it when the host has ended."""
        return [task for task in self._alive if not task.done()]

    def of(self, life: object) -> list[asyncio.Task[Any]]:
        """Return the tasks that belong to one life of the worker and still run."""
        return [task for task in self._alive if not task.done() and self._origins[task].owner.life is life]

    def left_by(self, owner: Owner) -> list[Origin]:
        """Return what an owner has started and not waited for."""
        return [origin for task in self._alive if not task.done() and (origin := self._origins[task]).owner is owner]

    def origin(self, task: asyncio.Task[Any]) -> Origin:
        """Return where a task comes from."""
        return self._origins[task]

    def _create(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any) -> Any:
        if self._factory is None:
            task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        else:
            task = self._factory(loop, coroutine, **options)
        context = options.get("context")
        owner = _owner.get() if context is None else context.get(_owner)
        if owner is not None and owner.watch is self:
            self._origins[task] = Origin(owner, creator(), getattr(coroutine, "__qualname__", repr(coroutine)))
            self._alive.add(task)
            if asyncio.current_task(loop) in self._stirred:
                self._stirred.add(task)
            task.add_done_callback(self._done)
            self._journal.changed()
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._alive.discard(task)
        self._stirred.discard(task)
        self._journal.changed()


_TURN = asyncio.Handle._run.__code__  # noqa: SLF001 - the loop's frame, to stop there


def creator(above: int = 2, *, own: bool = False) -> str:
    """Return the line that starts something: the project's own one that is nearest, else the nearest outside asyncio.

    With `own` there is no other: empty where no code of the project's own is at work.
    """
    frame: FrameType | None = sys._getframe(above)  # noqa: SLF001 - inspect.stack() reads files and is slow
    nearest = ""
    while frame is not None:
        name = frame.f_code.co_filename
        if frame.f_code is _TURN:
            break  # what is above started the loop, and not this
        if is_own_code(name):
            return f"{short_path(name)}:{frame.f_lineno}"
        if not nearest and "asyncio" not in name:
            nearest = f"{short_path(name)}:{frame.f_lineno}"
        frame = frame.f_back
    return "" if own else nearest


class Door:
    """ASGI: counts the requests that are in flight, background tasks included, and writes them into the journal."""

    def __init__(
        self, app: Callable[[], ASGIApp], journal: Journal, watch: TaskWatch, life: Callable[[], object]
    ) -> None:
        self._app = app
        self._journal = journal
        self._watch = watch
        self._life = life
        self._count = 0
        self.in_flight: dict[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app()(scope, receive, send)
            return
        text = f"{scope.get('method', 'WEBSOCKET')} {scope['path']}"
        key, scope = self._key(scope)
        status = "no answer"
        self.in_flight[key] = text
        self._journal.write(Kind.REQUEST, key=key, text=text, cause=_header(scope, CAUSE_HEADER))

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                self._journal.write(Kind.RESPONSE, key=key, text=status)
            await send(message)

        try:
            with self._watch.owned_by(text, self._life(), passing=True):
                await self._app()(scope, receive, noting_send)
        except BaseException as error:
            self._journal.write(Kind.RESPONSE, key=key, text=status, error=error)
            raise
        finally:
            del self.in_flight[key]
            self._journal.changed()

    def _key(self, scope: Scope) -> tuple[str, Scope]:
        """Return the request's id: its sender's, where the host takes it, else one of ours; it causes its events."""
        sent = _header(scope, "x-request-id")
        self._count += 1
        if SAFE_ID.fullmatch(sent):
            return sent, scope
        key = f"request-{self._count:04}"
        others = [header for header in scope["headers"] if header[0] != b"x-request-id"]
        return key, {**scope, "headers": [*others, (b"x-request-id", key.encode())]}


def _header(scope: Scope, name: str) -> str:
    return next((value.decode("latin-1") for header, value in scope["headers"] if header == name.encode()), "")


_POOLS = ("asyncio_", "AnyIO worker", "ThreadPoolExecutor-")


def threads() -> set[threading.Thread]:
    """Return the threads that run, without the pools that belong to the loop."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith(_POOLS)}


def describe_thread(thread: threading.Thread) -> str:
    """Return the thread's name, and the line where it is now."""
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - the only way to look at another thread
    place = f" at {short_path(frame.f_code.co_filename)}:{frame.f_lineno}" if frame else ""
    return f"{thread.name!r}{place}"
