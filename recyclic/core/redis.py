"""Opens a Redis: the one a URL names, or an embedded server, one for each data folder."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from recyclic.config import RedisConfig
from recyclic.core.redis_cluster import ClusterClient
from recyclic.core.redis_process import ServerProcess, ensure_server, spawn_server
from recyclic.core.redis_sentinel import PATIENCE, MasterPool, Sentinels
from recyclic.errors import BusError, ConfigError, Problem
from recyclic.redis_url import EXAMPLES, SETTING, RedisUrl, Topology, without_password

if TYPE_CHECKING:
    from recyclic.config import Config

__all__ = ["Client", "RedisServer", "ServerProcess", "connect", "open_redis", "spawn_server"]

Client = Redis | ClusterClient
"""redis-py's client of whatever the URL names."""

FLOOR = (7, 0)
CONNECTIONS = 16
"""Connections of one client to one server at most, whatever the number of modules; the bus has two of its own."""
TIMEOUT = 5.0
"""Seconds for an answer, and for a connection."""
WATCH = 1.0
"""Seconds between two looks at the embedded server."""

log = structlog.get_logger(__name__)


class RedisServer:
    """An open Redis: `client` to speak to it, its `url` and `version`, `description` for people.

    `topology` is `standalone`, `sentinel`, `cluster`, or `embedded` for a server of our own.
    """

    def __init__(self, client: Client, url: str, topology: str, version: str, description: str) -> None:
        self.client = client
        self.url = url
        self.topology = topology
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


def connect(settings: RedisConfig | str) -> Client:
    """Return a client as the bus needs it: protocol 2, no retries of its own, bounded. Opens nothing yet.

    `settings` is `[redis]` of the configuration, or a URL alone.

    Raises:
        ConfigError: the URL or a certificate cannot be used.
    """
    redis = RedisConfig(url=settings) if isinstance(settings, str) else settings
    url = RedisUrl.read(redis.url)
    options: dict[str, Any] = {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": TIMEOUT,
        "socket_connect_timeout": TIMEOUT,
    }
    if not redis.url.startswith("unix:"):
        options["socket_keepalive"] = True
    if url.tls:
        options |= _tls(redis)
    match url.topology:
        case "sentinel":
            return _master(url, redis, options)
        case "cluster":
            return ClusterClient(
                url.hosts, ssl=url.tls, username=url.username, password=url.password, **options, max_connections=64
            )
    try:
        pool = BlockingConnectionPool.from_url(redis.url, **options, max_connections=CONNECTIONS, timeout=TIMEOUT)
    except ValueError as error:
        raise ConfigError(Problem("the URL cannot be used", SETTING, EXAMPLES)) from error
    return Redis.from_pool(pool)


def _master(url: RedisUrl, redis: RedisConfig, options: dict[str, Any]) -> Redis:
    asking = {**options, "socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "ssl": url.tls}
    asking |= {"username": redis.sentinel_username or None, "password": redis.sentinel_password or None}
    sentinels = Sentinels(url.hosts, sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    pool = MasterPool(
        url.master,
        sentinels,
        **options,
        ssl=url.tls,
        db=url.database,
        username=url.username,
        password=url.password,
        max_connections=CONNECTIONS,
        timeout=TIMEOUT,
    )
    return Redis.from_pool(pool)


def _tls(redis: RedisConfig) -> dict[str, Any]:
    """Return redis-py's options for TLS, after trying whether the files can be used."""
    problems: list[Problem] = []
    context = ssl.create_default_context()
    for key, file, load in (
        ("tls_ca", redis.tls_ca, context.load_verify_locations),
        ("tls_cert", redis.tls_cert, lambda file: context.load_cert_chain(file, redis.tls_key or file)),
    ):
        if file is None:
            continue
        try:
            load(file)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            remedy = "name a readable PEM file; tls_key is the key of tls_cert, without a passphrase"
            problems.append(Problem(f"the file cannot be used: {error}", f"[redis] {key} = {file}", remedy))
    if problems:
        raise ConfigError(problems)
    return {
        "ssl_ca_certs": redis.tls_ca and str(redis.tls_ca),
        "ssl_certfile": redis.tls_cert and str(redis.tls_cert),
        "ssl_keyfile": (redis.tls_key or redis.tls_cert) and str(redis.tls_key or redis.tls_cert),
        "ssl_check_hostname": redis.tls_check_hostname,
    }


async def open_redis(config: Config) -> RedisServer:
    """Open the Redis of `[redis]`; without a URL, find or start the embedded server of the data folder.

    Raises:
        ConfigError: the URL or a certificate cannot be used.
        BusError: the server cannot be reached or started, is too old, or would throw events away.
    """
    if config.redis.url:
        return await _checked(config.redis, "")
    folder = (config.data_dir / "redis").absolute()
    process = await asyncio.to_thread(ensure_server, folder)
    server = await _checked(RedisConfig(url=process.url), f"embedded {process.binary.name}, {folder}")
    server.topology = "embedded"
    server.watch(folder)
    return server


async def _checked(redis: RedisConfig, description: str) -> RedisServer:
    """Connect and refuse what could not keep the bus's promises."""
    client, place = connect(redis), without_password(redis.url)
    topology = RedisUrl.read(redis.url).topology
    description = description or _described(topology, place)
    try:
        infos = await _infos(client)
        problems = [problem for info in infos if (problem := await _refusal(client, info, place)) is not None]
    except (RedisError, OSError) as error:
        await client.aclose()
        what = f"Redis does not answer: {error}"
        raise BusError(Problem(what, place, "start it, or correct [redis] url")) from error
    except BaseException:
        await client.aclose()
        raise
    if problems:
        await client.aclose()
        raise BusError(problems[0])
    if not all(int(info.get("aof_enabled", 0)) for info in infos):
        log.warning("Redis keeps no append-only file: events not yet handled are lost if it crashes", redis=description)
    version = min(_version(info) for info in infos)
    return RedisServer(client, redis.url, topology, version, f"{description}, version {version}")


def _described(topology: Topology, place: str) -> str:
    return {"standalone": "Redis at", "sentinel": "Redis behind Sentinels at", "cluster": "Redis Cluster at"}[
        topology
    ] + f" {place}"


async def _infos(client: Client) -> list[dict[str, Any]]:
    """Return what each server that takes events says of itself."""
    if isinstance(client, ClusterClient):
        return await client.infos()
    return [await client.info()]


def _version(info: dict[str, Any]) -> str:
    return str(info.get("valkey_version") or info.get("redis_version") or "0")


async def _refusal(client: Client, info: dict[str, Any], place: str) -> Problem | None:
    if tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2]) < FLOOR:
        return Problem(f"Redis {_version(info)} is too old", place, "use Redis 7.0 or Valkey, or newer")
    policy = await _policy(client, info)
    if policy.startswith("allkeys"):
        remedy = "set maxmemory-policy to noeviction"
        return Problem(f"Redis throws events away when memory is short ({policy})", place, remedy)
    return None


async def _policy(client: Client, info: dict[str, Any]) -> str:
    """Return what the server does when memory is short; empty where it may not be asked."""
    if "maxmemory_policy" in info:
        return str(info["maxmemory_policy"])
    try:
        return str((await client.config_get("maxmemory-policy")).get("maxmemory-policy", ""))
    except ResponseError:
        return ""
