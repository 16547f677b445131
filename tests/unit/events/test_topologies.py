"""The bus by URL alone: a socket, TCP, TLS with a user of few rights, Sentinels, a Cluster."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from redis.exceptions import NoPermissionError

from recyclic.config import Config, RedisConfig
from recyclic.core.app import create_app
from recyclic.core.events.event import Event
from recyclic.core.events.streams import RedisStreams
from recyclic.core.redis import connect, open_redis
from recyclic.core.redis_process import ensure_server
from recyclic.errors import BusError, ConfigError
from recyclic.testing.secured import Secured

pytestmark = pytest.mark.slow  # real servers


class SaleClosed(Event):
    """A till was closed."""

    session_id: str


class MemberCreated(Event):
    """Somebody joined."""

    session_id: str


def settings_of(server, **more) -> RedisConfig:
    papers = getattr(server, "papers", None)
    files = {"tls_ca": papers.authority, "tls_cert": papers.client, "tls_key": papers.client_key} if papers else {}
    return RedisConfig(**{"url": server.url, **files, **more})


@pytest.mark.parametrize("kind", ["redis", "valkey", "tls", "sentinel", "cluster"])
async def test_bus_runs_wherever_the_url_leads(kind: str, servers, bench) -> None:
    """Nothing but `[redis]` says where; what was opened says what it is, and never the password."""
    where = servers(kind)
    server = await open_redis(Config.build(redis=settings_of(where)))
    expected = {"sentinel": "sentinel", "cluster": "cluster"}.get(kind, "standalone")
    assert server.topology == expected
    assert "version" in server.description
    if isinstance(where, Secured):
        assert where.password not in server.description
        assert "%2F" not in server.description
    streams = RedisStreams(server.client)
    seen: list[str] = []

    async def handler(session_id: str) -> None:
        seen.append(session_id)

    name = f"on_{kind}"
    broker = await bench.serving(("sale_closed", handler), ("member_created", handler), streams=streams, module=name)
    bus = broker.scoped("caisse", emits=[SaleClosed, MemberCreated])
    for number in range(50):
        await bus.emit("sale_closed", session_id=f"sale {number}")
        await bus.emit("member_created", session_id=f"member {number}")
    await bench.until(lambda: len(set(seen)) >= 100)
    await broker.close()
    bench.brokers.clear()
    await streams.close()
    await server.close()


@pytest.mark.parametrize("kind", ["embedded", "sentinel", "cluster"])
async def test_health_names_the_topology(kind: str, servers, tmp_path: Path) -> None:
    """And finds nothing wrong with it; on a Cluster every node is asked whether it keeps what it is told."""
    redis = {} if kind == "embedded" else {"redis": settings_of(servers(kind))}
    app = create_app(Config.build(data_dir=tmp_path, **redis), serve_ui=False)
    try:
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                found = (await client.get("/health/ready")).json()
            answers = await app.state.streams._wire.everywhere(("INFO", "server"))
    finally:
        if kind == "embedded":
            ensure_server(tmp_path / "redis").stop()
    assert found["topology"] == kind
    assert found["checks"]["redis"] == "ok"
    assert found["checks"]["persistence"] == ("failed" if kind == "cluster" else "ok")
    assert len({re.search(rb"run_id:(\w+)", answer)[1] for answer in answers}) == (3 if kind == "cluster" else 1)


@pytest.fixture
def backend() -> str:
    return "fake"  # the bench's own Redis, which is not asked here


@pytest.fixture(scope="session")
def grants() -> list[str]:
    """Return the rights that the documentation gives the bus's user."""
    text = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith("ACL SETUSER")]
    return line.partition(" >password ")[2].split()


@pytest.fixture(scope="module")
def secured(servers) -> Secured:
    return servers("tls")


@pytest.mark.parametrize(
    ("left_out", "says"),
    [("tls_ca", "certificate verify failed"), ("tls_cert", "does not answer")],
)
async def test_without_the_right_certificates_nothing_is_said(secured: Secured, left_out: str, says: str) -> None:
    """A server of another authority is refused by us, a client without a certificate by the server."""
    settings = settings_of(secured, **{left_out: None}, **({"tls_key": None} if left_out == "tls_cert" else {}))
    with pytest.raises(BusError, match=says) as caught:
        await open_redis(Config.build(redis=settings))
    assert secured.password not in str(caught.value)


