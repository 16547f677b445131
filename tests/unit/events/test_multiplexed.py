"""The shared connection: one write a tick, replies matched in order, and never a wrong reply whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio.connection import UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from recyclic.core.events.multiplexed import Multiplexed
from recyclic.core.redis import connect

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def scripted(folder: Path, serve: Serve) -> AsyncIterator[Multiplexed]:
    """A server that does what `serve` says with each connection, and a wire to it that waits half a second."""
    path = str(folder / "s.sock")
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)

    server = await asyncio.start_unix_server(connected, path)
    wire = Multiplexed(lambda: UnixDomainSocketConnection(path=path, protocol=2, driver_info=None), timeout=0.5)
    try:
        yield wire
    finally:
        await wire.close()
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


async def command(reader: asyncio.StreamReader) -> list[bytes]:
    """Read one command."""
    words = int((await reader.readline())[1:])
    found = []
    for _ in range(words):
        size = int((await reader.readline())[1:])
        found.append((await reader.readexactly(size + 2))[:-2])
    return found


@pytest.fixture
async def real(servers) -> AsyncIterator[Multiplexed]:
    """A wire to a real server, and an empty one."""
    client = connect(servers("redis").url)
    await client.flushall()
    wire = Multiplexed(client.connection_pool.make_connection)
    yield wire
    await wire.close()
    await client.aclose()


def echo(text: str) -> list[tuple[str, tuple[str, str]]]:
    return [("", ("ECHO", text))]


@pytest.mark.slow
async def test_many_callers_each_get_their_own_replies(real) -> None:
    """A thousand at once, some with several commands, over one connection."""
    first = await real.run([("", ("CLIENT", "ID"))])

    async def ask(number: int) -> None:
        texts = [f"{number}/{part}" for part in range(number % 4 + 1)]
        assert await real.run([("", ("ECHO", text)) for text in texts]) == [text.encode() for text in texts]

    await asyncio.gather(*(ask(number) for number in range(1_000)))
    assert await real.run([("", ("CLIENT", "ID"))]) == first


@pytest.mark.slow
async def test_error_reply_stands_in_its_place(real) -> None:
    """It is a value among the others, also inside a transaction."""
    before, error, after = await real.run([*echo("a"), ("", ("NO-SUCH", "x")), *echo("b")])
    assert (before, after) == (b"a", b"b")
    assert isinstance(error, ResponseError)
    assert "unknown command" in str(error)
    await real.run([("k", ("SET", "k", "text"))])
    one, wrong = await real.atomically([("k", ("GET", "k")), ("k", ("LPUSH", "k", "x"))])
    assert one == b"text"
    assert isinstance(wrong, ResponseError)
    with pytest.raises(RedisError, match="discarded"):
        await real.atomically([("k", ("NO-SUCH",))])


@pytest.mark.slow
async def test_cancelled_caller_leaves_everybody_elses_replies_right(real) -> None:
    """Its reply still comes, and is nobody's."""
    for number in range(50):
        doomed = asyncio.ensure_future(real.run(echo("doomed")))
        kept = asyncio.ensure_future(real.run(echo(f"kept {number}")))
        await asyncio.sleep(0)
        doomed.cancel()
        assert await kept == [f"kept {number}".encode()]
        with contextlib.suppress(asyncio.CancelledError):
            await doomed


@pytest.mark.slow
async def test_large_commands_and_replies_pass_whole(real) -> None:
    """More than the socket takes at once: senders wait until the server has read."""
    size = 3_000_000
    texts = [bytes([65 + number]) * size for number in range(8)]
    answers = await asyncio.gather(*(real.run([("", ("ECHO", text))]) for text in texts))
    assert answers == [[text] for text in texts]


@pytest.mark.slow
async def test_wait_blocks_nobody_and_can_be_cancelled(real) -> None:
    """It has a connection of its own; cancelled, the next wait is not held up by it."""
    waiting = asyncio.create_task(real.wait([("s", ("XREAD", "BLOCK", 60_000, "STREAMS", "s", "$"))]))
    assert await real.run(echo("meanwhile")) == [b"meanwhile"]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await real.run([("t", ("XADD", "t", "1-1", "a", "b"))])
    async with asyncio.timeout(10):
        [answer] = await real.wait([("t", ("XREAD", "BLOCK", 60_000, "STREAMS", "t", "0"))])
    assert answer == [[b"t", [[b"1-1", [b"a", b"b"]]]]]


