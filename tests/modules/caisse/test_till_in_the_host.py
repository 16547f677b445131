"""The till in its host: behind the door, with the outbox between its close and Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import fakeredis
import httpx
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import text

from recyclic.config import Config
from recyclic.core.app import create_app
from recyclic.core.auth import COOKIE
from recyclic.core.events.streams import RedisStreams

API = "/api/modules/caisse"


@asynccontextmanager
async def host(tmp_path, server, **settings) -> AsyncIterator[tuple]:
    redis = fakeredis.FakeAsyncRedis(server=server, protocol=2)
    config = Config.build(
        modules={"enabled": ["caisse"]}, module_settings={"caisse": settings}, data_dir=tmp_path, secret_key="k" * 40
    )
    app = create_app(config, streams=RedisStreams(redis, blocking=False), serve_ui=False)
    async with app.router.lifespan_context(app):
        yield app, redis
    await redis.aclose()


async def client(app, **permissions):
    user = await app.state.auth.add_user("-".join(permissions) or "nobody", None, permissions)
    cookies = {COOKIE: app.state.auth.cookie_for(user)}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://till", cookies=cookies)


async def closed_session(http):
    register = (await http.post(f"{API}/registers", json={"name": "Caisse 1"})).json()
    body = {"register_id": register["id"], "opening_float_cents": 0}
    session = (await http.post(f"{API}/sessions", json=body)).json()
    return await http.post(f"{API}/sessions/{session['id']}/close", json={"counted_cash_cents": 0})


async def until(condition, seconds=10.0):
    """Look again whenever others had their turn; the bound is a safety net."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0)


async def test_the_close_reaches_the_stream_through_the_outbox(tmp_path):
    async with host(tmp_path, fakeredis.FakeServer()) as (app, redis), await client(app, caisse="write") as http:
        answer = await closed_session(http)
        assert answer.status_code == 200
        assert answer.json()["operator"] == "caisse"

        async def arrived():
            return await redis.xlen("events:sale_closed") == 1

        await until(arrived)


async def test_the_close_answers_at_once_while_redis_is_away(tmp_path):
    server = fakeredis.FakeServer()
    async with host(tmp_path, server) as (app, redis), await client(app, caisse="write") as http:
        server.connected = False
        answer = await closed_session(http)
        assert (answer.status_code, answer.json()["status"]) == (200, "closed")
        with pytest.raises(RedisConnectionError):
            await redis.ping()
        async with app.state.database.unit_of_work(read_only=True) as uow:
            waiting = (await uow.session.execute(text("SELECT event FROM host_outbox WHERE sent_at IS NULL"))).scalars()
            assert list(waiting) == ["sale_closed"]
        server.connected = True
        app.state.broker.wake()

        async def arrived():
            return await redis.xlen("events:sale_closed") == 1

        await until(arrived, 30)


@pytest.mark.parametrize(
    ("permissions", "get", "post"),
    [({"caisse": "write"}, 200, 201), ({"caisse": "read"}, 200, 403), ({"accounting": "admin"}, 403, 403)],
)
async def test_the_manifest_guards_the_till(tmp_path, permissions, get, post):
    async with host(tmp_path, fakeredis.FakeServer()) as (app, _), await client(app, **permissions) as http:
        assert (await http.get(f"{API}/registers")).status_code == get
        assert (await http.post(f"{API}/registers", json={"name": "Caisse 1"})).status_code == post


async def test_nobody_sells_without_signing_in(tmp_path):
    async with host(tmp_path, fakeredis.FakeServer()) as (app, _):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://till") as http:
            answer = await http.post(f"{API}/registers", json={"name": "Caisse 1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_signed_in")


async def test_a_shop_sets_its_own_threshold(tmp_path):
    async with host(tmp_path, fakeredis.FakeServer(), variance_threshold_cents=200) as (app, _):
        assert app.state.caisse.settings.variance_threshold_cents == 200
