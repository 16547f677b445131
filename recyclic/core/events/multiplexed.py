"""Multiplexed: a wire over one connection that everybody shares. What is sent in one loop tick leaves in one write."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from recyclic.core.events.cancellation import ended
from recyclic.core.events.takeover import NOTHING, reply_reader, take_over

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from recyclic.core.events.wire import Command, Words

TIMEOUT = 5.0
"""Seconds that the oldest command may wait for its reply."""

BLOCK = 2.0
"""Seconds that a blocking command asks the server to block, at most; its connection waits TIMEOUT beyond them."""

CHUNK = 16_384
"""Bytes that are written without waiting for the end of the tick, so that the server has something to do meanwhile."""

_forks = 0


def _forked() -> None:
    """Make every link of the parent's unusable here: two processes cannot share a connection."""
    global _forks  # noqa: PLW0603 - what a process is, is global
    _forks += 1


os.register_at_fork(after_in_child=_forked)


class Multiplexed:
    """Commands of all tasks over one connection, replies matched in order; a second one for what blocks.

    `connect` makes an unconnected redis-py connection, which knows address, password and TLS; opened at the first
    command and again after a failure. Never shared with a forked child.
    """

    pipes_behind = True

    def __init__(self, connect: Callable[[], AbstractConnection], *, timeout: float = TIMEOUT) -> None:
        self._connect = connect
        self._timeout = timeout
        self._link: _Link | None = None
        self._opening: asyncio.Task[_Link] | None = None
        self._waiting: _Waiting | None = None

    def run(self, commands: Sequence[Command]) -> Awaitable[list[Any]]:
        """See Wire. Sent at once where there is a link, with no coroutine in between: every emit comes through here."""
        link = self._link
        if link is None or not link.usable or link.full is not None:
            return self._run_later(commands)
        return link.send(commands)

    async def _run_later(self, commands: Sequence[Command]) -> list[Any]:
        return await (await self._usable()).send(commands)

    async def atomically(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire."""
        *_, replies = await self.run([("", ("MULTI",)), *commands, ("", ("EXEC",))])
        if isinstance(replies, Exception):
            raise replies
        return list(replies)

    async def everywhere(self, words: Words) -> list[Any]:
        """See Wire."""
        return await self.run([("", words)])

    async def wait(self, commands: Sequence[Command]) -> list[Any]:
        """See Wire."""
        if self._waiting is None:
            self._waiting = _Waiting(self._connect, timeout=BLOCK + TIMEOUT)
        try:
            return await self._waiting.run(commands)
        except asyncio.CancelledError:
            self._waiting.abort()  # it would block whoever comes next
            raise

    async def recall(self) -> None:
        """See Wire."""
        if self._waiting is not None and self._waiting.client_id:
            await self.run([("", ("CLIENT", "UNBLOCK", self._waiting.client_id))])

    def grown(self, key: str) -> None:
        """See Wire. The server wakes whoever blocks."""

    def abort(self) -> None:
        """Drop the connection; whoever waits for a reply is told."""
        if self._link is not None:
            self._link.abort(RedisConnectionError("the connection was given up"))

    def abort_unless_at(self, place: tuple[str, int]) -> list[tuple[str, int]]:
        """Drop the connections that lead to another host and port; return where they led."""
        dropped = [] if self._waiting is None else self._waiting.abort_unless_at(place)
        link = self._link
        if link is not None and link.usable and link.place != place:
            self.abort()
            dropped.append(link.place)
        return dropped

    async def close(self) -> None:
        """See Wire."""
        if self._waiting is not None:
            await self._waiting.close()
        await ended([self._opening])
        if self._link is not None:
            self._link.abort(RedisConnectionError("the connection was closed"))
            await self._link.closed

    async def _usable(self) -> _Link:
        """Return a link that takes commands: the present one once it has sent what it holds, or a new one."""
        while True:
            link = self._link
            if link is None or not link.usable:
                if self._opening is None or self._opening.done():
                    self._opening = asyncio.create_task(self._open(), name="recyclic-bus-connect")
                link = await asyncio.shield(self._opening)
            if link.full is None:
                return link
            await asyncio.shield(link.full)

    async def _open(self) -> _Link:
        connection = self._connect()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            self._link = _Link(connection, self._timeout)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return self._link


class _Waiting(Multiplexed):
    """The connection for what blocks. `client_id` is the server's name for it; 0 where it does not tell."""

    client_id = 0

    async def _open(self) -> _Link:
        link = await super()._open()
        [reply] = await link.send([("", ("CLIENT", "ID"))])
        self.client_id = 0 if isinstance(reply, Exception) else int(reply)
        return link


class _Batch:
    """Commands that were sent together, and the replies that have come."""

    __slots__ = ("future", "replies", "sent_at", "size")

    def __init__(self, future: asyncio.Future[list[Any]], size: int, sent_at: float) -> None:
        self.future = future
        self.size = size
        self.sent_at = sent_at
        self.replies: list[Any] = []


class _Link(asyncio.Protocol):
    """One open connection. It takes the transport over from redis-py, which has connected and signed in."""

    def __init__(self, connection: AbstractConnection, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._forks = _forks
        self._timeout = timeout
        self._pending: deque[_Batch] = deque()
        self._unsent: list[bytes] = []
        self._size = 0
        self._flushing = False
        self._error: Exception | None = None
        self._reader = reply_reader()
        self.place = (str(getattr(connection, "host", "")), int(getattr(connection, "port", 0)))
        self.full: asyncio.Future[None] | None = None
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._writer = take_over(connection, self)
        self._transport: asyncio.WriteTransport = self._writer.transport
        self._watch = self._loop.call_later(timeout / 4, self._look)
        if self._transport.is_closing():
            self.connection_lost(None)

    @property
    def usable(self) -> bool:
        """Return whether commands can be sent: it is open, and this is the process that opened it."""
        return self._error is None and self._forks == _forks

    def send(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        """Send commands with whatever else is sent in this tick of the loop; return their replies to come."""
        for _, words in commands:
            packed = hiredis.pack_command(words)
            self._unsent.append(packed)
            self._size += len(packed)
        if not self._pending or self._size > CHUNK:
            self._flush()  # an idle server begins at once
        elif not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_tick)
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self._pending.append(_Batch(future, len(commands), self._loop.time()))
        return future

    def abort(self, error: Exception) -> None:
        """Close at once; every reply that has not come fails with `error`."""
        if self._error is None:
            self._error = error
        if self._forks == _forks:
            self._transport.abort()
        self._fail()

    def _flush_tick(self) -> None:
        self._flushing = False
        self._flush()

    def _flush(self) -> None:
        packed, self._unsent, self._size = self._unsent, [], 0
        if packed and self._error is None:
            self._transport.write(b"".join(packed))

    def data_received(self, data: bytes) -> None:
        """Match replies with the commands that wait for them, in order."""
        reader, pending = self._reader, self._pending
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not NOTHING:
                batch = pending[0]
                batch.replies.append(reply)
                if len(batch.replies) == batch.size:
                    pending.popleft()
                    if not batch.future.done():
                        batch.future.set_result(batch.replies)
                if reply.__class__ is ReadOnlyError:
                    self.abort(reply)  # a replica by now: look for the master anew
                    return
        except (InvalidResponse, IndexError) as error:
            self.abort(RedisConnectionError(f"the server answered what nobody asked: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._watch.cancel()
        if self._error is None:
            self._error = RedisConnectionError(f"the connection was lost: {exc or 'closed by the server'}")
        self._fail()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        """Let nobody send more before the server has taken what there is."""
        self.full = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let them go on."""
        full, self.full = self.full, None
        if full is not None and not full.done():
            full.set_result(None)

    def _look(self) -> None:
        """Give the connection up when the oldest command has waited too long."""
        if self._pending and self._loop.time() - self._pending[0].sent_at > self._timeout:
            self.abort(RedisTimeoutError(f"no reply within {self._timeout:g} s"))
            return
        self._watch = self._loop.call_later(self._timeout / 4, self._look)

    def _fail(self) -> None:
        pending, self._unsent = list(self._pending), []
        self._pending.clear()
        for batch in pending:
            if not batch.future.done():
                error = type(self._error)(*self._error.args) if self._error else RedisConnectionError()
                batch.future.set_exception(error)
        self.resume_writing()
