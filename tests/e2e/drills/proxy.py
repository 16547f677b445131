"""Proxy: a TCP proxy on loopback in front of a Redis, that cuts, swallows, delays and tears what passes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Self

CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Lets everything through until told otherwise. Each fault is counted in `faults` when it hits."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._tunnels: set[_Tunnel] = set()
        self.port = 0
        self.faults: dict[str, int] = {}
        self.latency = 0.0
        """Seconds that each chunk waits, in both directions."""
        self.swallowing = False
        self._cuts: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        """The address to configure."""
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for tunnel in list(self._tunnels):
            tunnel.reset()
        await asyncio.gather(*(tunnel.done.wait() for tunnel in self._tunnels))
        await self._server.wait_closed()

    # -- faults

    def cut_request(self, word: bytes = b"") -> None:
        """Close the connection over which the next request with `word` comes, and swallow the request."""
        self._cuts.append(("request cut", word))

    def cut_reply(self, word: bytes = b"") -> None:
        """Let the next request with `word` through, and close the connection instead of passing the reply on."""
        self._cuts.append(("reply cut", word))

    def tear_reply(self, word: bytes = b"") -> None:
        """Pass half of the next reply to a request with `word` on, then reset the connection."""
        self._cuts.append(("reply torn", word))

    def reset_all(self) -> None:
        """Reset every connection."""
        for tunnel in list(self._tunnels):
            self._count("reset")
            tunnel.reset()

    def black_hole(self) -> None:
        """Swallow everything in both directions from now on, and close nothing: each end believes in the other."""
        self.swallowing = True
        for tunnel in self._tunnels:
            tunnel.forgotten = True
        self._count("black hole")

    def heal(self) -> None:
        """Let new connections through. Those that were swallowed stay half-open, as behind a router that forgot."""
        self.swallowing, self.latency = False, 0.0
        self._cuts.clear()

    @property
    def waiting(self) -> int:
        """Return how many faults have not hit yet."""
        return len(self._cuts)

    def strike(self, data: bytes) -> str | None:
        """Return the fault that hits this request, if one is waiting for it."""
        for index, (kind, word) in enumerate(self._cuts):
            if word in data:
                del self._cuts[index]
                self._count(kind)
                return kind
        return None

    def _count(self, kind: str) -> None:
        self.faults[kind] = self.faults.get(kind, 0) + 1

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnel = _Tunnel(self, reader, writer)
        tunnel.forgotten = self.swallowing
        self._tunnels.add(tunnel)
        try:
            await tunnel.run(self._upstream)
        finally:
            self._tunnels.discard(tunnel)
            tunnel.done.set()


class _Tunnel:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._struck: str | None = None
        self.forgotten = False
        self.done = asyncio.Event()

    async def run(self, upstream: Path) -> None:
        pumps: list[asyncio.Task[None]] = []
        server: asyncio.StreamWriter | None = None
        try:
            replies, server = await asyncio.open_unix_connection(str(upstream))
            pumps = [
                asyncio.create_task(self._pump(self._reader, server, self._request)),
                asyncio.create_task(self._pump(replies, self._writer, self._reply)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            return  # the server is away; whoever connected sees the connection closed
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            writers = [writer for writer in (self._writer, server) if writer is not None]
            for writer in writers:
                writer.close()
            for writer in writers:
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def reset(self) -> None:
        """Close with RST instead of FIN; the pump that reads from here sees the end, and the tunnel is taken down."""
        self._linger()

    def _linger(self) -> None:
        plain = self._writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        passed: Callable[[bytes], bytes | None],
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(CHUNK):
                if self._proxy.latency:
                    await asyncio.sleep(self._proxy.latency)  # the fault itself
                if self.forgotten:
                    continue
                part = passed(data)
                if part:
                    target.write(part)
                    await target.drain()
                if part != data:
                    if part:
                        self._linger()
                    return

    def _request(self, data: bytes) -> bytes | None:
        if self._struck is None:
            self._struck = self._proxy.strike(data)
        return None if self._struck == "request cut" else data

    def _reply(self, data: bytes) -> bytes | None:
        match self._struck:
            case "reply cut":
                return None
            case "reply torn":
                return data[: len(data) // 2]
        return data
