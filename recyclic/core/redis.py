"""Opens a Redis: the one a URL names, or an embedded server, one for each data folder."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from recyclic.core.redis_process import ServerProcess, ensure_server, spawn_server
from recyclic.errors import BusError, ConfigError, Problem

if TYPE_CHECKING:
    from recyclic.config import Config

__all__ = ["RedisServer", "ServerProcess", "connect", "open_redis", "spawn_server"]

FLOOR = (7, 0)
CONNECTIONS = 16
"""Connections of one process at most, whatever the number of modules; the doorbell adds one."""
TIMEOUT = 5.0
"""Seconds for an answer, and for a connection."""
WATCH = 1.0
"""Seconds between two looks at the embedded server."""

log = structlog.get_logger(__name__)


class RedisServer:
    """An open Redis: `client` to speak to it, `url` and `version`, `description` for people, `close` at the end."""

    def __init__(self, client: Redis, url: str, version: str, description: str) -> None:
        self.client = client
        self.url = url
        self.version = version
        self.description = description
        self._watch: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the connections. An embedded server runs on, for the other processes of its folder."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self.client.aclose()

    def watch(self, folder: Path) -> None:
        """Start the embedded server again whenever it is found dead."""
        self._watch = asyncio.create_task(self._revive(folder), name="recyclic-redis-watch")

    async def _revive(self, folder: Path) -> None:
        while True:
            await asyncio.sleep(WATCH)
            with contextlib.suppress(BusError):
                await asyncio.to_thread(ensure_server, folder)


def connect(url: str) -> Redis:
    """Return a client as the bus needs it: protocol 2, no retries of its own, a bounded pool. Opens nothing yet.

    Raises:
        ConfigError: the URL cannot be read.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            max_connections=CONNECTIONS,
            timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        )
    except ValueError as error:
        remedy = "write redis://host:6379/0, rediss://… for TLS, or unix:///path/to/redis.sock"
        raise ConfigError(Problem(f"the Redis URL cannot be used: {error}", "[redis] url", remedy)) from error
    return Redis.from_pool(pool)


async def open_redis(config: Config) -> RedisServer:
    """Open the Redis of `[redis] url`; without one, find or start the embedded server of the data folder.

    Raises:
        ConfigError: the URL cannot be read.
        BusError: the server cannot be reached or started, is too old, or would throw events away.
    """
    if config.redis.url:
        return await _checked(config.redis.url, f"Redis at {_without_password(config.redis.url)}")
    folder = (config.data_dir / "redis").absolute()
    process = await asyncio.to_thread(ensure_server, folder)
    server = await _checked(process.url, f"embedded {process.binary.name}, {folder}")
    server.watch(folder)
    return server


async def _checked(url: str, description: str) -> RedisServer:
    """Connect and refuse what could not keep the bus's promises."""
    client = connect(url)
    try:
        info: dict[str, Any] = await client.info()
        policy = await _policy(client, info)
    except (RedisError, OSError) as error:
        await client.aclose()
        what = f"Redis does not answer: {error}"
        raise BusError(Problem(what, _without_password(url), "start it, or correct [redis] url")) from error
    version = str(info.get("valkey_version") or info.get("redis_version") or "0")
    problem = None
    if tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2]) < FLOOR:
        problem = Problem(f"Redis {version} is too old", _without_password(url), "use Redis 7.0 or Valkey, or newer")
    elif policy.startswith("allkeys"):
        remedy = "set maxmemory-policy to noeviction"
        problem = Problem(f"Redis throws events away when memory is short ({policy})", _without_password(url), remedy)
    if problem is not None:
        await client.aclose()
        raise BusError(problem)
    if not int(info.get("aof_enabled", 0)):
        log.warning("Redis keeps no append-only file: events not yet handled are lost if it crashes", redis=description)
    return RedisServer(client, url, version, f"{description}, version {version}")


async def _policy(client: Redis, info: dict[str, Any]) -> str:
    """Return what the server does when memory is short; empty where it may not be asked."""
    if "maxmemory_policy" in info:
        return str(info["maxmemory_policy"])
    try:
        return str((await client.config_get("maxmemory-policy")).get("maxmemory-policy", ""))
    except ResponseError:
        return ""


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
