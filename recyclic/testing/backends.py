"""Backends: where the bus of a test lives: an in-process fake, a private server, a container, or a URL."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
import traceback
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from recyclic.testing.errors import KitError

if TYPE_CHECKING:
    from recyclic.core.events.streams import RedisStreams
    from recyclic.core.redis import Client

NAMES: Final = ("fake", "server", "container", "twin")
_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_IMAGE: Final = "redis:7-alpine"


@dataclass(frozen=True, slots=True)
class OpenStreams:
    """Returns a new transport to one host's Redis: each life of a worker has its own."""

    make: Callable[[], RedisStreams]
    url: str = ""
    """Where other processes reach the same Redis; empty where none can."""
    difference: Callable[[], str] = lambda: ""
    """Returns where two servers that should behave alike did not; empty where they do, or where there is one."""

    def __call__(self) -> RedisStreams:
        """Return a new transport."""
        return self.make()


class Backend(Protocol):
    """Gives each host an empty Redis of its own."""

    name: str

    @property
    def description(self) -> str:
        """What the header and the failure texts call it, version included."""
        ...

    def open(self) -> AbstractAsyncContextManager[OpenStreams]:
        """Yield a factory of transports to an empty Redis."""
        ...


def parse_backend(text: str) -> str:
    """Return the backend's name, or the URL.

    Raises:
        KitError: it is neither; the text says what there is.
    """
    if text in NAMES or text.startswith(_SCHEMES):
        return text
    raise KitError(f"unknown backend {text!r}: use {', '.join(NAMES)}, or a URL such as redis://127.0.0.1:6379/15")


_opened: dict[str, Backend] = {}


def backend(text: str) -> Backend:
    """Return the backend of this process; it is started at its first use and ends with the process."""
    name = parse_backend(text)
    if name not in _opened:
        _opened[name] = _build(name)
    return _opened[name]


def _build(name: str) -> Backend:
    match name:
        case "fake":
            return FakeBackend()
        case "server":
            return ServerBackend()
        case "container":
            return ContainerBackend()
        case "twin":
            return TwinBackend()
        case _:
            return UrlBackend(name)


class FakeBackend:
    """fakeredis: a fresh in-process server per host."""

    name = "fake"

    @property
    def description(self) -> str:
        """Name and version."""
        return f"fake (fakeredis {version('fakeredis')})"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OpenStreams]:
        """Yield transports to a new, empty fake."""
        import fakeredis  # noqa: PLC0415 - kept out of the plugin's import

        from recyclic.core.events.bell import Bell  # noqa: PLC0415 - kept out of the plugin's import
        from recyclic.core.events.streams import RedisStreams  # noqa: PLC0415 - kept out of the plugin's import

        client, bell = fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer(), protocol=2), Bell()
        try:
            yield OpenStreams(lambda: RedisStreams(client, blocking=False, bell=bell))
        finally:
            await client.aclose()


class _RealBackend:
    """A real Redis, one database index of it per host that is booted at the same time."""

    def __init__(self) -> None:
        self._free = list(range(15, -1, -1))
        self._version = ""

    def _url_of(self, index: int) -> str:
        raise NotImplementedError

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OpenStreams]:
        """Yield transports to an index that was flushed."""
        from recyclic.core.events.streams import RedisStreams  # noqa: PLC0415 - kept out of the plugin's import

        if not self._free:
            raise KitError("sixteen hosts are booted at the same time, more than a Redis has databases: close some")
        index = self._free.pop()
        client = _client(self._url_of(index))
        try:
            await self._prepare(client)
            yield OpenStreams(lambda: RedisStreams(client, blocking=True), self._url_of(index))
        finally:
            await client.aclose()
            self._free.append(index)

    async def _prepare(self, client: Client) -> None:
        await client.flushdb()


class ServerBackend(_RealBackend):
    """A private redis-server of this process, on a unix socket, with nothing on disk."""

    name = "server"

    def __init__(self) -> None:
        super().__init__()
        from recyclic.core.redis import spawn_server  # noqa: PLC0415 - kept out of the plugin's import

        self._home = Path(tempfile.mkdtemp(prefix="recyclic-"))
        self._process = spawn_server(self._home, persistent=False)
        self._version = version_at(self._process.url)
        atexit.register(self._end)

    @property
    def description(self) -> str:
        """Name and version."""
        return f"server ({self._version})"

    def _url_of(self, index: int) -> str:
        return f"{self._process.url}?db={index}"

    def _end(self) -> None:
        self._process.stop()
        shutil.rmtree(self._home, ignore_errors=True)