@pytest.mark.slow
async def test_forked_child_does_not_touch_the_parents_connection(real) -> None:
    """pitfall 34: a child that sent on it would get the parent's replies."""
    [mine] = await real.run([("", ("CLIENT", "ID"))])
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        link = real._link
        os.write(writer, b"usable" if link.usable else b"unusable")
        os._exit(0)
    assert os.read(reader, 20) == b"unusable"
    os.close(reader)
    os.close(writer)
    await asyncio.to_thread(os.waitpid, child, 0)
    assert await real.run([("", ("CLIENT", "ID"))]) == [mine]


async def test_what_is_sent_in_one_tick_leaves_in_one_write(tmp_path) -> None:
    """The server finds all of it at its first read."""
    reads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            reads.append(data)
            writer.write(b"+OK\r\n" * data.count(b"PING"))

    async with scripted(tmp_path, serve) as wire:
        await wire.run([("", ("PING",))])
        reads.clear()
        await asyncio.gather(*(wire.run([("", ("PING",))]) for _ in range(100)))
        assert [data.count(b"PING") for data in reads] == [100]


async def test_lost_connection_fails_whoever_waits_and_the_next_command_opens_another(tmp_path) -> None:
    """Nothing is sent twice: of what was under way nobody knows whether it happened."""
    seen: list[list[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append(await command(reader))
            if seen[-1][1] == b"die":
                writer.close()
                return
            writer.write(b"+OK\r\n")

    async with scripted(tmp_path, serve) as wire:
        assert await wire.run(echo("a")) == [b"OK"]
        answers = await asyncio.gather(wire.run(echo("die")), wire.run(echo("b")), return_exceptions=True)
        assert [type(answer) for answer in answers] == [RedisConnectionError] * 2
        assert await wire.run(echo("c")) == [b"OK"]
    texts = [words[1] for words in seen]
    assert texts.count(b"die") == 1
    assert texts.count(b"b") <= 1
    assert texts[-1] == b"c"


async def test_silent_server_is_given_up_after_the_timeout(tmp_path) -> None:
    """A half-open connection: everybody is told, and the next command opens another."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        first = connections == 1
        while True:
            await command(reader)
            if not first:
                writer.write(b"+OK\r\n")

    async with scripted(tmp_path, serve) as wire:
        with pytest.raises(RedisTimeoutError, match=r"no reply within 0\.5 s"):
            await wire.run(echo("a"))
        assert await wire.run(echo("b")) == [b"OK"]
        assert connections == 2


@pytest.mark.parametrize("garbage", [b"!what\r\n", b"+OK\r\n+OK\r\n"])
async def test_reply_that_nobody_asked_for_ends_the_connection(tmp_path, garbage) -> None:
    """From there on no reply could be trusted to be whose it seems."""

    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        replies = garbage if connections == 1 else b"+OK\r\n"
        while True:
            await command(reader)
            writer.write(replies)

    async with scripted(tmp_path, serve) as wire:
        with contextlib.suppress(RedisConnectionError):
            await wire.run(echo("a"))
        assert await wire.run(echo("b")) == [b"OK"]
        assert connections == 2


async def test_replica_is_left_at_its_first_refusal(tmp_path) -> None:
    """After a failover the old master answers READONLY: the next command asks anew where the master is."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        demoted = connections == 1
        while True:
            await command(reader)
            writer.write(b"-READONLY You can't write against a read only replica.\r\n" if demoted else b"+OK\r\n")

    async with scripted(tmp_path, serve) as wire:
        [refusal] = await wire.run(echo("a"))
        assert isinstance(refusal, ReadOnlyError)
        assert await wire.run(echo("b")) == [b"OK"]


async def test_reply_cut_in_the_middle_is_no_reply(tmp_path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await command(reader)
        writer.write(b"$10\r\nabc")
        writer.close()

    async with scripted(tmp_path, serve) as wire:
        with pytest.raises(RedisConnectionError):
            await wire.run(echo("a"))


async def test_closed_wire_fails_whoever_waits(tmp_path) -> None:
    """Nobody waits for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await command(reader)
        asked.set()
        await reader.read()

    asked = asyncio.Event()
    async with scripted(tmp_path, serve) as wire:
        waiting = asyncio.create_task(wire.run(echo("a")))
        await asked.wait()
        await wire.close()
        with pytest.raises(RedisConnectionError, match="closed"):
            await waiting


async def test_server_that_is_not_there_is_told(tmp_path) -> None:
    wire = Multiplexed(lambda: UnixDomainSocketConnection(path=str(tmp_path / "none"), protocol=2))
    with pytest.raises(RedisConnectionError, match="No such file"):
        await wire.run(echo("a"))
    await wire.close()
