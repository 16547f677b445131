"""ResourceWatch: the timers and sockets that a host's modules open, each with the line and the owner, until closed."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from recyclic.testing.watch import Owner, TaskWatch, creator, current_owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_TASKS_OWN: Final = ("_set_result_unless_cancelled", "Timeout._on_timeout")
"""Callbacks of timers that a task waits for: whoever leaves them leaves the task."""

_watches: Final[set[ResourceWatch]] = set()


@dataclass(frozen=True, slots=True)
class Opening:
    """Where something was opened, and by whom."""

    owner: Owner
    place: str
    is_redis: bool = False

    def __str__(self) -> str:
        return f"created at {self.place} by {self.owner.text}"


class ResourceWatch:
    """Knows what is opened while a host lives by its modules, its handlers and its requests. One per host.

    A timer counts where their own code sets it, or has it set: a server's keep-alive of a connection is not theirs.
    """

    def __init__(self, watch: TaskWatch) -> None:
        self._watch = watch
        self._timers: dict[asyncio.TimerHandle, Opening] = {}
        self._sockets: WeakKeyDictionary[socket.socket, Opening] = WeakKeyDictionary()

    @contextmanager
    def installed(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Watch inside the block. On a loop that cannot be watched (uvloop) nothing is seen."""
        plain = loop.call_at

        def call_at(when: float, callback: Any, *args: Any, **options: Any) -> asyncio.TimerHandle:
            handle = plain(when, callback, *args, **options)
            if self._is_ours() and getattr(callback, "__qualname__", "") not in _TASKS_OWN and creator(own=True):
                self._timers = {other: at for other, at in self._timers.items() if _is_pending(other, loop)}
                self._timers[handle] = self._opening()
            return handle

        with suppress(AttributeError):
            loop.call_at = call_at  # type: ignore[method-assign, assignment]
        _watches.add(self)
        _listen()
        try:
            yield
        finally:
            _watches.discard(self)
            if loop.__dict__.get("call_at") is call_at:
                loop.call_at = plain  # type: ignore[method-assign]

    def left(self, loop: asyncio.AbstractEventLoop) -> list[tuple[str, str]]:
        """Return what is still open, each with its kind; read it when the host has ended."""
        found = [
            ("timers", f"a timer was left, due in {handle.when() - loop.time():.0f} s: {opening}")
            for handle, opening in self._timers.items()
            if _is_pending(handle, loop)
        ]
        for one, opening in list(self._sockets.items()):
            if one.fileno() >= 0:
                kind, what = ("connections", "a Redis connection") if opening.is_redis else ("sockets", "a socket")
                found.append((kind, f"{what} was left open{_leads(one)}: {opening}"))
        return found

    def note_socket(self, opened: socket.socket) -> None:
        """Hear that a socket is being made."""
        if self._is_ours():
            self._sockets[opened] = self._opening(4)

    def _is_ours(self) -> bool:
        owner = current_owner()
        return owner is not None and owner.watch is self._watch

    def _opening(self, above: int = 3) -> Opening:
        owner = current_owner()
        assert owner is not None
        return Opening(owner, creator(above), _is_of_redis(sys._getframe(above)))  # noqa: SLF001 - as creator()


def _is_pending(handle: asyncio.TimerHandle, loop: asyncio.AbstractEventLoop) -> bool:
    return not handle.cancelled() and handle.when() > loop.time()


def _is_of_redis(frame: FrameType | None) -> bool:
    """Return whether redis-py is at work below."""
    while frame is not None:
        if "redis" in PurePath(frame.f_code.co_filename).parts:
            return True
        frame = frame.f_back
    return False


def _leads(one: socket.socket) -> str:
    """Return where a socket leads, as far as it can tell."""
    for ask, word in ((one.getpeername, "to"), (one.getsockname, "at")):
        try:
            address = ask()
        except OSError:
            continue
        if isinstance(address, tuple):
            return f", {word} {address[0]}:{address[1]}"
        if address:
            return f", {word} {address}"
    return ""


def _listen() -> None:
    """Hear of every socket of this process from now on; Python cannot stop telling, so it is asked once."""
    global _listening  # noqa: PLW0603 - an audit hook is the process's
    if not _listening:
        _listening = True
        sys.addaudithook(_hear)


_listening = False


def _hear(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.__new__" and _watches:
        for watch in tuple(_watches):
            watch.note_socket(args[0])