class TwinBackend:
    """A private server and the fake, that run each command both; the first difference fails the test."""

    name = "twin"

    def __init__(self) -> None:
        self._server = ServerBackend()
        self._fake = FakeBackend()

    @property
    def description(self) -> str:
        """Names and versions."""
        return f"twin of {self._server.description} and {self._fake.description}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[OpenStreams]:
        """Yield transports to both, empty."""
        from recyclic.core.events.bell import Bell  # noqa: PLC0415 - kept out of the plugin's import
        from recyclic.core.events.streams import RedisStreams  # noqa: PLC0415 - kept out of the plugin's import
        from recyclic.core.events.wires import wire_of  # noqa: PLC0415 - kept out of the plugin's import
        from recyclic.testing.twin import Comparison, TwinWire  # noqa: PLC0415 - kept out of the plugin's import

        comparison, bell = Comparison(), Bell()
        async with self._server.open() as server, self._fake.open() as fake:
            own, other = server().client, fake().client

            def make() -> RedisStreams:
                both = TwinWire(wire_of(own, blocking=True), wire_of(other, blocking=False), comparison)
                return RedisStreams(own, blocking=False, bell=bell, wire=both)

            yield OpenStreams(make, difference=lambda: comparison.difference)


class UrlBackend(_RealBackend):
    """A Redis that someone else runs. Only an empty database is used, and it is left empty."""

    def __init__(self, url: str, name: str = "") -> None:
        super().__init__()
        self.name = name or url
        self._url = url
        self._free = [0]
        self._ours = False
        self._version = version_at(url)

    @property
    def description(self) -> str:
        """Host and version, without a password."""
        place = self._url.rpartition("@")[2] if "@" in self._url else self._url
        return f"{place} ({self._version})" if self.name == self._url else f"{self.name} ({self._version})"

    def _url_of(self, index: int) -> str:
        del index
        return self._url

    async def _prepare(self, client: Client) -> None:
        if self.name == self._url and "PYTEST_XDIST_WORKER" in os.environ:
            raise KitError(
                f"several test processes cannot share {self.description}: leave out -n, or use --recyclic-redis=server"
            )
        if not self._ours and (size := await client.dbsize()):
            raise KitError(
                f"the database at {self.description} holds {size} keys, and every test would delete them: "
                "name an empty one, for example redis://host:6379/15"
            )
        self._ours = True
        await client.flushdb()


class ContainerBackend(UrlBackend):
    """A Redis in a container, started by testcontainers and removed with the process."""

    def __init__(self) -> None:
        try:
            from testcontainers.community.redis import RedisContainer  # noqa: PLC0415 - only when it is asked for

            container = RedisContainer(_IMAGE)
            container.start()
        except Exception as error:
            _let_go_of(error)
            raise KitError(
                f"no container with {_IMAGE} can be started: {type(error).__name__}: {error}. "
                "Start Docker, or use --recyclic-redis=server"
            ) from error
        atexit.register(container.stop)
        host, port = container.get_container_host_ip(), container.get_exposed_port(6379)
        super().__init__(f"redis://{host}:{port}/0", "container")


def _let_go_of(error: BaseException | None) -> None:
    """Close what docker's client left open where no engine answered; else some later test would be blamed for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__
        gc.collect()


def _client(url: str) -> Client:
    from recyclic.core.redis import connect  # noqa: PLC0415 - kept out of the plugin's import

    return connect(url)


def version_at(url: str) -> str:
    """Return `Redis 7.0.15` or `Valkey 9.1`, asked once."""
    from redis import Redis as SyncRedis  # noqa: PLC0415 - kept out of the plugin's import
    from redis.exceptions import RedisError  # noqa: PLC0415 - kept out of the plugin's import

    try:
        with SyncRedis.from_url(url, protocol=2, socket_timeout=5) as client:
            info: Any = client.info("server")
    except (RedisError, OSError, ValueError) as error:
        raise KitError(f"no Redis answers at {url.rpartition('@')[2]}: {error}") from error
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"