async def test_certificate_of_another_name_is_refused_unless_told_otherwise(secured: Secured) -> None:
    """`tls_check_hostname = false` is for servers that Sentinels or a Cluster name by their address."""
    url = secured.url.replace("127.0.0.1", "localhost")
    with pytest.raises(BusError, match="certificate verify failed"):
        await open_redis(Config.build(redis=settings_of(secured, url=url)))
    server = await open_redis(Config.build(redis=settings_of(secured, url=url, tls_check_hostname=False)))
    await server.close()


@pytest.mark.parametrize("key", ["tls_ca", "tls_cert", "tls_key"])
async def test_file_that_cannot_be_used_is_named(secured: Secured, tmp_path, key: str) -> None:
    """Before anything is connected, with its setting."""
    (tmp_path / "no.pem").write_text("this is no certificate")
    for file in (tmp_path / "nowhere.pem", tmp_path / "no.pem"):
        with pytest.raises(ConfigError) as caught:
            connect(settings_of(secured, **{key: file}))
        [problem] = caught.value.problems
        assert str(file) in str(problem) or key == "tls_key"
        assert "[redis] tls_" in problem.where
        assert "PEM" in problem.remedy


async def test_documented_rights_are_no_more_than_the_bus_s_own_keys(secured: Secured) -> None:
    """Another's keys, other commands, and the server's settings are out of its reach."""
    client = connect(settings_of(secured))
    for command in (
        ("GET", "another's"),
        ("XADD", "another's", "*", "f", "v"),
        ("XREVRANGE", "retry:another's", "+", "-"),
        ("FLUSHALL",),
        ("CONFIG", "GET", "*"),
        ("KEYS", "*"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("ACL", "LIST"),
        ("SCRIPT", "FLUSH"),
    ):
        with pytest.raises(NoPermissionError):
            await client.execute_command(*command)
    await client.aclose()


def also_granted(where: str) -> list[str]:
    """Return the rights that the documentation adds for a topology."""
    text = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
    return re.search(where + r"[^`]*(?:`sentinel_\w+`[^`]*)*`(\+[^`]*)`", text)[1].split()


async def test_documented_rights_suffice_on_a_cluster(servers, grants, bench) -> None:
    """The hot path, the rings, and what operators ask; without them nothing of it."""
    cluster = servers("cluster")
    for server in cluster.servers:
        server.ask("ACL", "SETUSER", "bus", "reset", "on", ">its-password", *grants, *also_granted("On a Cluster add"))
    url = cluster.url.replace("://", "://bus:its-password@")
    server = await open_redis(Config.build(redis={"url": url}))
    streams = RedisStreams(server.client)
    waiting = asyncio.create_task(streams.news({"sale_closed": "0-0", "member_created": "0-0"}))
    for event in ("sale_closed", "member_created"):
        await streams.append(event, {"data": b"{}"})
    assert (await waiting).grown
    assert {"sale_closed", "member_created"} <= {state.event for state in await streams.events()}
    await streams.close()
    await server.close()
    for node in cluster.servers:
        node.ask("ACL", "SETUSER", "bus", "-ssubscribe")
    denied = RedisStreams(client := connect(url))
    with pytest.raises(BusError, match="ssubscribe"):
        await denied.news({"sale_closed": "9999999999999-0"})
    await denied.close()
    await client.aclose()


async def test_documented_rights_suffice_at_a_sentinel(servers) -> None:
    """Sentinels can have users too."""
    group = servers("sentinel")
    sentinel = group.sentinels[0]
    rights = also_granted("Sentinels that have users of their own")
    sentinel.ask("ACL", "SETUSER", "bus", "reset", "on", ">its-password", "-@all", *rights)
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{group.name}"
    redis = {"url": url, "sentinel_username": "bus", "sentinel_password": "its-password"}
    server = await open_redis(Config.build(redis=redis))
    assert await server.client.ping()
    await server.close()


async def test_right_that_is_missing_is_named(servers, secured: Secured) -> None:
    """The error says which command was refused."""
    secured.server.ask("ACL", "SETUSER", "poor", "reset", "on", ">poor", "~*", "+@all", "-xadd")
    port = secured.server.port
    streams = RedisStreams(client := connect(f"redis://poor:poor@127.0.0.1:{port}/0"))
    with pytest.raises(BusError, match="xadd"):
        await streams.append("sale_closed", {"data": b"{}"})
    await streams.close()
    await client.aclose()
    with pytest.raises(BusError, match=r"WRONGPASS|invalid username-password") as caught:
        await open_redis(Config.build(redis={"url": f"redis://poor:wrong-one@127.0.0.1:{port}/0"}))
    assert "wrong-one" not in str(caught.value)
